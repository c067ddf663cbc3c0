/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the acl room: what its files share and nobody else includes. The compiled set (set.c)
 * and the judgement of a filter (judge.c), which acl_subscribe, acl_receive_covered and acl_explain
 * step through rule by rule. Any thread; nothing here locks or allocates after acl_set_new.
 */
#pragma once

#include "daemon/acl/acl.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

struct acl_node;

struct acl_set {
	struct ref ref;
	struct acl_rule *rule; /* in the order of evaluation; the index is the rule's rank */
	size_t n;
	struct acl_node *root; /* index over the levels of the filters, for topics */
	struct arena memory;   /* nodes' lists and all strings */
};

/* Do the rule's conditions hold? ACL_WHY_MATCHED, or the first one that does not. */
enum acl_why acl_rule_conditions(const struct acl_rule *rule, const struct acl_who *who,
				 enum acl_action action, struct acl_how how);

enum { CANDIDATE_WORDS = (ACL_RULES_MAX + 63) / 64 };

/* Sets the bit of every rule (by rank) for the action that may have to do with the filter: all that
 * meet it are among them. bits are zero before. */
void acl_set_candidates(const struct acl_set *set, enum acl_action action, struct str filter,
			uint64_t bits[CANDIDATE_WORDS]);

enum {
	/* Depths are told apart up to one more than a pattern can have; deeper ones are alike. */
	JUDGE_DEPTHS = FILTER_LEVELS_MAX + 2
};

/* Judges one filter: feed the rules in order with judge_step until judge_settled. */
struct judge {
	const struct acl_who *who;
	enum acl_action action; /* ACL_SUBSCRIBE, or ACL_RECEIVE for "every message, any QoS" */
	struct str filter;
	struct acl_how how;
	unsigned lo, hi; /* depths of the filter */
	unsigned left;   /* depths not decided yet */
	unsigned depths;
	bool decided[JUDGE_DEPTHS];  /* by depth - lo */
	const struct acl_rule *deny; /* the first deny rule that takes something out */
	const struct acl_rule *allow;
};

void judge_init(struct judge *j, const struct acl_who *who, enum acl_action action,
		struct str filter, struct acl_how how);
/* Takes the next rule (of this action) into account and says how it relates to the filter. */
enum acl_why judge_step(struct judge *j, const struct acl_rule *rule, struct filter_miss *miss);
bool judge_settled(const struct judge *j); /* later rules change nothing */
enum acl_grant judge_verdict(const struct judge *j, struct acl_verdict *verdict);
