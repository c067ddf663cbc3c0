/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: see op_acl.h.
 */
#include "db/op_acl.h"
#include "daemon/acl/acl.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "db/acl_view.h"
#include "db/batch.h"
#include "db/registry.h"

#include <stdio.h>

enum {
	PRIORITY_BIAS = 1000,
	QOS_MAX = 2,
	COLUMN_CONDITIONS = 8, /* of RULE_COLUMNS */
	COLUMN_LEARN_UNTIL = 12,
	EVENT_CONDITIONS_MAX = 200,
};

static const enum acl_action actions_known[] = {ACL_PUBLISH, ACL_SUBSCRIBE, ACL_RECEIVE};

#define RULE_COLUMNS                                                                            \
	"SELECT rule.id, allow, CASE WHEN rule.device_id IS NOT NULL THEN 'device:' || "        \
	"device.name "                                                                          \
	"WHEN rule.grp_id IS NOT NULL THEN 'group:' || grp.name WHEN rule.role_id IS NOT NULL " \
	"THEN "                                                                                 \
	"'role:' || role.name ELSE 'any' END, actions, filter, priority, rule.created, "        \
	"rule.created_by, literal, qos, retain, networks, learn_until FROM rule "               \
	"LEFT JOIN device ON device.id "                                                        \
	"= rule.device_id "                                                                     \
	"LEFT JOIN grp ON grp.id = rule.grp_id LEFT JOIN role ON role.id = rule.role_id "
#define RULE_ORDER "ORDER BY priority DESC, allow, rule.id"

void rule_conditions_at(const struct sql_query *q, int column, struct cidr *room,
			struct acl_rule *rule)
{
	struct why why;
	rule->match = sql_at_int(q, column) ? ACL_LITERAL : ACL_PATTERN;
	rule->qos = (unsigned)sql_at_int(q, column + 1);
	rule->retain = (enum acl_retain)sql_at_int(q, column + 2);
	rule->network = room;
	if (acl_networks_parse(sql_at_str(q, column + 3), room, &rule->network_n, &why))
		log_error("access rule %lld: %s", (long long)sql_at_int(q, 0), why.text);
}

static void put_qos(unsigned set, struct buf *out)
{
	char text[sizeof("0,1,2")] = "";
	size_t n = 0;
	for (unsigned qos = 0; qos <= QOS_MAX; qos++)
		if (set & 1u << qos)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", n ? "," : "",
					      qos);
	if (n)
		rec_text(out, "qos", text);
	else
		rec_null(out, "qos");
}

static void conditions_text(const struct acl_rule *rule, struct buf *text)
{
	buf_puts(text, rule->match == ACL_LITERAL ? "literal" : "");
	acl_rule_format_conditions(rule, text);
	if (text->n && text->p[0] == ' ')
		buf_consume(text, 1);
}

static void put_conditions(const struct sql_query *q, struct buf *out)
{
	struct cidr room[ACL_NETWORKS_MAX];
	struct acl_rule rule = {0};
	AUTO_BUF text = {0};
	char until[CLOCK_TEXT];
	rule_conditions_at(q, COLUMN_CONDITIONS, room, &rule);
	rec_bool(out, "literal", rule.match == ACL_LITERAL);
	put_qos(rule.qos, out);
	if (rule.retain == ACL_RETAIN_ANY)
		rec_null(out, "retain");
	else
		rec_bool(out, "retain", rule.retain == ACL_RETAIN_YES);
	rec_list(out, "networks");
	for (size_t i = 0; i < rule.network_n; i++) {
		char network[ADDR_TEXT];
		rec_text(out, "", cidr_format(&room[i], network));
	}
	rec_end(out);
	conditions_text(&rule, &text);
	if (!sql_at_null(q, COLUMN_LEARN_UNTIL))
		buf_printf(&text, "learns until %s",
			   clock_format(sql_at_int(q, COLUMN_LEARN_UNTIL), until));
	rec_str(out, "conditions", buf_view(&text));
}

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
	put_conditions(q, out);
	op_put_time(out, "created", sql_at_int(q, 6));
	rec_str(out, "created_by", sql_at_str(q, 7));
	op_put_time(out, "learn_until", sql_at_int(q, COLUMN_LEARN_UNTIL));
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

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(q, &c->result);
}

void op_acl_list(struct op_call *c)
{
	struct subject subject = {0};
	struct str text;
	const bool filtered = op_str(c, "subject", &text);
	if (filtered && !take_subject(c, false, &subject))
		return;
	AUTO_QUERY q =
		filtered ? SQL_QUERY(c->s->registry,
				     RULE_COLUMNS
				     "WHERE rule.device_id IS ?1 AND rule.grp_id IS ?2 AND "
				     "rule.role_id IS ?3 " RULE_ORDER,
				     id_if(&subject, SUBJECT_DEVICE),
				     id_if(&subject, SUBJECT_GROUP), id_if(&subject, SUBJECT_ROLE))
			 : SQL_QUERY(c->s->registry, RULE_COLUMNS RULE_ORDER);
	op_answer_all(c, &q, put_item);
}

/* ---- add ---- */

/* What acl.add makes. */
struct new_rule {
	struct subject subject;
	struct acl_rule rule;
	struct cidr network[ACL_NETWORKS_MAX];
	struct buf networks; /* as text */
};

static void new_rule_fini(struct new_rule *new)
{
	buf_fini(&new->networks);
}
#define AUTO_NEW_RULE __attribute__((cleanup(new_rule_fini))) struct new_rule

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

/* "0", "0,1" as a set. */
static bool take_qos(struct op_call *c, struct acl_rule *rule)
{
	struct str text;
	if (!op_str(c, "qos", &text))
		return true;
	for (struct str rest = text; rest.p;) {
		const struct str word = str_split(&rest, ',');
		if (word.n != 1 || word.p[0] < '0' || word.p[0] > '0' + QOS_MAX) {
			op_refuse(c, OP_INVALID, "qos",
				  "qos is \"%.*s\"; allowed are 0, 1 and 2, or several of them "
				  "like 0,1",
				  STR_ARG(text));
			return false;
		}
		rule->qos |= 1u << (word.p[0] - '0');
	}
	return true;
}

static bool take_networks(struct op_call *c, struct new_rule *new)
{
	struct str list;
	struct why why;
	AUTO_BUF text = {0};
	if (!op_strs(c, "networks", &list))
		return true;
	struct cur cur = cur_of(list);
	struct rec_value v;
	while (rec_next(&cur, &v)) {
		if (v.text.n == 0) {
			op_refuse(c, OP_INVALID, "networks",
				  "a network is empty; write it like 10.0.0.0/8");
			return false;
		}
		buf_puts(&text, text.n ? " " : "");
		buf_str(&text, v.text);
	}
	const int err =
		acl_networks_parse(buf_view(&text), new->network, &new->rule.network_n, &why);
	if (err) {
		op_refuse(c, OP_INVALID, "networks", "%s", why.text);
		return false;
	}
	new->rule.network = new->network;
	acl_networks_format(new->network, new->rule.network_n, &new->networks);
	return true;
}

static bool take_conditions(struct op_call *c, struct new_rule *new)
{
	bool flag;
	if (op_bool(c, "literal", &flag) && flag)
		new->rule.match = ACL_LITERAL;
	if (op_bool(c, "retain", &flag))
		new->rule.retain = flag ? ACL_RETAIN_YES : ACL_RETAIN_NO;
	return take_qos(c, &new->rule) && take_networks(c, new);
}

static bool take_filter(struct op_call *c, struct new_rule *new)
{
	struct why why;
	struct acl_rule *rule = &new->rule;
	int64_t priority = PRIORITY_BIAS;
	op_str(c, "filter", &rule->filter);
	op_int(c, "priority", &priority);
	rule->id = 1;
	rule->priority = (int32_t)(priority - PRIORITY_BIAS);
	rule->subject = (enum acl_subject) new->subject.kind;
	rule->subject_name = new->subject.name;
	if (acl_rule_check(rule, &why) == 0)
		return true;
	const bool retain = str_prefix(str_of(why.text), STR("retain:"));
	op_refuse(c, OP_INVALID, retain ? "retain" : "filter", "%s", why.text);
	return false;
}

/* Does a rule say exactly this? Then its number. */
static bool find_same(struct op_call *c, struct new_rule *new, int64_t *id)
{
	const struct subject *subject = &new->subject;
	const struct acl_rule *rule = &new->rule;
	if (subject->kind != SUBJECT_ANY && subject->id == 0)
		return false;
	return SQL_GET_INT(
		c->s->registry, id,
		"SELECT id FROM rule WHERE device_id IS ? AND grp_id IS ? AND role_id IS ? "
		"AND allow = ? AND actions = ? AND filter = ? AND priority = ? AND literal = ? "
		"AND qos = ? AND retain = ? AND networks = ? AND learn_until IS NULL",
		id_if(subject, SUBJECT_DEVICE), id_if(subject, SUBJECT_GROUP),
		id_if(subject, SUBJECT_ROLE), sql_int(rule->effect == ACL_ALLOW),
		sql_int(rule->actions), sql_str(rule->filter), sql_int(rule->priority),
		sql_int(rule->match == ACL_LITERAL), sql_int(rule->qos), sql_int(rule->retain),
		sql_text(buf_cstr(&new->networks)));
}

static bool is_new(struct op_call *c, struct new_rule *new)
{
	int64_t id;
	if (!find_same(c, new, &id))
		return true;
	if (c->batch)
		c->batch->same = id;
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

/* An event has little room: 64 networks would not fit. */
static void put_some_conditions(const struct sql_query *q, struct buf *detail)
{
	struct cidr room[ACL_NETWORKS_MAX];
	struct acl_rule rule = {0};
	AUTO_BUF text = {0};
	rule_conditions_at(q, COLUMN_CONDITIONS, room, &rule);
	conditions_text(&rule, &text);
	if (text.n > EVENT_CONDITIONS_MAX) {
		text.n = EVENT_CONDITIONS_MAX;
		buf_puts(&text, "...");
	}
	if (text.n)
		rec_str(detail, "conditions", buf_view(&text));
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
	put_some_conditions(&q, &detail);
	change_event(c, EVENT_ACCESS_CHANGED, 0, STR(""), buf_view(&detail));
}

/* A name nobody has is a rule for nobody: perhaps a mistake, perhaps its devices come later. */
static void hint_empty_group(struct op_call *c, const struct subject *subject)
{
	int64_t unused;
	char hint[256];
	if (subject->kind != SUBJECT_GROUP ||
	    SQL_GET_INT(c->s->registry, &unused,
			"SELECT 1 FROM device_grp WHERE grp_id = ? LIMIT 1", sql_int(subject->id)))
		return;
	snprintf(hint, sizeof(hint),
		 "no device is in group \"%.*s\" yet: gatehouse device add NAME --group %.*s puts "
		 "one there",
		 STR_ARG(subject->name), STR_ARG(subject->name));
	rec_text(&c->result, "hint", hint);
}

/* Within a change; appends the rule. */
static void write_rule(struct op_call *c, struct new_rule *new, struct buf *out)
{
	struct sql *db = c->s->registry;
	struct subject *subject = &new->subject;
	const struct acl_rule *rule = &new->rule;
	char name[24];
	make_group(c, subject);
	SQL_RUN(db,
		"INSERT INTO rule(device_id, grp_id, role_id, allow, actions, filter, priority, "
		"literal, qos, retain, networks, created, created_by) "
		"VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		id_if(subject, SUBJECT_DEVICE), id_if(subject, SUBJECT_GROUP),
		id_if(subject, SUBJECT_ROLE), sql_int(rule->effect == ACL_ALLOW),
		sql_int(rule->actions), sql_str(rule->filter), sql_int(rule->priority),
		sql_int(rule->match == ACL_LITERAL), sql_int(rule->qos), sql_int(rule->retain),
		sql_text(buf_cstr(&new->networks)), sql_int(timefloor_now(&c->s->floor)),
		sql_text(c->actor));
	const int64_t id = sql_last_id(db);
	snprintf(name, sizeof(name), "%lld", (long long)id);
	rule_put(c->s, id, out);
	registry_put_rule(db, id, &c->change.entries);
	change_revision(c, "rule", str_of(name), STR(""), buf_view(out));
	raise_changed(c, "rule added", id);
}

static void insert_rule(struct op_call *c, struct new_rule *new)
{
	change_begin(c);
	write_rule(c, new, &c->result);
	hint_empty_group(c, &new->subject);
	change_commit(c);
}

void op_acl_add(struct op_call *c)
{
	AUTO_NEW_RULE new = {0};
	if (!take_effect(c, &new.rule) || !take_subject(c, true, &new.subject) ||
	    !take_action(c, &new.rule) || !take_conditions(c, &new) || !take_filter(c, &new) ||
	    !is_new(c, &new))
		return;
	insert_rule(c, &new);
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

/* ---- several at once ---- */

/* What a line of a draft says, with its subject found. */
static bool take_drafted(struct op_call *c, const struct acl_rule *rule, struct new_rule *new)
{
	*new = (struct new_rule){
		.subject = {(enum subject_kind)rule->subject, rule->subject_name, 0},
		.rule = *rule,
	};
	acl_networks_format(rule->network, rule->network_n, &new->networks);
	if (find_subject(c->s->registry, &new->subject) == 0 || new->subject.kind == SUBJECT_GROUP)
		return true;
	op_refuse(c, OP_NOT_FOUND, "with", "line %llu: there is no %s \"%.*s\"",
		  (unsigned long long)(rule->id - ACL_DRAFT), acl_subject_name(rule->subject),
		  STR_ARG(rule->subject_name));
	return false;
}

/* False: refused, before anything is changed. */
static bool check_draft(struct op_call *c, const struct acl_draft *draft)
{
	for (size_t i = 0; i < draft->n; i++) {
		AUTO_NEW_RULE new = {0};
		if (draft->rule[i].subject != ACL_SUBJECT_ANY &&
		    !op_check_name(c, "with", "device, group or role", draft->rule[i].subject_name))
			return false;
		if (!take_drafted(c, &draft->rule[i], &new))
			return false;
	}
	if (draft->removed_all)
		op_refuse(c, OP_INVALID, "with",
			  "remove all is for questions; name the rules that are to go");
	return !draft->removed_all;
}

/* False: refused, and the call has ended. */
static bool add_drafted(struct op_call *c, const struct acl_draft *draft)
{
	rec_list(&c->result, "added");
	for (size_t i = 0; i < draft->n; i++) {
		AUTO_NEW_RULE new = {0};
		AUTO_BUF rule = {0};
		int64_t same;
		if (!take_drafted(c, &draft->rule[i], &new))
			return false;
		if (find_same(c, &new, &same))
			continue;
		write_rule(c, &new, &rule);
		rec_object(&c->result, "");
		buf_str(&c->result, buf_view(&rule));
		rec_end(&c->result);
	}
	rec_end(&c->result);
	return true;
}

static int64_t remove_drafted(struct op_call *c, const struct acl_draft *draft)
{
	int64_t n = 0;
	for (size_t i = 0; i < draft->removed_n; i++) {
		AUTO_BUF before = {0};
		int64_t id;
		if (!SQL_GET_INT(c->s->registry, &id, "SELECT id FROM rule WHERE id = ?",
				 sql_int(draft->removed[i])))
			continue;
		raise_changed(c, "rule removed", id);
		remove_rule(c, id, &before);
		n++;
	}
	return n;
}

void op_acl_apply(struct op_call *c)
{
	AUTO_ACL_DRAFT draft = {0};
	if (!acl_draft_take(c, &draft) || !check_draft(c, &draft))
		return;
	change_begin(c);
	const int64_t removed = remove_drafted(c, &draft);
	if (!add_drafted(c, &draft))
		return;
	rec_int(&c->result, "removed", removed);
	change_commit(c);
}

int64_t rule_remove_of(struct op_call *c, const char *kind, int64_t id)
{
	struct sql *db = c->s->registry;
	const bool device = strcmp(kind, "device") == 0;
	int64_t n = 0;
	int64_t rule;
	while (device ? SQL_GET_INT(db, &rule, "SELECT id FROM rule WHERE device_id = ? LIMIT 1",
				    sql_int(id))
		      : SQL_GET_INT(db, &rule, "SELECT id FROM rule WHERE role_id = ? LIMIT 1",
				    sql_int(id))) {
		AUTO_BUF before = {0};
		remove_rule(c, rule, &before);
		if (!sql_changes(c->s->registry))
			break; /* it failed; the commit will say why */
		n++;
	}
	return n;
}
