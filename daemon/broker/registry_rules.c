/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules of the registry view: see registry_rules.h.
 */
#include "daemon/broker/registry_rules.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"

#include <stdlib.h>

enum { PRIORITY_BIAS = INT32_MIN };

struct subject {
	enum subject_kind kind;
	char *name;
	uint64_t version;
	struct rule **rule;
	size_t n;
};

struct rule {
	uint64_t id;
	struct subject *subject;
	char *filter;
	bool allow;
	uint8_t actions;
	bool literal;
	uint8_t qos;
	uint8_t retain;
	int32_t priority;
	struct cidr *network;
	size_t network_n;
	int64_t learn_until; /* 0: an ordinary rule */
};

struct part {
	const struct subject *subject;
	uint64_t version;
};

struct compiled {
	struct rules_set set;
	size_t n;
	struct part part[];
};

static void subject_free(struct subject *s)
{
	free(s->rule);
	free(s->name);
	free(s);
}

static void compiled_free(struct compiled *c)
{
	acl_set_unref(c->set.acl);
	free(c);
}

static void rule_free(struct rule *r)
{
	free(r->filter);
	free(r->network);
	free(r);
}

#define MAP_FREE(map, free_value)                                  \
	do {                                                       \
		size_t at_ = 0;                                    \
		struct str key_;                                   \
		for (void *v_; map_next((map), &at_, &key_, &v_);) \
			free_value(v_);                            \
		map_fini(map);                                     \
	} while (0)

void rules_fini(struct rules *s)
{
	MAP_FREE(&s->by_id, rule_free);
	MAP_FREE(&s->subjects, subject_free);
	MAP_FREE(&s->sets, compiled_free);
}

/* ---- records of the store ---------------------------------------------------------------------
 */

enum { SUBJECT_KEY_MAX = 1 + 4096 };

static struct str subject_key(enum subject_kind kind, struct str name, char key[SUBJECT_KEY_MAX])
{
	const size_t n = MIN(name.n, (size_t)SUBJECT_KEY_MAX - 1);
	key[0] = (char)kind;
	if (n)
		memcpy(key + 1, name.p, n);
	return str_make(key, n + 1);
}

static struct subject *subject_find(const struct rules *s, enum subject_kind kind, struct str name)
{
	char key[SUBJECT_KEY_MAX];
	return map_get(&s->subjects, subject_key(kind, name, key));
}

static struct subject *subject_make(struct rules *s, enum subject_kind kind, struct str name)
{
	char key[SUBJECT_KEY_MAX];
	struct subject *subject = subject_find(s, kind, name);
	if (subject)
		return subject;
	subject = mem_new(struct subject);
	subject->kind = kind;
	subject->name = str_dup(name);
	map_set(&s->subjects, subject_key(kind, name, key), subject);
	return subject;
}

static void subject_add(struct rules *rules, struct subject *s, struct rule *rule)
{
	s->rule = mem_grow(s->rule, (s->n + 1) * sizeof(*s->rule));
	s->rule[s->n++] = rule;
	s->version = ++rules->version;
}

static void subject_drop(struct rules *rules, struct subject *s, const struct rule *rule)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->rule[i] != rule)
			continue;
		s->rule[i] = s->rule[--s->n];
		s->version = ++rules->version;
		return;
	}
}

static void drop_rule(struct rules *s, uint64_t id)
{
	struct rule *rule = map_remove(&s->by_id, MAP_KEY(id));
	if (!rule)
		return;
	subject_drop(s, rule->subject, rule);
	rule_free(rule);
}

int rules_take(struct rules *s, bool gone, struct str body)
{
	struct body_reg_rule b;
	struct cidr network[ACL_NETWORKS_MAX];
	size_t network_n;
	if (body_reg_rule_get(body, &b) || b.subject_kind > SUBJECT_ROLE ||
	    acl_networks_parse(b.networks, network, &network_n, NULL))
		return ERR_MALFORMED;
	drop_rule(s, b.id);
	if (gone)
		return 0;
	struct rule *rule = mem_new(struct rule);
	rule->id = b.id;
	rule->subject = subject_make(s, b.subject_kind, b.subject);
	rule->filter = str_dup(b.filter);
	rule->allow = b.allow;
	rule->actions = b.actions;
	rule->priority = (int32_t)(b.priority ^ (uint32_t)PRIORITY_BIAS);
	rule->literal = b.literal;
	rule->qos = b.qos;
	rule->retain = b.retain;
	rule->network_n = network_n;
	rule->network = network_n ? mem_copy(network, network_n * sizeof(*network)) : NULL;
	rule->learn_until = (int64_t)MIN(b.learn_until_at, (uint64_t)INT64_MAX);
	map_set(&s->by_id, MAP_KEY(rule->id), rule);
	subject_add(s, rule->subject, rule);
	return 0;
}

/* Sets of which a subject has changed are of no more use; so are subjects without rules then. */
void rules_purge(struct rules *s)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&s->sets, &at, &key, &value);) {
		struct compiled *c = value;
		bool stale = false;
		for (size_t i = 0; i < c->n; i++)
			stale |= c->part[i].subject->version != c->part[i].version;
		if (stale) {
			map_remove(&s->sets, key);
			compiled_free(c);
		}
	}
	at = 0;
	for (void *value; map_next(&s->subjects, &at, &key, &value);) {
		struct subject *subject = value;
		if (subject->n == 0) {
			map_remove(&s->subjects, key);
			subject_free(subject);
		}
	}
}

static uint64_t ended_learning(const struct rules *s, int64_t now)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&s->by_id, &at, &key, &value);) {
		const struct rule *rule = value;
		if (rule->learn_until && rule->learn_until <= now)
			return rule->id;
	}
	return 0;
}

bool rules_learning_over(const struct rules *s, int64_t now)
{
	return ended_learning(s, now) != 0;
}

void rules_end_learning(struct rules *s, int64_t now)
{
	uint64_t id;
	while ((id = ended_learning(s, now)))
		drop_rule(s, id);
	rules_purge(s);
}

/* ---- sets -------------------------------------------------------------------------------------
 */

/* The subjects of a device that have rules, in one order for all devices with the same ones. */
struct parts {
	struct part *p;
	size_t n;
};

static void parts_add(struct parts *parts, const struct subject *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < parts->n; i++)
		if (parts->p[i].subject == s)
			return;
	parts->p = mem_grow(parts->p, (parts->n + 1) * sizeof(*parts->p));
	parts->p[parts->n++] = (struct part){s, s->version};
}

static int by_subject(const void *a, const void *b)
{
	const uintptr_t x = (uintptr_t)((const struct part *)a)->subject;
	const uintptr_t y = (uintptr_t)((const struct part *)b)->subject;
	return (x > y) - (x < y);
}

static void collect_parts(const struct rules *s, const struct rules_holder *holder,
			  struct parts *parts)
{
	struct str list = holder->groups;
	struct str name;
	parts_add(parts, subject_find(s, SUBJECT_ANY, STR("")));
	if (holder->device.p)
		parts_add(parts, subject_find(s, SUBJECT_DEVICE, holder->device));
	while (strs_next(&list, &name))
		parts_add(parts, subject_find(s, SUBJECT_GROUP, name));
	list = holder->roles;
	while (strs_next(&list, &name))
		parts_add(parts, subject_find(s, SUBJECT_ROLE, name));
	if (parts->n)
		qsort(parts->p, parts->n, sizeof(*parts->p), by_subject);
}

static enum acl_subject acl_subject_of(enum subject_kind kind)
{
	static const enum acl_subject of[] = {
		[SUBJECT_ANY] = ACL_SUBJECT_ANY,
		[SUBJECT_DEVICE] = ACL_SUBJECT_DEVICE,
		[SUBJECT_GROUP] = ACL_SUBJECT_GROUP,
		[SUBJECT_ROLE] = ACL_SUBJECT_ROLE,
	};
	return of[kind];
}

static bool usable(const struct acl_rule *rule)
{
	struct why why;
	if (acl_rule_check(rule, &why) == 0)
		return true;
	log_error("access rule %llu is not used: %s", (unsigned long long)rule->id, why.text);
	return false;
}

static size_t rules_of(const struct parts *parts, struct acl_rule *out)
{
	size_t n = 0;
	for (size_t i = 0; i < parts->n; i++) {
		const struct subject *s = parts->p[i].subject;
		for (size_t k = 0; k < s->n; k++) {
			const struct rule *rule = s->rule[k];
			out[n] = (struct acl_rule){
				.id = rule->id,
				.effect = rule->allow ? ACL_ALLOW : ACL_DENY,
				.actions = rule->actions,
				.priority = rule->priority,
				.filter = str_of(rule->filter),
				.match = rule->literal ? ACL_LITERAL : ACL_PATTERN,
				.qos = rule->qos,
				.retain = (enum acl_retain)rule->retain,
				.network = rule->network,
				.network_n = rule->network_n,
				.subject = acl_subject_of(s->kind),
				.subject_name = str_of(s->name),
			};
			n += usable(&out[n]);
		}
	}
	return n;
}

static bool any_certificate(const struct acl_rule *rule, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_find(rule[i].filter, "${cn}") || str_find(rule[i].filter, "${san}"))
			return true;
	return false;
}

static bool any_learns(const struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		for (size_t k = 0; k < parts->p[i].subject->n; k++)
			if (parts->p[i].subject->rule[k]->learn_until)
				return true;
	return false;
}

static struct compiled *compile(const struct parts *parts)
{
	size_t max = 0;
	for (size_t i = 0; i < parts->n; i++)
		max += parts->p[i].subject->n;
	struct acl_rule *rule = mem_array(struct acl_rule, max);
	size_t n = rules_of(parts, rule);
	struct why why;
	struct acl_set *set;
	if (acl_set_new(rule, n, &set, &why)) {
		/* Nothing is allowed rather than something that nobody meant. */
		log_error("access rules could not be used, nothing is allowed by them: %s",
			  why.text);
		n = 0;
		CHECK(acl_set_new(NULL, 0, &set, NULL) == 0);
	}
	struct compiled *c = mem_alloc(sizeof(*c) + parts->n * sizeof(c->part[0]));
	c->set = (struct rules_set){set, any_certificate(rule, n), any_learns(parts)};
	c->n = parts->n;
	if (parts->n)
		memcpy(c->part, parts->p, parts->n * sizeof(c->part[0]));
	free(rule);
	return c;
}

const struct rules_set *rules_of_holder(struct rules *s, const struct rules_holder *holder)
{
	struct parts parts = {0};
	collect_parts(s, holder, &parts);
	const struct str key = str_make(parts.p, parts.n * sizeof(*parts.p));
	struct compiled *c = map_get(&s->sets, key);
	if (!c) {
		c = compile(&parts);
		map_set(&s->sets, key, c);
	}
	free(parts.p);
	return &c->set;
}
