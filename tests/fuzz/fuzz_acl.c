/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules from bytes: lines "EFFECT ACTIONS PRIORITY QOS FILTER" (one byte each before the
 * filter), then "?CLIENTID", "=DEVICE", "@TOPIC", "*FILTER". Whatever rules are accepted, the index
 * must decide as a walk over all rules does, and the explanation must agree with it.
 */
#include "daemon/acl/acl.h"
#include "daemon/base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES = 64 };

struct input {
	struct acl_rule rule[RULES];
	size_t n;
	struct acl_who who;
	struct str topic, filter;
};

static void add_rule(struct input *in, struct str line)
{
	if (line.n < 4 || in->n == RULES)
		return;
	const unsigned char *b = (const unsigned char *)line.p;
	struct acl_rule *r = &in->rule[in->n];
	*r = (struct acl_rule){.id = in->n + 1,
			       .effect = b[0] & 1,
			       .match = b[0] >> 1 & 1,
			       .actions = b[1] & 15,
			       .priority = (int32_t)b[2] - 64,
			       .qos = b[3] & 7,
			       .filter = {line.p + 4, line.n - 4}};
	struct why why = {0};
	if (acl_rule_check(r, &why) == 0)
		in->n++;
	else
		CHECK(why.text[0] != '\0');
}

static void read_input(struct input *in, struct str all)
{
	while (all.p) {
		const struct str line = str_split(&all, '\n');
		const struct str rest = {line.p + 1, line.n ? line.n - 1 : 0};
		switch (line.n ? line.p[0] : 0) {
		case '?':
			in->who.clientid = rest;
			break;
		case '=':
			in->who.device = rest;
			break;
		case '@':
			in->topic = rest;
			break;
		case '*':
			in->filter = rest;
			break;
		default:
			add_rule(in, line);
		}
	}
}

static void check_topic(const struct acl_set *set, const struct input *in)
{
	struct acl_verdict v;
	struct acl_explanation e;
	struct buf text = {0};
	const struct acl_how how = {1, false};
	acl_check(set, &in->who, ACL_PUBLISH, in->topic, how, &v);
	acl_explain(set, &in->who, ACL_PUBLISH, in->topic, how, &e);
	uint64_t deciding = 0;
	for (size_t i = 0; i < e.n; i++)
		if (e.reason[i].decided)
			deciding = e.reason[i].rule->id;
	CHECK(deciding == v.rule);
	acl_explanation_format(&e, &in->who, in->topic, how, &text);
	acl_explanation_fini(&e);
	buf_fini(&text);
}

static void check_filter(const struct acl_set *set, const struct input *in)
{
	struct acl_verdict v;
	struct acl_explanation e;
	struct buf text = {0};
	const struct acl_how how = {1, false};
	const enum acl_grant grant = acl_subscribe(set, &in->who, in->filter, how.qos, &v);
	acl_explain(set, &in->who, ACL_SUBSCRIBE, in->filter, how, &e);
	CHECK(e.grant == grant && v.allowed == (grant != ACL_DENIED));
	acl_explanation_format(&e, &in->who, in->filter, how, &text);
	/* A filter without wildcards is one topic: granting it is allowing that topic. */
	if (!filter_is_wild(in->filter) && filter_unshared(in->filter).p == in->filter.p)
		CHECK(acl_check(set, &in->who, ACL_SUBSCRIBE, in->filter, how, NULL) == v.allowed);
	if (acl_receive_covered(set, &in->who, in->filter) && !filter_is_wild(in->filter))
		CHECK(acl_check(set, &in->who, ACL_RECEIVE, filter_unshared(in->filter), how,
				NULL));
	acl_explanation_fini(&e);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {0};
	struct acl_set *set = NULL;
	read_input(&in, str_make(data, size));
	CHECK(acl_set_new(in.rule, in.n, &set, NULL) == 0);
	if (in.topic.n && !filter_is_wild(in.topic))
		check_topic(set, &in);
	if (in.filter.n && !filter_check(in.filter))
		check_filter(set, &in);
	acl_set_unref(set);
	return 0;
}
