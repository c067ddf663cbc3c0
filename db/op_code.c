/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment codes: add, list, remove. See op_code.h. Only the hash of a code is kept.
 */
#include "db/op_code.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "daemon/net/addr.h"
#include "db/authorities.h"
#include "db/code.h"
#include "db/op_device.h"
#include "db/pattern.h"
#include "db/profile.h"

static void put_list(const struct op_call *c, const char *name, struct buf *out)
{
	struct str list;
	if (!op_strs(c, name, &list))
		return;
	rec_list(out, name);
	buf_str(out, list);
	rec_end(out);
}

void members_take(const struct op_call *c, struct buf *out)
{
	put_list(c, "groups", out);
	put_list(c, "roles", out);
}

void members_put(struct str members, struct buf *out)
{
	static const char *const names[] = {"groups", "roles"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct rec_value v;
		rec_list(out, names[i]);
		if (rec_find(members, names[i], &v))
			buf_str(out, v.text);
		rec_end(out);
	}
}

bool profile_take(struct op_call *c, struct str *name)
{
	struct profile_row row;
	*name = STR(PROFILE_SELF_RENEWING);
	if (!op_str(c, "profile", name) || profile_find(c->s->registry, *name, &row) == 0)
		return true;
	op_refuse(c, OP_INVALID, "profile", "there is no profile \"%.*s\": profile list shows them",
		  STR_ARG(*name));
	return false;
}

#define CODE_COLUMNS                                                                              \
	"SELECT code.id, coalesce(device.name, code.name), name_pattern, uses, uses_left, cidr, " \
	"profile, code.kind, label, members, code.created, expires, last_used, code.created_by, " \
	"last_source, EXISTS(SELECT 1 FROM device AS d WHERE d.id = device_id OR d.name = "       \
	"code.name), replaced FROM code LEFT JOIN device ON device.id = device_id "

static void put_row(struct store *s, const struct sql_query *q, struct buf *out)
{
	const bool used = sql_at_int(q, 4) <= 0;
	const bool expired = sql_at_int(q, 11) <= timefloor_now(&s->floor);
	const bool replaced = !sql_at_null(q, 16);
	rec_int(out, "id", sql_at_int(q, 0));
	op_put_str(out, "name", sql_at_str(q, 1));
	op_put_str(out, "pattern", sql_at_str(q, 2));
	rec_bool(out, "device_exists", sql_at_int(q, 15) != 0);
	rec_text(out, "state",
		 used       ? "used"
		 : replaced ? "replaced"
		 : expired  ? "expired"
			    : "valid");
	rec_int(out, "uses", sql_at_int(q, 3));
	rec_int(out, "uses_left", sql_at_int(q, 4));
	op_put_str(out, "network", sql_at_str(q, 5));
	rec_str(out, "profile", sql_at_str(q, 6));
	rec_str(out, "kind", sql_at_str(q, 7));
	rec_str(out, "note", sql_at_str(q, 8));
	members_put(sql_at_str(q, 9), out);
	op_put_time(out, "created", sql_at_int(q, 10));
	op_put_time(out, "expires", sql_at_int(q, 11));
	op_put_time(out, "last_used", sql_at_int(q, 12));
	rec_str(out, "created_by", sql_at_str(q, 13));
	op_put_str(out, "last_source", sql_at_str(q, 14));
}

static void put_code(struct store *s, int64_t id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, CODE_COLUMNS "WHERE code.id = ?", sql_int(id));
	if (sql_next(&q))
		put_row(s, &q, out);
}

/* ---- add ---- */

struct wanted {
	struct str name; /* one of these two is empty */
	struct str pattern;
	int64_t device_id; /* 0: there is none of this name */
	int64_t ttl;
	int64_t uses;
	struct str network;
	struct str profile;
	struct str kind;
	struct str note;
	int64_t replaced; /* older codes */
};

static bool check_members(struct op_call *c, const struct wanted *w)
{
	static const char *const of_new[] = {"groups", "roles", "kind"};
	struct rec_value v;
	if (!device_check_lists(c))
		return false;
	for (size_t i = 0; w->device_id && i < ARRAY_LEN(of_new); i++) {
		if (!rec_find(buf_view(&c->args), of_new[i], &v))
			continue;
		op_refuse(c, OP_INVALID, of_new[i],
			  "there is a device \"%.*s\" already: change its %s with device set",
			  STR_ARG(w->name), of_new[i]);
		return false;
	}
	return true;
}

static bool check_name(struct op_call *c, struct wanted *w)
{
	const bool by_name = op_str(c, "name", &w->name);
	const bool by_pattern = op_str(c, "pattern", &w->pattern);
	if (by_name == by_pattern)
		op_refuse(c, OP_INVALID, by_name ? "pattern" : "name",
			  "give either the name of a device or a pattern for new names, not %s",
			  by_name ? "both" : "neither");
	else if (by_pattern && !pattern_check(w->pattern))
		op_refuse(c, OP_INVALID, "pattern",
			  "\"%.*s\" is no pattern: it is a name in which 1 to %d * stand for any "
			  "letters, such as pump-*",
			  STR_ARG(w->pattern), PATTERN_STARS);
	else if (!by_name || op_check_name(c, "name", "device", w->name)) {
		if (by_name)
			registry_device(c->s->registry, w->name, &w->device_id);
		return true;
	}
	return false;
}

static bool check_bounds(struct op_call *c, struct wanted *w)
{
	struct cidr cidr;
	w->ttl = CODE_TTL_S;
	w->uses = 1;
	op_int(c, "ttl", &w->ttl);
	op_int(c, "uses", &w->uses);
	if (w->ttl < 1)
		op_refuse(c, OP_INVALID, "ttl", "ttl is 0; allowed are 1 to %d seconds",
			  CODE_TTL_MAX_S);
	else if (w->uses < 1)
		op_refuse(c, OP_INVALID, "uses", "uses is 0; allowed is 1 and more");
	else if (op_str(c, "network", &w->network) && cidr_parse(w->network, &cidr))
		op_refuse(
			c, OP_INVALID, "network",
			"\"%.*s\" is no network: give one such as 10.0.0.0/8, 2001:db8::/32 or one "
			"address, with nothing behind the prefix",
			STR_ARG(w->network));
	else
		return true;
	return false;
}

static bool has_room(struct op_call *c)
{
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM code");
	if (n < CODES_MAX)
		return true;
	op_refuse(c, OP_REFUSED, NULL,
		  "there are %d enrolment codes: remove some with code remove, or wait until they "
		  "expire",
		  CODES_MAX);
	return false;
}

/* The row; its number. */
static int64_t insert(struct op_call *c, const struct wanted *w, struct str hash)
{
	struct sql *db = c->s->registry;
	const int64_t now = timefloor_now(&c->s->floor);
	AUTO_BUF members = {0};
	members_take(c, &members);
	SQL_RUN(db, "DELETE FROM code WHERE expires <= ?", sql_int(now - CODE_REMEMBER_S));
	SQL_RUN(db,
		"INSERT INTO code(hash, device_id, name, name_pattern, uses, uses_left, created, "
		"expires, created_by, cidr, label, profile, kind, members) "
		"VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		sql_blob(hash), w->device_id ? sql_int(w->device_id) : sql_null(),
		w->device_id ? sql_null() : sql_str(w->name), sql_str(w->pattern), sql_int(w->uses),
		sql_int(w->uses), sql_int(now), sql_int(now + w->ttl), sql_text(c->actor),
		sql_str(w->network), sql_str(w->note), sql_str(w->profile), sql_str(w->kind),
		members.n ? sql_blob(buf_view(&members)) : sql_null());
	return sql_last_id(db);
}

static void raise_event(struct op_call *c, enum event event, int64_t id, const struct wanted *w)
{
	AUTO_BUF detail = {0};
	rec_int(&detail, "code", id);
	if (w->name.n)
		rec_str(&detail, "name", w->name);
	if (w->pattern.n)
		rec_str(&detail, "pattern", w->pattern);
	if (w->uses)
		rec_int(&detail, "uses", w->uses);
	if (w->replaced)
		rec_int(&detail, "replaced", w->replaced);
	change_event(c, event, w->device_id, w->device_id ? w->name : STR(""), buf_view(&detail));
}

/* A paper with an older code that was lost must not open the gateway once there is a newer one.
 * Those for a pattern are for many devices, and stand beside each other. */
static void replace_older(struct op_call *c, struct wanted *w)
{
	const int64_t now = timefloor_now(&c->s->floor);
	bool keep = false;
	op_bool(c, "keep", &keep);
	if (keep || w->pattern.n)
		return;
	SQL_RUN(c->s->registry,
		"UPDATE code SET replaced = ?1 WHERE uses_left > 0 AND replaced IS NULL AND "
		"expires > ?1 AND (device_id = ?2 OR name = ?3)",
		sql_int(now), sql_int(w->device_id), sql_str(w->name));
	w->replaced = sql_changes(c->s->registry);
}

static void put_root(struct op_call *c)
{
	AUTO_BUF roots = {0};
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT fp FROM ca WHERE kind = 'root' AND state = 'active'");
	if (sql_next(&q))
		rec_bytes(&c->result, "root_fingerprint", sql_at_str(&q, 0));
	authorities_roots_pem(c->s, &roots);
	rec_str(&c->result, "roots_pem", buf_view(&roots));
}

void op_code_add(struct op_call *c)
{
	struct wanted w = {.kind = STR("device"), .note = STR("")};
	unsigned char hash[SHA256_SIZE];
	char code[CODE_SIZE];
	op_str(c, "kind", &w.kind);
	op_str(c, "note", &w.note);
	if (!check_name(c, &w) || !check_members(c, &w) || !check_bounds(c, &w) ||
	    !profile_take(c, &w.profile) || !has_room(c))
		return;
	code_make(CODE_GROUPS, CODE_GROUP, code);
	CHECK(code_hash(str_of(code), hash));
	change_begin(c);
	replace_older(c, &w);
	const int64_t id = insert(c, &w, str_make(hash, sizeof(hash)));
	put_code(c->s, id, &c->result);
	rec_int(&c->result, "replaced", w.replaced);
	rec_text(&c->result, "code", code);
	secret_wipe(code, sizeof(code));
	put_root(c);
	raise_event(c, EVENT_ENROL_CODE_ADDED, id, &w);
	change_commit(c);
}

/* ---- list, remove ---- */

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(c->s, q, &c->result);
}

void op_code_list(struct op_call *c)
{
	uint64_t after;
	int64_t limit;
	if (!op_limit(c, &limit) || !op_number_cursor(c, &after))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 CODE_COLUMNS "WHERE ?1 = 0 OR code.id < ?1 ORDER BY code.id DESC "
					      "LIMIT ?2",
				 sql_int((int64_t)after), sql_int(limit + 1));
	op_answer_page(c, &q, limit, put_item);
}

void op_code_remove(struct op_call *c)
{
	const struct wanted none = {0};
	int64_t id = 0;
	int64_t unused;
	op_int(c, "id", &id);
	if (!SQL_GET_INT(c->s->registry, &unused, "SELECT 1 FROM code WHERE id = ?", sql_int(id))) {
		op_refuse(c, OP_NOT_FOUND, "id",
			  "there is no enrolment code %lld: code list shows them", (long long)id);
		return;
	}
	change_begin(c);
	SQL_RUN(c->s->registry, "DELETE FROM code WHERE id = ?", sql_int(id));
	raise_event(c, EVENT_ENROL_CODE_REMOVED, id, &none);
	rec_int(&c->result, "id", id);
	change_commit(c);
}
