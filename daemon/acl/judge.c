/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging a whole topic filter: may it be subscribed to, may everything it brings be received?
 * See acl.h and set.h. Any thread.
 *
 * The rules are taken in order. Each one decides the depths (numbers of levels) at which it covers
 * the filter and that no rule before it decided (filter.h says why depths are enough). When every
 * depth is decided the rest of the rules changes nothing. A deny rule that only meets the filter
 * decides no depth but makes the answer partial.
 */
#include "daemon/acl/set.h"

void judge_init(struct judge *j, const struct acl_who *who, enum acl_action action,
		struct str filter, struct acl_how how)
{
	*j = (struct judge){.who = who, .action = action, .filter = filter, .how = how};
	filter_own_depths(filter, &j->lo, &j->hi);
	/* One depth more than any pattern has stands for all the deeper ones. */
	j->depths = j->hi == FILTER_DEPTH_ANY && j->lo <= FILTER_LEVELS_MAX
			    ? FILTER_LEVELS_MAX + 2 - j->lo
			    : 1;
	j->left = j->depths;
}

/* Decides the depths lo..hi as far as they are open; true when that decided any. */
static bool decide(struct judge *j, unsigned lo, unsigned hi)
{
	const unsigned before = j->left;
	for (unsigned i = 0; i < j->depths; i++) {
		const unsigned depth = j->lo + i;
		if (depth < lo || depth > hi || j->decided[i])
			continue;
		j->decided[i] = true;
		j->left--;
	}
	return j->left != before;
}

/* A literal rule: for subscribe it means the filter asked for, for receive a topic. */
static enum acl_why relate_literal(const struct judge *j, const struct acl_rule *rule)
{
	const bool same = str_eq(rule->filter, j->filter);
	if (j->action == ACL_SUBSCRIBE)
		return same ? ACL_WHY_MATCHED : ACL_WHY_LITERAL;
	if (filter_is_wild(rule->filter))
		return ACL_WHY_LITERAL;
	if (same)
		return ACL_WHY_MATCHED;
	return filter_meet(rule->filter, NULL, j->filter) ? ACL_WHY_MEETS : ACL_WHY_LITERAL;
}

/* How the rule's filter relates to the judged one, and the depths *lo..*hi that it covers (none
 * when *lo > *hi). */
static enum acl_why relate(const struct judge *j, const struct acl_rule *rule, unsigned *lo,
			   unsigned *hi, struct filter_miss *miss)
{
	*lo = 1;
	*hi = 0;
	if (rule->match == ACL_LITERAL) {
		const enum acl_why why = relate_literal(j, rule);
		*hi = why == ACL_WHY_MATCHED ? FILTER_DEPTH_ANY : 0;
		return why;
	}
	unsigned from = 0, to = 0;
	if (!filter_depths(rule->filter, j->who, j->filter, &from, &to, miss))
		return filter_meet(rule->filter, j->who, j->filter) ? ACL_WHY_MEETS
								    : ACL_WHY_FILTER;
	*lo = from;
	*hi = to;
	if (from <= j->lo && j->hi <= to)
		return ACL_WHY_MATCHED;
	*miss = (struct filter_miss){FILTER_MISS_WIDER, j->lo + 1, {NULL, 0}, STR("#")};
	return ACL_WHY_MEETS;
}

/* A rule for receive whose condition may or may not hold for a message still to come. */
static bool depends_on_message(const struct judge *j, const struct acl_rule *rule)
{
	return j->action != ACL_SUBSCRIBE && (rule->qos != 0 || rule->retain != ACL_RETAIN_ANY);
}

static enum acl_why conditions(const struct judge *j, const struct acl_rule *rule)
{
	struct acl_rule known = *rule;
	if (depends_on_message(j, rule)) {
		known.qos = 0;
		known.retain = ACL_RETAIN_ANY;
	}
	return acl_rule_conditions(&known, j->who, j->action, j->how);
}

enum acl_why judge_step(struct judge *j, const struct acl_rule *rule, struct filter_miss *miss)
{
	unsigned lo = 0, hi = 0;
	*miss = (struct filter_miss){0};
	enum acl_why why = relate(j, rule, &lo, &hi, miss);
	if (why != ACL_WHY_MATCHED && why != ACL_WHY_MEETS)
		return why;
	const enum acl_why condition = conditions(j, rule);
	if (condition != ACL_WHY_MATCHED)
		return condition;
	if (depends_on_message(j, rule)) {
		hi = 0;
		lo = 1;
		why = ACL_WHY_MEETS;
	}
	if (judge_settled(j))
		return why;
	const bool decides = decide(j, lo, hi);
	if (rule->effect == ACL_DENY && !j->deny)
		j->deny = rule;
	if (rule->effect == ACL_ALLOW && !j->allow && decides)
		j->allow = rule;
	return why;
}

bool judge_settled(const struct judge *j)
{
	return j->left == 0;
}

enum acl_grant judge_verdict(const struct judge *j, struct acl_verdict *verdict)
{
	const bool covered = j->left == 0 && j->allow;
	const enum acl_grant grant = !covered ? ACL_DENIED : j->deny ? ACL_PARTIAL : ACL_GRANTED;
	/* A filter that no rule covers is refused by default, unless all of it was denied. */
	const struct acl_rule *rule = j->left ? NULL : j->deny ? j->deny : j->allow;
	if (verdict)
		*verdict = (struct acl_verdict){covered, rule ? rule->id : 0};
	return grant;
}

static void judge_all(struct judge *j, const struct acl_set *set)
{
	struct filter_miss miss;
	uint64_t bits[CANDIDATE_WORDS];
	const size_t words = (set->n + 63) / 64;
	memset(bits, 0, words * sizeof(bits[0]));
	acl_set_candidates(set, j->action, j->filter, bits);
	for (size_t w = 0; w < words; w++)
		for (uint64_t left = bits[w]; left && !judge_settled(j); left &= left - 1)
			judge_step(j, &set->rule[w * 64 + (size_t)__builtin_ctzll(left)], &miss);
}

enum acl_grant acl_subscribe(const struct acl_set *set, const struct acl_who *who,
			     struct str filter, uint8_t qos, struct acl_verdict *verdict)
{
	const struct str plain = filter_unshared(filter);
	if (!plain.p) {
		if (verdict)
			*verdict = (struct acl_verdict){false, 0};
		return ACL_DENIED;
	}
	struct judge j;
	judge_init(&j, who, ACL_SUBSCRIBE, plain, (struct acl_how){qos, false});
	judge_all(&j, set);
	return judge_verdict(&j, verdict);
}

bool acl_receive_covered(const struct acl_set *set, const struct acl_who *who, struct str filter)
{
	const struct str plain = filter_unshared(filter);
	if (!plain.p)
		return false;
	struct judge j;
	judge_init(&j, who, ACL_RECEIVE, plain, (struct acl_how){0, false});
	judge_all(&j, set);
	return judge_verdict(&j, NULL) == ACL_GRANTED;
}

/* Does only the network of this rule stand in the way? */
static bool only_network(const struct acl_rule *rule, const struct acl_who *who,
			 enum acl_action action, struct str filter, struct acl_how how)
{
	struct judge j;
	struct filter_miss miss;
	struct acl_rule bare = *rule;
	if (rule->effect != ACL_ALLOW ||
	    acl_rule_conditions(rule, who, action, how) != ACL_WHY_NETWORK)
		return false;
	bare.network_n = 0;
	bare.qos = 0;
	bare.retain = ACL_RETAIN_ANY;
	judge_init(&j, who, action, filter, how);
	return judge_step(&j, &bare, &miss) == ACL_WHY_MATCHED;
}

bool acl_elsewhere(const struct acl_set *set, const struct acl_who *who, enum acl_action action,
		   struct str topic, struct acl_how how)
{
	const struct str filter = action == ACL_SUBSCRIBE ? filter_unshared(topic) : topic;
	const size_t words = (set->n + 63) / 64;
	uint64_t bits[CANDIDATE_WORDS];
	if (!filter.p)
		return false;
	memset(bits, 0, words * sizeof(bits[0]));
	acl_set_candidates(set, action, filter, bits);
	for (size_t w = 0; w < words; w++)
		for (uint64_t left = bits[w]; left; left &= left - 1) {
			const size_t rank = w * 64 + (size_t)__builtin_ctzll(left);
			if (only_network(&set->rule[rank], who, action, filter, how))
				return true;
		}
	return false;
}
