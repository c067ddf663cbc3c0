/* SPDX-License-Identifier: Apache-2.0
 *
 * The compiled set of rules and the question of the data path: may this topic be published or
 * received? See acl.h. Any thread.
 *
 * The filters form a tree by level, so a topic walks past the rules of other topics without
 * looking at them. Rules are numbered in the order of evaluation (their rank); every node knows
 * the smallest rank below it per action, and a branch that cannot beat what was found is left out.
 */
#include "daemon/acl/set.h"
#include "daemon/base/err.h"

#include <stdlib.h>

enum {
	ACTIONS = 3,
	FEW_CHILDREN = 6 /* up to so many, looking at each is faster than halving */
};

/* Ranks of the rules that end at a node, ascending. */
struct ranks {
	uint32_t *rank;
	uint32_t n;
};

struct child {
	struct str level;
	struct acl_node *node;
};

struct acl_node {
	uint32_t best[ACTIONS]; /* smallest rank here and below, by action */
	uint32_t child_n;
	struct child *child; /* sorted by level_cmp */
	struct acl_node *plus;
	struct acl_node *var[ACL_VARS];
	bool has_var;
	struct ranks here; /* filters that end here */
	struct ranks open; /* filters whose "#" follows */
};

/* Shorter first: cheaper than the order of the alphabet. */
static int level_cmp(struct str a, struct str b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

/* The first child that is not smaller than level. */
static uint32_t child_at(const struct acl_node *node, struct str level)
{
	uint32_t lo = 0, hi = node->child_n;
	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;
		if (level_cmp(node->child[mid].level, level) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct acl_node *child_find(const struct acl_node *node, struct str level)
{
	if (node->child_n <= FEW_CHILDREN) {
		for (uint32_t i = 0; i < node->child_n; i++)
			if (str_eq(node->child[i].level, level))
				return node->child[i].node;
		return NULL;
	}
	const uint32_t at = child_at(node, level);
	if (at < node->child_n && str_eq(node->child[at].level, level))
		return node->child[at].node;
	return NULL;
}

static struct acl_node *node_new(void)
{
	struct acl_node *node = mem_new(struct acl_node);
	memset(node->best, 0xff, sizeof(node->best));
	return node;
}

static void node_free(struct acl_node *node)
{
	if (!node)
		return;
	for (uint32_t i = 0; i < node->child_n; i++)
		node_free(node->child[i].node);
	for (unsigned var = 0; var < ACL_VARS; var++)
		node_free(node->var[var]);
	node_free(node->plus);
	free(node->child);
	free(node->here.rank);
	free(node->open.rank);
	free(node);
}

static struct acl_node *child_make(struct acl_node *node, struct str level)
{
	const uint32_t at = child_at(node, level);
	if (at < node->child_n && str_eq(node->child[at].level, level))
		return node->child[at].node;
	/* Capacity is the next power of two: grown when the number is one. */
	if ((node->child_n & (node->child_n - 1)) == 0)
		node->child =
			mem_grow(node->child, sizeof(struct child) * MAX(node->child_n * 2, 1u));
	memmove(&node->child[at + 1], &node->child[at],
		sizeof(struct child) * (node->child_n - at));
	node->child[at] = (struct child){level, node_new()};
	node->child_n++;
	return node->child[at].node;
}

static struct acl_node *slot_make(struct acl_node **slot)
{
	if (!*slot)
		*slot = node_new();
	return *slot;
}

static struct acl_node *step_make(struct acl_node *node, struct str level, enum acl_match match)
{
	if (match == ACL_LITERAL)
		return child_make(node, level);
	if (str_is(level, "+"))
		return slot_make(&node->plus);
	const int var = filter_var(level);
	if (var < 0)
		return child_make(node, level);
	node->has_var = true;
	return slot_make(&node->var[var]);
}

static void ranks_add(struct ranks *ranks, uint32_t rank)
{
	ranks->rank = mem_grow(ranks->rank, sizeof(uint32_t) * (ranks->n + 1));
	ranks->rank[ranks->n++] = rank;
}

/* Ranks are added in ascending order, so the first to come is the smallest. */
static void node_note(struct acl_node *node, unsigned actions, uint32_t rank)
{
	for (unsigned a = 0; a < ACTIONS; a++)
		if (actions & 1u << a && node->best[a] == UINT32_MAX)
			node->best[a] = rank;
}

static void index_add(struct acl_set *set, uint32_t rank)
{
	const struct acl_rule *rule = &set->rule[rank];
	struct str rest = rule->filter;
	struct acl_node *node = set->root;
	node_note(node, rule->actions, rank);
	while (rest.p) {
		const struct str level = str_split(&rest, '/');
		if (rule->match == ACL_PATTERN && str_is(level, "#")) {
			ranks_add(&node->open, rank);
			return;
		}
		node = step_make(node, level, rule->match);
		node_note(node, rule->actions, rank);
	}
	ranks_add(&node->here, rank);
}

static int rule_order(const void *pa, const void *pb)
{
	const struct acl_rule *a = pa, *b = pb;
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->effect != b->effect)
		return a->effect == ACL_DENY ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static struct str keep_str(struct arena *memory, struct str s)
{
	char *p = arena_alloc(memory, s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){p, s.n};
}

static void keep_rule(struct acl_set *set, struct acl_rule *rule)
{
	rule->filter = keep_str(&set->memory, rule->filter);
	rule->subject_name = keep_str(&set->memory, rule->subject_name);
	if (rule->network_n == 0)
		return;
	struct cidr *network = arena_alloc(&set->memory, sizeof(*network) * rule->network_n);
	memcpy(network, rule->network, sizeof(*network) * rule->network_n);
	rule->network = network;
}

int acl_set_new(const struct acl_rule *rules, size_t n, struct acl_set **out, struct why *why)
{
	if (n > ACL_RULES_MAX)
		return why_set(why, ERR_LIMIT, "%zu access rules apply; allowed are %d", n,
			       ACL_RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		const int err = acl_rule_check(&rules[i], why);
		if (err)
			return err;
	}
	struct acl_set *set = mem_new(struct acl_set);
	ref_init(&set->ref);
	set->n = n;
	set->rule = mem_array(struct acl_rule, n);
	set->root = node_new();
	for (size_t i = 0; i < n; i++) {
		set->rule[i] = rules[i];
		keep_rule(set, &set->rule[i]);
	}
	qsort(set->rule, n, sizeof(*set->rule), rule_order);
	for (size_t i = 0; i < n; i++)
		index_add(set, (uint32_t)i);
	*out = set;
	return 0;
}

struct acl_set *acl_set_ref(struct acl_set *set)
{
	ref_get(&set->ref);
	return set;
}

void acl_set_unref(struct acl_set *set)
{
	if (!ref_put(&set->ref))
		return;
	node_free(set->root);
	arena_fini(&set->memory);
	free(set->rule);
	free(set);
}

size_t acl_set_count(const struct acl_set *set)
{
	return set->n;
}

const struct acl_rule *acl_set_rule(const struct acl_set *set, size_t i)
{
	CHECK(i < set->n);
	return &set->rule[i];
}

struct search {
	const struct acl_set *set;
	enum acl_action action;
	unsigned index; /* of the action in acl_node.best */
	uint64_t *bits;
};

static void note_ranks(const struct search *s, const struct ranks *ranks)
{
	for (uint32_t i = 0; i < ranks->n; i++)
		if (s->set->rule[ranks->rank[i]].actions & s->action)
			s->bits[ranks->rank[i] / 64] |= 1ull << ranks->rank[i] % 64;
}

/* rest: levels of the filter that are left; below: its "#" was passed. */
static void search_node(const struct search *s, const struct acl_node *node, struct str rest,
			bool below)
{
	if (!node || node->best[s->index] == UINT32_MAX)
		return;
	const bool end = !below && !rest.p;
	const struct str level = str_split(&rest, '/');
	below = below || str_is(level, "#");
	note_ranks(s, &node->open);
	if (end || below)
		note_ranks(s, &node->here);
	if (end)
		return;
	const bool any = below || str_is(level, "+");
	if (!any)
		search_node(s, child_find(node, level), rest, false);
	for (uint32_t i = 0; any && i < node->child_n; i++)
		search_node(s, node->child[i].node, rest, below);
	search_node(s, node->plus, rest, below);
	for (unsigned var = 0; node->has_var && var < ACL_VARS; var++)
		search_node(s, node->var[var], rest, below);
}

void acl_set_candidates(const struct acl_set *set, enum acl_action action, struct str filter,
			uint64_t bits[CANDIDATE_WORDS])
{
	const struct search s = {set, action, (unsigned)__builtin_ctz(action), bits};
	search_node(&s, set->root, filter, false);
}

struct question {
	const struct acl_set *set;
	const struct acl_who *who;
	enum acl_action action;
	unsigned index; /* of the action in acl_node.best */
	struct acl_how how;
	bool patterns_only; /* literal rules mean a filter, not this topic */
	bool dollar;        /* the topic starts with "$" */
	uint32_t best;      /* smallest rank that matched so far */
};

static void ask_ranks(struct question *q, const struct ranks *ranks)
{
	for (uint32_t i = 0; i < ranks->n && ranks->rank[i] < q->best; i++) {
		const struct acl_rule *rule = &q->set->rule[ranks->rank[i]];
		if (!(rule->actions & q->action) ||
		    (q->patterns_only && rule->match == ACL_LITERAL))
			continue;
		if (acl_rule_conditions(rule, q->who, q->action, q->how) != ACL_WHY_MATCHED)
			continue;
		q->best = ranks->rank[i];
		return;
	}
}

static void ask_node(struct question *q, const struct acl_node *node, struct str rest, bool first)
{
	if (!node || node->best[q->index] >= q->best)
		return;
	const bool wildcards = !(first && q->dollar);
	if (wildcards)
		ask_ranks(q, &node->open);
	if (!rest.p) {
		ask_ranks(q, &node->here);
		return;
	}
	const struct str level = str_split(&rest, '/');
	ask_node(q, child_find(node, level), rest, false);
	if (wildcards)
		ask_node(q, node->plus, rest, false);
	for (unsigned var = 0; node->has_var && var < ACL_VARS; var++)
		if (node->var[var] && filter_var_match((enum acl_var)var, q->who, level, first))
			ask_node(q, node->var[var], rest, false);
}

/* The rule that decides, NULL when none matches. */
static const struct acl_rule *ask(struct question *q, struct str topic)
{
	q->index = (unsigned)__builtin_ctz(q->action);
	q->dollar = topic.n && topic.p[0] == '$';
	ask_node(q, q->set->root, topic, true);
	return q->best == UINT32_MAX ? NULL : &q->set->rule[q->best];
}

bool acl_check(const struct acl_set *set, const struct acl_who *who, enum acl_action action,
	       struct str topic, struct acl_how how, struct acl_verdict *verdict)
{
	struct question q = {
		.set = set, .who = who, .action = action, .how = how, .best = UINT32_MAX};
	const struct acl_rule *rule = ask(&q, topic);
	const bool allowed = rule && rule->effect == ACL_ALLOW;
	if (verdict)
		*verdict = (struct acl_verdict){allowed, rule ? rule->id : 0};
	return allowed;
}

/* The smallest rank of a literal rule that spells this filter. */
static uint32_t ask_literal(const struct question *q, struct str filter)
{
	const struct acl_node *node = q->set->root;
	while (node && filter.p)
		node = child_find(node, str_split(&filter, '/'));
	for (uint32_t i = 0; node && i < node->here.n; i++) {
		const struct acl_rule *rule = &q->set->rule[node->here.rank[i]];
		if (rule->match == ACL_LITERAL && rule->actions & q->action &&
		    acl_rule_conditions(rule, q->who, q->action, q->how) == ACL_WHY_MATCHED)
			return node->here.rank[i];
	}
	return UINT32_MAX;
}

bool acl_deliver(const struct acl_set *set, const struct acl_who *who, struct acl_via via,
		 struct str topic, struct acl_how how, struct acl_verdict *verdict)
{
	if (!acl_check(set, who, ACL_RECEIVE, topic, how, verdict))
		return false;
	if (via.grant == ACL_GRANTED)
		return true;
	struct question q = {.set = set,
			     .who = who,
			     .action = ACL_SUBSCRIBE,
			     .how = {via.qos, false},
			     .patterns_only = true};
	q.best = ask_literal(&q, filter_unshared(via.filter));
	const struct acl_rule *rule = ask(&q, topic);
	if (!rule || rule->effect == ACL_ALLOW)
		return true;
	if (verdict)
		*verdict = (struct acl_verdict){false, rule->id};
	return false;
}
