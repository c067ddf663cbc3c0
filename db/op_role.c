/* SPDX-License-Identifier: Apache-2.0
 *
 * Roles: see op_acl.h.
 */
#include "daemon/base/err.h"
#include "db/op_acl.h"
#include "db/registry.h"

enum { ROLE_DEVICES_SHOWN = 1000 };

#define ROLE_COLUMNS                                                                          \
	"SELECT id, name, note, (SELECT count(*) FROM device_role WHERE role_id = role.id), " \
	"(SELECT count(*) FROM rule WHERE role_id = role.id), created, created_by FROM role "

static void put_row(const struct sql_query *q, struct buf *out)
{
	rec_str(out, "name", sql_at_str(q, 1));
	rec_str(out, "note", sql_at_str(q, 2));
	rec_int(out, "device_count", sql_at_int(q, 3));
	rec_int(out, "rule_count", sql_at_int(q, 4));
	op_put_time(out, "created", sql_at_int(q, 5));
	rec_str(out, "created_by", sql_at_str(q, 6));
}

static void put_role(struct store *s, int64_t id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, ROLE_COLUMNS "WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		put_row(&q, out);
}

static bool find_role(struct op_call *c, struct str *name, int64_t *id)
{
	op_str(c, "name", name);
	if (registry_role(c->s->registry, *name, id) == 0)
		return true;
	op_refuse(c, OP_NOT_FOUND, "name", "there is no role \"%.*s\"", STR_ARG(*name));
	return false;
}

static bool is_free(struct op_call *c, const char *arg, struct str name)
{
	int64_t id;
	if (registry_role(c->s->registry, name, &id))
		return true;
	op_refuse(c, OP_CONFLICT, arg, "there is a role \"%.*s\" already", STR_ARG(name));
	return false;
}

static void raise_changed(struct op_call *c, const char *what, struct str name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "change", what);
	rec_str(&detail, "role", name);
	change_event(c, EVENT_ACCESS_CHANGED, 0, STR(""), buf_view(&detail));
}

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(q, &c->result);
	change_put_version(c->s, "role", sql_at_str(q, 1), &c->result);
}

void op_role_list(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, ROLE_COLUMNS "ORDER BY name");
	op_answer_all(c, &q, put_item);
}

void op_role_show(struct op_call *c)
{
	struct str name;
	int64_t id;
	if (!find_role(c, &name, &id))
		return;
	put_role(c->s, id, &c->result);
	change_put_version(c->s, "role", name, &c->result);
	rule_put_of_role(c->s, id, &c->result);
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry,
			  "SELECT name FROM device_role JOIN device ON device.id = device_id "
			  "WHERE role_id = ? ORDER BY name LIMIT ?",
			  sql_int(id), sql_int(ROLE_DEVICES_SHOWN));
	rec_list(&c->result, "devices");
	while (sql_next(&q))
		rec_str(&c->result, "", sql_at_str(&q, 0));
	rec_end(&c->result);
	op_done(c);
}

void op_role_add(struct op_call *c)
{
	struct sql *db = c->s->registry;
	struct str name;
	struct str note = STR("");
	op_str(c, "name", &name);
	op_str(c, "note", &note);
	if (!op_check_name(c, "name", "role", name) || !is_free(c, "name", name))
		return;
	change_begin(c);
	SQL_RUN(db, "INSERT INTO role(name, note, created, created_by) VALUES(?, ?, ?, ?)",
		sql_str(name), sql_str(note.p ? note : STR("")),
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor));
	put_role(c->s, sql_last_id(db), &c->result);
	change_revision(c, "role", name, STR(""), buf_view(&c->result));
	change_put_version(c->s, "role", name, &c->result);
	raise_changed(c, "role added", name);
	change_commit(c);
}

/* A renamed role: its rules, and the devices that have it, say so. One delta, unless hundreds of
 * devices have it. */
static void put_entries(struct op_call *c, int64_t role_id)
{
	struct sql *db = c->s->registry;
	AUTO_QUERY rule = SQL_QUERY(db, "SELECT id FROM rule WHERE role_id = ?", sql_int(role_id));
	while (sql_next(&rule))
		registry_put_rule(db, sql_at_int(&rule, 0), &c->change.entries);
	AUTO_QUERY device = SQL_QUERY(db, "SELECT device_id FROM device_role WHERE role_id = ?",
				      sql_int(role_id));
	while (sql_next(&device))
		registry_put_device(db, sql_at_int(&device, 0), &c->change.entries);
}

static bool check_set(struct op_call *c, bool renamed, bool noted, struct str new_name)
{
	if (!renamed && !noted) {
		op_refuse(c, OP_INVALID, NULL, "nothing to change: give note or new-name");
		return false;
	}
	return !renamed ||
	       (op_check_name(c, "new-name", "role", new_name) && is_free(c, "new-name", new_name));
}

void op_role_set(struct op_call *c)
{
	struct sql *db = c->s->registry;
	struct str name;
	struct str new_name = {NULL, 0};
	struct str note;
	int64_t id;
	AUTO_BUF before = {0};
	if (!find_role(c, &name, &id))
		return;
	const bool renamed = op_str(c, "new-name", &new_name) && !str_eq(new_name, name);
	const bool noted = op_str(c, "note", &note);
	if (!check_set(c, renamed, noted, new_name) || !change_is_current(c, "role", name))
		return;
	put_role(c->s, id, &before);
	change_begin(c);
	if (noted)
		SQL_RUN(db, "UPDATE role SET note = ? WHERE id = ?",
			sql_str(note.p ? note : STR("")), sql_int(id));
	if (renamed) {
		SQL_RUN(db, "UPDATE role SET name = ? WHERE id = ?", sql_str(new_name),
			sql_int(id));
		put_entries(c, id);
	}
	put_role(c->s, id, &c->result);
	change_revision(c, "role", name, buf_view(&before), buf_view(&c->result));
	if (renamed)
		change_revision(c, "role", new_name, buf_view(&before), buf_view(&c->result));
	change_put_version(c->s, "role", renamed ? new_name : name, &c->result);
	raise_changed(c, renamed ? "role renamed" : "role changed", name);
	change_commit(c);
}

static bool is_unused(struct op_call *c, struct str name, int64_t id)
{
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM device_role WHERE role_id = ?",
		    sql_int(id));
	if (n == 0)
		return true;
	op_refuse(c, OP_CONFLICT, "name",
		  "%lld device%s the role \"%.*s\": take it away first (device set)", (long long)n,
		  n == 1 ? " has" : "s have", STR_ARG(name));
	return false;
}

void op_role_remove(struct op_call *c)
{
	struct str name;
	int64_t id;
	AUTO_BUF before = {0};
	if (!find_role(c, &name, &id) || !is_unused(c, name, id))
		return;
	put_role(c->s, id, &before);
	change_begin(c);
	const int64_t rules = rule_remove_of(c, "role", id);
	SQL_RUN(c->s->registry, "DELETE FROM role WHERE id = ?", sql_int(id));
	change_revision(c, "role", name, buf_view(&before), STR(""));
	raise_changed(c, "role removed", name);
	rec_str(&c->result, "name", name);
	rec_int(&c->result, "rules_removed", rules);
	change_commit(c);
}
