/* SPDX-License-Identifier: Apache-2.0
 *
 * acl.check: may a device do this, and why? See op_acl.h. Main thread of the store.
 *
 * It compiles the rules of the device's subjects as the broker does and asks the broker's own
 * evaluator (acl_explain), so that the answer is the one of the data path. What depends on a
 * connection is taken from the arguments, else from where it would come from: the client identifier
 * is the device's name, the names of the certificate are those of its newest good one, the address
 * is that of the connection with this client identifier, if there is one.
 */
#include "certs/leaf.h"
#include "daemon/acl/acl.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/op_acl.h"
#include "db/registry.h"

#include <stdlib.h>

enum { QOS_MAX = 2 };

/* The question, with copies of what the registry says: they must outlive the queries. */
struct question {
	struct acl_who who;
	struct acl_how how;
	enum acl_action action;
	struct str topic;
	int64_t device_id;
	struct buf names; /* groups and the names of the certificate, one behind the other */
	struct str *group;
	struct str *san;
	struct addr address;
	struct acl_rule *rule;
	struct cidr **room; /* for the networks of each rule */
	size_t n;
	struct buf text; /* filters and names of subjects */
};

static void question_fini(struct question *q)
{
	buf_fini(&q->names);
	buf_fini(&q->text);
	free(q->group);
	free(q->san);
	for (size_t i = 0; i < q->n; i++)
		free(q->room[i]);
	free(q->room);
	free(q->rule);
}
#define AUTO_QUESTION __attribute__((cleanup(question_fini))) struct question

/* ---- arguments ---- */

static bool take_action(struct op_call *c, struct question *q)
{
	static const enum acl_action all[] = {ACL_PUBLISH, ACL_SUBSCRIBE, ACL_RECEIVE};
	struct str word;
	op_str(c, "action", &word);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (!str_is(word, acl_action_name(all[i])))
			continue;
		q->action = all[i];
		return true;
	}
	op_refuse(c, OP_INVALID, "action",
		  "\"%.*s\" is no action; allowed are publish, subscribe and receive",
		  STR_ARG(word));
	return false;
}

/* The topic of a message has no wildcards; to subscribe it is a filter. */
static bool take_topic(struct op_call *c, struct question *q)
{
	op_str(c, "topic", &q->topic);
	const struct str plain = q->action == ACL_SUBSCRIBE ? filter_unshared(q->topic) : q->topic;
	const char *wrong = plain.p ? filter_check(plain) : "malformed $share";
	if (!wrong && q->action != ACL_SUBSCRIBE && filter_is_wild(plain))
		wrong = "a topic has no wildcards; ask for subscribe";
	if (!wrong)
		return true;
	op_refuse(c, OP_INVALID, "topic", "\"%.*s\" cannot be asked about: %s", STR_ARG(q->topic),
		  wrong);
	return false;
}

static bool take_how(struct op_call *c, struct question *q)
{
	int64_t qos = 0;
	op_int(c, "qos", &qos);
	op_bool(c, "retain", &q->how.retain);
	if (qos > QOS_MAX) {
		op_refuse(c, OP_INVALID, "qos", "qos is %lld; allowed is 0 to 2", (long long)qos);
		return false;
	}
	q->how.qos = (uint8_t)qos;
	return true;
}

/* ---- who and which rules ---- */

/* A growing buf moves: strings are offsets until it is complete. */
static size_t keep(struct buf *b, struct str s)
{
	const size_t at = b->n;
	buf_str(b, s);
	return at;
}

static void keep_sans(struct question *q, struct str der)
{
	struct leaf leaf;
	struct str name;
	if (leaf_read(der, &leaf))
		return;
	struct cur c = cur_of(leaf.names);
	while (q->who.san_n < ACL_SAN_MAX && leaf_next_name(&c, &name)) {
		q->san = mem_grow(q->san, (q->who.san_n + 1) * sizeof(*q->san));
		q->san[q->who.san_n++] = (struct str){(const char *)keep(&q->names, name), name.n};
	}
}

/* The names in the newest good certificate: what ${cn} and ${san} are when the device connects. */
static void take_certificate(struct sql *db, struct question *q)
{
	AUTO_QUERY row = SQL_QUERY(db,
				   "SELECT name, der FROM cert WHERE device_id = ? AND status = 0 "
				   "ORDER BY id DESC LIMIT 1",
				   sql_int(q->device_id));
	if (!sql_next(&row))
		return;
	const struct str name = sql_at_str(&row, 0);
	const size_t at = keep(&q->names, name);
	q->who.cn = (struct str){(const char *)at, name.n};
	keep_sans(q, sql_at_str(&row, 1));
}

static void take_groups(struct sql *db, struct question *q)
{
	AUTO_QUERY row = SQL_QUERY(db,
				   "SELECT name FROM device_grp JOIN grp ON grp.id = grp_id "
				   "WHERE device_id = ? ORDER BY name",
				   sql_int(q->device_id));
	while (sql_next(&row)) {
		const struct str name = sql_at_str(&row, 0);
		q->group = mem_grow(q->group, (q->who.group_n + 1) * sizeof(*q->group));
		q->group[q->who.group_n++] =
			(struct str){(const char *)keep(&q->names, name), name.n};
	}
}

static bool take_address(struct op_call *c, struct question *q)
{
	struct str text;
	if (!op_str(c, "address", &text))
		return true;
	if (addr_parse_ip(text, &q->address) == 0) {
		q->who.address = &q->address;
		return true;
	}
	op_refuse(c, OP_INVALID, "address",
		  "\"%.*s\" is no address; write it like 10.1.2.3 or 2001:db8::1", STR_ARG(text));
	return false;
}

static void take_connection(const struct op_call *c, struct question *q)
{
	const struct presence_client *client =
		presence_by_client_id(&c->s->presence, q->who.clientid);
	if (!q->who.address && client && client->body.device_id == (uint64_t)q->device_id &&
	    addr_parse(client->body.address, &q->address) == 0)
		q->who.address = &q->address;
}

static struct str settle(const struct buf *b, struct str s)
{
	return s.n ? str_make(b->p + (size_t)s.p, s.n) : STR("");
}

static void take_who(struct op_call *c, struct question *q)
{
	op_str(c, "device", &q->who.device);
	if (!op_str(c, "client-id", &q->who.clientid))
		q->who.clientid = q->who.device;
	take_certificate(c->s->registry, q);
	take_groups(c->s->registry, q);
	q->who.cn = settle(&q->names, q->who.cn);
	for (size_t i = 0; i < q->who.group_n; i++)
		q->group[i] = settle(&q->names, q->group[i]);
	q->who.group = q->group;
	for (size_t i = 0; i < q->who.san_n; i++)
		q->san[i] = settle(&q->names, q->san[i]);
	q->who.san = q->san;
	take_connection(c, q);
}

static enum acl_subject subject_of(const struct sql_query *row)
{
	if (!sql_at_null(row, 4))
		return ACL_SUBJECT_DEVICE;
	if (!sql_at_null(row, 5))
		return ACL_SUBJECT_GROUP;
	return sql_at_null(row, 6) ? ACL_SUBJECT_ANY : ACL_SUBJECT_ROLE;
}

static void add_rule(struct question *q, const struct sql_query *row)
{
	const struct str filter = sql_at_str(row, 7);
	const struct str name = sql_at_str(row, 8);
	struct cidr *room = mem_array(struct cidr, ACL_NETWORKS_MAX);
	q->rule = mem_grow(q->rule, (q->n + 1) * sizeof(*q->rule));
	q->room = mem_grow(q->room, (q->n + 1) * sizeof(*q->room));
	q->room[q->n] = room;
	q->rule[q->n] = (struct acl_rule){
		.id = (uint64_t)sql_at_int(row, 0),
		.effect = sql_at_int(row, 1) ? ACL_ALLOW : ACL_DENY,
		.actions = (unsigned)sql_at_int(row, 2),
		.priority = (int32_t)sql_at_int(row, 3),
		.filter = {(const char *)keep(&q->text, filter), filter.n},
		.subject = subject_of(row),
		.subject_name = {(const char *)keep(&q->text, name), name.n},
	};
	rule_conditions_at(row, 9, room, &q->rule[q->n++]);
}

static void take_rules(struct sql *db, struct question *q)
{
	AUTO_QUERY row = SQL_QUERY(
		db,
		"SELECT rule.id, allow, actions, priority, rule.device_id, rule.grp_id, "
		"rule.role_id, filter, coalesce(device.name, grp.name, role.name, ''), literal, "
		"qos, "
		"retain, networks FROM rule "
		"LEFT JOIN device ON device.id = rule.device_id "
		"LEFT JOIN grp ON grp.id = rule.grp_id LEFT JOIN role ON role.id = rule.role_id "
		"WHERE rule.device_id = ?1 OR rule.grp_id IN (SELECT grp_id FROM device_grp WHERE "
		"device_id = ?1) OR rule.role_id IN (SELECT role_id FROM device_role WHERE "
		"device_id = ?1) OR (rule.device_id IS NULL AND rule.grp_id IS NULL AND "
		"rule.role_id IS NULL) ORDER BY rule.id",
		sql_int(q->device_id));
	while (sql_next(&row))
		add_rule(q, &row);
	for (size_t i = 0; i < q->n; i++) {
		q->rule[i].filter = settle(&q->text, q->rule[i].filter);
		q->rule[i].subject_name = settle(&q->text, q->rule[i].subject_name);
	}
}

/* ---- the answer ---- */

static void put_variables(const struct question *q, struct buf *out)
{
	rec_object(out, "variables");
	rec_str(out, "clientid", q->who.clientid);
	rec_str(out, "device", q->who.device);
	if (q->who.cn.n)
		rec_str(out, "cn", q->who.cn);
	else
		rec_null(out, "cn");
	rec_list(out, "san");
	for (size_t i = 0; i < q->who.san_n; i++)
		rec_str(out, "", str_is_utf8(q->who.san[i]) ? q->who.san[i] : STR("?"));
	rec_end(out);
	rec_list(out, "group");
	for (size_t i = 0; i < q->who.group_n; i++)
		rec_str(out, "", q->who.group[i]);
	rec_end(out);
	char address[ADDR_TEXT];
	if (q->who.address)
		rec_text(out, "address", addr_format_ip(q->who.address, address));
	else
		rec_null(out, "address");
	rec_end(out);
}

/* "decides", "meets" (a part of the filter), "matches" (too late), "condition" or "differs". */
static const char *part_of(const struct acl_reason *r)
{
	if (r->decided)
		return "decides";
	switch (r->why) {
	case ACL_WHY_MATCHED:
		return "matches";
	case ACL_WHY_MEETS:
		return "meets";
	case ACL_WHY_QOS:
	case ACL_WHY_RETAIN:
	case ACL_WHY_NETWORK:
		return "condition";
	default:
		return "differs";
	}
}

static void put_reason(const struct question *q, const struct acl_reason *r, struct buf *out)
{
	AUTO_BUF rule = {0};
	AUTO_BUF because = {0};
	acl_rule_format(r->rule, &rule);
	acl_reason_format(r, &q->who, q->how, &because);
	rec_object(out, "");
	rec_int(out, "rule", (int64_t)r->rule->id);
	rec_text(out, "part", part_of(r));
	rec_bool(out, "reached", r->reached);
	if (r->why == ACL_WHY_FILTER && r->miss.level)
		rec_int(out, "level", r->miss.level);
	else
		rec_null(out, "level");
	rec_str(out, "text", buf_view(&rule));
	rec_str(out, "because", buf_view(&because));
	rec_end(out);
}

static void put_answer(const struct question *q, const struct acl_explanation *e, struct buf *out)
{
	static const char *const word[] = {[ACL_DENIED] = "denied",
					   [ACL_GRANTED] = "allowed",
					   [ACL_PARTIAL] = "allowed in part"};
	rec_str(out, "device", q->who.device);
	rec_text(out, "action", acl_action_name(q->action));
	rec_str(out, "topic", q->topic);
	rec_text(out, "verdict", word[e->grant]);
	if (e->verdict.rule)
		rec_int(out, "rule", (int64_t)e->verdict.rule);
	else
		rec_null(out, "rule");
	put_variables(q, out);
	rec_list(out, "reasons");
	for (size_t i = 0; i < e->n; i++)
		put_reason(q, &e->reason[i], out);
	rec_end(out);
}

static void answer(struct op_call *c, const struct question *q)
{
	struct acl_explanation e;
	struct acl_set *set;
	struct why why;
	if (acl_set_new(q->rule, q->n, &set, &why)) {
		op_refuse(c, OP_FAILED, NULL, "the rules cannot be used: %s", why.text);
		return;
	}
	acl_explain(set, &q->who, q->action, q->topic, q->how, &e);
	put_answer(q, &e, &c->result);
	acl_explanation_fini(&e);
	acl_set_unref(set);
	op_done(c);
}

void op_acl_check(struct op_call *c)
{
	AUTO_QUESTION q = {0};
	struct str device;
	op_str(c, "device", &device);
	if (!op_find_device(c, "device", device, &q.device_id) || !take_action(c, &q) ||
	    !take_topic(c, &q) || !take_how(c, &q) || !take_address(c, &q))
		return;
	take_who(c, &q);
	take_rules(c->s->registry, &q);
	answer(c, &q);
}
