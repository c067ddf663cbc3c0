/* SPDX-License-Identifier: Apache-2.0
 *
 * API tokens: secrets for programs, with a level, the operations they are for, and an end. Main
 * thread of the store.
 *
 * A token is {name, level, operations: [strings], created, created_by, expires, expired, seen};
 * token.add answers it with token: the secret, told only there.
 */
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "db/authorise.h"
#include "db/hash.h"
#include "db/op_session.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	TTL_MIN = 60,
	TTL_DEFAULT = 90 * 24 * 3600,
	OPERATIONS_MAX = 1024,
	FOLLOWERS_AT_ONCE = 1000
};

#define TOKEN_COLUMNS \
	"SELECT name, level, operations, created, created_by, expires, seen FROM token "

static void put_row(const struct op_call *c, const struct sql_query *q, struct buf *out)
{
	struct str operations = sql_at_str(q, 2);
	rec_str(out, "name", sql_at_str(q, 0));
	rec_text(out, "level", op_level_name((enum op_level)(sql_at_int(q, 1) + VIEWER)));
	rec_list(out, "operations");
	while (operations.n)
		rec_str(out, "", str_split(&operations, ' '));
	rec_end(out);
	op_put_time(out, "created", sql_at_int(q, 3));
	rec_str(out, "created_by", sql_at_str(q, 4));
	op_put_time(out, "expires", sql_at_int(q, 5));
	rec_bool(out, "expired", sql_at_int(q, 5) <= timefloor_now(&c->s->floor));
	op_put_time(out, "seen", sql_at_int(q, 6));
}

static void raise_changed(struct op_call *c, const char *what, struct str name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "change", what);
	rec_str(&detail, "token", name);
	change_event(c, EVENT_ADMIN_CHANGED, 0, STR(""), buf_view(&detail));
}

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(c, q, &c->result);
}

void op_token_list(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, TOKEN_COLUMNS "ORDER BY name");
	op_answer_all(c, &q, put_item);
}

/* Does a word name an operation, or the beginning of some? */
static bool names_operations(struct str word)
{
	const bool beginning = word.n && word.p[word.n - 1] == '.';
	for (enum op op = 0; op < OP_COUNT; op++) {
		const struct str name = str_of(op_spec(op)->name);
		if (str_eq(name, word) || (beginning && str_prefix(name, word)))
			return true;
	}
	return false;
}

/* The argument operations as one text. False: refused. */
static bool take_operations(struct op_call *c, struct buf *out)
{
	struct rec_value v;
	if (!rec_find(buf_view(&c->args), "operations", &v))
		return true;
	struct cur list = cur_of(v.text);
	while (rec_next(&list, &v)) {
		if (!names_operations(v.text)) {
			op_refuse(c, OP_INVALID, "operations",
				  "\"%.*s\" is no operation, nor the beginning of one with a dot "
				  "at its end",
				  STR_ARG(v.text));
			return false;
		}
		buf_puts(out, out->n ? " " : "");
		buf_str(out, v.text);
	}
	if (out->n == 0) {
		op_refuse(c, OP_INVALID, "operations",
			  "the list is empty: name at least one operation, or leave operations out "
			  "for all of the level");
		return false;
	}
	if (out->n <= OPERATIONS_MAX)
		return true;
	op_refuse(c, OP_INVALID, "operations", "the names have %zu bytes together; allowed are %d",
		  out->n, OPERATIONS_MAX);
	return false;
}

/* A token makes none that is for more than itself. */
static bool is_within_scope(struct op_call *c, struct str operations)
{
	if (!c->scope || !c->scope[0])
		return true;
	if (operations.n == 0) {
		op_refuse(c, OP_DENIED, "operations",
			  "a token that is for all operations is not made by one that is not");
		return false;
	}
	while (operations.p) {
		AUTO_CHAR one = str_dup(str_split(&operations, ' '));
		if (authorise_scope_holds(c, one))
			continue;
		op_refuse(c, OP_DENIED, "operations", "the API token that asks is not for %s", one);
		return false;
	}
	return true;
}

/* False: refused. */
static bool take_ttl(struct op_call *c, int64_t *ttl)
{
	*ttl = TTL_DEFAULT;
	if (!op_int(c, "ttl", ttl) || *ttl >= TTL_MIN)
		return true;
	op_refuse(c, OP_INVALID, "ttl", "ttl is %lld seconds; allowed are %d and more",
		  (long long)*ttl, TTL_MIN);
	return false;
}

static bool is_free(struct op_call *c, struct str name)
{
	int64_t id;
	if (!op_check_name(c, "name", "token", name))
		return false;
	if (!SQL_GET_INT(c->s->registry, &id, "SELECT id FROM token WHERE name = ?", sql_str(name)))
		return true;
	op_refuse(c, OP_CONFLICT, "name", "there is a token \"%.*s\" already", STR_ARG(name));
	return false;
}

static void put_token(struct op_call *c, struct str name)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, TOKEN_COLUMNS "WHERE name = ?", sql_str(name));
	if (sql_next(&q))
		put_row(c, &q, &c->result);
}

static void insert(struct op_call *c, struct str name, enum op_level level, struct str operations,
		   int64_t ttl)
{
	const int64_t now = timefloor_now(&c->s->floor);
	char secret[PEOPLE_SECRET];
	char text[PEOPLE_TOKEN];
	unsigned char hash[SHA256_SIZE];
	people_secret(secret, hash);
	snprintf(text, sizeof(text), "gh_%s", secret);
	hash_sha256(str_of(text), hash);
	change_begin(c);
	SQL_RUN(c->s->registry,
		"INSERT INTO token(name, hash, level, operations, created, created_by, expires) "
		"VALUES(?, ?, ?, ?, ?, ?, ?)",
		sql_str(name), sql_blob(str_make(hash, sizeof(hash))),
		sql_int(people_level_number(level)), sql_str(operations.p ? operations : STR("")),
		sql_int(now), sql_text(c->actor), sql_int(now + ttl));
	put_token(c, name);
	rec_text(&c->result, "token", text);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	raise_changed(c, "token added", name);
	change_commit(c);
}

void op_token_add(struct op_call *c)
{
	struct str name = STR("");
	struct str text = STR("");
	enum op_level level;
	AUTO_BUF operations = {0};
	int64_t ttl;
	op_str(c, "name", &name);
	op_str(c, "level", &text);
	if (!is_free(c, name))
		return;
	if (!people_level(text, &level)) {
		op_refuse(c, OP_INVALID, "level",
			  "level is \"%.*s\"; allowed are viewer, operator, admin", STR_ARG(text));
		return;
	}
	if (take_operations(c, &operations) && is_within_scope(c, buf_view(&operations)) &&
	    take_ttl(c, &ttl))
		insert(c, name, level, buf_view(&operations), ttl);
}

struct follower {
	int64_t id;
	char name[PEOPLE_NAME];
};

static size_t followers(struct op_call *c, struct str maker, enum op_level level,
			struct follower out[FOLLOWERS_AT_ONCE])
{
	size_t n = 0;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		"WITH RECURSIVE made(id, name, level) AS (SELECT id, name, level FROM token WHERE "
		"created_by = ?1 UNION SELECT token.id, token.name, token.level FROM token JOIN "
		"made ON token.created_by = 'token ' || made.name) SELECT id, name FROM made WHERE "
		"level > ?2 ORDER BY id LIMIT ?3",
		sql_str(maker), sql_int(level == NOBODY ? -1 : people_level_number(level)),
		sql_int(FOLLOWERS_AT_ONCE));
	while (n < FOLLOWERS_AT_ONCE && sql_next(&q)) {
		out[n].id = sql_at_int(&q, 0);
		snprintf(out[n++].name, PEOPLE_NAME, "%.*s", STR_ARG(sql_at_str(&q, 1)));
	}
	return n;
}

int64_t token_follow(struct op_call *c, struct str maker, enum op_level level)
{
	struct follower found[FOLLOWERS_AT_ONCE];
	const size_t n = followers(c, maker, level, found);
	for (size_t i = 0; i < n; i++) {
		if (level == NOBODY)
			SQL_RUN(c->s->registry, "DELETE FROM token WHERE id = ?",
				sql_int(found[i].id));
		else
			SQL_RUN(c->s->registry, "UPDATE token SET level = ? WHERE id = ?",
				sql_int(people_level_number(level)), sql_int(found[i].id));
		raise_changed(c,
			      level == NOBODY ? "token removed with its maker"
					      : "token lowered with its maker",
			      str_of(found[i].name));
	}
	c->change.credentials = c->change.credentials || n > 0;
	return (int64_t)n;
}

void op_token_remove(struct op_call *c)
{
	struct sql *db = c->s->registry;
	struct str name = STR("");
	int64_t id;
	op_str(c, "name", &name);
	if (!SQL_GET_INT(db, &id, "SELECT id FROM token WHERE name = ?", sql_str(name))) {
		op_refuse(c, OP_NOT_FOUND, "name", "there is no token \"%.*s\"", STR_ARG(name));
		return;
	}
	change_begin(c);
	SQL_RUN(db, "DELETE FROM token WHERE id = ?", sql_int(id));
	c->change.credentials = true;
	rec_str(&c->result, "name", name);
	raise_changed(c, "token removed", name);
	change_commit(c);
}
