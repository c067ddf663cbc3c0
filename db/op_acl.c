/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: see op_acl.h.
 */
#include "db/op_acl.h"
#include "daemon/acl/acl.h"
#include "daemon/base/err.h"
#include "db/registry.h"

#include <stdio.h>

enum { PRIORITY_BIAS = 1000 };

static const enum acl_action actions_known[] = {ACL_PUBLISH, ACL_SUBSCRIBE, ACL_RECEIVE};

#define RULE_COLUMNS                                                                            \
	"SELECT rule.id, allow, CASE WHEN rule.device_id IS NOT NULL THEN 'device:' || "        \
	"device.name "                                                                          \
	"WHEN rule.grp_id IS NOT NULL THEN 'group:' || grp.name WHEN rule.role_id IS NOT NULL " \
	"THEN "                                                                                 \
	"'role:' || role.name ELSE 'any' END, actions, filter, priority, rule.created, "        \
	"rule.created_by FROM rule LEFT JOIN device ON device.id = rule.device_id "             \
	"LEFT JOIN grp ON grp.id = rule.grp_id LEFT JOIN role ON role.id = rule.role_id "
#define RULE_ORDER "ORDER BY priority DESC, allow, rule.id"

static void put_row(const struct sql_query *q, struct buf *out)
{
	rec_int(out, "id", sql_at_int(q, 0));
	rec_text(out, "effect", sql_at_int(q, 1) ? "allow" : "deny");
	rec_str(out, "subject", sql_at_str(q, 2));
	rec_list(out, "actions");
	for (size_t i = 0; i < ARRAY_LEN(actions_known); i++)
		if (sql_at_int(q, 3) & actions_known[i])
			rec_text(out, "", acl_action_name(actions_known[i]));
	rec_end(out);
	rec_str(out, "filter", sql_at_str(q, 4));
	rec_int(out, "priority", sql_at_int(q, 5));
	op_put_time(out, "created", sql_at_int(q, 6));
	rec_str(out, "created_by", sql_at_str(q, 7));
}

static void put_all(struct sql_query *q, const char *name, struct buf *out)
{
	rec_list(out, name);
	while (sql_next(q)) {
		rec_object(out, "");
		put_row(q, out);
		rec_end(out);
	}
	rec_end(out);
}

void rule_put(struct store *s, int64_t id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, RULE_COLUMNS "WHERE rule.id = ?", sql_int(id));
	if (sql_next(&q))
		put_row(&q, out);
}

void rule_put_of_device(struct store *s, int64_t device_id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(
		s->registry,
		RULE_COLUMNS
		"WHERE rule.device_id = ?1 OR rule.grp_id IN (SELECT grp_id FROM device_grp WHERE "
		"device_id = ?1) OR rule.role_id IN (SELECT role_id FROM device_role WHERE "
		"device_id = ?1) OR (rule.device_id IS NULL AND rule.grp_id IS NULL AND "
		"rule.role_id IS NULL) " RULE_ORDER,
		sql_int(device_id));
	put_all(&q, "rules", out);
}

void rule_put_of_role(struct store *s, int64_t role_id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, RULE_COLUMNS "WHERE rule.role_id = ? " RULE_ORDER,
				 sql_int(role_id));
	put_all(&q, "rules", out);
}

/* ---- subjects ---- */

struct subject {
	enum subject_kind kind;
	struct str name;
	int64_t id;
};

static bool parse_subject(struct str text, struct subject *out)
{
	static const struct {
		const char *prefix;
		enum subject_kind kind;
	} kinds[] = {
		{"device:", SUBJECT_DEVICE}, {"group:", SUBJECT_GROUP}, {"role:", SUBJECT_ROLE}};
	*out = (struct subject){SUBJECT_ANY, STR(""), 0};
	if (str_is(text, "any"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct str prefix = str_of(kinds[i].prefix);
		if (!str_prefix(text, prefix))
			continue;
		*out = (struct subject){kinds[i].kind, {text.p + prefix.n, text.n - prefix.n}, 0};
		return true;
	}
	return false;
}

static int find_subject(struct sql *db, struct subject *subject)
{
	switch (subject->kind) {
	case SUBJECT_DEVICE:
		return registry_device(db, subject->name, &subject->id);
	case SUBJECT_GROUP:
		return registry_group(db, subject->name, &subject->id);
	case SUBJECT_ROLE:
		return registry_role(db, subject->name, &subject->id);
	case SUBJECT_ANY:
		break;
	}
	return 0;
}

/* A group need not exist yet: it comes with its first mention. */
static bool take_subject(struct op_call *c, bool group_may_be_new, struct subject *out)
{
	struct str text;
	op_str(c, "subject", &text);
	if (!parse_subject(text, out)) {
		op_refuse(c, OP_INVALID, "subject",
			  "\"%.*s\" is no subject; allowed are device:NAME, group:NAME, role:NAME "
			  "and any",
			  STR_ARG(text));
		return false;
	}
	if (out->kind == SUBJECT_ANY)
		return true;
	if (!op_check_name(c, "subject", "device, group or role", out->name))
		return false;
	if (find_subject(c->s->registry, out) == 0 ||
	    (out->kind == SUBJECT_GROUP && group_may_be_new))
		return true;
	op_refuse(c, OP_NOT_FOUND, "subject", "there is no %s \"%.*s\"",
		  out->kind == SUBJECT_DEVICE ? "device"
		  : out->kind == SUBJECT_ROLE ? "role"
					      : "group",
		  STR_ARG(out->name));
	return false;
}

static struct sql_value id_if(const struct subject *s, enum subject_kind kind)
{
	return s->kind == kind ? sql_int(s->id) : sql_null();
}

/* ---- list ---- */

void op_acl_list(struct op_call *c)
{
	struct subject subject = {0};
	struct str text;
	const bool filtered = op_str(c, "subject", &text);
	if (filtered && !take_subject(c, false, &subject))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 RULE_COLUMNS
				 "WHERE ?4 OR (rule.device_id IS ?1 AND rule.grp_id IS ?2 AND "
				 "rule.role_id IS ?3) " RULE_ORDER,
				 id_if(&subject, SUBJECT_DEVICE), id_if(&subject, SUBJECT_GROUP),
				 id_if(&subject, SUBJECT_ROLE), sql_int(!filtered));
	put_all(&q, "items", &c->result);
	rec_null(&c->result, "next");
	if (q.error)
		op_refuse_sql(c, q.error);
	else
		op_done(c);
}

/* ---- add ---- */

static bool take_effect(struct op_call *c, struct acl_rule *rule)
{
	struct str word;
	op_str(c, "effect", &word);
	rule->effect = str_is(word, "allow") ? ACL_ALLOW : ACL_DENY;
	if (rule->effect == ACL_ALLOW || str_is(word, "deny"))
		return true;
	op_refuse(c, OP_INVALID, "effect", "\"%.*s\" is no effect; allowed are allow and deny",
		  STR_ARG(word));
	return false;
}

static bool take_action(struct op_call *c, struct acl_rule *rule)
{
	struct str word;
	op_str(c, "action", &word);
	rule->actions = str_is(word, "all") ? ACL_ALL_ACTIONS : 0;
	for (size_t i = 0; i < ARRAY_LEN(actions_known); i++)
		if (str_is(word, acl_action_name(actions_known[i])))
			rule->actions = actions_known[i];
	if (rule->actions)
		return true;
	op_refuse(c, OP_INVALID, "action",
		  "\"%.*s\" is no action; allowed are publish, subscribe, receive and all",
		  STR_ARG(word));
	return false;
}

static bool take_filter(struct op_call *c, const struct subject *subject, struct acl_rule *rule)
{
	struct why why;
	int64_t priority = PRIORITY_BIAS;
	op_str(c, "filter", &rule->filter);
	op_int(c, "priority", &priority);
	rule->id = 1;
	rule->priority = (int32_t)(priority - PRIORITY_BIAS);
	rule->subject = (enum acl_subject)subject->kind;
	rule->subject_name = subject->name;
	if (acl_rule_check(rule, &why) == 0)
		return true;
	op_refuse(c, OP_INVALID, "filter", "%s", why.text);
	return false;
}

static bool is_new(struct op_call *c, const struct subject *subject, const struct acl_rule *rule)
{
	int64_t id;
	if (subject->kind != SUBJECT_ANY && subject->id == 0)
		return true;
	if (!SQL_GET_INT(
		    c->s->registry, &id,
		    "SELECT id FROM rule WHERE device_id IS ? AND grp_id IS ? AND role_id IS ? "
		    "AND allow = ? AND actions = ? AND filter = ? AND priority = ?",
		    id_if(subject, SUBJECT_DEVICE), id_if(subject, SUBJECT_GROUP),
		    id_if(subject, SUBJECT_ROLE), sql_int(rule->effect == ACL_ALLOW),
		    sql_int(rule->actions), sql_str(rule->filter), sql_int(rule->priority)))
		return true;
	op_refuse(c, OP_CONFLICT, NULL, "rule %lld says exactly this already", (long long)id);
	return false;
}

static void make_group(struct op_call *c, struct subject *subject)
{
	if (subject->kind != SUBJECT_GROUP || subject->id)
		return;
	SQL_RUN(c->s->registry, "INSERT INTO grp(name) VALUES(?)", sql_str(subject->name));
	subject->id = sql_last_id(c->s->registry);
}

/* The event of a rule: what it says, beside who did what. It looks at the rule before it is gone.
 */
static void raise_changed(struct op_call *c, const char *what, int64_t id)
{
	AUTO_BUF detail = {0};
	AUTO_BUF actions = {0};
	AUTO_QUERY q = SQL_QUERY(c->s->registry, RULE_COLUMNS "WHERE rule.id = ?", sql_int(id));
	if (!sql_next(&q))
		return;
	for (size_t i = 0; i < ARRAY_LEN(actions_known); i++)
		if (sql_at_int(&q, 3) & actions_known[i]) {
			buf_puts(&actions, actions.n ? "," : "");
			buf_puts(&actions, acl_action_name(actions_known[i]));
		}
	rec_text(&detail, "change", what);
	rec_int(&detail, "rule", id);
	rec_text(&detail, "effect", sql_at_int(&q, 1) ? "allow" : "deny");
	rec_str(&detail, "subject", sql_at_str(&q, 2));
	rec_str(&detail, "actions", buf_view(&actions));
	rec_str(&detail, "filter", sql_at_str(&q, 4));
	change_event(c, EVENT_ACCESS_CHANGED, 0, STR(""), buf_view(&detail));
}

static void insert_rule(struct op_call *c, struct subject *subject, const struct acl_rule *rule)
{
	struct sql *db = c->s->registry;
	char name[24];
	change_begin(c);
	make_group(c, subject);
	SQL_RUN(db,
		"INSERT INTO rule(device_id, grp_id, role_id, allow, actions, filter, priority, "
		"created, created_by) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		id_if(subject, SUBJECT_DEVICE), id_if(subject, SUBJECT_GROUP),
		id_if(subject, SUBJECT_ROLE), sql_int(rule->effect == ACL_ALLOW),
		sql_int(rule->actions), sql_str(rule->filter), sql_int(rule->priority),
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor));
	const int64_t id = sql_last_id(db);
	snprintf(name, sizeof(name), "%lld", (long long)id);
	rule_put(c->s, id, &c->result);
	registry_put_rule(db, id, &c->change.entries);
	change_revision(c, "rule", str_of(name), STR(""), buf_view(&c->result));
	raise_changed(c, "rule added", id);
	change_commit(c);
}

void op_acl_add(struct op_call *c)
{
	struct subject subject;
	struct acl_rule rule = {0};
	if (!take_effect(c, &rule) || !take_action(c, &rule) || !take_subject(c, true, &subject) ||
	    !take_filter(c, &subject, &rule) || !is_new(c, &subject, &rule))
		return;
	insert_rule(c, &subject, &rule);
}

/* ---- remove ---- */

static void remove_rule(struct op_call *c, int64_t id, struct buf *before)
{
	char name[24];
	snprintf(name, sizeof(name), "%lld", (long long)id);
	rule_put(c->s, id, before);
	SQL_RUN(c->s->registry, "DELETE FROM rule WHERE id = ?", sql_int(id));
	registry_put_rule_gone(id, &c->change.entries);
	change_revision(c, "rule", str_of(name), buf_view(before), STR(""));
}

void op_acl_remove(struct op_call *c)
{
	int64_t id;
	int64_t found;
	op_int(c, "id", &id);
	if (!SQL_GET_INT(c->s->registry, &found, "SELECT id FROM rule WHERE id = ?", sql_int(id))) {
		op_refuse(c, OP_NOT_FOUND, "id", "there is no rule %lld", (long long)id);
		return;
	}
	change_begin(c);
	raise_changed(c, "rule removed", id);
	remove_rule(c, id, &c->result);
	change_commit(c);
}

int64_t rule_remove_of(struct op_call *c, const char *kind, int64_t id)
{
	const bool device = strcmp(kind, "device") == 0;
	int64_t n = 0;
	int64_t rule;
	while (SQL_GET_INT(c->s->registry, &rule,
			   "SELECT id FROM rule WHERE CASE WHEN ?1 THEN device_id = ?2 "
			   "ELSE role_id = ?2 END LIMIT 1",
			   sql_int(device), sql_int(id))) {
		AUTO_BUF before = {0};
		remove_rule(c, rule, &before);
		if (!sql_changes(c->s->registry))
			break; /* it failed; the commit will say why */
		n++;
	}
	return n;
}
