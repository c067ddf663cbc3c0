/* SPDX-License-Identifier: Apache-2.0
 *
 * A device and its rules, as they are and as they would be: see acl_view.h.
 */
#include "db/acl_view.h"
#include "certs/leaf.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/op_acl.h"
#include "db/registry.h"

#include <stdlib.h>

/* ---- a draft ---- */

void acl_draft_fini(struct acl_draft *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->room[i]);
	free(d->room);
	free(d->rule);
	free(d->removed);
}

bool acl_draft_empty(const struct acl_draft *d)
{
	return !d->n && !d->removed_n && !d->removed_all && !d->has_roles && !d->has_groups;
}

static int take_removal(struct op_call *c, struct str what, struct acl_draft *d, struct why *why)
{
	uint64_t id;
	int64_t found;
	if (str_is(what, "all")) {
		d->removed_all = true;
		return 0;
	}
	if (str_u64(what, INT64_MAX, &id))
		return why_set(why, ERR_INVALID,
			       "\"remove %.*s\": give the number of a rule, or all", STR_ARG(what));
	if (!SQL_GET_INT(c->s->registry, &found, "SELECT id FROM rule WHERE id = ?",
			 sql_int((int64_t)id)))
		return why_set(why, ERR_NOT_FOUND, "there is no rule %llu", (unsigned long long)id);
	d->removed = mem_grow(d->removed, (d->removed_n + 1) * sizeof(*d->removed));
	d->removed[d->removed_n++] = found;
	return 0;
}

static int take_line(struct op_call *c, struct str line, unsigned number, struct acl_draft *d,
		     struct why *why)
{
	const struct str remove = STR("remove ");
	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return 0;
	if (str_prefix(line, remove))
		return take_removal(c, str_trim(str_make(line.p + remove.n, line.n - remove.n)), d,
				    why);
	struct cidr *room = mem_array(struct cidr, ACL_NETWORKS_MAX);
	d->rule = mem_grow(d->rule, (d->n + 1) * sizeof(*d->rule));
	d->room = mem_grow(d->room, (d->n + 1) * sizeof(*d->room));
	d->room[d->n] = room;
	return acl_rule_read(line, ACL_DRAFT + number, room, &d->rule[d->n++], why);
}

bool acl_draft_take(struct op_call *c, struct acl_draft *d)
{
	struct str lines;
	struct rec_value v;
	struct why why;
	unsigned number = 0;
	d->has_roles = op_strs(c, "roles", &d->roles);
	d->has_groups = op_strs(c, "groups", &d->groups);
	if (!op_strs(c, "with", &lines))
		return true;
	for (struct cur cur = cur_of(lines); rec_next(&cur, &v);) {
		const int err = take_line(c, v.text, ++number, d, &why);
		if (!err)
			continue;
		op_refuse(c, OP_INVALID, "with", "line %u: %s", number, why.text);
		return false;
	}
	return true;
}

static bool holds(struct str list, struct str name)
{
	struct rec_value v;
	for (struct cur cur = cur_of(list); rec_next(&cur, &v);)
		if (str_eq(v.text, name))
			return true;
	return false;
}

static bool is_removed(const struct acl_draft *d, int64_t id)
{
	for (size_t i = 0; i < d->removed_n; i++)
		if (d->removed[i] == id)
			return true;
	return d->removed_all;
}

/* ---- who ---- */

void acl_view_fini(struct acl_view *v)
{
	buf_fini(&v->names);
	buf_fini(&v->text);
	free(v->group);
	free(v->san);
	for (size_t i = 0; i < v->n; i++)
		free(v->room[i]);
	free(v->room);
	free(v->rule);
}

/* A growing buf moves: strings are offsets until it is complete. */
static size_t keep(struct buf *b, struct str s)
{
	const size_t at = b->n;
	buf_str(b, s);
	return at;
}

static void keep_sans(struct acl_view *v, struct str der)
{
	struct leaf leaf;
	struct str name;
	if (leaf_read(der, &leaf))
		return;
	struct cur c = cur_of(leaf.names);
	while (v->who.san_n < ACL_SAN_MAX && leaf_next_name(&c, &name)) {
		v->san = mem_grow(v->san, (v->who.san_n + 1) * sizeof(*v->san));
		v->san[v->who.san_n++] = (struct str){(const char *)keep(&v->names, name), name.n};
	}
}

/* The names in the newest good certificate: what ${cn} and ${san} are when the device connects. */
static void take_certificate(struct sql *db, int64_t device_id, struct acl_view *v)
{
	AUTO_QUERY row = SQL_QUERY(db,
				   "SELECT name, der FROM cert WHERE device_id = ? AND status = 0 "
				   "ORDER BY id DESC LIMIT 1",
				   sql_int(device_id));
	if (!sql_next(&row))
		return;
	const struct str name = sql_at_str(&row, 0);
	const size_t at = keep(&v->names, name);
	v->who.cn = (struct str){(const char *)at, name.n};
	keep_sans(v, sql_at_str(&row, 1));
}

static void add_group(struct acl_view *v, struct str name)
{
	v->group = mem_grow(v->group, (v->who.group_n + 1) * sizeof(*v->group));
	v->group[v->who.group_n++] = (struct str){(const char *)keep(&v->names, name), name.n};
}

static void take_groups(struct sql *db, int64_t device_id, const struct acl_draft *draft,
			struct acl_view *v)
{
	struct rec_value value;
	if (draft && draft->has_groups) {
		for (struct cur cur = cur_of(draft->groups); rec_next(&cur, &value);)
			add_group(v, value.text);
		return;
	}
	AUTO_QUERY row = SQL_QUERY(db,
				   "SELECT name FROM device_grp JOIN grp ON grp.id = grp_id "
				   "WHERE device_id = ? ORDER BY name",
				   sql_int(device_id));
	while (sql_next(&row))
		add_group(v, sql_at_str(&row, 0));
}

static void take_address(struct store *s, int64_t device_id, const struct addr *address,
			 struct acl_view *v)
{
	const struct presence_client *client = presence_by_client_id(&s->presence, v->who.clientid);
	if (address)
		v->address = *address;
	else if (!client || client->body.device_id != (uint64_t)device_id ||
		 addr_parse(client->body.address, &v->address))
		return;
	v->who.address = &v->address;
}

static struct str settle(const struct buf *b, struct str s)
{
	return s.n ? str_make(b->p + (size_t)s.p, s.n) : STR("");
}

static void settle_who(struct acl_view *v)
{
	v->who.cn = settle(&v->names, v->who.cn);
	for (size_t i = 0; i < v->who.group_n; i++)
		v->group[i] = settle(&v->names, v->group[i]);
	v->who.group = v->group;
	for (size_t i = 0; i < v->who.san_n; i++)
		v->san[i] = settle(&v->names, v->san[i]);
	v->who.san = v->san;
}

/* ---- its rules ---- */

static enum acl_subject subject_of(const struct sql_query *row)
{
	if (!sql_at_null(row, 4))
		return ACL_SUBJECT_DEVICE;
	if (!sql_at_null(row, 5))
		return ACL_SUBJECT_GROUP;
	return sql_at_null(row, 6) ? ACL_SUBJECT_ANY : ACL_SUBJECT_ROLE;
}

static struct cidr *add_rule(struct acl_view *v, const struct acl_rule *rule)
{
	struct cidr *room = mem_array(struct cidr, ACL_NETWORKS_MAX);
	v->rule = mem_grow(v->rule, (v->n + 1) * sizeof(*v->rule));
	v->room = mem_grow(v->room, (v->n + 1) * sizeof(*v->room));
	v->room[v->n] = room;
	v->rule[v->n] = *rule;
	v->rule[v->n].filter.p = (const char *)keep(&v->text, rule->filter);
	v->rule[v->n++].subject_name.p = (const char *)keep(&v->text, rule->subject_name);
	return room;
}

static void add_saved(struct acl_view *v, const struct sql_query *row)
{
	const struct acl_rule rule = {
		.id = (uint64_t)sql_at_int(row, 0),
		.effect = sql_at_int(row, 1) ? ACL_ALLOW : ACL_DENY,
		.actions = (unsigned)sql_at_int(row, 2),
		.priority = (int32_t)sql_at_int(row, 3),
		.filter = sql_at_str(row, 7),
		.subject = subject_of(row),
		.subject_name = sql_at_str(row, 8),
	};
	struct cidr *room = add_rule(v, &rule);
	rule_conditions_at(row, 9, room, &v->rule[v->n - 1]);
}

/* Does the device have this role? */
static bool has_role(struct sql *db, int64_t device_id, const struct acl_draft *draft,
		     struct str name)
{
	int64_t found;
	if (draft && draft->has_roles)
		return holds(draft->roles, name);
	return SQL_GET_INT(db, &found,
			   "SELECT 1 FROM device_role JOIN role ON role.id = role_id "
			   "WHERE device_id = ? AND role.name = ?",
			   sql_int(device_id), sql_str(name));
}

/* Is a rule for this subject one for the device? Its groups are settled already. */
static bool is_about(struct sql *db, int64_t device_id, const struct acl_draft *draft,
		     const struct acl_view *v, enum acl_subject subject, struct str name)
{
	switch (subject) {
	case ACL_SUBJECT_ANY:
		return true;
	case ACL_SUBJECT_DEVICE:
		return str_eq(name, v->who.device);
	case ACL_SUBJECT_ROLE:
		return has_role(db, device_id, draft, name);
	case ACL_SUBJECT_GROUP:
		break;
	}
	for (size_t i = 0; i < v->who.group_n; i++)
		if (str_eq(v->who.group[i], name))
			return true;
	return false;
}

#define RULES                                                                                   \
	"SELECT rule.id, allow, actions, priority, rule.device_id, rule.grp_id, rule.role_id, " \
	"filter, coalesce(device.name, grp.name, role.name, ''), literal, qos, retain, "        \
	"networks FROM rule LEFT JOIN device ON device.id = rule.device_id "                    \
	"LEFT JOIN grp ON grp.id = rule.grp_id LEFT JOIN role ON role.id = rule.role_id "

static void take_saved(struct sql *db, int64_t device_id, struct acl_view *v)
{
	AUTO_QUERY row = SQL_QUERY(
		db,
		RULES "WHERE rule.device_id = ?1 OR rule.grp_id IN (SELECT grp_id FROM device_grp "
		      "WHERE device_id = ?1) OR rule.role_id IN (SELECT role_id FROM device_role "
		      "WHERE device_id = ?1) OR (rule.device_id IS NULL AND rule.grp_id IS NULL "
		      "AND rule.role_id IS NULL) ORDER BY rule.id",
		sql_int(device_id));
	while (sql_next(&row))
		add_saved(v, &row);
}

static void take_drafted(struct sql *db, int64_t device_id, const struct acl_draft *draft,
			 struct acl_view *v)
{
	AUTO_QUERY row = SQL_QUERY(db,
				   RULES "WHERE rule.device_id = ? OR rule.device_id IS NULL "
					 "ORDER BY rule.id",
				   sql_int(device_id));
	while (sql_next(&row))
		if (!is_removed(draft, sql_at_int(&row, 0)) &&
		    is_about(db, device_id, draft, v, subject_of(&row), sql_at_str(&row, 8)))
			add_saved(v, &row);
	for (size_t i = 0; i < draft->n; i++) {
		const struct acl_rule *rule = &draft->rule[i];
		if (!is_about(db, device_id, draft, v, rule->subject, rule->subject_name))
			continue;
		struct cidr *room = add_rule(v, rule);
		if (rule->network_n)
			memcpy(room, rule->network, rule->network_n * sizeof(*room));
		v->rule[v->n - 1].network = room;
	}
}

void acl_view_take(struct store *s, int64_t device_id, struct str device, struct str clientid,
		   const struct addr *address, const struct acl_draft *draft, struct acl_view *v)
{
	v->who.device = device;
	v->who.clientid = clientid;
	take_certificate(s->registry, device_id, v);
	take_groups(s->registry, device_id, draft, v);
	settle_who(v);
	take_address(s, device_id, address, v);
	if (draft && !acl_draft_empty(draft))
		take_drafted(s->registry, device_id, draft, v);
	else
		take_saved(s->registry, device_id, v);
	for (size_t i = 0; i < v->n; i++) {
		v->rule[i].filter = settle(&v->text, v->rule[i].filter);
		v->rule[i].subject_name = settle(&v->text, v->rule[i].subject_name);
	}
}
