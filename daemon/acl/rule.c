/* SPDX-License-Identifier: Apache-2.0
 *
 * One access rule: its check when it comes from outside, its conditions, its text. See acl.h.
 * Any thread.
 */
#include "daemon/acl/set.h"
#include "daemon/base/err.h"

static const char *const action_name[] = {
	[ACL_PUBLISH] = "publish",
	[ACL_SUBSCRIBE] = "subscribe",
	[ACL_RECEIVE] = "receive",
};
static const char *const subject_name[] = {
	[ACL_SUBJECT_ANY] = "any",
	[ACL_SUBJECT_DEVICE] = "device",
	[ACL_SUBJECT_GROUP] = "group",
	[ACL_SUBJECT_ROLE] = "role",
};

enum {
	QOS_ALL = 7,   /* set of the three QoS */
	TEXT_MAX = 60, /* bytes of a filter quoted in an error */
};

const char *acl_action_name(enum acl_action action)
{
	const bool known =
		action == ACL_PUBLISH || action == ACL_SUBSCRIBE || action == ACL_RECEIVE;
	return known ? action_name[action] : "unknown action";
}

const char *acl_subject_name(enum acl_subject subject)
{
	return (size_t)subject < ARRAY_LEN(subject_name) ? subject_name[subject]
							 : "unknown subject";
}

/* The part of a filter that an error quotes. */
static struct str quote(struct str filter)
{
	return (struct str){filter.p, MIN(filter.n, (size_t)TEXT_MAX)};
}

static int check_variables(struct str filter, struct why *why)
{
	struct str rest = filter;
	for (unsigned level = 1; rest.p; level++) {
		const struct str text = str_split(&rest, '/');
		if (filter_var(text) != ERR_NOT_FOUND)
			continue;
		return why_set(why, ERR_INVALID,
			       "filter: level %u \"%.*s\" is no variable; a level is one of "
			       "${clientid} ${device} ${cn} ${san} ${group} and nothing else, or "
			       "has no \"${\" (literal rules may)",
			       level, STR_ARG(quote(text)));
	}
	return 0;
}

static int check_pattern(struct str filter, struct why *why)
{
	const char *wrong = filter_check(filter);
	if (wrong)
		return why_set(why, ERR_INVALID,
			       "filter \"%.*s\": %s; write it like plant/+/state or plant/#",
			       STR_ARG(quote(filter)), wrong);
	struct str rest = filter;
	if (str_is(str_split(&rest, '/'), "$share"))
		return why_set(why, ERR_INVALID,
			       "filter \"%.*s\": shared subscriptions are judged by the filter "
			       "behind $share/NAME/; write only that",
			       STR_ARG(quote(filter)));
	return check_variables(filter, why);
}

static int check_literal(const struct acl_rule *rule, struct why *why)
{
	if (filter_is_wild(rule->filter) && !(rule->actions & ACL_SUBSCRIBE))
		return why_set(why, ERR_INVALID,
			       "filter \"%.*s\": a literal rule is compared byte for byte and no "
			       "topic contains + or #; make it a pattern",
			       STR_ARG(quote(rule->filter)));
	return 0;
}

static int check_filter(const struct acl_rule *rule, struct why *why)
{
	const struct str filter = rule->filter;
	unsigned levels = 1;
	if (filter.n == 0)
		return why_set(why, ERR_INVALID, "filter: it is empty; allowed are 1 to %d bytes",
			       FILTER_BYTES_MAX);
	if (filter.n > FILTER_BYTES_MAX)
		return why_set(why, ERR_LIMIT, "filter: %zu bytes; allowed are 1 to %d", filter.n,
			       FILTER_BYTES_MAX);
	if (!str_is_utf8(filter) || str_has_control(filter))
		return why_set(why, ERR_INVALID,
			       "filter \"%.*s\": it must be UTF-8 text without control characters",
			       STR_ARG(quote(filter)));
	for (size_t i = 0; i < filter.n; i++)
		levels += filter.p[i] == '/';
	if (levels > FILTER_LEVELS_MAX)
		return why_set(why, ERR_LIMIT, "filter: %u levels; allowed are 1 to %d", levels,
			       FILTER_LEVELS_MAX);
	return rule->match == ACL_LITERAL ? check_literal(rule, why) : check_pattern(filter, why);
}

static int check_conditions(const struct acl_rule *rule, struct why *why)
{
	if (rule->qos > QOS_ALL)
		return why_set(why, ERR_INVALID, "qos: only 0, 1 and 2 exist");
	if ((unsigned)rule->retain > ACL_RETAIN_YES)
		return why_set(why, ERR_INVALID, "retain: allowed are yes, no and any");
	if (rule->retain != ACL_RETAIN_ANY && rule->actions == ACL_SUBSCRIBE)
		return why_set(why, ERR_INVALID,
			       "retain: a subscription has no retain flag; put the condition on a "
			       "rule for publish or receive");
	if (rule->network_n > ACL_NETWORKS_MAX)
		return why_set(why, ERR_LIMIT, "networks: %zu; allowed are 0 to %d",
			       rule->network_n, ACL_NETWORKS_MAX);
	return 0;
}

static int check_subject(const struct acl_rule *rule, struct why *why)
{
	if ((size_t)rule->subject >= ARRAY_LEN(subject_name))
		return why_set(why, ERR_INVALID,
			       "subject: allowed are any, device:NAME, group:NAME, role:NAME");
	if ((rule->subject == ACL_SUBJECT_ANY) != (rule->subject_name.n == 0))
		return why_set(why, ERR_INVALID,
			       "subject: \"any\" has no name, and device, group and role need one "
			       "(like device:pump-1)");
	return 0;
}

int acl_rule_check(const struct acl_rule *rule, struct why *why)
{
	if (rule->id == 0)
		return why_set(why, ERR_INVALID, "id: 0 names the default; allowed are 1 and more");
	if (rule->effect != ACL_ALLOW && rule->effect != ACL_DENY)
		return why_set(why, ERR_INVALID, "effect: allowed are allow and deny");
	if (rule->actions == 0 || rule->actions > ACL_ALL_ACTIONS)
		return why_set(why, ERR_INVALID,
			       "action: allowed are publish, subscribe, receive and all");
	if (rule->match != ACL_PATTERN && rule->match != ACL_LITERAL)
		return why_set(why, ERR_INVALID, "match: allowed are pattern and literal");
	if (rule->priority < -ACL_PRIORITY_MAX || rule->priority > ACL_PRIORITY_MAX)
		return why_set(why, ERR_LIMIT, "priority: %d; allowed are -%d to %d",
			       rule->priority, ACL_PRIORITY_MAX, ACL_PRIORITY_MAX);
	int err = check_conditions(rule, why);
	if (!err)
		err = check_subject(rule, why);
	return err ? err : check_filter(rule, why);
}

enum acl_why acl_rule_conditions(const struct acl_rule *rule, const struct acl_who *who,
				 enum acl_action action, struct acl_how how)
{
	if (rule->qos && !(rule->qos & 1u << how.qos))
		return ACL_WHY_QOS;
	if (rule->retain != ACL_RETAIN_ANY && action != ACL_SUBSCRIBE &&
	    how.retain != (rule->retain == ACL_RETAIN_YES))
		return ACL_WHY_RETAIN;
	if (rule->network_n &&
	    !(who->address && cidr_match_any(rule->network, rule->network_n, who->address)))
		return ACL_WHY_NETWORK;
	return ACL_WHY_MATCHED;
}

/* What is wrong with the text of a network, by the error of cidr_parse. */
static const char *cidr_wrong(int err)
{
	switch (err) {
	case ERR_LIMIT:
		return "the prefix is longer than the address";
	case ERR_INVALID:
		return "the address has bits set behind the prefix";
	default:
		return "it is no address and no network; write it like 10.0.0.0/8 or "
		       "2001:db8::/32";
	}
}

int acl_networks_parse(struct str text, struct cidr out[ACL_NETWORKS_MAX], size_t *n,
		       struct why *why)
{
	size_t found = 0;
	while (text.n) {
		struct cidr network;
		const struct str word = str_split(&text, ' ');
		const int err = cidr_parse(word, &network);
		if (err)
			return why_set(why, ERR_INVALID, "network \"%.*s\": %s",
				       STR_ARG(quote(word)), cidr_wrong(err));
		if (found == ACL_NETWORKS_MAX)
			return why_set(why, ERR_LIMIT, "networks: more than %d in one rule",
				       ACL_NETWORKS_MAX);
		out[found++] = network;
	}
	*n = found;
	return 0;
}

void acl_networks_format(const struct cidr *network, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		char text[ADDR_TEXT];
		buf_puts(out, i ? " " : "");
		buf_puts(out, cidr_format(&network[i], text));
	}
}

static void format_list(struct buf *out, const char *before, const char *text)
{
	buf_puts(out, before);
	buf_puts(out, text);
}

void acl_rule_format_conditions(const struct acl_rule *rule, struct buf *out)
{
	const char *before = " qos ";
	for (unsigned qos = 0; qos < 3 && rule->qos; qos++)
		if (rule->qos & 1u << qos) {
			buf_printf(out, "%s%u", before, qos);
			before = ",";
		}
	if (rule->retain != ACL_RETAIN_ANY)
		format_list(out, " retain ", rule->retain == ACL_RETAIN_YES ? "yes" : "no");
	for (size_t i = 0; i < rule->network_n; i++) {
		char text[ADDR_TEXT];
		format_list(out, i ? "," : " network ", cidr_format(&rule->network[i], text));
	}
}

void acl_rule_format(const struct acl_rule *rule, struct buf *out)
{
	buf_puts(out, rule->effect == ACL_ALLOW ? "allow" : "deny");
	const char *before = " ";
	for (unsigned action = ACL_PUBLISH; action <= ACL_RECEIVE; action <<= 1)
		if (rule->actions & action && rule->actions != ACL_ALL_ACTIONS) {
			format_list(out, before, action_name[action]);
			before = ",";
		}
	buf_puts(out, rule->actions == ACL_ALL_ACTIONS ? " all " : " ");
	if (rule->match == ACL_LITERAL)
		buf_puts(out, "literal ");
	buf_str(out, rule->filter);
	buf_printf(out, " priority %d", rule->priority);
	acl_rule_format_conditions(rule, out);
	const bool draft = rule->id >= ACL_DRAFT;
	buf_printf(out, ", from %s%s%.*s (%s %llu)", acl_subject_name(rule->subject),
		   rule->subject_name.n ? ":" : "", STR_ARG(rule->subject_name),
		   draft ? "not saved, line" : "rule",
		   (unsigned long long)(draft ? rule->id - ACL_DRAFT : rule->id));
}
