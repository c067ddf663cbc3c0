/* SPDX-License-Identifier: Apache-2.0
 *
 * Roles and access rules in the store: what is accepted, refused, listed and told to the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/acl/acl.h"
#include "db/change.h"
#include "db/registry.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

static int set_up(void **state)
{
	*state = rig_new();
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct buf one(const char *name, const char *value)
{
	struct buf args = {0};
	rec_text(&args, name, value);
	return args;
}

static struct buf rule(const char *effect, const char *subject, const char *action,
		       const char *filter)
{
	struct buf args = one("effect", effect);
	rec_text(&args, "subject", subject);
	rec_text(&args, "action", action);
	rec_text(&args, "filter", filter);
	return args;
}

/* The last rule that the broker was told of. */
static struct body_reg_rule last_rule(struct rig *r)
{
	struct cur c = cur_of(buf_view(&r->entries));
	struct body_reg_rule found = {0};
	struct str bytes;
	while (entries_next(&c, &bytes)) {
		struct body_entry e;
		assert_int_equal(body_entry_get(bytes, &e), 0);
		if (e.kind == ENTRY_RULE)
			assert_int_equal(body_reg_rule_get(e.body, &found), 0);
	}
	return found;
}

static void add_answers_the_rule(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	struct buf a = rule("allow", "device:pump-1", "publish", "plant/${device}/#");
	rec_int(&a, "priority", 1005);
	const struct rig_answer *answer = rig_ok(r, OP_ACL_ADD, &a);
	assert_true(str_is(rig_str(answer, "effect"), "allow"));
	assert_true(str_is(rig_str(answer, "subject"), "device:pump-1"));
	assert_true(str_is(rig_str(answer, "filter"), "plant/${device}/#"));
	assert_int_equal(rig_int(answer, "priority"), 5);
	assert_int_equal(rig_count(answer, "actions"), 1);
	const struct body_reg_rule told = last_rule(r);
	assert_int_equal(told.id, rig_int(answer, "id"));
	assert_int_equal(told.subject_kind, SUBJECT_DEVICE);
	assert_true(str_is(told.subject, "pump-1"));
	assert_int_equal(told.allow, 1);
	assert_int_equal(told.actions, 1);
	assert_int_equal(told.priority, 0x80000005u);
}

static void every_kind_of_subject(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "sensor");
	rig_ok(r, OP_ROLE_ADD, &a);
	a = rule("deny", "role:sensor", "all", "x");
	rig_ok(r, OP_ACL_ADD, &a);
	assert_int_equal(last_rule(r).subject_kind, SUBJECT_ROLE);
	assert_int_equal(last_rule(r).actions, 7);
	a = rule("allow", "group:new", "subscribe", "x"); /* made by its first mention */
	rig_ok(r, OP_ACL_ADD, &a);
	assert_int_equal(last_rule(r).subject_kind, SUBJECT_GROUP);
	assert_true(str_is(last_rule(r).subject, "new"));
	a = rule("allow", "any", "receive", "x");
	rig_ok(r, OP_ACL_ADD, &a);
	assert_int_equal(last_rule(r).subject_kind, SUBJECT_ANY);
	assert_int_equal(last_rule(r).subject.n, 0);
}

static void add_refuses(void **state)
{
	struct rig *r = *state;
	struct buf a = rule("permit", "any", "publish", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "effect", "\"permit\" is no effect");
	a = rule("allow", "any", "write", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "action", "\"write\" is no action");
	a = rule("allow", "everyone", "publish", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "subject", "\"everyone\" is no subject");
	a = rule("allow", "device:ghost", "publish", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_NOT_FOUND, "subject", "there is no device \"ghost\"");
	a = rule("allow", "role:ghost", "publish", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_NOT_FOUND, "subject", "there is no role \"ghost\"");
	a = rule("allow", "group:a b", "publish", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "subject", "\"a b\" is no name");
	a = rule("allow", "any", "publish", "a/#/b");
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "filter", "a/#/b");
	a = rule("allow", "any", "publish", "x");
	rec_int(&a, "priority", 2001);
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "priority", "allowed is 0 to 2000");
	a = rule("allow", "any", "publish", "x");
	rig_ok(r, OP_ACL_ADD, &a);
	a = rule("allow", "any", "publish", "x");
	rig_refused(r, OP_ACL_ADD, &a, OP_CONFLICT, "", "says exactly this already");
}

static void add_networks(struct buf *args, const char *first, const char *second)
{
	rec_list(args, "networks");
	rec_text(args, "", first);
	if (second)
		rec_text(args, "", second);
	rec_end(args);
}

static void conditions_are_kept_and_told(void **state)
{
	struct rig *r = *state;
	struct buf a = rule("allow", "any", "publish", "x");
	rec_text(&a, "qos", "0,2");
	rec_bool(&a, "retain", false);
	add_networks(&a, "10.0.0.0/8", "2001:db8::1");
	const struct rig_answer *answer = rig_ok(r, OP_ACL_ADD, &a);
	assert_true(str_is(rig_str(answer, "qos"), "0,2"));
	assert_int_equal(rig_count(answer, "networks"), 2);
	assert_true(str_is(rig_str(answer, "conditions"),
			   "qos 0,2 retain no network 10.0.0.0/8,2001:db8::1"));
	struct body_reg_rule told = last_rule(r);
	assert_int_equal(told.literal, 0);
	assert_int_equal(told.qos, 5);
	assert_int_equal(told.retain, ACL_RETAIN_NO);
	assert_true(str_is(told.networks, "10.0.0.0/8 2001:db8::1"));

	a = rule("allow", "any", "subscribe", "x/#");
	rec_bool(&a, "literal", true);
	answer = rig_ok(r, OP_ACL_ADD, &a);
	assert_true(str_is(rig_str(answer, "conditions"), "literal"));
	told = last_rule(r);
	assert_int_equal(told.literal, 1);
	assert_int_equal(told.qos, 0);
	assert_int_equal(told.retain, ACL_RETAIN_ANY);
	assert_int_equal(told.networks.n, 0);
}

static void as_many_networks_as_there_may_be(void **state)
{
	struct rig *r = *state;
	AUTO_BUF filter = {0};
	for (int i = 0; i < 1000; i++)
		buf_putc(&filter, 'x');
	struct buf a = rule("allow", "any", "publish", buf_cstr(&filter));
	rec_list(&a, "networks");
	for (int i = 0; i < ACL_NETWORKS_MAX; i++) {
		char network[64];
		snprintf(network, sizeof(network), "2001:db8:1111:2222:3333:4444:5555:%x",
			 4096 + i);
		rec_text(&a, "", network);
	}
	rec_end(&a);
	const struct rig_answer *answer = rig_ok(r, OP_ACL_ADD, &a);
	assert_int_equal(rig_count(answer, "networks"), ACL_NETWORKS_MAX);
	a = rule("allow", "any", "publish", "y");
	rec_list(&a, "networks");
	for (int i = 0; i < ACL_NETWORKS_MAX + 1; i++)
		rec_text(&a, "", "::1");
	rec_end(&a);
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "networks", "more than 64");
}

static void conditions_make_another_rule(void **state)
{
	struct rig *r = *state;
	struct buf a = rule("allow", "any", "publish", "x");
	rig_ok(r, OP_ACL_ADD, &a);
	for (int again = 0; again < 2; again++) {
		a = rule("allow", "any", "publish", "x");
		rec_text(&a, "qos", "1");
		if (again)
			rig_refused(r, OP_ACL_ADD, &a, OP_CONFLICT, "", "says exactly this");
		else
			rig_ok(r, OP_ACL_ADD, &a);
	}
	for (int again = 0; again < 2; again++) {
		a = rule("allow", "any", "publish", "x");
		add_networks(&a, "10.0.0.1/32", NULL);
		if (again)
			rig_refused(r, OP_ACL_ADD, &a, OP_CONFLICT, "", "says exactly this");
		else
			rig_ok(r, OP_ACL_ADD, &a);
	}
}

static void conditions_refused(void **state)
{
	struct rig *r = *state;
	static const char *const qos[] = {"3", "", "0,", "1;2", "01"};
	for (size_t i = 0; i < ARRAY_LEN(qos); i++) {
		struct buf a = rule("allow", "any", "publish", "x");
		rec_text(&a, "qos", qos[i]);
		rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "qos", "allowed are 0, 1 and 2");
	}
	static const char *const network[][2] = {
		{"10.0.0.0/33", "prefix is longer"},
		{"10.0.0.1/8", "bits set behind the prefix"},
		{"gateway", "\"gateway\": it is no address"},
		{"", "a network is empty"},
	};
	for (size_t i = 0; i < ARRAY_LEN(network); i++) {
		struct buf a = rule("allow", "any", "publish", "x");
		add_networks(&a, "10.0.0.0/8", network[i][0]);
		rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "networks", network[i][1]);
	}
	struct buf a = rule("allow", "any", "subscribe", "x");
	rec_bool(&a, "retain", true);
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "retain", "a subscription has no retain flag");
	a = rule("allow", "any", "publish", "x/#");
	rec_bool(&a, "literal", true);
	rig_refused(r, OP_ACL_ADD, &a, OP_INVALID, "filter", "compared byte for byte");
}

static void a_group_without_devices_gets_a_hint(void **state)
{
	struct rig *r = *state;
	struct rec_value v;
	struct buf a = rule("allow", "group:typo", "publish", "x");
	const struct rig_answer *answer = rig_ok(r, OP_ACL_ADD, &a);
	assert_non_null(strstr(rig_str(answer, "hint").p, "no device is in group \"typo\" yet"));
	a = one("name", "pump-1");
	rec_list(&a, "groups");
	rec_text(&a, "", "typo");
	rec_end(&a);
	rig_ok(r, OP_DEVICE_ADD, &a);
	a = rule("allow", "group:typo", "publish", "y");
	answer = rig_ok(r, OP_ACL_ADD, &a);
	assert_false(rec_find(buf_view(&answer->result), "hint", &v));
}

static void list_in_the_order_of_evaluation(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	struct buf a = rule("allow", "any", "publish", "low");
	rig_ok(r, OP_ACL_ADD, &a);
	a = rule("deny", "device:pump-1", "publish", "first of equals");
	rig_ok(r, OP_ACL_ADD, &a);
	a = rule("allow", "any", "publish", "high");
	rec_int(&a, "priority", 1001);
	rig_ok(r, OP_ACL_ADD, &a);
	const struct rig_answer *list = rig_op0(r, OP_ACL_LIST);
	assert_true(str_is(rig_field(rig_item(list, "items", 0), "filter"), "high"));
	assert_true(str_is(rig_field(rig_item(list, "items", 1), "filter"), "first of equals"));
	assert_true(str_is(rig_field(rig_item(list, "items", 2), "filter"), "low"));
	assert_int_equal(rig_count(rig_op1(r, OP_ACL_LIST, "subject", "device:pump-1"), "items"),
			 1);
	assert_int_equal(rig_count(rig_op1(r, OP_ACL_LIST, "subject", "any"), "items"), 2);
	a = one("subject", "group:none");
	rig_refused(r, OP_ACL_LIST, &a, OP_NOT_FOUND, "subject", "there is no group \"none\"");
}

static void remove_by_number(void **state)
{
	struct rig *r = *state;
	struct buf a = rule("allow", "any", "publish", "x");
	const int64_t id = rig_int(rig_ok(r, OP_ACL_ADD, &a), "id");
	a = (struct buf){0};
	rec_int(&a, "id", id);
	assert_true(str_is(rig_str(rig_ok(r, OP_ACL_REMOVE, &a), "filter"), "x"));
	assert_int_equal(rig_entries(r, ENTRY_RULE, true), 1);
	a = (struct buf){0};
	rec_int(&a, "id", id);
	rig_refused(r, OP_ACL_REMOVE, &a, OP_NOT_FOUND, "id", "there is no rule");
	a = rule("allow", "any", "publish", "y"); /* a number is never given twice */
	assert_int_equal(rig_int(rig_ok(r, OP_ACL_ADD, &a), "id"), id + 1);
}

static void give_role(struct rig *r, const char *device)
{
	struct buf a = one("name", device);
	rec_list(&a, "roles");
	rec_text(&a, "", "sensor");
	rec_end(&a);
	rig_ok(r, OP_DEVICE_ADD, &a);
}

static void a_renamed_role_is_told_with_its_devices(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "sensor");
	rig_ok(r, OP_ROLE_ADD, &a);
	give_role(r, "pump-1");
	a = rule("allow", "role:sensor", "publish", "x");
	rig_ok(r, OP_ACL_ADD, &a);
	r->entries.n = 0;
	a = one("name", "sensor");
	rec_text(&a, "new-name", "meter");
	assert_true(str_is(rig_str(rig_ok(r, OP_ROLE_SET, &a), "name"), "meter"));
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, false), 1);
	assert_int_equal(rig_entries(r, ENTRY_RULE, false), 1);
	assert_true(str_is(last_rule(r).subject, "meter"));
}

static void a_large_change_takes_several_deltas(void **state)
{
	struct rig *r = *state;
	struct sql *db = r->store.registry;
	struct buf a = one("name", "sensor");
	rig_ok(r, OP_ROLE_ADD, &a);
	sql_begin(db);
	for (int i = 0; i < 2000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "device-%04d", i);
		SQL_RUN(db,
			"INSERT INTO device(name, uuid, created, created_by, changed) "
			"VALUES(?, ?, 1, 'test', 1)",
			sql_text(name), sql_text(name));
		SQL_RUN(db, "INSERT INTO device_role VALUES(?, 1)", sql_int(sql_last_id(db)));
	}
	assert_int_equal(sql_commit(db), 0);
	r->entries.n = 0;
	r->deltas = 0;
	r->closes = 1;
	a = one("name", "sensor");
	rec_text(&a, "new-name", "meter");
	const struct rig_answer *answer = rig_ok(r, OP_ROLE_SET, &a);
	assert_true(r->deltas > 1);
	assert_int_equal(rig_int(answer, "sessions_closed"), r->deltas);
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, false), 2000);
	assert_int_equal(rig_sql(r, "SELECT value FROM meta WHERE name = 'registry-seq'"), r->seq);
}

/* The broker stands still during a large change: what waits for its turn is not sent any more, and
 * it learns of the gap without another change. */
static void lost_deltas_show(void **state)
{
	struct rig *r = *state;
	AUTO_BUF many = {0};
	static char body[32000];
	const struct body_entry entry = {ENTRY_CA, 0, {body, sizeof(body)}};
	for (int i = 0; i < 4 * DELTAS_AT_ONCE; i++)
		ENTRIES_PUT(&many, entry, &entry);
	r->broker_silent = true;
	r->deltas = 0;
	deltas_send(&r->store, NULL, buf_view(&many));
	rig_until(r, &r->gap);
	assert_int_equal(r->deltas, DELTAS_AT_ONCE);
	assert_true(r->seq < (uint64_t)r->store.seq);
}

static void roles_refuse(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "sensor");
	rig_ok(r, OP_ROLE_ADD, &a);
	a = one("name", "sensor");
	rig_refused(r, OP_ROLE_ADD, &a, OP_CONFLICT, "name", "there is a role \"sensor\" already");
	a = one("name", "-");
	rig_refused(r, OP_ROLE_ADD, &a, OP_INVALID, "name", "\"-\" is no name of a role");
	a = one("name", "ghost");
	rig_refused(r, OP_ROLE_SET, &a, OP_NOT_FOUND, "name", "there is no role \"ghost\"");
	a = one("name", "sensor");
	rig_refused(r, OP_ROLE_SET, &a, OP_INVALID, "", "give note or new-name");
	give_role(r, "pump-1");
	a = one("name", "sensor");
	rig_refused(r, OP_ROLE_REMOVE, &a, OP_CONFLICT, "name", "1 device has the role");
	a = one("name", "ghost");
	rig_refused(r, OP_ROLE_SHOW, &a, OP_NOT_FOUND, "name", "there is no role \"ghost\"");
}

static void a_removed_role_takes_its_rules(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "sensor");
	rec_text(&a, "note", "measures");
	rig_ok(r, OP_ROLE_ADD, &a);
	a = rule("allow", "role:sensor", "publish", "x");
	rig_ok(r, OP_ACL_ADD, &a);
	const struct rig_answer *answer = rig_op1(r, OP_ROLE_SHOW, "name", "sensor");
	assert_true(str_is(rig_str(answer, "note"), "measures"));
	assert_int_equal(rig_int(answer, "rule_count"), 1);
	assert_int_equal(rig_count(answer, "rules"), 1);
	assert_int_equal(rig_count(answer, "devices"), 0);
	assert_int_equal(rig_count(rig_op0(r, OP_ROLE_LIST), "items"), 1);
	answer = rig_op1(r, OP_ROLE_REMOVE, "name", "sensor");
	assert_int_equal(rig_int(answer, "rules_removed"), 1);
	assert_int_equal(rig_entries(r, ENTRY_RULE, true), 1);
	assert_int_equal(rig_count(rig_op0(r, OP_ROLE_LIST), "items"), 0);
}

static struct buf question(const char *action, const char *topic)
{
	struct buf args = one("device", "pump-1");
	rec_text(&args, "action", action);
	rec_text(&args, "topic", topic);
	return args;
}

static void check_names_rule_role_and_near_misses(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "sensor");
	rig_ok(r, OP_ROLE_ADD, &a);
	give_role(r, "pump-1");
	a = rule("allow", "role:sensor", "publish", "plant/${device}/#");
	const int64_t id = rig_int(rig_ok(r, OP_ACL_ADD, &a), "id");
	a = rule("deny", "any", "publish", "plant/+/alarm");
	const int64_t deny = rig_int(rig_ok(r, OP_ACL_ADD, &a), "id");
	a = rule("allow", "any", "subscribe", "plant/#");
	rig_ok(r, OP_ACL_ADD, &a);

	a = question("publish", "plant/pump-1/state");
	const struct rig_answer *answer = rig_ok(r, OP_ACL_CHECK, &a);
	assert_true(str_is(rig_str(answer, "verdict"), "allowed"));
	assert_int_equal(rig_int(answer, "rule"), id);
	assert_int_equal(rig_count(answer, "reasons"), 2); /* the rule to subscribe is not asked */
	struct str reason = rig_item(answer, "reasons", 1);
	assert_true(str_is(rig_field(reason, "part"), "decides"));
	assert_true(
		str_is(rig_field(reason, "text"),
		       "allow publish plant/${device}/# priority 0, from role:sensor (rule 1)"));

	a = question("publish", "plant/pump-2/state");
	answer = rig_ok(r, OP_ACL_CHECK, &a);
	assert_true(str_is(rig_str(answer, "verdict"), "denied"));
	reason = rig_item(answer, "reasons", 1);
	assert_true(str_is(rig_field(reason, "part"), "differs"));
	assert_true(str_is(rig_field(reason, "because"),
			   "differs at level 2: ${device} is pump-1, topic has pump-2"));

	a = question("publish", "plant/pump-1/alarm");
	answer = rig_ok(r, OP_ACL_CHECK, &a);
	assert_true(str_is(rig_str(answer, "verdict"), "denied"));
	assert_int_equal(rig_int(answer, "rule"), deny);
}

static void check_judges_conditions(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	struct buf a = rule("allow", "any", "publish", "x");
	rec_text(&a, "qos", "1");
	rec_bool(&a, "retain", true);
	add_networks(&a, "10.0.0.0/8", NULL);
	rig_ok(r, OP_ACL_ADD, &a);
	static const struct {
		int qos;
		bool retain;
		const char *address;
		const char *because;
	} asked[] = {
		{1, true, "10.1.2.3", "decides: matches and allows"},
		{0, true, "10.1.2.3", "filter matches, but not QoS 0"},
		{1, false, "10.1.2.3", "filter matches, but only with retain yes"},
		{1, true, "11.1.2.3",
		 "filter matches, but the address 11.1.2.3 is not in its networks"},
		{1, true, NULL,
		 "filter matches, but the client's address is not known, and the rule holds for "
		 "some networks only"},
	};
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		a = question("publish", "x");
		rec_int(&a, "qos", asked[i].qos);
		rec_bool(&a, "retain", asked[i].retain);
		if (asked[i].address)
			rec_text(&a, "address", asked[i].address);
		const struct rig_answer *answer = rig_ok(r, OP_ACL_CHECK, &a);
		const struct str reason = rig_item(answer, "reasons", 0);
		assert_true(str_is(rig_field(reason, "because"), asked[i].because));
		assert_true(str_is(rig_field(reason, "part"), i ? "condition" : "decides"));
		assert_true(str_is(rig_str(answer, "verdict"), i ? "denied" : "allowed"));
	}
}

static void check_refuses(void **state)
{
	struct rig *r = *state;
	struct buf a = question("publish", "x");
	rig_refused(r, OP_ACL_CHECK, &a, OP_NOT_FOUND, "device", "there is no device \"pump-1\"");
	rig_add_device(r, "pump-1");
	a = question("read", "x");
	rig_refused(r, OP_ACL_CHECK, &a, OP_INVALID, "action", "\"read\" is no action");
	a = question("publish", "x/#");
	rig_refused(r, OP_ACL_CHECK, &a, OP_INVALID, "topic", "a topic has no wildcards");
	a = question("subscribe", "x/#/y");
	rig_refused(r, OP_ACL_CHECK, &a, OP_INVALID, "topic", "x/#/y");
	a = question("subscribe", "$share//x");
	rig_refused(r, OP_ACL_CHECK, &a, OP_INVALID, "topic", "$share");
	a = question("publish", "x");
	rec_text(&a, "address", "10.0.0.0/8");
	rig_refused(r, OP_ACL_CHECK, &a, OP_INVALID, "address", "is no address");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(add_answers_the_rule),
		TEST(every_kind_of_subject),
		TEST(add_refuses),
		TEST(conditions_are_kept_and_told),
		TEST(as_many_networks_as_there_may_be),
		TEST(conditions_make_another_rule),
		TEST(conditions_refused),
		TEST(a_group_without_devices_gets_a_hint),
		TEST(list_in_the_order_of_evaluation),
		TEST(remove_by_number),
		TEST(a_renamed_role_is_told_with_its_devices),
		TEST(a_large_change_takes_several_deltas),
		TEST(lost_deltas_show),
		TEST(roles_refuse),
		TEST(a_removed_role_takes_its_rules),
		TEST(check_names_rule_role_and_near_misses),
		TEST(check_judges_conditions),
		TEST(check_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
