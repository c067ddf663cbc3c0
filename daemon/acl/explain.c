/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer to "why?": every rule in order, what it said and where a near miss differs. See acl.h.
 * Any thread.
 *
 * Values and topics come from peers: control characters are shown as "?" and long texts are cut.
 */
#include "daemon/acl/set.h"

#include <stdlib.h>

enum {
	TEXT_MAX = 80, /* bytes of a value or level that are shown */
	VALUES_MAX = 8 /* values of one variable that are shown */
};

/* A topic for publish or receive against one rule. */
static enum acl_why explain_topic(const struct acl_rule *rule, const struct acl_who *who,
				  enum acl_action action, struct str topic, struct acl_how how,
				  struct filter_miss *miss)
{
	if (rule->match == ACL_LITERAL && !str_eq(rule->filter, topic))
		return ACL_WHY_LITERAL;
	if (rule->match == ACL_PATTERN && !filter_match(rule->filter, who, topic, miss))
		return ACL_WHY_FILTER;
	return acl_rule_conditions(rule, who, action, how);
}

static void explain_message(const struct acl_set *set, const struct acl_who *who, struct str topic,
			    struct acl_how how, struct acl_explanation *e)
{
	bool decided = false;
	for (size_t i = 0; i < set->n; i++) {
		const struct acl_rule *rule = &set->rule[i];
		if (!(rule->actions & e->action))
			continue;
		struct acl_reason *r = &e->reason[e->n++];
		r->rule = rule;
		r->action = e->action;
		r->why = explain_topic(rule, who, e->action, topic, how, &r->miss);
		r->reached = !decided;
		r->decided = !decided && r->why == ACL_WHY_MATCHED;
		decided = decided || r->decided;
	}
	acl_check(set, who, e->action, topic, how, &e->verdict);
	e->grant = e->verdict.allowed ? ACL_GRANTED : ACL_DENIED;
}

/* All rules, while acl_subscribe looks only at the candidates of the index. */
static void explain_subscribe(const struct acl_set *set, const struct acl_who *who,
			      struct str filter, struct acl_how how, struct acl_explanation *e)
{
	const struct str plain = filter_unshared(filter);
	struct judge j;
	judge_init(&j, who, ACL_SUBSCRIBE, plain, how);
	for (size_t i = 0; plain.p && i < set->n; i++) {
		const struct acl_rule *rule = &set->rule[i];
		if (!(rule->actions & ACL_SUBSCRIBE))
			continue;
		struct acl_reason *r = &e->reason[e->n++];
		r->rule = rule;
		r->action = e->action;
		r->reached = !judge_settled(&j);
		r->why = judge_step(&j, rule, &r->miss);
	}
	e->grant = judge_verdict(&j, &e->verdict);
	for (size_t i = 0; i < e->n; i++)
		e->reason[i].decided = e->reason[i].rule->id == e->verdict.rule;
}

void acl_explain(const struct acl_set *set, const struct acl_who *who, enum acl_action action,
		 struct str topic, struct acl_how how, struct acl_explanation *out)
{
	struct acl_explanation e = {.action = action};
	e.reason = mem_array(struct acl_reason, set->n);
	if (action == ACL_SUBSCRIBE)
		explain_subscribe(set, who, topic, how, &e);
	else
		explain_message(set, who, topic, how, &e);
	*out = e;
}

void acl_explanation_fini(struct acl_explanation *e)
{
	free(e->reason);
	*e = (struct acl_explanation){0};
}

static void put_text(struct buf *out, struct str s)
{
	if (s.n == 0)
		buf_puts(out, "empty");
	for (size_t i = 0; i < MIN(s.n, (size_t)TEXT_MAX); i++) {
		const unsigned char c = (unsigned char)s.p[i];
		buf_putc(out, c < 0x20 || c == 0x7f ? '?' : s.p[i]);
	}
	if (s.n > TEXT_MAX)
		buf_puts(out, "...");
}

static void put_values(struct buf *out, enum acl_var var, const struct acl_who *who)
{
	const struct str *values = NULL;
	const size_t n = filter_var_values(var, who, &values);
	buf_printf(out, "${%s} is ", filter_var_name(var));
	if (n == 0)
		buf_puts(out, "not set");
	for (size_t i = 0; i < MIN(n, (size_t)VALUES_MAX); i++) {
		buf_puts(out, i ? ", " : "");
		put_text(out, values[i]);
	}
	if (n > VALUES_MAX)
		buf_puts(out, ", ...");
}

static void put_mine(struct buf *out, struct str level, const struct acl_who *who)
{
	const int var = filter_var(level);
	if (var >= 0) {
		put_values(out, (enum acl_var)var, who);
	} else {
		buf_puts(out, "the rule has ");
		put_text(out, level);
	}
}

static void put_miss(struct buf *out, const struct filter_miss *miss, const struct acl_who *who,
		     const char *noun)
{
	switch (miss->kind) {
	case FILTER_MISS_LEVEL:
		buf_printf(out, "differs at level %u: ", miss->level);
		put_mine(out, miss->mine, who);
		buf_printf(out, ", %s has ", noun);
		put_text(out, miss->other);
		break;
	case FILTER_MISS_VALUE:
		buf_printf(out, "matches nothing because of level %u: ", miss->level);
		put_mine(out, miss->mine, who);
		buf_puts(out, ", which is empty, has / + # or a control character, or starts with "
			      "$ at the first level");
		break;
	case FILTER_MISS_SHORT:
		buf_printf(out, "%s ends before level %u, where ", noun, miss->level);
		put_mine(out, miss->mine, who);
		break;
	case FILTER_MISS_LONG:
		buf_printf(out, "%s goes on at level %u with ", noun, miss->level);
		put_text(out, miss->other);
		buf_puts(out, ", where the rule has ended");
		break;
	case FILTER_MISS_DOLLAR:
		buf_puts(out, "wildcards at the first level do not reach topics that start with $");
		break;
	case FILTER_MISS_WIDER:
		buf_printf(out, "%s is wider at level %u: it has ", noun, miss->level);
		put_text(out, miss->other);
		buf_puts(out, miss->mine.p ? ", " : ", the rule covers only some depths of it");
		if (miss->mine.p)
			put_mine(out, miss->mine, who);
		break;
	case FILTER_MISS_NONE:
		break;
	}
}

static const char *outcome(const struct acl_reason *r)
{
	if (r->decided)
		return "decides: ";
	return r->reached ? "" : "not reached: ";
}

static void put_network(struct buf *out, const struct acl_who *who)
{
	char text[ADDR_TEXT];
	if (who->address)
		buf_printf(out, "filter matches, but the address %s is not in its networks",
			   addr_format_ip(who->address, text));
	else
		buf_puts(out, "filter matches, but the client's address is not known, and the rule "
			      "holds for some networks only");
}

void acl_reason_format(const struct acl_reason *reason, const struct acl_who *who,
		       struct acl_how how, struct buf *out)
{
	const char *noun = reason->action == ACL_SUBSCRIBE ? "filter" : "topic";
	buf_puts(out, outcome(reason));
	switch (reason->why) {
	case ACL_WHY_MATCHED:
		buf_puts(out, reason->rule->effect == ACL_ALLOW ? "matches and allows"
								: "matches and denies");
		break;
	case ACL_WHY_MEETS:
		buf_puts(out, "meets a part of the filter: ");
		put_miss(out, &reason->miss, who, noun);
		break;
	case ACL_WHY_FILTER:
		put_miss(out, &reason->miss, who, noun);
		break;
	case ACL_WHY_LITERAL:
		buf_printf(out, "literal rule: the %s is not exactly this", noun);
		break;
	case ACL_WHY_QOS:
		buf_printf(out, "filter matches, but not QoS %u", how.qos);
		break;
	case ACL_WHY_RETAIN:
		buf_printf(out, "filter matches, but only with retain %s",
			   how.retain ? "no" : "yes");
		break;
	case ACL_WHY_NETWORK:
		put_network(out, who);
		break;
	}
}

static void put_verdict(const struct acl_explanation *e, struct str topic, struct buf *out)
{
	static const char *const word[] = {[ACL_DENIED] = "denied",
					   [ACL_GRANTED] = "allowed",
					   [ACL_PARTIAL] = "allowed in part"};
	buf_printf(out, "%s ", acl_action_name(e->action));
	put_text(out, topic);
	buf_printf(out, ": %s", word[e->grant]);
	if (e->verdict.rule)
		buf_printf(out, " by rule %llu\n", (unsigned long long)e->verdict.rule);
	else
		buf_printf(out, e->n ? ", no rule allows it\n" : ", no rule is about this\n");
}

void acl_explanation_format(const struct acl_explanation *e, const struct acl_who *who,
			    struct str topic, struct acl_how how, struct buf *out)
{
	put_verdict(e, topic, out);
	for (size_t i = 0; i < e->n; i++) {
		acl_rule_format(e->reason[i].rule, out);
		buf_puts(out, ": ");
		acl_reason_format(&e->reason[i], who, how, out);
		buf_putc(out, '\n');
	}
}
