/* SPDX-License-Identifier: Apache-2.0
 *
 * Events in the store: numbering, filters, waiting, suppression, a damaged file; and lines for the
 * journal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/event_line.h"
#include "tests/unit/store_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

static const struct rig_answer *list(struct rig *r, int64_t since)
{
	struct buf a = {0};
	rec_int(&a, "since", since);
	return rig_ok(r, OP_EVENT_LIST, &a);
}

static void a_change_is_an_event(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	struct buf a = {0};
	rec_text(&a, "name", "device");
	const struct rig_answer *answer = rig_ok(r, OP_EVENT_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 1);
	const struct str item = rig_item(answer, "items", 0);
	assert_true(str_is(rig_field(item, "event"), "device.added"));
	assert_true(str_is(rig_field(item, "severity"), "notice"));
	assert_true(str_is(rig_field(item, "device"), "pump-1"));
	assert_true(str_is(rig_field(item, "actor"), "uid 0 (control socket)"));
}

static void filters(void **state)
{
	struct rig *r = *state;
	rig_event(r, EVENT_CLIENT_CONNECTED, "pump-1", "10.0.0.1");
	rig_event(r, EVENT_CLIENT_DISCONNECTED, "pump-2", "10.0.0.2");
	rig_event(r, EVENT_ACL_DENIED, "pump-1", "10.0.0.1");
	struct buf a = {0};
	rec_text(&a, "name", "client");
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 2);
	rec_text(&a, "name", "acl.denied");
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 1);
	rec_text(&a, "name", "clien"); /* a prefix ends at a dot */
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 0);
	rec_text(&a, "device", "pump-1"); /* by its claimed name */
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 2);
	rec_text(&a, "severity", "warning");
	const struct rig_answer *answer = rig_ok(r, OP_EVENT_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 1);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "address"), "10.0.0.1"));
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "reason"), "because"));
}

/* Names with few and with many rows are looked for in different ways: both find the newest. */
static void filters_among_many(void **state)
{
	struct rig *r = *state;
	rig_event(r, EVENT_ACL_DENIED, "pump-1", "10.0.0.1");
	list(r, 0);
	assert_int_equal(
		sql_script(events_db(r->store.events),
			   "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE "
			   "n < 3000) INSERT INTO event(time_ms, name, severity, device, actor) "
			   "SELECT n, 'client.connected', 1, 'pump-' || n, iif(n % 2, 'pump-9', "
			   "NULL) FROM k"),
		0);
	rig_event(r, EVENT_ACL_DENIED, "pump-2", "10.0.0.2");
	struct buf a = {0};
	rec_text(&a, "name", "client");
	rec_int(&a, "last", 2);
	const struct rig_answer *answer = rig_ok(r, OP_EVENT_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 2);
	assert_true(str_is(rig_field(rig_item(answer, "items", 1), "device"), "pump-3000"));
	rec_text(&a, "name", "acl");
	answer = rig_ok(r, OP_EVENT_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 2);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "actor"), "pump-1"));
	assert_true(str_is(rig_field(rig_item(answer, "items", 1), "actor"), "pump-2"));
	/* As device once, as actor 1500 times, of which one is the same row. */
	rec_text(&a, "device", "pump-9");
	rec_int(&a, "last", 1000);
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 1000);
	rec_text(&a, "device", "pump-8");
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 1);
	rec_text(&a, "device", "pump-9");
	rec_int(&a, "since", 1);
	answer = rig_ok(r, OP_EVENT_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 1000);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "device"), "pump-1"));
}

static void refuses(void **state)
{
	struct rig *r = *state;
	struct buf a = {0};
	rec_text(&a, "severity", "loud");
	rig_refused(r, OP_EVENT_LIST, &a, OP_INVALID, "severity", "\"loud\" is no severity");
	rec_int(&a, "since", 1);
	rec_int(&a, "last", 1);
	rig_refused(r, OP_EVENT_LIST, &a, OP_INVALID, "last", "either since or last");
	rec_int(&a, "wait", 1);
	rig_refused(r, OP_EVENT_LIST, &a, OP_INVALID, "wait", "wait needs since");
}

static void following_misses_nothing(void **state)
{
	struct rig *r = *state;
	rig_event(r, EVENT_CLIENT_CONNECTED, "a", "10.0.0.1");
	rig_event(r, EVENT_CLIENT_CONNECTED, "b", "10.0.0.1");
	const struct rig_answer *answer = list(r, 0);
	const size_t n = rig_count(answer, "items");
	assert_true(n >= 2);
	const int64_t next = rig_int(answer, "next");
	assert_false(rig_bool(answer, "reset"));
	answer = list(r, next);
	assert_int_equal(rig_count(answer, "items"), 0);
	assert_int_equal(rig_int(answer, "next"), next);
	rig_event(r, EVENT_CLIENT_CONNECTED, "c", "10.0.0.1");
	answer = list(r, next);
	assert_int_equal(rig_count(answer, "items"), 1);
	assert_int_equal(rig_int(answer, "next"), next + 1);
}

static void the_newest_come_oldest_first(void **state)
{
	struct rig *r = *state;
	rig_event(r, EVENT_CLIENT_CONNECTED, "a", "10.0.0.1");
	rig_event(r, EVENT_CLIENT_CONNECTED, "b", "10.0.0.1");
	rig_event(r, EVENT_CLIENT_CONNECTED, "c", "10.0.0.1");
	struct buf a = {0};
	rec_int(&a, "last", 2);
	const struct rig_answer *answer = rig_ok(r, OP_EVENT_LIST, &a);
	assert_int_equal(rig_count(answer, "items"), 2);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "actor"), "b"));
	assert_true(str_is(rig_field(rig_item(answer, "items", 1), "actor"), "c"));
}

static bool waited;

static void wait_done(struct link_call *call, int err, struct record *reply)
{
	struct body_op_done b;
	(void)call;
	assert_int_equal(err, 0);
	assert_int_equal(body_op_done_get(reply->body, &b), 0);
	assert_int_equal(b.status, OP_OK);
	struct rec_value items;
	assert_true(rec_find(b.result, "items", &items));
	assert_true(items.text.n > 0);
	waited = true;
}

static void wait_ends_with_the_first_that_passes(void **state)
{
	struct rig *r = *state;
	const int64_t since = rig_int(list(r, 0), "next");
	AUTO_BUF args = {0};
	rec_int(&args, "since", since);
	rec_int(&args, "wait", 30000);
	rec_text(&args, "name", "acl");
	struct link_call call = {0};
	const struct body_op body = {
		.op = OP_EVENT_LIST,
		.credential_kind = CREDENTIAL_PEER,
		.credential = str_make("\0\0\0\0\0\0\0\0", 8),
		.args = buf_view(&args),
	};
	waited = false;
	LINK_ASK(r->end[PROCESS_CTL], &call, OP, op, -1, &body, 20000, wait_done);
	rig_turns(r, 5);
	rig_event(r, EVENT_CLIENT_CONNECTED, "a", "10.0.0.1");
	assert_int_equal(events_flush(r->store.events), 0);
	rig_turns(r, 5);
	assert_false(waited);
	rig_event(r, EVENT_ACL_DENIED, "a", "10.0.0.1");
	rig_until(r, &waited);
}

static void wait_ends_with_its_time(void **state)
{
	struct rig *r = *state;
	struct buf a = {0};
	rec_int(&a, "since", rig_int(list(r, 0), "next"));
	rec_int(&a, "wait", 10);
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 0);
}

static void count_too_many(struct link_call *call, int err, struct record *reply)
{
	struct body_op_done b;
	(void)call;
	if (!err && body_op_done_get(reply->body, &b) == 0)
		waited |= b.status == OP_TOO_MANY;
}

static void waiting_is_bounded(void **state)
{
	enum { CALLERS = 1100 };
	struct rig *r = *state;
	struct link_call *calls = mem_array(struct link_call, CALLERS);
	AUTO_BUF args = {0};
	rec_int(&args, "since", rig_int(list(r, 0), "next"));
	rec_int(&args, "wait", 30000);
	const struct body_op body = {
		.op = OP_EVENT_LIST,
		.credential_kind = CREDENTIAL_PEER,
		.credential = str_make("\0\0\0\0\0\0\0\0", 8),
		.args = buf_view(&args),
	};
	waited = false;
	for (int i = 0; i < CALLERS; i++)
		LINK_ASK(r->end[PROCESS_CTL], &calls[i], OP, op, -1, &body, 20000, count_too_many);
	rig_until(r, &waited);
	rig_unlink(r, PROCESS_CTL); /* ends the calls */
	free(calls);
}

static void a_flood_is_counted(void **state)
{
	struct rig *r = *state;
	const int64_t since = rig_int(list(r, 0), "next");
	for (int i = 0; i < 100; i++) {
		char address[32];
		snprintf(address, sizeof(address), "10.0.0.1:%d", 1024 + i);
		rig_event(r, EVENT_LOGIN_REFUSED, "x", address);
	}
	rig_event(r, EVENT_LOGIN_REFUSED, "y", "10.0.0.2"); /* another source is not held back */
	const struct rig_answer *answer = list(r, since);
	const size_t stored = rig_count(answer, "items");
	assert_true(stored >= 11 && stored < 40);
	assert_true(str_is(rig_field(rig_item(answer, "items", stored - 1), "actor"), "y"));
	/* once a second, how many were not */
	struct buf a = {0};
	rec_int(&a, "since", rig_int(answer, "next"));
	rec_int(&a, "wait", 5000);
	answer = rig_ok(r, OP_EVENT_LIST, &a);
	const struct str item = rig_item(answer, "items", 0);
	assert_true(str_is(rig_field(item, "event"), "login.refused"));
	assert_true(str_prefix(rig_field(item, "address"), STR("10.0.0.1")));
	int64_t n;
	assert_true(rec_get_int(rig_field(item, "detail"), "suppressed", &n));
	assert_true(n > 50);
}

static void numbers_go_on_after_a_restart(void **state)
{
	struct rig *r = *state;
	rig_event(r, EVENT_CLIENT_CONNECTED, "a", "10.0.0.1");
	const int64_t next = rig_int(list(r, 0), "next");
	rig_restart(r);
	rig_event(r, EVENT_CLIENT_CONNECTED, "b", "10.0.0.1");
	assert_int_equal(rig_count(list(r, next), "items"), 1);
}

static void a_number_from_the_future_starts_again(void **state)
{
	struct rig *r = *state;
	rig_event(r, EVENT_CLIENT_CONNECTED, "a", "10.0.0.1");
	const struct rig_answer *answer = list(r, 1000000);
	assert_true(rig_bool(answer, "reset"));
	assert_int_equal(rig_count(answer, "items"), 1);
}

static void spoil(const struct rig *r, const char *name, off_t at)
{
	AUTO_CHAR path = mem_printf("%s/%s", r->dir, name);
	AUTO_FD fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	char junk[8192];
	memset(junk, 0x5a, sizeof(junk));
	assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
}

static void a_damaged_file_is_set_aside(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	rig_close(r);
	spoil(r, "events.db", 0);
	rig_open(r);
	struct buf a = {0};
	rec_text(&a, "name", "database.set-aside");
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 1);
}

static void the_old_are_forgotten(void **state)
{
	struct rig *r = *state;
	struct sql *db = events_db(r->store.events);
	rig_event(r, EVENT_CLIENT_CONNECTED, "a", "10.0.0.1");
	assert_int_equal(events_flush(r->store.events), 0);
	SQL_RUN(db, "UPDATE event SET time_ms = 1000");
	rig_event(r, EVENT_CLIENT_CONNECTED, "b", "10.0.0.1");
	assert_int_equal(events_flush(r->store.events), 0);
	events_purge(r->store.events);
	int64_t n = 0;
	SQL_GET_INT(db, &n, "SELECT count(*) FROM event");
	assert_int_equal(n, 1);
	events_set_purge(r->store.events, false); /* the clock is wrong: nothing is forgotten */
	SQL_RUN(db, "UPDATE event SET time_ms = 1000");
	events_purge(r->store.events);
	SQL_GET_INT(db, &n, "SELECT count(*) FROM event");
	assert_int_equal(n, 1);
}

static void a_malformed_batch_breaks_the_link(void **state)
{
	struct rig *r = *state;
	const struct body_events body = {STR("\x01\0\0\0?")};
	LINK_SEND(r->end[PROCESS_BROKER], EVENTS, events, 0, -1, &body);
	rig_turns(r, 5);
	assert_null(r->store.peer[PROCESS_BROKER].link);
}

static void lines(void **state)
{
	AUTO_BUF detail = {0};
	AUTO_BUF line = {0};
	(void)state;
	rec_text(&detail, "topic", "plant/a b");
	rec_int(&detail, "rule", 12);
	rec_bytes(&detail, "serial", STR("\x0a\xff"));
	const struct body_event e = {
		.event = EVENT_ACL_DENIED,
		.actor = STR("pump-2"),
		.client_id = STR("one"),
		.address = STR("10.0.0.7"),
		.reason = STR("say \"no\""),
		.detail = buf_view(&detail),
	};
	event_line(&line, &e, STR("pump-2"));
	assert_string_equal(buf_cstr(&line),
			    "acl.denied device=pump-2 address=10.0.0.7 reason=\"say \\\"no\\\"\" "
			    "client-id=one topic=\"plant/a b\" rule=12 serial=0aff");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_change_is_an_event),
		TEST(filters),
		TEST(filters_among_many),
		TEST(refuses),
		TEST(following_misses_nothing),
		TEST(the_newest_come_oldest_first),
		TEST(wait_ends_with_the_first_that_passes),
		TEST(wait_ends_with_its_time),
		TEST(waiting_is_bounded),
		TEST(a_flood_is_counted),
		TEST(numbers_go_on_after_a_restart),
		TEST(a_number_from_the_future_starts_again),
		TEST(a_damaged_file_is_set_aside),
		TEST(the_old_are_forgotten),
		TEST(a_malformed_batch_breaks_the_link),
		cmocka_unit_test(lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
