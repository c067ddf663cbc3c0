/* SPDX-License-Identifier: Apache-2.0
 *
 * device.list: one page of the devices that fit, in an order that the caller chooses. Main thread
 * of the store.
 *
 * Each order is that of an index whose last column is the name, so that a page costs what is on it,
 * wherever it is. The cursor is what the last row has there: its name, and behind a space, which no
 * name has, the value by which the list is ordered. So it holds when devices come and go, and the
 * row itself may be gone. A device without a good certificate is the last by certificate.
 */
#include "db/op_device.h"
#include "db/registry.h"

#include <stdio.h>

enum { KEY_MAX = 64, CURSOR_MAX = NAME_SIZE + 1 + KEY_MAX };

/* ?1 and ?4: name and value of the row before. The inner query needs an index alone. */
#define LISTED(columns, key, is_beyond, from, order_by)                                      \
	"SELECT id, name, " key " FROM device WHERE " columns " " is_beyond " " from " AND " \
	"(?3 IS NULL OR name LIKE ?3 ESCAPE '\\') AND (?2 IS NULL OR id IN (SELECT "         \
	"device_id FROM device_grp JOIN grp ON grp.id = grp_id WHERE grp.name = ?2)) "       \
	"ORDER BY " order_by " LIMIT ?5"
#define BY_NAME(is_beyond, way) LISTED("name", "NULL", is_beyond, "?1", "name " way)
#define BY(key, is_beyond, way) \
	LISTED("(" key ", name)", key, is_beyond, "(?4, ?1)", key " " way ", name " way)

enum key { KEY_NONE, KEY_TEXT, KEY_INT };

static const struct sort {
	const char *word;
	enum key key;
	const char *query[2]; /* ascending, descending */
} sorts[] = {
	{"name", KEY_NONE, {BY_NAME(">", "ASC"), BY_NAME("<", "DESC")}},
	{"kind", KEY_TEXT, {BY("kind", ">", "ASC"), BY("kind", "<", "DESC")}},
	{"created", KEY_INT, {BY("created", ">", "ASC"), BY("created", "<", "DESC")}},
	{"certificate",
	 KEY_INT,
	 {BY("certificate_end", ">", "ASC"), BY("certificate_end", "<", "DESC")}},
};

struct listing {
	const struct sort *sort;
	bool descending;
	struct sql_value name; /* of the row before */
	struct sql_value key;
};

/* For LIKE, which is the fastest that SQLite has and knows no case in ASCII. */
static void put_pattern(struct str text, struct buf *out)
{
	buf_putc(out, '%');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%' || text.p[i] == '_' || text.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, text.p[i]);
	}
	buf_putc(out, '%');
}

static bool take_sort(struct op_call *c, struct listing *l)
{
	const struct str sort = op_text(c, "sort", "name");
	const struct str order = op_text(c, "order", "asc");
	l->descending = str_is(order, "desc");
	if (!l->descending && !str_is(order, "asc")) {
		op_refuse(c, OP_INVALID, "order", "\"%.*s\" is no order; allowed are asc and desc",
			  STR_ARG(order));
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
		l->sort = &sorts[i];
		if (str_is(sort, sorts[i].word))
			return true;
	}
	op_refuse(c, OP_INVALID, "sort",
		  "devices are not sorted by \"%.*s\"; allowed are name, kind, created, "
		  "certificate",
		  STR_ARG(sort));
	return false;
}

/* Before all rows: of SQLite's values a blob is beyond every text, and a text every number. */
static void begin(struct listing *l)
{
	const struct sql_value end = sql_blob(STR("\xff"));
	l->name = l->descending ? end : sql_text("");
	l->key = l->descending ? end : l->sort->key == KEY_INT ? sql_int(-1) : sql_text("");
}

/* The place behind the row of a cursor. False: this is none of that order. */
static bool parse_cursor(struct str after, struct listing *l)
{
	const char *space = memchr(after.p, ' ', after.n);
	const struct str name = str_make(after.p, space ? (size_t)(space - after.p) : after.n);
	uint64_t number;
	l->name = sql_str(name);
	if (l->sort->key == KEY_NONE || !space)
		return l->sort->key == KEY_NONE && !space;
	const struct str key = str_make(space + 1, after.n - name.n - 1);
	l->key = sql_str(key);
	if (l->sort->key == KEY_TEXT)
		return true;
	if (str_u64(key, INT64_MAX, &number))
		return false;
	l->key = sql_int((int64_t)number);
	return true;
}

static bool take_cursor(struct op_call *c, struct listing *l)
{
	struct str after;
	begin(l);
	if (!op_str(c, "after", &after) || after.n == 0 || parse_cursor(after, l))
		return true;
	op_refuse(c, OP_INVALID, "after",
		  "\"%.*s\" is no cursor of devices by %s: give the next of the page before",
		  STR_ARG(after), l->sort->word);
	return false;
}

static void print_cursor(const struct listing *l, const struct sql_query *q, char out[CURSOR_MAX])
{
	const struct str name = sql_at_str(q, 1);
	if (l->sort->key == KEY_NONE)
		snprintf(out, CURSOR_MAX, "%.*s", STR_ARG(name));
	else if (l->sort->key == KEY_TEXT)
		snprintf(out, CURSOR_MAX, "%.*s %.*s", STR_ARG(name), STR_ARG(sql_at_str(q, 2)));
	else
		snprintf(out, CURSOR_MAX, "%.*s %lld", STR_ARG(name), (long long)sql_at_int(q, 2));
}

void op_device_list(struct op_call *c)
{
	struct listing l;
	struct str group = {NULL, 0};
	struct str match = {NULL, 0};
	struct str next = {NULL, 0};
	char cursor[CURSOR_MAX];
	int64_t limit;
	AUTO_BUF pattern = {0};
	op_str(c, "group", &group);
	if (op_str(c, "match", &match))
		put_pattern(match, &pattern);
	if (!op_limit(c, &limit) || !take_sort(c, &l) || !take_cursor(c, &l))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry, l.sort->query[l.descending], l.name,
				 sql_str(group), match.p ? sql_str(buf_view(&pattern)) : sql_null(),
				 l.key, sql_int(limit + 1));
	rec_list(&c->result, "items");
	while (sql_next(&q)) {
		if (limit-- == 0) {
			next = str_of(cursor);
			break;
		}
		print_cursor(&l, &q, cursor);
		rec_object(&c->result, "");
		device_put(c->s, sql_at_int(&q, 0), true, &c->result);
		rec_end(&c->result);
	}
	op_end_items(c, &q, next);
}
