/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles: list, set, remove. See op_code.h. The two that the gateway itself uses stay; a profile
 * is also a label of EST, so the names of its operations are taken.
 */
#include "db/authorities.h"
#include "db/op_code.h"
#include "db/profile.h"

enum {
	LIFETIME_MIN_S = 3600, /* shorter ones would be renewed more often than they are checked */
	PROFILES_MAX = 50,
};

static void put_row(const struct sql_query *q, struct buf *out)
{
	rec_str(out, "name", sql_at_str(q, 0));
	rec_int(out, "lifetime", sql_at_int(q, 1));
	rec_int(out, "grace", sql_at_int(q, 2));
	rec_int(out, "overlap", sql_at_int(q, 3));
	rec_str(out, "note", sql_at_str(q, 4));
}

static void put_profile(struct sql *db, struct str name, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(
		db, "SELECT name, lifetime, grace, overlap, note FROM profile WHERE name = ?",
		sql_str(name));
	if (sql_next(&q))
		put_row(&q, out);
}

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(q, &c->result);
}

void op_profile_list(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, "SELECT name, lifetime, grace, overlap, note FROM "
						 "profile ORDER BY name");
	op_answer_all(c, &q, put_item);
}

static bool is_of_est(struct str name)
{
	static const char *const taken[] = {"cacerts",        "csrattrs",     "simpleenroll",
					    "simplereenroll", "serverkeygen", "fullcmc"};
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (str_is(name, taken[i]))
			return true;
	return false;
}

static bool check_set(struct op_call *c, struct str name, bool is_new)
{
	int64_t lifetime = 0;
	int64_t n = 0;
	if (!op_check_name(c, "name", "profile", name))
		return false;
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM profile");
	if (is_of_est(name))
		op_refuse(c, OP_INVALID, "name",
			  "\"%.*s\" is an operation of EST: choose another name", STR_ARG(name));
	else if (op_int(c, "lifetime", &lifetime) && lifetime > 0 && lifetime < LIFETIME_MIN_S)
		op_refuse(c, OP_INVALID, "lifetime",
			  "lifetime is %lld s; allowed are 0 (as long as the authority) and %d s "
			  "or more",
			  (long long)lifetime, LIFETIME_MIN_S);
	else if (is_new && !op_int(c, "lifetime", &lifetime))
		op_refuse(c, OP_INVALID, "lifetime",
			  "there is no profile \"%.*s\": a new one needs a "
			  "lifetime",
			  STR_ARG(name));
	else if (is_new && n >= PROFILES_MAX)
		op_refuse(c, OP_REFUSED, NULL, "there are %d profiles already, which is the most",
			  PROFILES_MAX);
	else
		return true;
	return false;
}

static void raise_changed(struct op_call *c, const char *change, struct str name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "change", change);
	rec_str(&detail, "profile", name);
	change_event(c, EVENT_ENROL_PROFILE_CHANGED, 0, STR(""), buf_view(&detail));
}

static struct sql_value int_or_null(const struct op_call *c, const char *arg)
{
	int64_t v;
	return op_int(c, arg, &v) ? sql_int(v) : sql_null();
}

void op_profile_set(struct op_call *c)
{
	struct store *s = c->s;
	struct profile_row row;
	struct str name;
	struct str note = {NULL, 0};
	AUTO_BUF before = {0};
	AUTO_BUF after = {0};
	op_str(c, "name", &name);
	op_str(c, "note", &note);
	const bool is_new = profile_find(s->registry, name, &row) != 0;
	if (!check_set(c, name, is_new))
		return;
	put_profile(s->registry, name, &before);
	change_begin(c);
	SQL_RUN(s->registry,
		"INSERT INTO profile VALUES(?1, coalesce(?2, 0), coalesce(?3, 2592000), "
		"coalesce(?4, 604800), coalesce(?5, '')) ON CONFLICT(name) DO UPDATE SET lifetime "
		"= "
		"coalesce(?2, lifetime), grace = coalesce(?3, grace), overlap = coalesce(?4, "
		"overlap), "
		"note = coalesce(?5, note)",
		sql_str(name), int_or_null(c, "lifetime"), int_or_null(c, "grace"),
		int_or_null(c, "overlap"), sql_str(note));
	put_profile(s->registry, name, &after);
	put_profile(s->registry, name, &c->result);
	change_revision(c, "profile", name, buf_view(&before), buf_view(&after));
	raise_changed(c, is_new ? "added" : "changed", name);
	if (change_commit(c) == 0)
		authorities_changed(s);
}

void op_profile_remove(struct op_call *c)
{
	struct store *s = c->s;
	struct profile_row row;
	struct str name;
	AUTO_BUF before = {0};
	op_str(c, "name", &name);
	if (profile_find(s->registry, name, &row)) {
		op_refuse(c, OP_NOT_FOUND, "name", "there is no profile \"%.*s\"", STR_ARG(name));
		return;
	}
	if (str_is(name, PROFILE_SELF_RENEWING) || str_is(name, PROFILE_BY_HAND)) {
		op_refuse(c, OP_REFUSED, "name",
			  "the profile \"%.*s\" is needed: change it instead", STR_ARG(name));
		return;
	}
	put_profile(s->registry, name, &before);
	change_begin(c);
	SQL_RUN(s->registry, "DELETE FROM profile WHERE name = ?", sql_str(name));
	rec_str(&c->result, "name", name);
	change_revision(c, "profile", name, buf_view(&before), STR(""));
	raise_changed(c, "removed", name);
	if (change_commit(c) == 0)
		authorities_changed(s);
}
