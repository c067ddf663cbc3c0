/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: tables for what an operator expects, and random sets of rules against an evaluator
 * that tries every rule on every small topic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/acl/acl.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const struct acl_how qos0 = {0, false};

static struct acl_rule rule_make(uint64_t id, enum acl_effect effect, unsigned actions,
				 const char *filter)
{
	return (struct acl_rule){
		.id = id, .effect = effect, .actions = actions, .filter = str_of(filter)};
}

static struct acl_set *set_make(const struct acl_rule *rules, size_t n)
{
	struct acl_set *set = NULL;
	struct why why = {0};
	if (acl_set_new(rules, n, &set, &why) != 0)
		fail_msg("%s", why.text);
	return set;
}

static uint64_t decided(const struct acl_set *set, const struct acl_who *who,
			enum acl_action action, const char *topic, bool expected)
{
	struct acl_verdict v;
	assert_int_equal(acl_check(set, who, action, str_of(topic), qos0, &v), expected);
	assert_int_equal(v.allowed, expected);
	return v.rule;
}

static void test_order(void **state)
{
	(void)state;
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_PUBLISH, "plant/#"),
		rule_make(2, ACL_DENY, ACL_PUBLISH, "plant/secret/#"),
		rule_make(3, ACL_ALLOW, ACL_PUBLISH, "plant/secret/door"),
		rule_make(4, ACL_DENY, ACL_ALL_ACTIONS, "plant/+/off"),
	};
	rules[2].priority = 10;
	rules[3].priority = -5;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {0};
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plant/a", true), 1);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plant", true), 1);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plant/secret", false), 2);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plant/secret/door", true), 3);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plant/x/off", true), 1);
	assert_int_equal(decided(set, &who, ACL_RECEIVE, "plant/x/off", false), 4);
	assert_int_equal(decided(set, &who, ACL_RECEIVE, "plant/a", false), 0);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plan", false), 0);
	assert_int_equal(acl_set_count(set), 4);
	assert_int_equal(acl_set_rule(set, 0)->id, 3);
	assert_int_equal(acl_set_rule(set, 1)->id, 2);
}

static void test_empty(void **state)
{
	(void)state;
	AUTO(acl_set) set = set_make(NULL, 0);
	const struct acl_who who = {0};
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "a", false), 0);
	assert_int_equal(acl_subscribe(set, &who, STR("a"), 0, NULL), ACL_DENIED);
	assert_false(acl_receive_covered(set, &who, STR("a")));
	struct acl_set *again = acl_set_ref(set);
	acl_set_unref(again);
}

static void test_variables(void **state)
{
	(void)state;
	const struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_PUBLISH, "plant/${device}/#"),
		rule_make(2, ACL_ALLOW, ACL_PUBLISH, "${clientid}/up"),
		rule_make(3, ACL_ALLOW, ACL_PUBLISH, "g/${group}/${cn}"),
		rule_make(4, ACL_ALLOW, ACL_PUBLISH, "s/${san}"),
	};
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct str groups[] = {STR("north"), STR("pumps")};
	const struct str sans[] = {STR("pump.example"), STR("p1")};
	const struct acl_who pump = {.clientid = STR("$SYS"),
				     .device = STR("pump-1"),
				     .cn = STR("c"),
				     .san = sans,
				     .san_n = 2,
				     .group = groups,
				     .group_n = 2};
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "plant/pump-1/state", true), 1);
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "plant/pump-2/state", false), 0);
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "g/north/c", true), 3);
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "g/pumps/c", true), 3);
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "g/south/c", false), 0);
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "s/p1", true), 4);
	assert_int_equal(decided(set, &pump, ACL_PUBLISH, "$SYS/up", false), 0);
	const struct acl_who odd = {.clientid = STR(""), .device = STR("a/b")};
	assert_int_equal(decided(set, &odd, ACL_PUBLISH, "/up", false), 0);
	assert_int_equal(decided(set, &odd, ACL_PUBLISH, "plant/a/b", false), 0);
	const struct acl_who plus = {.clientid = STR("+"), .device = STR("#")};
	assert_int_equal(acl_subscribe(set, &plus, STR("plant/#"), 0, NULL), ACL_DENIED);
}

static void test_dollar(void **state)
{
	(void)state;
	const struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_ALL_ACTIONS, "#"),
		rule_make(2, ACL_ALLOW, ACL_ALL_ACTIONS, "+/uptime"),
		rule_make(3, ACL_ALLOW, ACL_ALL_ACTIONS, "$SYS/broker/#"),
	};
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {0};
	assert_int_equal(decided(set, &who, ACL_RECEIVE, "a/uptime", true), 1);
	assert_int_equal(decided(set, &who, ACL_RECEIVE, "$SYS/uptime", false), 0);
	assert_int_equal(decided(set, &who, ACL_RECEIVE, "$gw/x", false), 0);
	assert_int_equal(decided(set, &who, ACL_RECEIVE, "$SYS/broker/x", true), 3);
	assert_int_equal(acl_subscribe(set, &who, STR("#"), 0, NULL), ACL_GRANTED);
	assert_int_equal(acl_subscribe(set, &who, STR("$SYS/#"), 0, NULL), ACL_DENIED);
	assert_int_equal(acl_subscribe(set, &who, STR("$SYS/+"), 0, NULL), ACL_DENIED);
	assert_int_equal(acl_subscribe(set, &who, STR("$SYS/broker/+"), 0, NULL), ACL_GRANTED);
}

static void test_conditions(void **state)
{
	(void)state;
	struct cidr networks[2];
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &networks[0]), 0);
	assert_int_equal(cidr_parse(STR("2001:db8::/32"), &networks[1]), 0);
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_PUBLISH, "q"),
		rule_make(2, ACL_ALLOW, ACL_PUBLISH, "r"),
		rule_make(3, ACL_ALLOW, ACL_PUBLISH | ACL_SUBSCRIBE, "n"),
		rule_make(4, ACL_DENY, ACL_PUBLISH, "q"),
	};
	rules[0].qos = 1u << 0 | 1u << 1;
	rules[0].priority = 1;
	rules[1].retain = ACL_RETAIN_NO;
	rules[2].network = networks;
	rules[2].network_n = 2;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	struct acl_who who = {0};
	struct acl_verdict v;
	assert_true(acl_check(set, &who, ACL_PUBLISH, STR("q"), (struct acl_how){1, 0}, &v));
	assert_false(acl_check(set, &who, ACL_PUBLISH, STR("q"), (struct acl_how){2, 0}, &v));
	assert_int_equal(v.rule, 4);
	assert_true(acl_check(set, &who, ACL_PUBLISH, STR("r"), (struct acl_how){0, false}, &v));
	assert_false(acl_check(set, &who, ACL_PUBLISH, STR("r"), (struct acl_how){0, true}, &v));
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "n", false), 0);
	struct addr inside, outside;
	assert_int_equal(addr_parse_ip(STR("10.1.2.3"), &inside), 0);
	assert_int_equal(addr_parse_ip(STR("11.1.2.3"), &outside), 0);
	who.address = &inside;
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "n", true), 3);
	assert_int_equal(acl_subscribe(set, &who, STR("n"), 2, NULL), ACL_GRANTED);
	who.address = &outside;
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "n", false), 0);
	assert_int_equal(acl_subscribe(set, &who, STR("n"), 2, NULL), ACL_DENIED);
}

/* What is told of a denial: whether the network alone stands in the way. */
static void test_elsewhere(void **state)
{
	(void)state;
	struct cidr network;
	struct addr outside;
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &network), 0);
	assert_int_equal(addr_parse_ip(STR("11.1.2.3"), &outside), 0);
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_PUBLISH | ACL_SUBSCRIBE, "plant/${device}/#"),
		rule_make(2, ACL_DENY, ACL_PUBLISH, "denied/#"),
		rule_make(3, ACL_ALLOW, ACL_PUBLISH, "qos/#"),
		rule_make(4, ACL_ALLOW, ACL_PUBLISH, "free"),
	};
	for (size_t i = 0; i < 3; i++) {
		rules[i].network = &network;
		rules[i].network_n = 1;
	}
	rules[2].qos = 1u << 1;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {.device = STR("pump-1"), .address = &outside};
	const struct acl_how how = {0, false};
	const struct acl_how qos1 = {1, false};
	assert_true(acl_elsewhere(set, &who, ACL_PUBLISH, STR("plant/pump-1/x"), how));
	assert_false(acl_elsewhere(set, &who, ACL_PUBLISH, STR("plant/pump-2/x"), how));
	assert_false(acl_elsewhere(set, &who, ACL_RECEIVE, STR("plant/pump-1/x"), how));
	assert_true(acl_elsewhere(set, &who, ACL_SUBSCRIBE, STR("plant/pump-1/+/x"), how));
	assert_true(acl_elsewhere(set, &who, ACL_SUBSCRIBE, STR("$share/g/plant/pump-1/x"), how));
	assert_false(acl_elsewhere(set, &who, ACL_SUBSCRIBE, STR("plant/#"), how));
	assert_false(acl_elsewhere(set, &who, ACL_PUBLISH, STR("denied/x"), how));
	assert_false(acl_elsewhere(set, &who, ACL_PUBLISH, STR("qos/x"), how));
	assert_true(acl_elsewhere(set, &who, ACL_PUBLISH, STR("qos/x"), qos1));
	assert_false(acl_elsewhere(set, &who, ACL_PUBLISH, STR("free"), how));
	assert_false(acl_elsewhere(set, &who, ACL_PUBLISH, STR("nothing"), how));
}

static void test_subscribe(void **state)
{
	(void)state;
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_SUBSCRIBE, "plant/#"),
		rule_make(2, ACL_DENY, ACL_SUBSCRIBE, "plant/secret/#"),
		rule_make(3, ACL_ALLOW, ACL_SUBSCRIBE, "a"),
		rule_make(4, ACL_ALLOW, ACL_SUBSCRIBE, "a/+/#"),
		rule_make(5, ACL_DENY, ACL_SUBSCRIBE, "plant/hall/#"),
		rule_make(6, ACL_ALLOW, ACL_SUBSCRIBE, "plant/hall/#"),
	};
	rules[5].priority = 7;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {0};
	static const struct {
		const char *filter;
		enum acl_grant grant;
		uint64_t rule;
	} table[] = {
		{"plant/#", ACL_PARTIAL, 2},
		{"plant/+", ACL_PARTIAL, 2},
		{"plant/a/#", ACL_GRANTED, 1},
		{"plant/secret/x", ACL_DENIED, 2},
		{"plant/secret/#", ACL_DENIED, 2},
		{"#", ACL_DENIED, 0},
		{"+/a", ACL_DENIED, 0},
		{"a/#", ACL_GRANTED, 3},
		{"plant/hall/+", ACL_GRANTED, 6},
		{"$share/g/plant/a", ACL_GRANTED, 1},
		{"$share/g/plant/#", ACL_PARTIAL, 2},
		{"$share/g", ACL_DENIED, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct acl_verdict v;
		const struct str filter = str_of(table[i].filter);
		if (acl_subscribe(set, &who, filter, 0, &v) != table[i].grant ||
		    v.rule != table[i].rule)
			fail_msg("%s: rule %u", table[i].filter, (unsigned)v.rule);
		assert_int_equal(v.allowed, table[i].grant != ACL_DENIED);
	}
}

static void test_deliver(void **state)
{
	(void)state;
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_SUBSCRIBE | ACL_RECEIVE, "plant/#"),
		rule_make(2, ACL_DENY, ACL_SUBSCRIBE, "plant/secret/#"),
		rule_make(3, ACL_DENY, ACL_RECEIVE, "plant/+/key"),
		rule_make(4, ACL_ALLOW, ACL_SUBSCRIBE, "plant/#"),
		rule_make(5, ACL_DENY, ACL_SUBSCRIBE, "plant/top"),
	};
	rules[3].match = ACL_LITERAL;
	rules[3].priority = 5;
	rules[4].priority = 9;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {0};
	struct acl_verdict v;
	const struct acl_via whole = {STR("plant/+/x"), ACL_GRANTED, 0};
	assert_true(acl_deliver(set, &who, whole, STR("plant/secret/x"), qos0, &v));
	struct acl_via part = {STR("plant/+/#"), ACL_PARTIAL, 0};
	assert_true(acl_deliver(set, &who, part, STR("plant/a"), qos0, &v));
	assert_int_equal(v.rule, 1);
	assert_false(acl_deliver(set, &who, part, STR("plant/secret/x"), qos0, &v));
	assert_int_equal(v.rule, 2);
	assert_false(acl_deliver(set, &who, part, STR("plant/a/key"), qos0, &v));
	assert_int_equal(v.rule, 3);
	assert_false(acl_deliver(set, &who, part, STR("other"), qos0, &v));
	/* The literal rule for this very filter outranks rule 2, but not rule 5. */
	part.filter = STR("plant/#");
	assert_int_equal(acl_subscribe(set, &who, part.filter, 0, NULL), ACL_PARTIAL);
	assert_true(acl_deliver(set, &who, part, STR("plant/secret/x"), qos0, &v));
	assert_false(acl_deliver(set, &who, part, STR("plant/top"), qos0, &v));
	assert_int_equal(v.rule, 5);
}

static void test_receive_covered(void **state)
{
	(void)state;
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_RECEIVE, "a/#"),
		rule_make(2, ACL_DENY, ACL_RECEIVE, "a/b/+"),
		rule_make(3, ACL_ALLOW, ACL_RECEIVE, "c/#"),
		rule_make(4, ACL_DENY, ACL_RECEIVE, "d"),
		rule_make(5, ACL_ALLOW, ACL_RECEIVE, "d/#"),
		rule_make(6, ACL_DENY, ACL_RECEIVE, "e/x"),
		rule_make(7, ACL_ALLOW, ACL_RECEIVE, "e/#"),
	};
	rules[2].qos = 1;
	rules[3].retain = ACL_RETAIN_YES;
	rules[5].match = ACL_LITERAL;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {0};
	assert_false(acl_receive_covered(set, &who, STR("a/#")));
	assert_false(acl_receive_covered(set, &who, STR("a/+/x")));
	assert_true(acl_receive_covered(set, &who, STR("a/c/#")));
	assert_true(acl_receive_covered(set, &who, STR("$share/g/a/+")));
	assert_false(acl_receive_covered(set, &who, STR("c/x")));
	assert_false(acl_receive_covered(set, &who, STR("d/#")));
	assert_true(acl_receive_covered(set, &who, STR("d/+")));
	assert_false(acl_receive_covered(set, &who, STR("e/+")));
	assert_true(acl_receive_covered(set, &who, STR("e/y")));
}

static void test_literal(void **state)
{
	(void)state;
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_PUBLISH, "a/${device}"),
		rule_make(2, ACL_ALLOW, ACL_SUBSCRIBE, "b/#"),
	};
	rules[0].match = rules[1].match = ACL_LITERAL;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {.device = STR("d")};
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "a/d", false), 0);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "a/${device}", true), 1);
	assert_int_equal(acl_subscribe(set, &who, STR("b/#"), 0, NULL), ACL_GRANTED);
	assert_int_equal(acl_subscribe(set, &who, STR("b/c"), 0, NULL), ACL_DENIED);
}

static void refused(struct acl_rule rule, const char *word)
{
	struct why why = {0};
	if (acl_rule_check(&rule, &why) == 0 || !strstr(why.text, word))
		fail_msg("expected an error with \"%s\", got \"%s\"", word, why.text);
	struct acl_set *set = NULL;
	assert_true(acl_set_new(&rule, 1, &set, NULL) < 0);
	assert_null(set);
}

static void test_rule_check(void **state)
{
	(void)state;
	const struct acl_rule good = rule_make(1, ACL_ALLOW, ACL_PUBLISH, "a/+/${cn}/#");
	struct acl_rule r = good;
	assert_int_equal(acl_rule_check(&good, NULL), 0);
	char text[FILTER_BYTES_MAX + 2];
	memset(text, 'a', sizeof(text));
	r.filter = str_make(text, FILTER_BYTES_MAX);
	assert_int_equal(acl_rule_check(&r, NULL), 0);
	r.filter.n++;
	refused(r, "1025 bytes");
	memset(text, '/', sizeof(text));
	r.filter = str_make(text, FILTER_LEVELS_MAX - 1);
	assert_int_equal(acl_rule_check(&r, NULL), 0);
	r.filter.n++;
	refused(r, "129 levels");
	static const struct {
		const char *filter, *word;
	} table[] = {
		{"", "empty"},          {"a/#/b", "last level"},
		{"a/x+", "alone"},      {"a/${host}", "level 2"},
		{"x${cn}", "variable"}, {"a\nb", "control"},
		{"a\xff", "UTF-8"},     {"$share/g/a", "$share"},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		r.filter = str_of(table[i].filter);
		refused(r, table[i].word);
	}
}

static void test_rule_fields(void **state)
{
	(void)state;
	const struct acl_rule good = rule_make(1, ACL_ALLOW, ACL_PUBLISH, "a/+");
	struct acl_rule r = good;
	r.id = 0;
	refused(r, "id");
	r = good;
	r.actions = 0;
	refused(r, "action");
	r.actions = 8;
	refused(r, "action");
	r = good;
	r.priority = 1001;
	refused(r, "priority: 1001");
	r = good;
	r.match = ACL_LITERAL;
	refused(r, "literal");
	r = good;
	r.qos = 8;
	refused(r, "qos");
	r = good;
	r.actions = ACL_SUBSCRIBE;
	r.retain = ACL_RETAIN_YES;
	refused(r, "retain");
	r = good;
	r.network_n = ACL_NETWORKS_MAX + 1;
	refused(r, "networks");
	r = good;
	r.subject = ACL_SUBJECT_ROLE;
	refused(r, "subject");
	r.subject = ACL_SUBJECT_ANY;
	r.subject_name = STR("x");
	refused(r, "subject");
}

static void test_format(void **state)
{
	(void)state;
	struct cidr network;
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &network), 0);
	struct acl_rule r =
		rule_make(12, ACL_ALLOW, ACL_PUBLISH | ACL_RECEIVE, "plant/${device}/#");
	r.priority = 5;
	r.qos = 3;
	r.retain = ACL_RETAIN_NO;
	r.network = &network;
	r.network_n = 1;
	r.subject = ACL_SUBJECT_ROLE;
	r.subject_name = STR("sensor");
	AUTO_BUF out = {0};
	acl_rule_format(&r, &out);
	assert_string_equal(buf_cstr(&out),
			    "allow publish,receive plant/${device}/# priority 5 qos 0,1 retain no "
			    "network 10.0.0.0/8, from role:sensor (rule 12)");
}

static void test_explain(void **state)
{
	(void)state;
	struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_PUBLISH, "plant/line/${device}"),
		rule_make(2, ACL_ALLOW, ACL_PUBLISH, "plant/#"),
		rule_make(3, ACL_DENY, ACL_PUBLISH, "plant/line/#"),
		rule_make(4, ACL_ALLOW, ACL_RECEIVE, "plant/#"),
	};
	rules[0].priority = 3;
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {.device = STR("pump-1")};
	const struct str topic = STR("plant/line/pump-2");
	struct acl_explanation e;
	acl_explain(set, &who, ACL_PUBLISH, topic, qos0, &e);
	assert_int_equal(e.n, 3);
	assert_int_equal(e.verdict.rule, 3);
	assert_false(e.verdict.allowed);
	assert_int_equal(e.reason[0].why, ACL_WHY_FILTER);
	assert_true(e.reason[1].decided && e.reason[1].reached);
	assert_false(e.reason[2].reached);
	AUTO_BUF out = {0};
	acl_reason_format(&e.reason[0], &who, qos0, &out);
	assert_string_equal(buf_cstr(&out),
			    "differs at level 3: ${device} is pump-1, topic has pump-2");
	out.n = 0;
	acl_explanation_format(&e, &who, topic, qos0, &out);
	assert_non_null(strstr(buf_cstr(&out), "publish plant/line/pump-2: denied by rule 3\n"));
	assert_non_null(strstr(out.p, "not reached: matches and allows"));
	acl_explanation_fini(&e);
}

static void test_explain_subscribe(void **state)
{
	(void)state;
	const struct acl_rule rules[] = {
		rule_make(1, ACL_ALLOW, ACL_SUBSCRIBE, "plant/#"),
		rule_make(2, ACL_DENY, ACL_SUBSCRIBE, "plant/secret"),
	};
	AUTO(acl_set) set = set_make(rules, ARRAY_LEN(rules));
	const struct acl_who who = {0};
	struct acl_explanation e;
	acl_explain(set, &who, ACL_SUBSCRIBE, STR("$share/g/plant/+"), qos0, &e);
	assert_int_equal(e.grant, ACL_PARTIAL);
	assert_int_equal(e.n, 2);
	assert_int_equal(e.reason[0].why, ACL_WHY_MEETS);
	assert_true(e.reason[0].decided);
	assert_int_equal(e.reason[1].why, ACL_WHY_MATCHED);
	AUTO_BUF out = {0};
	acl_explanation_format(&e, &who, STR("plant/+"), qos0, &out);
	assert_non_null(strstr(buf_cstr(&out), "filter is wider at level 2: it has +, the rule "
					       "has secret"));
	acl_explanation_fini(&e);
	acl_explain(set, &who, ACL_SUBSCRIBE, STR("#"), qos0, &e);
	assert_int_equal(e.grant, ACL_DENIED);
	assert_int_equal(e.verdict.rule, 0);
	acl_explanation_fini(&e);
}

/* Random sets of rules against an evaluator without index, order or algebra. */

static uint64_t seed = 0x9e3779b97f4a7c15;

static unsigned dice(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

enum { TOPICS = 780, RULES = 8, NAME = 64 };
static char topics[TOPICS][NAME];
static unsigned topic_n;

static void all_topics(const char *before, unsigned depth)
{
	static const char *const level[] = {"a", "b", "z", "", "$x"};
	for (unsigned i = 0; depth && i < ARRAY_LEN(level); i++) {
		char name[NAME], next[NAME];
		snprintf(name, sizeof(name), "%.30s%s", before, level[i]);
		if (name[0])
			snprintf(topics[topic_n++], NAME, "%s", name);
		snprintf(next, sizeof(next), "%.40s/", name);
		all_topics(next, depth - 1);
	}
}

static void random_filter(char *out, bool variables)
{
	static const char *const level[] = {"a",  "b",         "+",        "+",     "",
					    "$x", "${device}", "${group}", "${cn}", "${clientid}"};
	const unsigned n = 1 + dice(3);
	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		strcat(out, i ? "/" : "");
		strcat(out, level[dice(variables ? 10 : 6)]);
	}
	if (dice(3) == 0)
		strcat(out, "/#");
	if (!out[0] || dice(12) == 0)
		strcpy(out, "#");
}

/* The values that random_who gave to the variable which starts with this letter. */
static size_t slow_values(const char *name, const struct acl_who *who, struct str values[2])
{
	if (name[0] != 'g') {
		values[0] = name[0] == 'd' ? who->device : name[1] == 'n' ? who->cn : who->clientid;
		return 1;
	}
	for (size_t i = 0; i < who->group_n; i++)
		values[i] = who->group[i];
	return who->group_n;
}

static bool slow_level(struct str f, struct str t, const struct acl_who *who, bool first)
{
	struct str values[2];
	if (str_is(f, "+"))
		return !(first && str_prefix(t, STR("$")));
	if (!str_prefix(f, STR("${")))
		return str_eq(f, t);
	if (t.n == 0 || (first && t.p[0] == '$'))
		return false;
	const size_t n = slow_values(f.p + 2, who, values);
	for (size_t i = 0; i < n; i++)
		if (str_eq(t, values[i]))
			return true;
	return false;
}

static bool slow_match(const char *f, const char *t, const struct acl_who *who, bool first)
{
	if (f[0] == '#')
		return !(first && t[0] == '$');
	const size_t fn = strcspn(f, "/"), tn = strcspn(t, "/");
	if (!slow_level(str_make(f, fn), str_make(t, tn), who, first))
		return false;
	if (!t[tn])
		return !f[fn] || strcmp(f + fn, "/#") == 0;
	return f[fn] && slow_match(f + fn + 1, t + tn + 1, who, false);
}

static bool outranks(const struct acl_rule *a, const struct acl_rule *b)
{
	if (!b || a->priority != b->priority)
		return !b || a->priority > b->priority;
	return a->effect != b->effect ? a->effect == ACL_DENY : a->id < b->id;
}

static const struct acl_rule *slow_rule(const struct acl_rule *rules, const struct acl_who *who,
					enum acl_action action, const char *topic,
					struct acl_how how)
{
	const struct acl_rule *best = NULL;
	for (unsigned i = 0; i < RULES; i++) {
		const struct acl_rule *r = &rules[i];
		if (!(r->actions & action) || (r->qos && !(r->qos & 1u << how.qos)))
			continue;
		if (r->retain && action != ACL_SUBSCRIBE &&
		    how.retain != (r->retain == ACL_RETAIN_YES))
			continue;
		if (slow_match(r->filter.p, topic, who, true) && outranks(r, best))
			best = r;
	}
	return best;
}

static void random_rules(struct acl_rule *rules, char text[][NAME])
{
	for (unsigned i = 0; i < RULES; i++) {
		random_filter(text[i], true);
		rules[i] = rule_make(i + 1, dice(3) ? ACL_ALLOW : ACL_DENY, 1 + dice(7), text[i]);
		rules[i].priority = (int)dice(3) - 1;
		rules[i].qos = dice(4) ? 0 : 1 + dice(7);
		if (dice(5) == 0 && rules[i].actions != ACL_SUBSCRIBE)
			rules[i].retain = 1 + dice(2);
	}
}

static void random_who(struct acl_who *who, struct str *groups)
{
	static const char *const value[] = {"a", "b", "", "a/b", "$x", "+", "z"};
	groups[0] = str_of(value[dice(7)]);
	groups[1] = str_of(value[dice(7)]);
	*who = (struct acl_who){.clientid = str_of(value[dice(7)]),
				.device = str_of(value[dice(7)]),
				.cn = str_of(value[dice(7)]),
				.group = groups,
				.group_n = dice(3)};
}

static void compare_checks(const struct acl_set *set, const struct acl_rule *rules,
			   const struct acl_who *who)
{
	for (unsigned t = 0; t < topic_n; t++)
		for (unsigned action = 1; action < ACL_ALL_ACTIONS; action <<= 1) {
			const struct acl_how how = {(uint8_t)dice(3), dice(2)};
			struct acl_verdict v;
			acl_check(set, who, action, str_of(topics[t]), how, &v);
			const struct acl_rule *r = slow_rule(rules, who, action, topics[t], how);
			assert_int_equal(v.rule, r ? r->id : 0);
			assert_int_equal(v.allowed, r && r->effect == ACL_ALLOW);
		}
}

/* *all: every topic of the filter is allowed; *denied: some topic is denied by a rule. */
static void slow_filter(const struct acl_rule *rules, const struct acl_who *who,
			enum acl_action action, const char *filter, struct acl_how how, bool *all,
			bool *denied)
{
	*all = true;
	*denied = false;
	for (unsigned t = 0; t < topic_n; t++) {
		if (!slow_match(filter, topics[t], who, true))
			continue;
		const struct acl_rule *r = slow_rule(rules, who, action, topics[t], how);
		*all = *all && r && r->effect == ACL_ALLOW;
		*denied = *denied || (r && r->effect == ACL_DENY);
	}
}

static void compare_receive(const struct acl_set *set, const struct acl_rule *rules,
			    const struct acl_who *who, const char *filter)
{
	if (!acl_receive_covered(set, who, str_of(filter)))
		return;
	for (unsigned i = 0; i < 6; i++) {
		bool all = false, denied = false;
		slow_filter(rules, who, ACL_RECEIVE, filter,
			    (struct acl_how){(uint8_t)(i % 3), i > 2}, &all, &denied);
		assert_true(all);
	}
}

static void compare_deliveries(const struct acl_set *set, const struct acl_rule *rules,
			       const struct acl_who *who, const char *filter, struct acl_how how)
{
	const struct acl_via via = {str_of(filter), ACL_PARTIAL, how.qos};
	for (unsigned t = 0; t < topic_n; t++) {
		if (!slow_match(filter, topics[t], who, true))
			continue;
		const struct acl_rule *r = slow_rule(rules, who, ACL_RECEIVE, topics[t], how);
		const struct acl_rule *s = slow_rule(rules, who, ACL_SUBSCRIBE, topics[t], how);
		const bool expected = r && s && r->effect == ACL_ALLOW && s->effect == ACL_ALLOW;
		assert_int_equal(acl_deliver(set, who, via, str_of(topics[t]), how, NULL),
				 expected);
	}
}

static void compare_explanation(const struct acl_set *set, const struct acl_who *who,
				enum acl_action action, const char *topic, struct acl_how how)
{
	struct acl_explanation e;
	struct acl_verdict v = {0};
	AUTO_BUF out = {0};
	acl_explain(set, who, action, str_of(topic), how, &e);
	if (action == ACL_SUBSCRIBE)
		assert_int_equal(acl_subscribe(set, who, str_of(topic), how.qos, &v), e.grant);
	else
		acl_check(set, who, action, str_of(topic), how, &v);
	uint64_t deciding = 0;
	for (size_t i = 0; i < e.n; i++)
		if (e.reason[i].decided)
			deciding = e.reason[i].rule->id;
	assert_int_equal(deciding, v.rule);
	assert_int_equal(e.verdict.allowed, v.allowed);
	acl_explanation_format(&e, who, str_of(topic), how, &out);
	assert_true(out.n > 0);
	acl_explanation_fini(&e);
}

static void test_random(void **state)
{
	(void)state;
	all_topics("", 4);
	unsigned grants[3] = {0}, covered = 0;
	for (unsigned round = 0; round < 400; round++) {
		struct acl_rule rules[RULES];
		char text[RULES][NAME], filter[NAME];
		struct str groups[2];
		struct acl_who who;
		random_rules(rules, text);
		random_who(&who, groups);
		AUTO(acl_set) set = set_make(rules, RULES);
		compare_checks(set, rules, &who);
		for (unsigned i = 0; i < 20; i++) {
			random_filter(filter, false);
			const struct acl_how how = {(uint8_t)dice(3), dice(2)};
			bool all = false, denied = false;
			slow_filter(rules, &who, ACL_SUBSCRIBE, filter, how, &all, &denied);
			const enum acl_grant grant =
				acl_subscribe(set, &who, str_of(filter), how.qos, NULL);
			grants[grant]++;
			if ((grant == ACL_GRANTED && !all) || (grant == ACL_DENIED && all))
				fail_msg("%s: grant %d", filter, (int)grant);
			if (grant == ACL_PARTIAL) {
				assert_true(all || denied);
				compare_deliveries(set, rules, &who, filter, how);
			}
			covered += acl_receive_covered(set, &who, str_of(filter));
			compare_receive(set, rules, &who, filter);
			compare_explanation(set, &who, ACL_SUBSCRIBE, filter, how);
			compare_explanation(set, &who, ACL_PUBLISH, topics[dice(topic_n)], how);
		}
	}
	assert_true(grants[ACL_DENIED] > 50 && grants[ACL_GRANTED] > 50 && covered > 50);
	assert_true(grants[ACL_PARTIAL] > 50);
}

static void test_many(void **state)
{
	(void)state;
	enum { N = 1000 };
	struct acl_rule *rules = mem_array(struct acl_rule, N);
	char(*text)[NAME] = mem_alloc(sizeof(*text) * N);
	for (unsigned i = 0; i < N; i++) {
		snprintf(text[i], NAME, "plant/line-%u/state", i);
		rules[i] = rule_make(i + 1, ACL_ALLOW, ACL_PUBLISH, text[i]);
	}
	struct acl_set *set = set_make(rules, N);
	const struct acl_who who = {0};
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(decided(set, &who, ACL_PUBLISH, text[i], true), i + 1);
	assert_int_equal(decided(set, &who, ACL_PUBLISH, "plant/line-1000/state", false), 0);
	acl_set_unref(set);
	free(text);
	free(rules);
}

static void test_line(void **state)
{
	(void)state;
	static const char *const good[] = {
		"allow any publish plant/#",
		("deny role:sensor publish,receive plant/${device}/# priority -5 qos 0,2 retain no "
		 "network 10.0.0.0/8,2001:db8::/32"),
		"allow device:pump-1 all \"a b/c\" literal priority 1000",
		"allow group:hall subscribe +/x network 10.1.1.1",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct cidr room[ACL_NETWORKS_MAX];
		struct acl_rule rule;
		struct why why = {0};
		AUTO_BUF text = {0};
		if (acl_rule_read(str_of(good[i]), ACL_DRAFT + 3, room, &rule, &why))
			fail_msg("%s: %s", good[i], why.text);
		acl_rule_write(&rule, &text);
		assert_string_equal(buf_cstr(&text), good[i]);
		buf_fini(&text);
		acl_rule_format(&rule, &text);
		assert_non_null(strstr(buf_cstr(&text), "(not saved, line 3)"));
	}
}

static void test_line_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *says;
	} bad[] = {
		{"", "effect: \"\" is none"},
		{"permit any publish x", "\"permit\" is none; allowed are allow and deny"},
		{"allow devices:x publish x", "subject: \"devices:x\""},
		{"allow device: publish x", "subject: "},
		{"allow any read x", "action: \"read\""},
		{"allow any publish", "filter: it is empty"},
		{"allow any publish \"a b", "quotation mark at its end"},
		{"allow any publish a b", "\"b\" behind the filter"},
		{"allow any publish a priority 1001",
		 "priority: \"1001\"; allowed are -1000 to 1000"},
		{"allow any publish a priority", "priority: \"\""},
		{"allow any publish a qos 3", "qos: \"3\""},
		{"allow any publish a retain maybe", "retain: \"maybe\""},
		{"allow any publish a network 10.0.0.1/8", "has bits set behind"},
		{"allow any publish a/#/b", "filter \"a/#/b\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cidr room[ACL_NETWORKS_MAX];
		struct acl_rule rule;
		struct why why = {0};
		assert_int_not_equal(acl_rule_read(str_of(bad[i].line), 1, room, &rule, &why), 0);
		if (!strstr(why.text, bad[i].says))
			fail_msg("%s: %s", bad[i].line, why.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_dollar),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_subscribe),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_deliver),
		cmocka_unit_test(test_receive_covered),
		cmocka_unit_test(test_literal),
		cmocka_unit_test(test_rule_check),
		cmocka_unit_test(test_rule_fields),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_subscribe),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_line_wrong),
	};
	return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}
