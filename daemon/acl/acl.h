/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: who may publish, subscribe and receive what. Architecture page, section 6.
 *
 * A struct acl_set is compiled from the rules that apply to one combination of subjects (a device,
 * its groups, its roles, everyone). It is immutable and reference-counted: build it aside, share
 * it between threads, publish it whole. The variables of its rules are bound at each question to
 * the values in a struct acl_who, so one set serves all devices with the same subjects.
 *
 * Order: the highest priority first; of equal priority, deny before allow; then the lower id. The
 * first rule that matches decides; when none does, the answer is no. "$" topics ($SYS, $gw) are
 * reached only by rules that spell their first level.
 *
 * The same evaluator serves the broker (acl_check, acl_subscribe, acl_deliver) and the question
 * "why?" (acl_explain). Pure: no I/O, no clock, any thread. It does not know roles and groups:
 * whoever compiles the set chooses its rules.
 */
#pragma once

#include "daemon/acl/filter.h"
#include "daemon/base/defs.h"
#include "daemon/base/str.h"
#include "daemon/base/why.h"
#include "daemon/net/addr.h"

enum {
	ACL_PRIORITY_MAX = 1000, /* priorities are -1000..1000 */
	ACL_NETWORKS_MAX = 64,   /* networks in one rule */
	ACL_RULES_MAX = 10000,   /* rules in one set */
	ACL_SAN_MAX = 16,        /* names of one certificate that ${san} looks at */
};

/* Numbers from here on are of rules that nobody has saved: ACL_DRAFT + the line that they stand in.
 */
#define ACL_DRAFT (UINT64_C(1) << 62)

enum acl_effect { ACL_DENY, ACL_ALLOW };
enum acl_action { ACL_PUBLISH = 1, ACL_SUBSCRIBE = 2, ACL_RECEIVE = 4, ACL_ALL_ACTIONS = 7 };
enum acl_match {
	ACL_PATTERN, /* wildcards and variables */
	ACL_LITERAL, /* byte for byte: the topic, or for subscribe the filter asked for */
};
enum acl_retain { ACL_RETAIN_ANY, ACL_RETAIN_NO, ACL_RETAIN_YES };
enum acl_subject { ACL_SUBJECT_ANY, ACL_SUBJECT_DEVICE, ACL_SUBJECT_GROUP, ACL_SUBJECT_ROLE };

/* One rule, as the registry gives it. All strings are borrowed. {0} is no valid rule. */
struct acl_rule {
	uint64_t id; /* of the registry, not 0: 0 names the default */
	enum acl_effect effect;
	unsigned actions; /* set of enum acl_action */
	enum acl_match match;
	int32_t priority;
	struct str filter;
	/* Conditions: all must hold. Subscribing looks at qos (the one asked for) and network. */
	unsigned qos; /* set of 1 << QoS; 0 = any */
	enum acl_retain retain;
	const struct cidr *network; /* the client's address is in one of these; none = any */
	size_t network_n;
	/* Where the rule comes from, for explanations. */
	enum acl_subject subject;
	struct str subject_name; /* empty for ACL_SUBJECT_ANY */
};

/* Whose question it is: the values of the variables. All borrowed; {0} is a stranger. */
struct acl_who {
	struct str clientid;
	struct str device;
	struct str cn; /* of the certificate's subject */
	/* The certificate's subject alternative names that are text (URI, DNS name, mail address),
	 * in their order, the first ACL_SAN_MAX; ${san} matches any of them. */
	const struct str *san;
	size_t san_n;
	const struct str *group; /* ${group} matches any of them */
	size_t group_n;
	const struct addr *address; /* NULL: rules with networks do not match */
};

/* What is known of the message (publish, receive) or of the subscription (its maximum QoS). */
struct acl_how {
	uint8_t qos; /* 0..2 */
	bool retain;
};

/* Judges a rule from outside. 0, or ERR_INVALID or ERR_LIMIT with a sentence in *why (may be NULL)
 * that names the field, the value and what is allowed. */
int acl_rule_check(const struct acl_rule *rule, struct why *why) MUST_CHECK;
/* "allow publish,receive plant/${device}/# priority 5 qos 0,1 retain no network 10.0.0.0/8, from
 * role sensor (rule 12)", appended. */
void acl_rule_format(const struct acl_rule *rule, struct buf *out);

/* " qos 0,1 retain no network 10.0.0.0/8" of the above, "" for a rule without conditions. */
void acl_rule_format_conditions(const struct acl_rule *rule, struct buf *out);

/* A rule as one line of text, the form of files and of unsaved rules:
 *   allow|deny SUBJECT ACTION FILTER [literal] [priority N] [qos 0,1] [retain yes|no] [network A,B]
 * ACTION may be several with commas between them; a FILTER with spaces stands in double quotes.
 * Strings of the rule point into line, its networks into room; id must not be 0. 0, or ERR_INVALID
 * or ERR_LIMIT with a sentence in *why that names field, value and what is allowed. */
int acl_rule_read(struct str line, uint64_t id, struct cidr room[ACL_NETWORKS_MAX],
		  struct acl_rule *out, struct why *why) MUST_CHECK;
/* The line that acl_rule_read reads, appended. */
void acl_rule_write(const struct acl_rule *rule, struct buf *out);

/* Networks as text, separated by spaces, into out. 0, ERR_LIMIT (more than ACL_NETWORKS_MAX) or
 * ERR_INVALID; then *why (may be NULL) names the network and what is wrong. Empty text: none. */
int acl_networks_parse(struct str text, struct cidr out[ACL_NETWORKS_MAX], size_t *n,
		       struct why *why) MUST_CHECK;
/* The text that acl_networks_parse reads, appended. */
void acl_networks_format(const struct cidr *network, size_t n, struct buf *out);

/* Names as the command line and the API spell them; never NULL. */
const char *acl_action_name(enum acl_action action);    /* "publish" */
const char *acl_subject_name(enum acl_subject subject); /* "any", "device", "group", "role" */

struct acl_set;

/* Compiles n rules (copied, in any order). 0, or the first error of acl_rule_check. */
int acl_set_new(const struct acl_rule *rules, size_t n, struct acl_set **out,
		struct why *why) MUST_CHECK;
struct acl_set *acl_set_ref(struct acl_set *set);
void acl_set_unref(struct acl_set *set);
DEFINE_AUTO(acl_set, acl_set_unref)
size_t acl_set_count(const struct acl_set *set);
/* The i-th rule in the order of evaluation; lives as long as the set. */
const struct acl_rule *acl_set_rule(const struct acl_set *set, size_t i);

struct acl_verdict {
	bool allowed;
	uint64_t rule; /* id of the rule that decided, 0 = no rule matched */
};

/* May who do this with a topic (a name, no wildcards)? action is one of publish, receive; for
 * subscribe the topic is taken as a filter that names one topic. verdict may be NULL. */
bool acl_check(const struct acl_set *set, const struct acl_who *who, enum acl_action action,
	       struct str topic, struct acl_how how, struct acl_verdict *verdict);

enum acl_grant {
	ACL_DENIED,  /* some topic of the filter is allowed by no rule, or all of it is denied */
	ACL_GRANTED, /* allow rules cover the whole filter */
	ACL_PARTIAL, /* covered, but a deny rule may take topics out: ask acl_deliver */
};

/* May who subscribe to this filter (well-formed; "$share/NAME/" is judged on what follows) with
 * this maximum QoS? verdict (may be NULL) names the rule that denied, or that made it partial, or
 * the allow rule that decided. */
enum acl_grant acl_subscribe(const struct acl_set *set, const struct acl_who *who,
			     struct str filter, uint8_t qos, struct acl_verdict *verdict);
/* True when every message that the filter can bring may be received, whatever its QoS and retain
 * flag: deliveries of a subscription that was ACL_GRANTED then need no acl_deliver. */
bool acl_receive_covered(const struct acl_set *set, const struct acl_who *who, struct str filter);

/* Of what was denied because no rule matched: would a rule allow it, did the client come from
 * another network? It tells what to say, and decides nothing; for subscribe the topic is a filter.
 * Costs about as much as acl_subscribe. */
bool acl_elsewhere(const struct acl_set *set, const struct acl_who *who, enum acl_action action,
		   struct str topic, struct acl_how how);

/* The subscription through which a message arrives. */
struct acl_via {
	struct str filter;    /* as given to acl_subscribe */
	enum acl_grant grant; /* as it answered */
	uint8_t qos;          /* the maximum QoS that was asked for */
};

/* May this message be delivered? receive must be allowed, and for a partial subscription no deny
 * rule for subscribe may decide the topic. verdict may be NULL. */
bool acl_deliver(const struct acl_set *set, const struct acl_who *who, struct acl_via via,
		 struct str topic, struct acl_how how, struct acl_verdict *verdict);

/* Why a rule did or did not take part in a decision. */
enum acl_why {
	ACL_WHY_MATCHED, /* matches the topic, or covers the whole filter */
	ACL_WHY_MEETS,   /* subscribe: meets the filter without covering it */
	ACL_WHY_FILTER,  /* does not match: see miss */
	ACL_WHY_LITERAL, /* a literal rule and the bytes differ */
	ACL_WHY_QOS,     /* the topic matches, the condition does not hold */
	ACL_WHY_RETAIN,
	ACL_WHY_NETWORK,
};

struct acl_reason {
	const struct acl_rule *rule; /* lives as long as the set */
	enum acl_action action;      /* that was asked about */
	enum acl_why why;
	bool decided;            /* this rule made the verdict */
	bool reached;            /* false: a rule before it had decided already */
	struct filter_miss miss; /* of ACL_WHY_FILTER; points into rule and topic */
};

struct acl_explanation {
	enum acl_action action;
	struct acl_verdict verdict;
	enum acl_grant grant;      /* of subscribe; else ACL_GRANTED or ACL_DENIED */
	struct acl_reason *reason; /* every rule for the action, in the order of evaluation */
	size_t n;
};

/* What acl_check (publish, receive) or acl_subscribe (topic = filter) answers, and why. */
void acl_explain(const struct acl_set *set, const struct acl_who *who, enum acl_action action,
		 struct str topic, struct acl_how how, struct acl_explanation *out);
void acl_explanation_fini(struct acl_explanation *e); /* frees reason */
/* One line for one reason, without a line end: "differs at level 3: ${device} is pump-1, topic has
 * pump-2". Appended. who and how as given to acl_explain, whose topic
 * must still be there. */
void acl_reason_format(const struct acl_reason *reason, const struct acl_who *who,
		       struct acl_how how, struct buf *out);
/* The whole explanation as text, a verdict line first, then one line per rule. Appended. */
void acl_explanation_format(const struct acl_explanation *e, const struct acl_who *who,
			    struct str topic, struct acl_how how, struct buf *out);
