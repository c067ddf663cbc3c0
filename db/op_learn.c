/* SPDX-License-Identifier: Apache-2.0
 *
 * The learn mode for people: who is in it, what was learnt, which rules would allow it. The mode
 * itself is learn.h. Main thread of the store.
 *
 * learn.list     items: list of {subject: str (device:NAME, role:NAME), until: time, rule: int,
 *                created: time, created_by: str, devices, topics: int}
 * learn.start    one of them; a learn mode that is on gets the new end
 * learn.stop     subject: str; ended: bool, there was one; forgotten: int, topics
 * learn.show     items: list of {device, action, topic: str, times: int, first, last: time}; until:
 *                time or null; left_out: int, uses of topics that had no room
 * learn.propose  items: list of {line: str (acl_rule_read), filter: str, actions: list of str,
 *                times: int, last: time, broad: bool}; allowed: int, topics that rules allow
 * already; until, left_out as above, with what no rule can say
 */
#include "daemon/base/mem.h"
#include "db/acl_view.h"
#include "db/learn.h"
#include "db/registry.h"

#include <stdio.h>
#include <stdlib.h>

enum { DAYS_DEFAULT = 7, DAY_S = 86400, ROWS_MAX = 5000, SUBJECT_TEXT = 80 };

/* Whose learn mode. */
struct subject {
	bool role;
	struct str name;
	int64_t id;
	char text[SUBJECT_TEXT];
};

/* False: refused. */
static bool take_subject(struct op_call *c, struct subject *s)
{
	struct str role;
	const bool device = op_str(c, "device", &s->name);
	s->role = op_str(c, "role", &role);
	if (device == s->role) {
		op_refuse(c, OP_INVALID, "device", "give either device or role");
		return false;
	}
	if (s->role)
		s->name = role;
	snprintf(s->text, sizeof(s->text), "%s:%.*s", s->role ? "role" : "device",
		 STR_ARG(s->name));
	if (!s->role)
		return op_find_device(c, "device", s->name, &s->id);
	if (registry_role(c->s->registry, s->name, &s->id) == 0)
		return true;
	op_refuse(c, OP_NOT_FOUND, "role", "there is no role \"%.*s\"", STR_ARG(s->name));
	return false;
}

/* The rule of a learn mode that is on; 0: it is off. */
static int64_t rule_of(const struct op_call *c, const struct subject *s, int64_t *until)
{
	int64_t id = 0;
	*until = 0;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT id, learn_until FROM rule WHERE learn_until IS NOT NULL "
				 "AND CASE WHEN ?1 THEN role_id ELSE device_id END = ?2",
				 sql_int(s->role), sql_int(s->id));
	if (sql_next(&q)) {
		id = sql_at_int(&q, 0);
		*until = sql_at_int(&q, 1);
	}
	return id;
}

#define LEARNING                                                                                   \
	"SELECT CASE WHEN device.id IS NOT NULL THEN 'device:' || device.name ELSE 'role:' || "    \
	"role.name END, learn_until, rule.id, rule.created, rule.created_by, "                     \
	"CASE WHEN role.id IS NULL THEN 1 ELSE (SELECT count(*) FROM device_role WHERE role_id = " \
	"role.id) END, (SELECT count(*) FROM learned WHERE action > 0 AND (learned.device_id = "   \
	"rule.device_id OR learned.device_id IN (SELECT device_id FROM device_role WHERE "         \
	"role_id = rule.role_id))) FROM rule LEFT JOIN device ON device.id = rule.device_id "      \
	"LEFT JOIN role ON role.id = rule.role_id WHERE learn_until IS NOT NULL "

static void put_learning(struct op_call *c, const struct sql_query *q)
{
	struct buf *out = &c->result;
	rec_str(out, "subject", sql_at_str(q, 0));
	op_put_time(out, "until", sql_at_int(q, 1));
	rec_int(out, "rule", sql_at_int(q, 2));
	op_put_time(out, "created", sql_at_int(q, 3));
	rec_str(out, "created_by", sql_at_str(q, 4));
	rec_int(out, "devices", sql_at_int(q, 5));
	rec_int(out, "topics", sql_at_int(q, 6));
}

void op_learn_list(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, LEARNING "ORDER BY learn_until");
	op_answer_all(c, &q, put_learning);
}

/* ---- begin and end ---- */

static void raise_event(struct op_call *c, enum event event, const struct subject *s, int64_t until)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "subject", s->text);
	if (until)
		op_put_time(&detail, "until", until);
	change_event(c, event, s->role ? 0 : s->id, s->role ? STR("") : s->name, buf_view(&detail));
}

static int64_t make_rule(struct op_call *c, const struct subject *s, int64_t until)
{
	SQL_RUN(c->s->registry,
		"INSERT INTO rule(device_id, role_id, allow, actions, filter, priority, literal, "
		"qos, retain, networks, created, created_by, learn_until) "
		"VALUES(?, ?, 1, ?, '#', ?, 0, 0, 0, '', ?, ?, ?)",
		s->role ? sql_null() : sql_int(s->id), s->role ? sql_int(s->id) : sql_null(),
		sql_int(ACL_ALL_ACTIONS), sql_int(-ACL_PRIORITY_MAX),
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor), sql_int(until));
	return sql_last_id(c->s->registry);
}

static void put_one(struct op_call *c, int64_t rule)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, LEARNING "AND rule.id = ?", sql_int(rule));
	if (sql_next(&q))
		put_learning(c, &q);
}

void op_learn_start(struct op_call *c)
{
	struct subject s = {0};
	int64_t days = DAYS_DEFAULT;
	int64_t old;
	if (!take_subject(c, &s))
		return;
	if (op_int(c, "days", &days) && days == 0) {
		op_refuse(c, OP_INVALID, "days", "days is 0; allowed is 1 to 31");
		return;
	}
	const int64_t until = timefloor_now(&c->s->floor) + days * DAY_S;
	int64_t rule = rule_of(c, &s, &old);
	change_begin(c);
	if (rule)
		SQL_RUN(c->s->registry, "UPDATE rule SET learn_until = ? WHERE id = ?",
			sql_int(until), sql_int(rule));
	else
		rule = make_rule(c, &s, until);
	registry_put_rule(c->s->registry, rule, &c->change.entries);
	raise_event(c, EVENT_LEARN_STARTED, &s, until);
	put_one(c, rule);
	change_commit(c);
}

static int64_t forget(struct op_call *c, const struct subject *s)
{
	SQL_RUN(c->s->registry,
		"DELETE FROM learned WHERE CASE WHEN ?1 THEN device_id IN (SELECT device_id FROM "
		"device_role WHERE role_id = ?2) ELSE device_id = ?2 END",
		sql_int(s->role), sql_int(s->id));
	return sql_changes(c->s->registry);
}

void op_learn_stop(struct op_call *c)
{
	struct subject s = {0};
	bool forgets = false;
	int64_t until;
	if (!take_subject(c, &s))
		return;
	op_bool(c, "forget", &forgets);
	const int64_t rule = rule_of(c, &s, &until);
	change_begin(c);
	if (rule) {
		SQL_RUN(c->s->registry, "DELETE FROM rule WHERE id = ?", sql_int(rule));
		registry_put_rule_gone(rule, &c->change.entries);
		raise_event(c, EVENT_LEARN_ENDED, &s, 0);
	}
	rec_text(&c->result, "subject", s.text);
	rec_bool(&c->result, "ended", rule != 0);
	rec_int(&c->result, "forgotten", forgets ? forget(c, &s) : 0);
	change_commit(c);
}

/* ---- what was learnt ---- */

#define LEARNED                                                                               \
	"SELECT device.name, action, topic, times, first, last, device.id FROM learned JOIN " \
	"device ON device.id = learned.device_id WHERE action > 0 AND CASE WHEN ?1 THEN "     \
	"learned.device_id IN (SELECT device_id FROM device_role WHERE role_id = ?2) ELSE "   \
	"learned.device_id = ?2 END ORDER BY device.name, topic, action LIMIT ?3"

static int64_t left_out(const struct op_call *c, const struct subject *s)
{
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n,
		    "SELECT coalesce(sum(times), 0) FROM learned WHERE action = 0 AND CASE WHEN ?1 "
		    "THEN device_id IN (SELECT device_id FROM device_role WHERE role_id = ?2) ELSE "
		    "device_id = ?2 END",
		    sql_int(s->role), sql_int(s->id));
	return n;
}

static void put_foot(struct op_call *c, const struct subject *s, int64_t more_left_out)
{
	int64_t until;
	rule_of(c, s, &until);
	op_put_time(&c->result, "until", until);
	rec_int(&c->result, "left_out", left_out(c, s) + more_left_out);
	op_done(c);
}

void op_learn_show(struct op_call *c)
{
	struct subject s = {0};
	if (!take_subject(c, &s))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry, LEARNED, sql_int(s.role), sql_int(s.id),
				 sql_int(ROWS_MAX));
	rec_list(&c->result, "items");
	while (sql_next(&q)) {
		rec_object(&c->result, "");
		rec_str(&c->result, "device", sql_at_str(&q, 0));
		rec_text(&c->result, "action", acl_action_name((enum acl_action)sql_at_int(&q, 1)));
		rec_str(&c->result, "topic", sql_at_str(&q, 2));
		rec_int(&c->result, "times", sql_at_int(&q, 3));
		op_put_time(&c->result, "first", sql_at_int(&q, 4));
		op_put_time(&c->result, "last", sql_at_int(&q, 5));
		rec_end(&c->result);
	}
	rec_end(&c->result);
	put_foot(c, &s, 0);
}

/* ---- proposal ---- */

/* The rules of a device without those of the learn mode. */
struct known {
	int64_t device_id;
	char name[NAME_SIZE];
	struct acl_view view;
	struct acl_set *set;
};

static void known_fini(struct known *k)
{
	acl_view_fini(&k->view);
	if (k->set)
		acl_set_unref(k->set);
	*k = (struct known){0};
}
#define AUTO_KNOWN __attribute__((cleanup(known_fini))) struct known

static void know(struct op_call *c, int64_t id, struct str name, const struct acl_draft *draft,
		 struct known *k)
{
	if (k->device_id == id)
		return;
	known_fini(k);
	k->device_id = id;
	snprintf(k->name, sizeof(k->name), "%.*s", STR_ARG(name));
	acl_view_take(c->s, id, str_of(k->name), str_of(k->name), NULL, draft, &k->view);
	if (acl_set_new(k->view.rule, k->view.n, &k->set, NULL))
		k->set = NULL;
}

/* A "+" stands for several topics that were published: one rule must cover them all. */
static bool may_publish(const struct known *k, struct str topic)
{
	if (!filter_is_wild(topic))
		return acl_check(k->set, &k->view.who, ACL_PUBLISH, topic, (struct acl_how){0},
				 NULL);
	for (size_t i = 0; i < k->view.n; i++) {
		const struct acl_rule *rule = &k->view.rule[i];
		if (rule->effect == ACL_ALLOW && rule->actions & ACL_PUBLISH &&
		    rule->match == ACL_PATTERN &&
		    filter_cover(rule->filter, &k->view.who, topic, NULL))
			return true;
	}
	return false;
}

static bool is_allowed(const struct known *k, enum acl_action action, struct str topic)
{
	if (!k->set)
		return false;
	if (action == ACL_PUBLISH)
		return may_publish(k, topic);
	return acl_subscribe(k->set, &k->view.who, topic, 0, NULL) != ACL_DENIED &&
	       acl_receive_covered(k->set, &k->view.who, topic);
}

static void take_learn_rules(struct op_call *c, struct acl_draft *draft)
{
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry, "SELECT id FROM rule WHERE learn_until IS NOT NULL");
	while (sql_next(&q)) {
		draft->removed =
			mem_grow(draft->removed, (draft->removed_n + 1) * sizeof(*draft->removed));
		draft->removed[draft->removed_n++] = sql_at_int(&q, 0);
	}
}

/* What is not allowed yet. A variable that a device wrote itself is none: it gets no rule. */
static void collect(struct op_call *c, const struct subject *s, struct learn_topics *topics,
		    int64_t *allowed, int64_t *unsaid)
{
	AUTO_ACL_DRAFT draft = {0};
	AUTO_KNOWN known = {0};
	take_learn_rules(c, &draft);
	AUTO_QUERY q = SQL_QUERY(c->s->registry, LEARNED, sql_int(s->role), sql_int(s->id),
				 sql_int(ROWS_MAX));
	while (sql_next(&q)) {
		const enum acl_action action = (enum acl_action)sql_at_int(&q, 1);
		const struct str topic = sql_at_str(&q, 2);
		const struct learn_topic use = {
			NULL, action == ACL_SUBSCRIBE ? ACL_SUBSCRIBE | ACL_RECEIVE : ACL_PUBLISH,
			sql_at_int(&q, 3), sql_at_int(&q, 4), sql_at_int(&q, 5)};
		know(c, sql_at_int(&q, 6), sql_at_str(&q, 0), &draft, &known);
		if (is_allowed(&known, action, topic))
			++*allowed;
		else if (memmem(topic.p, topic.n, "${", 2))
			*unsaid += use.times;
		else
			learn_topics_add(topics, topic, str_of(known.name), &use);
	}
}

static bool is_broad(struct str filter)
{
	return str_prefix(filter, STR("#")) || str_prefix(filter, STR("+"));
}

/* False: no rule can say this. */
static bool put_proposed(struct op_call *c, const struct subject *s, const struct learn_topic *t)
{
	AUTO_BUF line = {0};
	const struct acl_rule rule = {
		.id = 1,
		.effect = ACL_ALLOW,
		.actions = t->actions,
		.filter = str_of(t->topic),
		.subject = s->role ? ACL_SUBJECT_ROLE : ACL_SUBJECT_DEVICE,
		.subject_name = s->name,
	};
	if (acl_rule_check(&rule, NULL) || memchr(t->topic, '"', strlen(t->topic)))
		return false;
	acl_rule_write(&rule, &line);
	rec_object(&c->result, "");
	rec_str(&c->result, "line", buf_view(&line));
	rec_str(&c->result, "filter", rule.filter);
	rec_list(&c->result, "actions");
	for (enum acl_action a = ACL_PUBLISH; a <= ACL_RECEIVE; a <<= 1)
		if (t->actions & a)
			rec_text(&c->result, "", acl_action_name(a));
	rec_end(&c->result);
	rec_int(&c->result, "times", t->times);
	op_put_time(&c->result, "last", t->last);
	rec_bool(&c->result, "broad", is_broad(rule.filter));
	rec_end(&c->result);
	return true;
}

void op_learn_propose(struct op_call *c)
{
	struct subject s = {0};
	AUTO_LEARN_TOPICS topics = {0};
	int64_t allowed = 0;
	int64_t unsaid = 0;
	if (!take_subject(c, &s))
		return;
	collect(c, &s, &topics, &allowed, &unsaid);
	learn_topics_generalise(&topics, true);
	rec_list(&c->result, "items");
	for (size_t i = 0; i < topics.n; i++)
		if (!put_proposed(c, &s, &topics.p[i]))
			unsaid += topics.p[i].times;
	rec_end(&c->result);
	rec_int(&c->result, "allowed", allowed);
	put_foot(c, &s, unsaid);
}
