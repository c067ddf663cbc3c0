/* SPDX-License-Identifier: Apache-2.0
 *
 * When devices were last connected: what the broker tells, what is written and when, what is left
 * after a crash; and the lists that are ordered and narrowed by it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

enum { DAY = 86400 };

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

/* ---- what the broker tells ---- */

static void put_came(struct buf *list, uint64_t handle, uint64_t device, const char *address)
{
	const struct body_client client = {
		.handle = handle,
		.device_id = device,
		.client_id = STR("c"),
		.address = str_of(address),
		.listener = STR("mqtts"),
		.protocol = STR("MQTT 5.0"),
		.tls = STR("TLS 1.3 AES-128-GCM"),
	};
	ENTRIES_PUT(list, client, &client);
}

static void put_gone(struct buf *list, uint64_t handle)
{
	const struct body_client client = {.handle = handle, .gone = 1};
	ENTRIES_PUT(list, client, &client);
}

static void tell(struct rig *r, struct buf *list, bool reset)
{
	const struct body_presence body = {reset, buf_view(list)};
	LINK_SEND(r->end[PROCESS_BROKER], PRESENCE, presence, 0, -1, &body);
	rig_turns(r, 3);
	buf_fini(list);
}

static void came(struct rig *r, uint64_t handle, uint64_t device)
{
	struct buf list = {0};
	put_came(&list, handle, device, "10.0.0.1:50123");
	tell(r, &list, false);
}

static void gone(struct rig *r, uint64_t handle)
{
	struct buf list = {0};
	put_gone(&list, handle);
	tell(r, &list, false);
}

/* ---- what is answered ---- */

static struct str shown(struct rig *r, const char *device, const char *field)
{
	struct rec_value v;
	const struct rig_answer *a = rig_op1(r, OP_DEVICE_SHOW, "name", device);
	assert_int_equal(a->status, OP_OK);
	if (!rec_find(buf_view(&a->result), field, &v))
		return STR("null");
	return v.text;
}

static void assert_shown(struct rig *r, const char *device, const char *field, const char *value)
{
	const struct str s = shown(r, device, field);
	AUTO_CHAR text = str_dup(s);
	assert_string_equal(text, value);
}

/* Seconds; -1: never. */
static int64_t last_seen(struct rig *r, const char *device)
{
	struct rec_value v;
	const struct rig_answer *a = rig_op1(r, OP_DEVICE_SHOW, "name", device);
	if (!rec_find(buf_view(&a->result), "last_seen", &v))
		return -1;
	assert_int_equal(v.kind, REC_TIME);
	return v.number / 1000;
}

static void assert_now(int64_t seconds)
{
	assert_in_range(seconds, clock_wall() - 60, clock_wall() + 1);
}

static int64_t stored(struct rig *r)
{
	return rig_sql(r, "SELECT seen FROM device WHERE id = 1");
}

static void a_device_that_comes_is_seen(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	assert_shown(r, "pump-1", "state", "never");
	assert_shown(r, "pump-1", "last_address", "null");
	assert_int_equal(last_seen(r, "pump-1"), -1);
	came(r, 1, 1);
	/* told at once, written later */
	assert_shown(r, "pump-1", "state", "connected");
	assert_shown(r, "pump-1", "last_address", "10.0.0.1");
	assert_int_equal(stored(r), 0);
	assert_true(seen_write(&r->store));
	assert_true(stored(r) == SEEN_NOW);
	assert_shown(r, "pump-1", "last_address", "10.0.0.1");
	assert_shown(r, "pump-1", "last_listener", "mqtts");
	assert_shown(r, "pump-1", "last_protocol", "MQTT 5.0");
	assert_shown(r, "pump-1", "last_tls", "TLS 1.3 AES-128-GCM");
	assert_now(last_seen(r, "pump-1"));
}

static void a_device_that_goes_was_seen(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	came(r, 1, 1);
	seen_write(&r->store);
	gone(r, 1);
	assert_shown(r, "pump-1", "state", "away");
	seen_write(&r->store);
	assert_now(stored(r));
	assert_shown(r, "pump-1", "state", "away");
	assert_shown(r, "pump-1", "last_address", "10.0.0.1");
	assert_now(last_seen(r, "pump-1"));
}

/* A sensor that wakes up for less than a second. */
static void one_that_came_and_went_at_once_was_seen(void **state)
{
	struct rig *r = *state;
	struct buf list = {0};
	rig_add_with_key(r, "pump-1", "key one");
	put_came(&list, 1, 1, "[2001:db8::7]:50123");
	put_gone(&list, 1);
	tell(r, &list, false);
	seen_write(&r->store);
	assert_shown(r, "pump-1", "state", "away");
	assert_shown(r, "pump-1", "last_address", "2001:db8::7");
	assert_now(stored(r));
}

static void the_last_of_several_connections_counts(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	came(r, 1, 1);
	struct buf list = {0};
	put_came(&list, 2, 1, "10.0.0.2:1883");
	tell(r, &list, false);
	gone(r, 1);
	seen_write(&r->store);
	assert_shown(r, "pump-1", "state", "connected");
	assert_shown(r, "pump-1", "last_address", "10.0.0.2");
	assert_true(stored(r) == SEEN_NOW);
	gone(r, 2);
	seen_write(&r->store);
	assert_now(stored(r));
}

static void it_is_no_change_of_the_device(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	sql_script(r->store.registry, "UPDATE device SET changed = 7");
	const int64_t version = rig_int(rig_op1(r, OP_DEVICE_SHOW, "name", "pump-1"), "version");
	const int64_t audit = rig_sql(r, "SELECT count(*) FROM audit");
	const unsigned deltas = r->deltas;
	came(r, 1, 1);
	seen_write(&r->store);
	gone(r, 1);
	seen_write(&r->store);
	assert_int_equal(rig_int(rig_op1(r, OP_DEVICE_SHOW, "name", "pump-1"), "version"), version);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit"), audit);
	assert_int_equal(rig_sql(r, "SELECT changed FROM device"), 7);
	assert_int_equal(r->deltas, deltas);
}

static void the_state_of_a_gateway_has_none_of_it(void **state)
{
	struct rig *r = *state;
	struct rec_value v;
	rig_add_with_key(r, "pump-1", "key one");
	came(r, 1, 1);
	seen_write(&r->store);
	const struct str device = rig_item(rig_op0(r, OP_STATE_SHOW), "devices", 0);
	assert_true(str_is(rig_field(device, "name"), "pump-1"));
	static const char *const fields[] = {"state", "seen", "last_seen", "last_address"};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		assert_false(rec_find(device, fields[i], &v));
}

/* ---- how it is written ---- */

static void add_many(struct rig *r, int n)
{
	sql_begin(r->store.registry);
	for (int i = 0; i < n; i++) {
		char name[16];
		snprintf(name, sizeof(name), "d%04d", i);
		SQL_RUN(r->store.registry,
			"INSERT INTO device(name, uuid, created, created_by, changed) "
			"VALUES(?, ?, 1, 'test', 1)",
			sql_text(name), sql_text(name));
	}
	assert_int_equal(sql_commit(r->store.registry), 0);
	rig_turns(r, 1); /* the loop's clock stood still meanwhile, and a question has its time from
			    it */
}

static void many_are_written_at_once(void **state)
{
	struct rig *r = *state;
	struct buf list = {0};
	add_many(r, SEEN_AT_ONCE + 1);
	/* each of them twice: it is one row all the same */
	for (uint64_t i = 1; i <= SEEN_AT_ONCE + 1; i++) {
		put_came(&list, 2 * i, i, "10.0.0.1:1");
		put_gone(&list, 2 * i);
		put_came(&list, 2 * i + 1, i, "10.0.0.2:1");
		if (i % 100 == 0 || i == SEEN_AT_ONCE + 1)
			tell(r, &list, false);
	}
	assert_int_equal(r->store.seen.waiting.n, SEEN_AT_ONCE + 1);
	assert_true(seen_write(&r->store));
	assert_int_equal(r->store.seen.waiting.n, 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device WHERE state = 0"), SEEN_AT_ONCE);
	assert_true(seen_write(&r->store));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device WHERE state = 0"),
			 SEEN_AT_ONCE + 1);
}

static void nothing_is_written_twice(void **state)
{
	struct rig *r = *state;
	struct buf list = {0};
	rig_add_with_key(r, "pump-1", "key one");
	came(r, 1, 1);
	seen_write(&r->store);
	sql_script(r->store.registry, "CREATE TRIGGER never BEFORE UPDATE OF seen ON device BEGIN "
				      "SELECT RAISE(ABORT, 'written again'); END");
	put_came(&list, 1, 1, "10.0.0.1:50123");
	tell(r, &list, true); /* a new link to the same broker */
	assert_int_equal(r->store.seen.waiting.n, 1);
	assert_true(seen_write(&r->store));
	assert_int_equal(r->store.seen.waiting.n, 0);
}

static void what_could_not_be_written_waits(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	sql_script(r->store.registry, "CREATE TRIGGER full BEFORE UPDATE OF seen ON device BEGIN "
				      "SELECT RAISE(ABORT, 'no room'); END");
	came(r, 1, 1);
	assert_false(seen_write(&r->store));
	assert_int_equal(r->store.seen.waiting.n, 1);
	sql_script(r->store.registry, "DROP TRIGGER full");
	assert_true(seen_write(&r->store));
	assert_true(stored(r) == SEEN_NOW);
}

static void strangers_to_the_registry_are_nothing(void **state)
{
	struct rig *r = *state;
	came(r, 1, 0);
	assert_int_equal(r->store.seen.waiting.n, 0);
	came(r, 2, 12345);
	assert_true(seen_write(&r->store));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
}

/* ---- ends ---- */

static void a_broker_that_ends_takes_all_with_it(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	came(r, 1, 1);
	seen_write(&r->store);
	rig_unlink(r, PROCESS_BROKER);
	assert_shown(r, "pump-1", "state", "away");
	seen_write(&r->store);
	assert_now(stored(r));
}

static void a_store_that_stops_writes_it_down(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	rig_add_with_key(r, "pump-2", "key two");
	came(r, 1, 1);
	seen_write(&r->store);
	came(r, 2, 2); /* which waits */
	rig_restart(r);
	assert_now(stored(r));
	assert_shown(r, "pump-1", "state", "away");
	assert_shown(r, "pump-2", "state", "away");
	assert_shown(r, "pump-2", "last_address", "10.0.0.1");
	assert_now(last_seen(r, "pump-2"));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device WHERE state = 1"), 2);
}

/* As after a crash: the file still says that it is connected. */
static void after_a_crash_it_was_seen_when_the_store_last_lived(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	came(r, 1, 1);
	seen_write(&r->store);
	assert_now(rig_sql(r, "SELECT value FROM meta WHERE name = 'seen-alive'"));
	sql_script(r->store.registry, "UPDATE meta SET value = 1700000000 WHERE name = "
				      "'seen-alive'");
	gone(r, 1);
	map_fini(&r->store.presence.devices);
	seen_start(&r->store);
	assert_int_equal(stored(r), 1700000000);
	assert_int_equal(rig_sql(r, "SELECT state FROM device"), SEEN_AWAY);
}

/* ---- lists ---- */

struct query {
	const char *sort;
	const char *order;
	const char *state;
	const char *kind;
};

/* The names of all pages of two, behind each other. */
static void assert_listed(struct rig *r, const struct query *q, const char *expected)
{
	AUTO_BUF names = {0};
	AUTO_BUF after = {0};
	for (;;) {
		struct rec_value next;
		struct buf a = one("sort", q->sort ? q->sort : "name");
		rec_text(&a, "order", q->order ? q->order : "asc");
		rec_text(&a, "state", q->state ? q->state : "");
		rec_text(&a, "kind", q->kind ? q->kind : "");
		rec_int(&a, "limit", 2);
		rec_str(&a, "after", buf_view(&after));
		const struct rig_answer *answer = rig_ok(r, OP_DEVICE_LIST, &a);
		for (size_t i = 0; i < rig_count(answer, "items"); i++)
			buf_str(&names, rig_field(rig_item(answer, "items", i), "name"));
		if (!rec_find(buf_view(&answer->result), "next", &next))
			break;
		after.n = 0;
		buf_str(&after, next.text);
	}
	buf_putc(&names, 0);
	assert_string_equal(names.p, expected);
}

#define LISTED(r, expected, ...) assert_listed(r, &(const struct query){__VA_ARGS__}, expected)

/* Devices a to f: a never seen, b connected, c and d away (c longer), e disabled, f barred. */
static void add_six(struct rig *r)
{
	rig_add_with_key(r, "a", "key a");
	rig_add_with_key(r, "b", "key b");
	rig_add_with_key(r, "c", "key c");
	rig_add_with_key(r, "d", "key d");
	rig_add_with_key(r, "e", "key e");
	rig_add_device(r, "f");
	sql_script(r->store.registry,
		   "UPDATE device SET kind = 'pump' WHERE name IN ('a', 'c', 'e');"
		   "UPDATE device SET kind = 'fan' WHERE name IN ('b', 'd', 'f');"
		   "UPDATE device SET enabled = 0 WHERE name = 'e';"
		   "UPDATE device SET seen = 1700000000 WHERE name = 'c';"
		   "UPDATE device SET seen = 1700000001 WHERE name = 'd'");
	came(r, 1, 2);
	seen_write(&r->store);
}

static void lists_are_sorted(void **state)
{
	struct rig *r = *state;
	add_six(r);
	LISTED(r, "aefcdb", .sort = "seen");
	LISTED(r, "bdcfea", .sort = "seen", .order = "desc");
	LISTED(r, "bcdafe", .sort = "state");
	LISTED(r, "efadcb", .sort = "state", .order = "desc");
}

static void lists_are_narrowed(void **state)
{
	struct rig *r = *state;
	static const char *const sorts[] = {"name",        "kind", "created",
					    "certificate", "seen", "state"};
	add_six(r);
	LISTED(r, "b", .state = "connected");
	LISTED(r, "cd", .state = "away");
	LISTED(r, "a", .state = "never");
	LISTED(r, "f", .state = "barred");
	LISTED(r, "e", .state = "disabled");
	LISTED(r, "ace", .kind = "pump");
	LISTED(r, "c", .kind = "pump", .state = "away");
	LISTED(r, "dc", .sort = "seen", .order = "desc", .state = "away");
	LISTED(r, "aec", .sort = "seen", .kind = "pump");
	LISTED(r, "dc", .sort = "kind", .state = "away");
	for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
		LISTED(r, "b", .sort = sorts[i], .state = "connected");
		LISTED(r, "d", .sort = sorts[i], .order = "desc", .state = "away", .kind = "fan");
		LISTED(r, "", .sort = sorts[i], .kind = "no such kind");
	}
	struct buf a = one("state", "asleep");
	rig_refused(r, OP_DEVICE_LIST, &a, OP_INVALID, "state",
		    "\"asleep\" is no state of a device; allowed are connected, away, never, "
		    "barred, disabled");
}

/* Where many fit, the rows come from another index: see op_device_list.c. */
static void long_lists_are_narrowed(void **state)
{
	struct rig *r = *state;
	add_many(r, 6000);
	sql_script(r->store.registry,
		   "UPDATE device SET verifier = 'x', kind = 'pump', created = 10000 - id;"
		   "UPDATE device SET seen = 1700000000 + id WHERE id > 5500;"
		   "UPDATE device SET kind = 'fan' WHERE id % 1000 = 7");
	rig_turns(r, 1);
	struct buf a = one("sort", "created");
	rec_text(&a, "state", "never");
	rec_int(&a, "limit", 1);
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_LIST, &a);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "name"), "d5499"));
	LISTED(r, "d0006d1006d2006d3006d4006d5006", .kind = "fan");
	LISTED(r, "d5006d4006d3006d2006d1006d0006", .sort = "created", .kind = "fan");
	LISTED(r, "d0006d1006d2006d3006d4006d5006", .kind = "fan", .state = "never");
	LISTED(r, "d5006d4006d3006d2006d1006d0006", .sort = "created", .kind = "fan",
	       .state = "never");
}

static void total_is(struct rig *r, const char *filter, const char *value, int64_t limit,
		     int64_t expected)
{
	struct buf a = one(filter, value);
	struct rec_value v;
	rec_bool(&a, "count", true);
	rec_int(&a, "limit", limit);
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_LIST, &a);
	if (expected < 0)
		assert_false(rec_find(buf_view(&answer->result), "total", &v));
	else
		assert_int_equal(rig_int(answer, "total"), expected);
}

static void the_first_page_says_how_many_fit(void **state)
{
	struct rig *r = *state;
	struct rec_value v;
	add_six(r);
	for (int64_t limit = 1; limit <= 10; limit += 9) {
		total_is(r, "match", "", limit, 6);
		total_is(r, "match", "c", limit, 1);
		total_is(r, "state", "away", limit, 2);
		total_is(r, "kind", "pump", limit, 3);
		total_is(r, "group", "nowhere", limit, 0);
	}
	total_is(r, "after", "a", 1, -1);
	assert_false(rec_find(buf_view(&rig_op0(r, OP_DEVICE_LIST)->result), "total", &v));
	add_many(r, 10000);
	total_is(r, "match", "", 1, 10006);
	total_is(r, "state", "barred", 1, 10001);
	total_is(r, "match", "d0", 1, 1000);
	total_is(r, "match", "d", 1, -1); /* 10001 */
}

/* ---- the state follows ---- */

/* Of a device, as it is shown and as it is stored. */
static void assert_state(struct rig *r, const char *device, const char *expected)
{
	assert_shown(r, device, "state", expected);
	LISTED(r, device, .state = expected);
}

static void fingerprint_of(struct rig *r, const char *device, char out[65])
{
	struct buf a = one("device", device);
	const struct rig_answer *list = rig_ok(r, OP_CERT_LIST, &a);
	const struct str fp = rig_field(rig_item(list, "items", 0), "fingerprint");
	hex_encode(fp.p, fp.n, out);
}

static void the_state_follows_every_change(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "d");
	assert_state(r, "d", "barred");
	struct buf a = one("name", "d");
	rec_text(&a, "password", "a password");
	rig_ok(r, OP_DEVICE_SET, &a);
	assert_state(r, "d", "never");
	a = one("name", "d");
	rec_bool(&a, "enabled", false);
	rig_ok(r, OP_DEVICE_SET, &a);
	assert_state(r, "d", "disabled");
	a = one("name", "d");
	rec_bool(&a, "enabled", true);
	rec_text(&a, "password", "");
	rig_ok(r, OP_DEVICE_SET, &a);
	assert_state(r, "d", "barred");
	a = one("name", "d");
	rig_ok(r, OP_DEVICE_REMOVE, &a);
	rig_add_with_key(r, "d", "key d");
	assert_state(r, "d", "never");
	char id[65];
	fingerprint_of(r, "d", id);
	a = one("id", id);
	rig_ok(r, OP_CERT_HOLD, &a);
	assert_state(r, "d", "barred");
	a = one("id", id);
	rig_ok(r, OP_CERT_RELEASE, &a);
	assert_state(r, "d", "never");
	sql_script(r->store.registry, "UPDATE ca SET state = 'compromised'");
	assert_state(r, "d", "barred");
	sql_script(r->store.registry, "UPDATE ca SET state = 'active'");
	assert_state(r, "d", "never");
	a = one("device", "d");
	rig_ok(r, OP_CERT_REVOKE, &a);
	assert_state(r, "d", "barred");
}

static void the_state_follows_the_time(void **state)
{
	struct rig *r = *state;
	char script[128];
	rig_add_with_key(r, "d", "key d");
	rig_add_with_key(r, "x", "key x");
	sql_script(r->store.registry, "UPDATE device SET enabled = 0 WHERE name = 'x'");
	assert_state(r, "d", "never");
	/* Its certificate ended a day ago, and nothing changed it since. */
	snprintf(script, sizeof(script), "UPDATE cert SET not_after = %lld WHERE name = 'd'",
		 (long long)(timefloor_now(&r->store.floor) - DAY));
	sql_script(r->store.registry, "UPDATE meta SET value = 0 WHERE name = 'state-cutoff'");
	sql_script(r->store.registry, script);
	assert_int_equal(rig_sql(r, "SELECT state FROM device WHERE name = 'd'"), SEEN_NEVER);
	assert_state(r, "d", "barred");
	/* With a time of grace it counts again. */
	expiry_set(&r->store, 2 * DAY);
	assert_state(r, "d", "never");
	expiry_set(&r->store, 0);
	assert_state(r, "d", "barred");
	expiry_set(&r->store, INT64_MAX);
	assert_state(r, "d", "never");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_device_that_comes_is_seen),
		TEST(a_device_that_goes_was_seen),
		TEST(one_that_came_and_went_at_once_was_seen),
		TEST(the_last_of_several_connections_counts),
		TEST(it_is_no_change_of_the_device),
		TEST(the_state_of_a_gateway_has_none_of_it),
		TEST(many_are_written_at_once),
		TEST(nothing_is_written_twice),
		TEST(what_could_not_be_written_waits),
		TEST(strangers_to_the_registry_are_nothing),
		TEST(a_broker_that_ends_takes_all_with_it),
		TEST(a_store_that_stops_writes_it_down),
		TEST(after_a_crash_it_was_seen_when_the_store_last_lived),
		TEST(lists_are_sorted),
		TEST(lists_are_narrowed),
		TEST(long_lists_are_narrowed),
		TEST(the_first_page_says_how_many_fit),
		TEST(the_state_follows_every_change),
		TEST(the_state_follows_the_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
