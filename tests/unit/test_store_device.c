/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on devices, through the links of a store: what they answer, refuse, store and tell the
 * broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/mem.h"
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

static void put_list(struct buf *args, const char *name, const char *a, const char *b)
{
	rec_list(args, name);
	rec_text(args, "", a);
	if (b)
		rec_text(args, "", b);
	rec_end(args);
}

static void add_answers_the_device(void **state)
{
	struct rig *r = *state;
	struct buf args = {0};
	struct buf role = {0};
	rec_text(&role, "name", "sensor");
	rig_ok(r, OP_ROLE_ADD, &role);
	rec_text(&args, "name", "pump-1");
	rec_text(&args, "kind", "pump");
	rec_text(&args, "note", "cellar");
	put_list(&args, "groups", "plant", "cellar");
	put_list(&args, "roles", "sensor", NULL);
	const struct rig_answer *a = rig_ok(r, OP_DEVICE_ADD, &args);
	assert_true(str_is(rig_str(a, "name"), "pump-1"));
	assert_true(str_is(rig_str(a, "kind"), "pump"));
	assert_true(str_is(rig_str(a, "note"), "cellar"));
	assert_true(str_is(rig_str(a, "created_by"), "uid 0 (control socket)"));
	assert_int_equal(rig_str(a, "uuid").n, 36);
	assert_int_equal(rig_count(a, "groups"), 2);
	assert_int_equal(rig_count(a, "roles"), 1);
	assert_true(rig_bool(a, "enabled"));
	assert_false(rig_bool(a, "password"));
	assert_true(str_is(rig_str(a, "broker"), "done"));
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, false), 1);
}

static void the_broker_sees_groups_and_roles(void **state)
{
	struct rig *r = *state;
	struct buf args = {0};
	struct body_entry e;
	struct body_reg_device d;
	struct str entry;
	struct str item;
	rec_text(&args, "name", "pump-1");
	put_list(&args, "groups", "plant", "cellar");
	rig_ok(r, OP_DEVICE_ADD, &args);
	struct cur c = cur_of(buf_view(&r->entries));
	do {
		assert_true(entries_next(&c, &entry));
		assert_int_equal(body_entry_get(entry, &e), 0);
	} while (e.kind != ENTRY_DEVICE);
	assert_int_equal(body_reg_device_get(e.body, &d), 0);
	assert_true(str_is(d.name, "pump-1"));
	assert_int_equal(d.enabled, 1);
	assert_true(strs_next(&d.groups, &item) && str_is(item, "cellar"));
	assert_true(strs_next(&d.groups, &item) && str_is(item, "plant"));
	assert_false(strs_next(&d.groups, &item));
}

static struct buf one(const char *name, const char *value)
{
	struct buf args = {0};
	rec_text(&args, name, value);
	return args;
}

static void add_refuses(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "no blanks");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "name",
		    "\"no blanks\" is no name of a device: allowed are 1 to 64 of");
	rig_add_device(r, "pump-1");
	a = one("name", "pump-1");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_CONFLICT, "name", "there is a device \"pump-1\"");
	a = one("name", "pump-2");
	rec_text(&a, "password", "short");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "password",
		    "the password has 5 bytes; allowed are 8 to 511");
	a = one("name", "pump-2");
	put_list(&a, "roles", "nobody", NULL);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "roles", "there is no role \"nobody\"");
	a = one("name", "pump-2");
	put_list(&a, "groups", "a/b", NULL);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "groups", "\"a/b\" is no name of a group");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 1);
}

static void arguments_are_judged(void **state)
{
	struct rig *r = *state;
	char long_name[70];
	struct buf a = {0};
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "name", "name is missing: device name");
	a = one("name", "x");
	rec_int(&a, "kind", 5);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "kind", "kind must be a string");
	a = one("name", "x");
	rec_text(&a, "colour", "red");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "colour",
		    "device.add takes no argument \"colour\"");
	a = one("name", "x");
	rec_text(&a, "name", "y");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "name", "name is given twice");
	memset(long_name, 'x', 69);
	long_name[69] = 0;
	a = one("name", long_name);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "name", "name has 69 bytes; allowed are 64");
	a = one("name", "\xff");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "name", "name is not UTF-8");
	a = one("name", "x");
	rec_text(&a, "groups", "plant");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "groups", "must be a list of strings");
	a = (struct buf){0};
	rec_int(&a, "limit", 1001);
	rig_refused(r, OP_DEVICE_LIST, &a, OP_INVALID, "limit",
		    "limit is 1001; allowed is 0 to 1000");
	a = (struct buf){0};
	rec_int(&a, "limit", 0);
	rig_refused(r, OP_DEVICE_LIST, &a, OP_INVALID, "limit", "allowed is 1 to 1000");
	a = one("name", "x");
	rec_bytes(&a, "csr", STR("0"));
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "csr", "takes no argument");
}

static void set_changes_and_tells(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	struct buf a = one("name", "pump-1");
	rec_bool(&a, "enabled", false);
	rec_text(&a, "note", "out of order");
	r->closes = 2;
	const unsigned before = r->deltas;
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_SET, &a);
	assert_false(rig_bool(answer, "enabled"));
	assert_int_equal(rig_int(answer, "sessions_closed"), 2);
	assert_int_equal(r->deltas, before + 1);
	assert_int_equal(rig_sql(r, "SELECT enabled FROM device WHERE note = 'out of order'"), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM revision WHERE kind = 'device' AND "
				    "before IS NOT NULL AND after IS NOT NULL"),
			 1);
}

static void set_refuses(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "ghost");
	rig_refused(r, OP_DEVICE_SET, &a, OP_NOT_FOUND, "name", "there is no device \"ghost\"");
	rig_add_device(r, "pump-1");
	a = one("name", "pump-1");
	rig_refused(r, OP_DEVICE_SET, &a, OP_INVALID, "", "nothing to change");
}

static void groups_are_replaced(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "pump-1");
	put_list(&a, "groups", "plant", "cellar");
	rig_ok(r, OP_DEVICE_ADD, &a);
	a = one("name", "pump-1");
	put_list(&a, "groups", "attic", NULL);
	rig_ok(r, OP_DEVICE_SET, &a);
	const struct rig_answer *answer = rig_op1(r, OP_DEVICE_SHOW, "name", "pump-1");
	assert_int_equal(rig_count(answer, "groups"), 1);
	a = one("group", "plant");
	assert_int_equal(rig_count(rig_ok(r, OP_DEVICE_LIST, &a), "items"), 0);
	a = one("group", "attic");
	assert_int_equal(rig_count(rig_ok(r, OP_DEVICE_LIST, &a), "items"), 1);
}

static void too_many_groups_are_refused(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "pump-1");
	rec_list(&a, "groups");
	for (int i = 0; i < 33; i++) {
		char name[8];
		snprintf(name, sizeof(name), "g%d", i);
		rec_text(&a, "", name);
	}
	rec_end(&a);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "groups", "more than 32 entries");
}

static void list_pages_by_name(void **state)
{
	struct rig *r = *state;
	for (int i = 0; i < 5; i++) {
		char name[8];
		snprintf(name, sizeof(name), "d%d", i);
		rig_add_device(r, name);
	}
	struct buf a = {0};
	rec_int(&a, "limit", 2);
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 2);
	assert_true(str_is(rig_field(rig_item(answer, "items", 1), "name"), "d1"));
	AUTO_CHAR next = str_dup(rig_str(answer, "next"));
	a = one("after", next);
	rec_int(&a, "limit", 3);
	answer = rig_ok(r, OP_DEVICE_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 3);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "name"), "d2"));
	struct rec_value v;
	assert_false(rec_find(buf_view(&answer->result), "next", &v)); /* null */
}

static void list_matches_part_of_the_name(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "Pump-1");
	rig_add_device(r, "panel");
	rig_add_device(r, "pump_2");
	assert_int_equal(rig_count(rig_op1(r, OP_DEVICE_LIST, "match", "pump"), "items"), 2);
	assert_int_equal(rig_count(rig_op1(r, OP_DEVICE_LIST, "match", "P_"), "items"), 1);
	assert_int_equal(rig_count(rig_op1(r, OP_DEVICE_LIST, "match", "p%p"), "items"), 0);
	assert_int_equal(rig_count(rig_op1(r, OP_DEVICE_LIST, "match", "\\"), "items"), 0);
	assert_int_equal(rig_count(rig_op1(r, OP_DEVICE_LIST, "match", ""), "items"), 3);
}

/* The names of all pages of two, behind each other. */
static void listed(struct rig *r, const char *sort, const char *order, const char *expected)
{
	AUTO_BUF names = {0};
	AUTO_BUF after = {0};
	for (;;) {
		struct rec_value next;
		struct buf a = one("sort", sort);
		rec_text(&a, "order", order);
		rec_int(&a, "limit", 2);
		rec_str(&a, "after", buf_view(&after));
		const struct rig_answer *answer = rig_ok(r, OP_DEVICE_LIST, &a);
		for (size_t i = 0; i < rig_count(answer, "items"); i++) {
			buf_str(&names, rig_field(rig_item(answer, "items", i), "name"));
			buf_putc(&names, ' ');
		}
		if (!rec_find(buf_view(&answer->result), "next", &next))
			break;
		after.n = 0;
		buf_str(&after, next.text);
	}
	buf_putc(&names, 0);
	assert_string_equal(names.p, expected);
}

static void list_is_sorted_over_its_pages(void **state)
{
	struct rig *r = *state;
	const char *const names[] = {"b", "a", "e", "c", "d"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		rig_add_with_key(r, names[i], names[i]);
	sql_script(r->store.registry,
		   "UPDATE device SET kind = 'pump' WHERE name IN ('a', 'd');"
		   "UPDATE device SET kind = '' WHERE name = 'e';"
		   "UPDATE device SET kind = 'fan 2' WHERE name IN ('b', 'c');"
		   "UPDATE device SET created = 7 - unicode(name) % 3;"
		   "UPDATE cert SET not_after = 9000000000 + device_id % 3 WHERE device_id > 0");
	listed(r, "name", "asc", "a b c d e ");
	listed(r, "name", "desc", "e d c b a ");
	listed(r, "kind", "asc", "e b c a d ");
	listed(r, "kind", "desc", "d a c b e ");
	listed(r, "created", "asc", "b e a d c ");
	listed(r, "created", "desc", "c d a e b ");
	listed(r, "certificate", "asc", "e b c a d ");
	listed(r, "certificate", "desc", "d a c b e ");
}

/* By way of operations: whatever changes a certificate, the order follows. */
static void a_device_without_a_certificate_is_last(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "a");
	rig_add_with_key(r, "b", "key b");
	rig_add_with_key(r, "c", "key c");
	listed(r, "certificate", "asc", "b c a ");
	listed(r, "certificate", "desc", "a c b ");
	struct rec_value end;
	assert_true(rec_find(rig_item(rig_op1(r, OP_DEVICE_LIST, "match", "b"), "items", 0),
			     "certificate_end", &end) &&
		    end.kind == REC_TIME);
	assert_false(rec_find(rig_item(rig_op1(r, OP_DEVICE_LIST, "match", "a"), "items", 0),
			      "certificate_end", &end));
	struct buf a = one("device", "b");
	rig_ok(r, OP_CERT_REVOKE, &a);
	listed(r, "certificate", "asc", "c a b ");
	sql_script(r->store.registry, "UPDATE cert SET status = 0 WHERE name = 'b'");
	listed(r, "certificate", "asc", "b c a ");
}

static void what_is_no_order_and_no_cursor_is_refused(void **state)
{
	struct rig *r = *state;
	struct buf a = one("sort", "colour");
	rig_refused(r, OP_DEVICE_LIST, &a, OP_INVALID, "sort", "allowed are name, kind");
	a = one("order", "up");
	rig_refused(r, OP_DEVICE_LIST, &a, OP_INVALID, "order", "allowed are asc and desc");
	const char *const cursors[][2] = {
		{"name", "a 1"}, {"kind", "a"}, {"created", "a"}, {"certificate", "a x"}};
	for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
		a = one("sort", cursors[i][0]);
		rec_text(&a, "after", cursors[i][1]);
		rig_refused(r, OP_DEVICE_LIST, &a, OP_INVALID, "after", "is no cursor");
	}
}

static void a_long_list_travels_in_a_memfd(void **state)
{
	struct rig *r = *state;
	sql_begin(r->store.registry);
	for (int i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "device-%04d", i);
		SQL_RUN(r->store.registry,
			"INSERT INTO device(name, uuid, created, created_by, changed) "
			"VALUES(?, ?, 1, 'test', 1)",
			sql_text(name), sql_text(name));
	}
	assert_int_equal(sql_commit(r->store.registry), 0);
	struct buf a = {0};
	rec_int(&a, "limit", 1000);
	assert_int_equal(rig_count(rig_ok(r, OP_DEVICE_LIST, &a), "items"), 1000);
}

static void remove_takes_all_of_it(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = one("effect", "allow");
	rec_text(&a, "subject", "device:pump-1");
	rec_text(&a, "action", "publish");
	rec_text(&a, "filter", "plant/#");
	rig_ok(r, OP_ACL_ADD, &a);
	const struct rig_answer *answer = rig_op1(r, OP_DEVICE_REMOVE, "name", "pump-1");
	assert_int_equal(answer->status, OP_OK);
	assert_int_equal(rig_int(answer, "certificates_revoked"), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM rule"), 0);
	assert_int_equal(rig_sql(r, "SELECT status FROM cert WHERE profile = 'device'"), 1);
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, true), 1);
	assert_int_equal(rig_entries(r, ENTRY_RULE, true), 1);
	assert_int_equal(rig_op1(r, OP_DEVICE_REMOVE, "name", "pump-1")->status, OP_NOT_FOUND);
}

static void everything_is_there_after_a_restart(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	const uint64_t seq = r->seq;
	rig_restart(r);
	assert_int_equal(r->seq, seq);
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, false), 1);
	assert_int_equal(rig_entries(r, ENTRY_CERT, false), 1);
	assert_int_equal(rig_entries(r, ENTRY_CA, false), 2);
}

static void a_silent_broker_does_not_undo(void **state)
{
	struct rig *r = *state;
	rig_unlink(r, PROCESS_BROKER);
	struct buf a = one("name", "pump-1");
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_ADD, &a);
	assert_true(str_is(rig_str(answer, "broker"), "away"));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 1);
}

static void a_broker_that_hangs_is_waited_for_two_seconds(void **state)
{
	struct rig *r = *state;
	r->broker_silent = true;
	struct buf a = one("name", "pump-1");
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_ADD, &a);
	assert_true(str_is(rig_str(answer, "broker"), "away"));
}

static void show_tells_rules_and_certificates(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = one("effect", "deny");
	rec_text(&a, "subject", "any");
	rec_text(&a, "action", "all");
	rec_text(&a, "filter", "secret/#");
	rig_ok(r, OP_ACL_ADD, &a);
	const struct rig_answer *answer = rig_op1(r, OP_DEVICE_SHOW, "name", "pump-1");
	assert_int_equal(rig_count(answer, "rules"), 1);
	assert_int_equal(rig_count(answer, "certificates"), 1);
	assert_int_equal(rig_count(answer, "clients"), 0);
	assert_int_equal(rig_int(answer, "certificate_count"), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(add_answers_the_device),
		TEST(the_broker_sees_groups_and_roles),
		TEST(add_refuses),
		TEST(arguments_are_judged),
		TEST(set_changes_and_tells),
		TEST(set_refuses),
		TEST(groups_are_replaced),
		TEST(too_many_groups_are_refused),
		TEST(list_pages_by_name),
		TEST(list_matches_part_of_the_name),
		TEST(list_is_sorted_over_its_pages),
		TEST(a_device_without_a_certificate_is_last),
		TEST(what_is_no_order_and_no_cursor_is_refused),
		TEST(a_long_list_travels_in_a_memfd),
		TEST(remove_takes_all_of_it),
		TEST(everything_is_there_after_a_restart),
		TEST(a_silent_broker_does_not_undo),
		TEST(a_broker_that_hangs_is_waited_for_two_seconds),
		TEST(show_tells_rules_and_certificates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
