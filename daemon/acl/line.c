/* SPDX-License-Identifier: Apache-2.0
 *
 * An access rule as a line that a person writes or a program keeps in a file:
 *
 *   allow|deny SUBJECT ACTION FILTER [literal] [priority N] [qos 0,1] [retain yes|no] [network A,B]
 *
 * SUBJECT is any, device:NAME, group:NAME or role:NAME; ACTION is publish, subscribe, receive, all
 * or several with commas between them; a FILTER with spaces stands in double quotes. See acl.h. Any
 * thread.
 */
#include "daemon/acl/acl.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"

static const enum acl_action actions[] = {ACL_PUBLISH, ACL_SUBSCRIBE, ACL_RECEIVE};

static struct str take_word(struct str *rest)
{
	*rest = str_trim(*rest);
	size_t n = 0;
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	const struct str word = str_make(rest->p, n);
	*rest = str_make(rest->p + n, rest->n - n);
	return word;
}

static int take_effect(struct str word, struct acl_rule *rule, struct why *why)
{
	rule->effect = str_is(word, "allow") ? ACL_ALLOW : ACL_DENY;
	if (rule->effect == ACL_ALLOW || str_is(word, "deny"))
		return 0;
	return why_set(why, ERR_INVALID, "effect: \"%.*s\" is none; allowed are allow and deny",
		       STR_ARG(word));
}

static int take_subject(struct str word, struct acl_rule *rule, struct why *why)
{
	rule->subject_name = STR("");
	if (str_is(word, "any")) {
		rule->subject = ACL_SUBJECT_ANY;
		return 0;
	}
	for (enum acl_subject s = ACL_SUBJECT_DEVICE; s <= ACL_SUBJECT_ROLE; s++) {
		const struct str name = str_of(acl_subject_name(s));
		if (!str_prefix(word, name) || word.n <= name.n || word.p[name.n] != ':')
			continue;
		rule->subject = s;
		rule->subject_name = str_make(word.p + name.n + 1, word.n - name.n - 1);
		return 0;
	}
	return why_set(why, ERR_INVALID,
		       "subject: \"%.*s\" is none; allowed are any, device:NAME, group:NAME, "
		       "role:NAME",
		       STR_ARG(word));
}

static int take_actions(struct str word, struct acl_rule *rule, struct why *why)
{
	for (struct str rest = word; rest.p;) {
		const struct str one = str_split(&rest, ',');
		unsigned found = str_is(one, "all") ? (unsigned)ACL_ALL_ACTIONS : 0;
		for (size_t i = 0; i < ARRAY_LEN(actions); i++)
			if (str_is(one, acl_action_name(actions[i])))
				found = actions[i];
		if (!found)
			return why_set(why, ERR_INVALID,
				       "action: \"%.*s\" is none; allowed are publish, subscribe, "
				       "receive and all",
				       STR_ARG(one));
		rule->actions |= found;
	}
	return 0;
}

static int take_filter(struct str *rest, struct acl_rule *rule, struct why *why)
{
	*rest = str_trim(*rest);
	if (rest->n == 0 || rest->p[0] != '"') {
		rule->filter = take_word(rest);
		return 0;
	}
	const char *end = memchr(rest->p + 1, '"', rest->n - 1);
	if (!end)
		return why_set(why, ERR_INVALID,
			       "filter: the quotation mark at its end is missing");
	rule->filter = str_make(rest->p + 1, (size_t)(end - rest->p) - 1);
	*rest = str_make(end + 1, rest->n - rule->filter.n - 2);
	return 0;
}

static int take_priority(struct str word, struct acl_rule *rule, struct why *why)
{
	const bool negative = word.n && word.p[0] == '-';
	const struct str digits = negative ? str_make(word.p + 1, word.n - 1) : word;
	uint64_t number;
	if (str_u64(digits, ACL_PRIORITY_MAX, &number))
		return why_set(why, ERR_INVALID,
			       "priority: \"%.*s\"; allowed are -%d to %d, as whole numbers",
			       STR_ARG(word), ACL_PRIORITY_MAX, ACL_PRIORITY_MAX);
	rule->priority = negative ? -(int32_t)number : (int32_t)number;
	return 0;
}

static int take_qos(struct str word, struct acl_rule *rule, struct why *why)
{
	for (struct str rest = word; rest.p;) {
		const struct str one = str_split(&rest, ',');
		if (one.n != 1 || one.p[0] < '0' || one.p[0] > '2')
			return why_set(why, ERR_INVALID,
				       "qos: \"%.*s\"; allowed are 0, 1 and 2, or several like 0,1",
				       STR_ARG(word));
		rule->qos |= 1u << (one.p[0] - '0');
	}
	return 0;
}

static int take_retain(struct str word, struct acl_rule *rule, struct why *why)
{
	rule->retain = str_is(word, "yes") ? ACL_RETAIN_YES : ACL_RETAIN_NO;
	if (rule->retain == ACL_RETAIN_YES || str_is(word, "no"))
		return 0;
	return why_set(why, ERR_INVALID, "retain: \"%.*s\"; allowed are yes and no", STR_ARG(word));
}

static int take_networks(struct str word, struct acl_rule *rule, struct cidr *room, struct why *why)
{
	AUTO_BUF text = {0};
	buf_str(&text, word);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == ',')
			text.p[i] = ' ';
	rule->network = room;
	return acl_networks_parse(buf_view(&text), room, &rule->network_n, why);
}

static int take_condition(struct str word, struct str *rest, struct acl_rule *rule,
			  struct cidr *room, struct why *why)
{
	if (str_is(word, "literal")) {
		rule->match = ACL_LITERAL;
		return 0;
	}
	if (str_is(word, "priority"))
		return take_priority(take_word(rest), rule, why);
	if (str_is(word, "qos"))
		return take_qos(take_word(rest), rule, why);
	if (str_is(word, "retain"))
		return take_retain(take_word(rest), rule, why);
	if (str_is(word, "network"))
		return take_networks(take_word(rest), rule, room, why);
	return why_set(why, ERR_INVALID,
		       "\"%.*s\" behind the filter; allowed are literal, priority N, qos 0,1, "
		       "retain yes|no and network A,B; a filter with spaces stands in quotation "
		       "marks",
		       STR_ARG(word));
}

int acl_rule_read(struct str line, uint64_t id, struct cidr room[ACL_NETWORKS_MAX],
		  struct acl_rule *out, struct why *why)
{
	struct acl_rule rule = {.id = id};
	int err = take_effect(take_word(&line), &rule, why);
	if (!err)
		err = take_subject(take_word(&line), &rule, why);
	if (!err)
		err = take_actions(take_word(&line), &rule, why);
	if (!err)
		err = take_filter(&line, &rule, why);
	while (!err) {
		const struct str word = take_word(&line);
		if (word.n == 0)
			break;
		err = take_condition(word, &line, &rule, room, why);
	}
	if (!err)
		err = acl_rule_check(&rule, why);
	if (!err)
		*out = rule;
	return err;
}

static void put_filter(struct str filter, struct buf *out)
{
	bool plain = filter.n && filter.p[0] != '"';
	for (size_t i = 0; i < filter.n; i++)
		plain = plain && filter.p[i] != ' ' && filter.p[i] != '\t';
	buf_puts(out, plain ? "" : "\"");
	buf_str(out, filter);
	buf_puts(out, plain ? "" : "\"");
}

void acl_rule_write(const struct acl_rule *rule, struct buf *out)
{
	buf_puts(out, rule->effect == ACL_ALLOW ? "allow " : "deny ");
	buf_puts(out, acl_subject_name(rule->subject));
	buf_puts(out, rule->subject_name.n ? ":" : "");
	buf_str(out, rule->subject_name);
	const char *before = " ";
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (rule->actions & actions[i] && rule->actions != ACL_ALL_ACTIONS) {
			buf_puts(out, before);
			buf_puts(out, acl_action_name(actions[i]));
			before = ",";
		}
	buf_puts(out, rule->actions == ACL_ALL_ACTIONS ? " all " : " ");
	put_filter(rule->filter, out);
	buf_puts(out, rule->match == ACL_LITERAL ? " literal" : "");
	if (rule->priority)
		buf_printf(out, " priority %d", rule->priority);
	acl_rule_format_conditions(rule, out);
}
