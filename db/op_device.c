/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices: show, remove, and what all their operations share. See op_device.h.
 */
#include "db/op_device.h"
#include "daemon/base/err.h"
#include "db/op_acl.h"
#include "db/op_cert.h"
#include "db/op_client.h"
#include "db/registry.h"

#include <stdio.h>

static void put_names(struct sql_query *q, const char *name, struct buf *out)
{
	rec_list(out, name);
	while (sql_next(q))
		rec_str(out, "", sql_at_str(q, 0));
	rec_end(out);
}

static void put_memberships(struct sql *db, int64_t id, struct buf *out)
{
	AUTO_QUERY g = SQL_QUERY(db,
				 "SELECT name FROM device_grp JOIN grp ON grp.id = grp_id "
				 "WHERE device_id = ? ORDER BY name",
				 sql_int(id));
	put_names(&g, "groups", out);
	AUTO_QUERY r = SQL_QUERY(db,
				 "SELECT name FROM device_role JOIN role ON role.id = role_id "
				 "WHERE device_id = ? ORDER BY name",
				 sql_int(id));
	put_names(&r, "roles", out);
}

/* A certificate of its own authority that ended as a whole counts no longer. */
#define CERT_COUNTS                                                                          \
	"status = 0 AND not_after > ?2 AND NOT EXISTS(SELECT 1 FROM ca WHERE ca.id = ca_id " \
	"AND state IN ('retired', 'compromised'))"

static const char *newest_is(int64_t status)
{
	switch (status) {
	case CERT_REVOKED:
		return "its certificate was revoked";
	case CERT_HOLD:
		return "its certificate is on hold";
	case CERT_GOOD:
		return "its certificate or the authority that issued it has ended";
	case -1: /* there is none */
		return "it has no certificate and no password";
	default:
		return "its certificate does not count any more";
	}
}

/* NULL: it can connect. */
static const char *barred(struct store *s, int64_t id)
{
	int64_t enabled = 0;
	int64_t proven = 0;
	int64_t status = -1;
	SQL_GET_INT(s->registry, &enabled, "SELECT enabled FROM device WHERE id = ?", sql_int(id));
	if (!enabled)
		return "it is disabled";
	SQL_GET_INT(s->registry, &proven,
		    "SELECT EXISTS(SELECT 1 FROM device WHERE id = ?1 AND verifier IS NOT NULL) OR "
		    "EXISTS(SELECT 1 FROM cert WHERE device_id = ?1 AND " CERT_COUNTS ")",
		    sql_int(id), sql_int(expiry_cutoff(s)));
	if (proven)
		return NULL;
	SQL_GET_INT(s->registry, &status,
		    "SELECT status FROM cert WHERE device_id = ? ORDER BY id DESC LIMIT 1",
		    sql_int(id));
	return newest_is(status);
}

static void put_barred(const char *why, struct buf *out)
{
	if (why)
		rec_text(out, "barred", why);
	else
		rec_null(out, "barred");
}

void device_put_barred(struct store *s, int64_t id, struct buf *out)
{
	put_barred(barred(s, id), out);
}

static void put_end(int64_t end, struct buf *out)
{
	op_put_time(out, "certificate_end", end == DEVICE_NO_END ? 0 : end);
}

static void put_live(struct store *s, const struct sql_query *q, struct buf *out)
{
	const int64_t id = sql_at_int(q, 0);
	const char *why = barred(s, id);
	int64_t certificates = 0;
	SQL_GET_INT(s->registry, &certificates,
		    "SELECT count(*) FROM cert WHERE device_id = ? AND status = 0", sql_int(id));
	rec_int(out, "certificate_count", certificates);
	put_end(sql_at_int(q, 10), out);
	seen_put(s, id, sql_at_int(q, 4) != 0, why != NULL, q, 11, out);
	rec_int(out, "connection_count", (int64_t)presence_of_device(&s->presence, (uint64_t)id));
	put_barred(why, out);
	change_put_version(s, "device", sql_at_str(q, 1), out);
}

static void put_row(struct store *s, const struct sql_query *q, bool live, struct buf *out)
{
	const int64_t id = sql_at_int(q, 0);
	rec_str(out, "name", sql_at_str(q, 1));
	rec_str(out, "uuid", sql_at_str(q, 2));
	rec_str(out, "kind", sql_at_str(q, 3));
	rec_bool(out, "enabled", sql_at_int(q, 4) != 0);
	rec_str(out, "note", sql_at_str(q, 5));
	put_memberships(s->registry, id, out);
	rec_bool(out, "password", sql_at_int(q, 6) != 0);
	if (live)
		put_live(s, q, out);
	op_put_time(out, "created", sql_at_int(q, 7));
	rec_str(out, "created_by", sql_at_str(q, 8));
	op_put_time(out, "changed", sql_at_int(q, 9));
}

#define DEVICE_COLUMNS                                                                            \
	"SELECT id, name, uuid, kind, enabled, note, verifier IS NOT NULL, created, created_by, " \
	"changed, certificate_end, " SEEN_COLUMNS " FROM device "

void device_put(struct store *s, int64_t id, bool live, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, DEVICE_COLUMNS "WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		put_row(s, &q, live, out);
}

void op_device_show(struct op_call *c)
{
	struct str name;
	int64_t id;
	op_str(c, "name", &name);
	if (!op_find_device(c, "name", name, &id))
		return;
	device_put(c->s, id, true, &c->result);
	cert_put_of_device(c->s, id, &c->result);
	rule_put_of_device(c->s, id, &c->result);
	client_put_of_device(c->s, id, &c->result);
	op_done(c);
}

/* ---- shared by add and set ---- */

static bool check_list(struct op_call *c, const char *arg, const char *what, bool must_exist)
{
	struct str list;
	struct rec_value v;
	size_t n = 0;
	if (!op_strs(c, arg, &list))
		return true;
	struct cur cur = cur_of(list);
	while (rec_next(&cur, &v)) {
		int64_t id;
		if (!op_check_name(c, arg, what, v.text))
			return false;
		if (must_exist && registry_role(c->s->registry, v.text, &id)) {
			op_refuse(c, OP_INVALID, arg,
				  "there is no role \"%.*s\": add it first, or leave it out",
				  STR_ARG(v.text));
			return false;
		}
		if (++n > MEMBERSHIPS_MAX) {
			op_refuse(c, OP_INVALID, arg, "%s has more than %d entries", arg,
				  MEMBERSHIPS_MAX);
			return false;
		}
	}
	return true;
}

bool device_check_lists(struct op_call *c)
{
	return check_list(c, "groups", "group", false) && check_list(c, "roles", "role", true);
}

bool device_check_password(struct op_call *c, bool *given)
{
	struct str password;
	*given = op_str(c, "password", &password) && password.n > 0;
	if (!*given || password.n >= PASSWORD_MIN)
		return true;
	op_refuse(c, OP_INVALID, "password", "the password has %zu bytes; allowed are %d to %d",
		  password.n, PASSWORD_MIN, PASSWORD_MAX);
	return false;
}

static void set_groups(struct sql *db, int64_t id, struct str list)
{
	struct cur cur = cur_of(list);
	struct rec_value v;
	SQL_RUN(db, "DELETE FROM device_grp WHERE device_id = ?", sql_int(id));
	while (rec_next(&cur, &v)) {
		SQL_RUN(db, "INSERT INTO grp(name) VALUES(?) ON CONFLICT DO NOTHING",
			sql_str(v.text));
		SQL_RUN(db,
			"INSERT INTO device_grp SELECT ?, id FROM grp WHERE name = ? "
			"ON CONFLICT DO NOTHING",
			sql_int(id), sql_str(v.text));
	}
}

static void set_roles(struct sql *db, int64_t id, struct str list)
{
	struct cur cur = cur_of(list);
	struct rec_value v;
	SQL_RUN(db, "DELETE FROM device_role WHERE device_id = ?", sql_int(id));
	while (rec_next(&cur, &v))
		SQL_RUN(db,
			"INSERT INTO device_role SELECT ?, id FROM role WHERE name = ? "
			"ON CONFLICT DO NOTHING",
			sql_int(id), sql_str(v.text));
}

void device_set_lists(struct op_call *c, int64_t id)
{
	struct str list;
	if (op_strs(c, "groups", &list))
		set_groups(c->s->registry, id, list);
	if (op_strs(c, "roles", &list))
		set_roles(c->s->registry, id, list);
}

/* ---- remove ---- */

void op_device_remove(struct op_call *c)
{
	struct sql *db = c->s->registry;
	struct str name;
	int64_t id;
	AUTO_BUF before = {0};
	op_str(c, "name", &name);
	if (!op_find_device(c, "name", name, &id))
		return;
	device_put(c->s, id, false, &before);
	change_begin(c);
	const int64_t revoked = cert_revoke_all(c, id, REASON_CESSATION);
	rule_remove_of(c, "device", id);
	SQL_RUN(db, "DELETE FROM code WHERE name = ?", sql_str(name));
	SQL_RUN(db, "DELETE FROM device WHERE id = ?", sql_int(id));
	registry_put_device_gone(id, &c->change.entries);
	change_revision(c, "device", name, buf_view(&before), STR(""));
	change_event(c, EVENT_DEVICE_REMOVED, id, name, STR(""));
	rec_str(&c->result, "name", name);
	rec_int(&c->result, "certificates_revoked", revoked);
	change_commit(c);
}
