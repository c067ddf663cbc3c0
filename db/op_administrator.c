/* SPDX-License-Identifier: Apache-2.0
 *
 * Administrators and their own passwords. Main thread of the store. One administrator with the
 * level admin always stays: the last can neither be removed nor disabled nor lowered.
 *
 * An administrator is {name, level, enabled, totp, sessions, created, created_by, seen}.
 */
#include "daemon/base/err.h"
#include "db/op_session.h"

#define ADMINISTRATOR_COLUMNS                                                                 \
	"SELECT name, level, enabled, totp IS NOT NULL, (SELECT count(*) FROM session WHERE " \
	"administrator_id = administrator.id), created, created_by, seen FROM administrator "

/* live: with what no revision keeps. */
static void put_row(const struct sql_query *q, bool live, struct buf *out)
{
	rec_str(out, "name", sql_at_str(q, 0));
	rec_text(out, "level", op_level_name((enum op_level)(sql_at_int(q, 1) + VIEWER)));
	rec_bool(out, "enabled", sql_at_int(q, 2) != 0);
	rec_bool(out, "totp", sql_at_int(q, 3) != 0);
	if (!live)
		return;
	rec_int(out, "sessions", sql_at_int(q, 4));
	op_put_time(out, "created", sql_at_int(q, 5));
	rec_str(out, "created_by", sql_at_str(q, 6));
	op_put_time(out, "seen", sql_at_int(q, 7));
}

static void put(struct store *s, int64_t id, bool live, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, ADMINISTRATOR_COLUMNS "WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		put_row(&q, live, out);
}

static void raise_changed(struct op_call *c, const char *what, struct str name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "change", what);
	rec_str(&detail, "administrator", name);
	change_event(c, EVENT_ADMIN_CHANGED, 0, STR(""), buf_view(&detail));
}

static bool find(struct op_call *c, struct person *out)
{
	const struct str name = op_text(c, "name", "");
	if (people_find(c->s->registry, name, out) == 0)
		return true;
	op_refuse(c, OP_NOT_FOUND, "name", "there is no administrator \"%.*s\"", STR_ARG(name));
	return false;
}

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(q, true, &c->result);
}

void op_administrator_list(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, ADMINISTRATOR_COLUMNS "ORDER BY name");
	op_answer_all(c, &q, put_item);
}

/* The argument level; absent: as it was. False: refused. */
static bool take_level(struct op_call *c, enum op_level *level)
{
	struct str text;
	if (!op_str(c, "level", &text) || people_level(text, level))
		return true;
	op_refuse(c, OP_INVALID, "level", "level is \"%.*s\"; allowed are viewer, operator, admin",
		  STR_ARG(text));
	return false;
}

/* ---- add ---- */

static void add(struct op_call *c)
{
	struct sql *db = c->s->registry;
	const int64_t now = timefloor_now(&c->s->floor);
	enum op_level level = VIEWER;
	if (!take_level(c, &level))
		return;
	change_begin(c);
	SQL_RUN(db,
		"INSERT INTO administrator(name, level, verifier, created, created_by, changed) "
		"VALUES(?, ?, ?, ?, ?, ?)",
		sql_str(op_text(c, "name", "")), sql_int(people_level_number(level)),
		sql_text(session_verifier(c)), sql_int(now), sql_text(c->actor), sql_int(now));
	const int64_t id = sql_last_id(db);
	AUTO_BUF after = {0};
	put(c->s, id, false, &after);
	change_revision(c, "administrator", op_text(c, "name", ""), STR(""), buf_view(&after));
	put(c->s, id, true, &c->result);
	raise_changed(c, "added", op_text(c, "name", ""));
	change_commit(c);
}

void op_administrator_add(struct op_call *c)
{
	struct person who;
	enum op_level level = VIEWER;
	const struct str name = op_text(c, "name", "");
	if (!op_check_name(c, "name", "administrator", name) || !take_level(c, &level) ||
	    !session_check_password(c, "password", name))
		return;
	if (people_find(c->s->registry, name, &who) == 0) {
		op_refuse(c, OP_CONFLICT, "name",
			  "there is an administrator \"%.*s\" already: choose another name",
			  STR_ARG(name));
		return;
	}
	session_hash(c, "password", add);
}

/* ---- set ---- */

static bool someone_stays(struct op_call *c, int64_t but)
{
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n,
		    "SELECT count(*) FROM administrator WHERE enabled AND level = ? AND id <> ?",
		    sql_int(people_level_number(ADMIN)), sql_int(but));
	if (n)
		return true;
	op_refuse(c, OP_CONFLICT, "name",
		  "the last administrator with the level admin must stay: add another one first");
	return false;
}

/* Nobody can lock himself out: somebody else does that. */
static bool is_another(struct op_call *c, const struct person *who, const char *field)
{
	if (!c->administrator || c->administrator != who->id)
		return true;
	op_refuse(
		c, OP_CONFLICT, field,
		"this is your own account: another administrator can lower, disable or remove it");
	return false;
}

static bool may_become(struct op_call *c, const struct person *who, enum op_level level,
		       bool enabled)
{
	if (enabled >= who->enabled && level >= who->level)
		return true;
	if (!is_another(c, who, enabled ? "level" : "enabled"))
		return false;
	return !who->enabled || who->level != ADMIN || someone_stays(c, who->id);
}

static void drop_totp(struct sql *db, int64_t id)
{
	SQL_RUN(db, "UPDATE administrator SET totp = NULL, totp_pending = NULL WHERE id = ?",
		sql_int(id));
	SQL_RUN(db, "DELETE FROM recovery_code WHERE administrator_id = ?", sql_int(id));
}

static void update(struct op_call *c, const struct person *who, const char *verifier)
{
	struct sql *db = c->s->registry;
	enum op_level level = who->level;
	bool enabled = who->enabled;
	bool totp = true;
	if (!take_level(c, &level))
		return;
	op_bool(c, "enabled", &enabled);
	op_bool(c, "totp", &totp);
	if (!may_become(c, who, level, enabled))
		return;
	AUTO_BUF before = {0};
	AUTO_BUF after = {0};
	put(c->s, who->id, false, &before);
	change_begin(c);
	SQL_RUN(db, "UPDATE administrator SET level = ?, enabled = ?, changed = ? WHERE id = ?",
		sql_int(people_level_number(level)), sql_int(enabled),
		sql_int(timefloor_now(&c->s->floor)), sql_int(who->id));
	if (verifier)
		SQL_RUN(db, "UPDATE administrator SET verifier = ? WHERE id = ?",
			sql_text(verifier), sql_int(who->id));
	if (!totp)
		drop_totp(db, who->id);
	if (verifier || !enabled)
		people_sessions_close(db, who->id, c->session);
	c->change.credentials |= verifier || !enabled || level < who->level;
	const int64_t lowered = level < who->level ? token_follow(c, str_of(who->name), level) : 0;
	put(c->s, who->id, false, &after);
	if (!str_eq(buf_view(&before), buf_view(&after)))
		change_revision(c, "administrator", str_of(who->name), buf_view(&before),
				buf_view(&after));
	put(c->s, who->id, true, &c->result);
	rec_int(&c->result, "tokens_lowered", lowered);
	raise_changed(c, verifier ? "password set" : "changed", str_of(who->name));
	change_commit(c);
}

static void set_hashed(struct op_call *c)
{
	struct person who;
	if (find(c, &who))
		update(c, &who, session_verifier(c));
}

void op_administrator_set(struct op_call *c)
{
	static const char *const settable[] = {"level", "enabled", "password", "totp"};
	struct person who;
	struct str password;
	struct rec_value v;
	size_t given = 0;
	bool totp;
	if (!find(c, &who))
		return;
	for (size_t i = 0; i < ARRAY_LEN(settable); i++)
		given += rec_find(buf_view(&c->args), settable[i], &v);
	if (given == 0) {
		op_refuse(c, OP_INVALID, NULL,
			  "nothing to change: give level, enabled, password or totp");
		return;
	}
	if (op_bool(c, "totp", &totp) && totp) {
		op_refuse(c, OP_INVALID, "totp",
			  "a second factor is set up by its owner, after logging in; here it is "
			  "only taken away (false)");
		return;
	}
	if (!op_str(c, "password", &password))
		update(c, &who, NULL);
	else if (session_check_password(c, "password", str_of(who.name)))
		session_hash(c, "password", set_hashed);
}

void op_administrator_remove(struct op_call *c)
{
	struct person who;
	if (!find(c, &who))
		return;
	if (!is_another(c, &who, "name") ||
	    (who.level == ADMIN && who.enabled && !someone_stays(c, who.id)))
		return;
	AUTO_BUF before = {0};
	put(c->s, who.id, false, &before);
	change_begin(c);
	SQL_RUN(c->s->registry, "DELETE FROM administrator WHERE id = ?", sql_int(who.id));
	c->change.credentials = true;
	rec_text(&c->result, "name", who.name);
	rec_int(&c->result, "tokens_removed", token_follow(c, str_of(who.name), NOBODY));
	change_revision(c, "administrator", str_of(who.name), buf_view(&before), STR(""));
	raise_changed(c, "removed", str_of(who.name));
	change_commit(c);
}

/* ---- one's own password ---- */

static void store_own(struct op_call *c)
{
	struct sql *db = c->s->registry;
	change_begin(c);
	SQL_RUN(db, "UPDATE administrator SET verifier = ?, changed = ? WHERE id = ?",
		sql_text(session_verifier(c)), sql_int(timefloor_now(&c->s->floor)),
		sql_int(c->administrator));
	people_sessions_close(db, c->administrator, c->session);
	c->change.credentials = true;
	rec_text(&c->result, "name", c->actor);
	raise_changed(c, "password set", str_of(c->actor));
	change_commit(c);
}

static void hash_own(struct op_call *c)
{
	session_hash(c, "password", store_own);
}

void op_password_set(struct op_call *c)
{
	if (session_check_password(c, "password", str_of(c->actor)))
		session_confirm(c, "old", hash_own);
}
