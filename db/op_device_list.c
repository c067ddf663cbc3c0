/* SPDX-License-Identifier: Apache-2.0
 *
 * device.list: one page of the devices that fit, in an order that the caller chooses. Main thread
 * of the store.
 *
 * Each order is that of an index whose last column is the name, so that a page costs what is on it,
 * wherever it is. The cursor is what the last row has there: its name, and behind a space, which no
 * name has, the value by which the list is ordered. So it holds when devices come and go, and the
 * row itself may be gone. A device without a good certificate is the last by certificate; by seen
 * one that was never connected is the first, and one that is connected the last.
 *
 * A filter by state or kind has an index of its own, in which the names are sorted. In another
 * order its rows are sorted where they are FEW, else the index of the order is read: rows that fit
 * are frequent there. State and seen are as old as the last time that they were written (seen.h).
 */
#include "db/op_device.h"
#include "db/registry.h"

#include <stdio.h>

enum {
	KEY_MAX = 64,
	CURSOR_MAX = NAME_SIZE + 1 + KEY_MAX,
	FEW = 5000,
	COUNTED_MAX = 10000 /* of devices that fit more than one filter, or part of a name */
};

/* The inner query needs an index alone. */
#define FITS                                                                                   \
	"(?3 IS NULL OR name LIKE ?3 ESCAPE '\\') AND (?2 IS NULL OR id IN (SELECT "           \
	"device_id FROM device_grp JOIN grp ON grp.id = grp_id WHERE grp.name = ?2)) AND (?6 " \
	"IS NULL OR state = ?6) AND (?7 IS NULL OR kind = ?7) "
/* ?1 and ?4: name and value of the row before. */
#define LISTED(through, columns, key, is_beyond, from, order_by)                             \
	"SELECT id, name, " key " FROM device WHERE " through columns " " is_beyond " " from \
	" AND " FITS "ORDER BY " order_by " LIMIT ?5"
#define NAMES(through, is_beyond, way) LISTED(through, "name", "NULL", is_beyond, "?1", "name " way)
#define KEYS(through, key, is_beyond, way) \
	LISTED(through, "(" key ", name)", key, is_beyond, "(?4, ?1)", key " " way ", name " way)
#define BY_NAME(is_beyond, way)                                                      \
	{                                                                            \
		NAMES("", is_beyond, way), NAMES("state = ?6 AND ", is_beyond, way), \
			NAMES("kind = ?7 AND ", is_beyond, way)                      \
	}
#define BY(key, is_beyond, way)                                                              \
	{                                                                                    \
		KEYS("", key, is_beyond, way), KEYS("state = ?6 AND ", key, is_beyond, way), \
			KEYS("kind = ?7 AND ", key, is_beyond, way)                          \
	}

enum key { KEY_NONE, KEY_TEXT, KEY_INT };

enum through { THROUGH_ORDER, THROUGH_STATE, THROUGH_KIND, THROUGHS };

static const struct sort {
	const char *word;
	enum key key;
	const char *query[2][THROUGHS]; /* ascending, descending */
	bool has[THROUGHS];             /* the index of that filter has this order */
} sorts[] = {
	{"name",
	 KEY_NONE,
	 {BY_NAME(">", "ASC"), BY_NAME("<", "DESC")},
	 {[THROUGH_STATE] = true, [THROUGH_KIND] = true}},
	{"state",
	 KEY_INT,
	 {BY("state", ">", "ASC"), BY("state", "<", "DESC")},
	 {[THROUGH_STATE] = true}},
	{"seen",
	 KEY_INT,
	 {BY("seen", ">", "ASC"), BY("seen", "<", "DESC")},
	 {[THROUGH_STATE] = true}},
	{"kind",
	 KEY_TEXT,
	 {BY("kind", ">", "ASC"), BY("kind", "<", "DESC")},
	 {[THROUGH_KIND] = true}},
	{"created", KEY_INT, {BY("created", ">", "ASC"), BY("created", "<", "DESC")}, {false}},
	{"certificate",
	 KEY_INT,
	 {BY("certificate_end", ">", "ASC"), BY("certificate_end", "<", "DESC")},
	 {false}},
};

struct listing {
	const struct sort *sort;
	bool descending;
	struct sql_value name; /* of the row before */
	struct sql_value key;
	struct sql_value group; /* filters, or NULL */
	struct sql_value match;
	struct sql_value state;
	struct sql_value kind;
	struct buf pattern;
};

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
		  "certificate, seen, state",
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

/* ---- filters ---- */

static bool take_state(struct op_call *c, struct listing *l)
{
	struct str word;
	enum seen_state state;
	if (!op_str(c, "state", &word) || word.n == 0)
		return true;
	if (!seen_state_parse(word, &state)) {
		op_refuse(c, OP_INVALID, "state",
			  "\"%.*s\" is no state of a device; allowed are connected, away, never, "
			  "barred, disabled",
			  STR_ARG(word));
		return false;
	}
	l->state = sql_int((int64_t)state);
	return true;
}

/* As an argument of the statements; an empty text is no filter. */
static struct sql_value filter(const struct op_call *c, const char *name)
{
	struct str text;
	return op_str(c, name, &text) && text.n ? sql_str(text) : sql_null();
}

static bool take_filters(struct op_call *c, struct listing *l)
{
	struct str match;
	struct str group = {NULL, 0};
	op_str(c, "group", &group);
	l->group = sql_str(group);
	l->kind = filter(c, "kind");
	l->match = sql_null();
	l->state = sql_null();
	if (op_str(c, "match", &match) && match.n) {
		sql_like_part(match, &l->pattern);
		l->match = sql_str(buf_view(&l->pattern));
	}
	return take_state(c, l);
}

static bool is_given(const struct sql_value *v)
{
	return v->kind != SQL_NULL_;
}

static bool are_few(struct sql *db, const struct listing *l, enum through t)
{
	int64_t n = 0;
	if (t == THROUGH_STATE)
		SQL_GET_INT(db, &n,
			    "SELECT count(*) FROM (SELECT 1 FROM device WHERE state = ? LIMIT ?)",
			    l->state, sql_int(FEW + 1));
	else
		SQL_GET_INT(db, &n,
			    "SELECT count(*) FROM (SELECT 1 FROM device WHERE kind = ? LIMIT ?)",
			    l->kind, sql_int(FEW + 1));
	return n <= FEW;
}

/* Which index leads to the rows soonest. */
static enum through way(struct sql *db, const struct listing *l)
{
	const bool given[THROUGHS] = {
		[THROUGH_STATE] = is_given(&l->state), [THROUGH_KIND] = is_given(&l->kind)};
	const bool all = given[THROUGH_STATE] && given[THROUGH_KIND];
	for (enum through t = THROUGH_STATE; t < THROUGHS; t++)
		if (given[t] && ((l->sort->has[t] && !all) || are_few(db, l, t)))
			return t;
	for (enum through t = THROUGH_STATE; t < THROUGHS; t++)
		if (given[t] && l->sort->has[t])
			return t;
	return THROUGH_ORDER;
}

/* ---- how many there are ---- */

static int64_t count_simple(struct sql *db, const struct listing *l)
{
	int64_t n = 0;
	if (is_given(&l->state))
		SQL_GET_INT(db, &n, "SELECT count(*) FROM device WHERE state = ?", l->state);
	else if (is_given(&l->kind))
		SQL_GET_INT(db, &n, "SELECT count(*) FROM device WHERE kind = ?", l->kind);
	else if (is_given(&l->group))
		SQL_GET_INT(db, &n,
			    "SELECT count(*) FROM device_grp JOIN grp ON grp.id = grp_id WHERE "
			    "grp.name = ?",
			    l->group);
	else
		SQL_GET_INT(db, &n, "SELECT count(*) FROM device");
	return n;
}

static void put_total(struct sql *db, const struct listing *l, struct buf *out)
{
	const int given = is_given(&l->state) + is_given(&l->kind) + is_given(&l->group);
	int64_t n = 0;
	if (!is_given(&l->match) && given <= 1) {
		rec_int(out, "total", count_simple(db, l));
		return;
	}
	SQL_GET_INT(db, &n, "SELECT count(*) FROM (SELECT 1 FROM device WHERE " FITS "LIMIT ?4)",
		    sql_null(), l->group, l->match, sql_int(COUNTED_MAX + 1), sql_null(), l->state,
		    l->kind);
	if (n > COUNTED_MAX)
		rec_null(out, "total");
	else
		rec_int(out, "total", n);
}

/* ---- the page ---- */

/* Returns how many rows there are. */
static int64_t put_rows(struct op_call *c, const struct listing *l, int64_t limit,
			char cursor[CURSOR_MAX], struct sql_query *q)
{
	int64_t n = 0;
	rec_list(&c->result, "items");
	while (sql_next(q)) {
		if (n++ == limit)
			break;
		print_cursor(l, q, cursor);
		rec_object(&c->result, "");
		device_put(c->s, sql_at_int(q, 0), true, &c->result);
		rec_end(&c->result);
	}
	return n;
}

static void list(struct op_call *c, const struct listing *l, int64_t limit)
{
	struct sql *db = c->s->registry;
	struct str after;
	char cursor[CURSOR_MAX];
	bool count = false;
	const bool first = !op_str(c, "after", &after) || after.n == 0;
	op_bool(c, "count", &count);
	seen_settle(c->s);
	AUTO_QUERY q = SQL_QUERY(db, l->sort->query[l->descending][way(db, l)], l->name, l->group,
				 l->match, l->key, sql_int(limit + 1), l->state, l->kind);
	const int64_t n = put_rows(c, l, limit, cursor, &q);
	const bool more = n > limit;
	op_put_next(&c->result, more ? str_of(cursor) : STR(""));
	if (count && first && more)
		put_total(db, l, &c->result);
	else if (count && first)
		rec_int(&c->result, "total", n);
	sql_query_end(&q);
	if (q.error)
		op_refuse_sql(c, q.error);
	else
		op_done(c);
}

void op_device_list(struct op_call *c)
{
	struct listing l = {0};
	int64_t limit;
	if (op_limit(c, &limit) && take_sort(c, &l) && take_cursor(c, &l) && take_filters(c, &l))
		list(c, &l, limit);
	buf_fini(&l.pattern);
}
