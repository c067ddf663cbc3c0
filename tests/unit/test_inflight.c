/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages under way to a client: order, window, identifiers, what a reconnect does, expiry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/broker/inflight.h"

static const struct subscription_ids no_ids = {NULL, 0};

static struct msg *message(const char *payload, uint32_t expiry_s)
{
	struct props props = props_none;
	if (expiry_s) {
		props.message_expiry_interval = expiry_s;
		props_mark(&props, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
	}
	const struct msg_parts parts = {
		.topic = STR("t"), .payload = str_of(payload), .props = &props, .qos = 1};
	return msg_new(&parts);
}

static void push(struct inflight *f, const char *payload)
{
	AUTO(msg) m = message(payload, 0);
	inflight_push(f, m, 1, false, no_ids, false);
}

static struct delivery *next(struct inflight *f, uint32_t window)
{
	uint64_t expired = 0;
	struct delivery *d = inflight_next(f, window, 0, &expired);
	assert_int_equal(expired, 0);
	return d;
}

static void test_window_and_order(void **state)
{
	(void)state;
	struct inflight f;
	inflight_init(&f);
	push(&f, "a");
	push(&f, "b");
	push(&f, "c");
	struct delivery *a = next(&f, 2);
	struct delivery *b = next(&f, 2);
	assert_true(str_is(a->msg->shared.payload, "a"));
	assert_true(str_is(b->msg->shared.payload, "b"));
	assert_int_equal(a->packet_id, 1);
	assert_int_equal(b->packet_id, 2);
	assert_null(next(&f, 2));
	assert_ptr_equal(inflight_find(&f, 2), b);
	inflight_done(&f, b);
	assert_null(inflight_find(&f, 2));
	assert_true(str_is(next(&f, 2)->msg->shared.payload, "c"));
	assert_int_equal(f.waiting_n, 0);
	assert_int_equal(f.waiting_bytes, 0);
	inflight_fini(&f);
}

static void test_restart_keeps_order_and_identifiers(void **state)
{
	(void)state;
	struct inflight f;
	inflight_init(&f);
	for (char c = 'a'; c <= 'e'; c++)
		push(&f, (char[]){c, 0});
	for (int i = 0; i < 3; i++)
		assert_non_null(next(&f, 3));
	inflight_done(&f, inflight_find(&f, 1));
	inflight_restart(&f);
	assert_int_equal(f.waiting_n, 4);
	/* What waits to be sent again is not under way: an early answer finds nothing. */
	assert_null(inflight_find(&f, 2));
	struct delivery *d = next(&f, 10);
	assert_true(str_is(d->msg->shared.payload, "b"));
	assert_int_equal(d->packet_id, 2);
	assert_true(d->dup);
	d = next(&f, 10);
	assert_int_equal(d->packet_id, 3);
	d = next(&f, 10);
	assert_true(str_is(d->msg->shared.payload, "d"));
	assert_int_equal(d->packet_id, 4);
	assert_false(d->dup);
	inflight_fini(&f);
}

static void test_released_stays_released(void **state)
{
	(void)state;
	struct inflight f;
	AUTO(msg) m = message("x", 0);
	inflight_init(&f);
	inflight_push(&f, m, 2, false, no_ids, false);
	struct delivery *d = next(&f, 1);
	d->received = true;
	d->state = DELIVERY_RELEASED;
	inflight_restart(&f);
	assert_ptr_equal(next(&f, 1), d);
	assert_int_equal(d->state, DELIVERY_RELEASED);
	inflight_fini(&f);
}

/* An identifier that is never answered must not be given out again. */
static void test_identifiers_wrap(void **state)
{
	(void)state;
	struct inflight f;
	inflight_init(&f);
	push(&f, "old");
	struct delivery *old = next(&f, 2);
	const uint16_t kept = old->packet_id;
	for (uint32_t i = 0; i < 70000; i++) {
		push(&f, "x");
		struct delivery *d = next(&f, 2);
		assert_non_null(d);
		assert_int_not_equal(d->packet_id, kept);
		assert_int_not_equal(d->packet_id, 0);
		assert_ptr_equal(inflight_find(&f, d->packet_id), d);
		inflight_done(&f, d);
	}
	assert_ptr_equal(inflight_find(&f, kept), old);
	inflight_fini(&f);
}

static void test_all_identifiers(void **state)
{
	(void)state;
	struct inflight f;
	inflight_init(&f);
	for (uint32_t i = 0; i < 65536; i++)
		push(&f, "x");
	for (uint32_t i = 0; i < 65535; i++)
		assert_non_null(next(&f, UINT32_MAX));
	assert_null(next(&f, UINT32_MAX));
	assert_int_equal(f.waiting_n, 1);
	inflight_done(&f, inflight_find(&f, 777));
	assert_int_equal(next(&f, UINT32_MAX)->packet_id, 777);
	inflight_fini(&f);
}

static void test_expiry(void **state)
{
	(void)state;
	struct inflight f;
	uint64_t expired = 0;
	inflight_init(&f);
	AUTO(msg) brief = message("brief", 5);
	AUTO(msg) lasting = message("lasting", 60);
	inflight_push(&f, brief, 1, false, no_ids, false);
	inflight_push(&f, brief, 1, false, no_ids, false);
	inflight_push(&f, lasting, 1, false, no_ids, false);
	/* What went out once is finished whatever its age. */
	struct delivery *d = inflight_next(&f, 10, 4000, &expired);
	assert_ptr_equal(d->msg, brief);
	inflight_restart(&f);
	assert_ptr_equal(inflight_next(&f, 10, 6000, &expired), d);
	assert_ptr_equal(inflight_next(&f, 10, 6000, &expired)->msg, lasting);
	assert_int_equal(expired, 1);
	struct publish_receiver r = {0};
	msg_expiry_left(lasting, 6000, &r);
	assert_true(r.has_message_expiry);
	assert_int_equal(r.message_expiry, 54);
	/* One that was sent before it expired is sent again after a reconnect. */
	msg_expiry_left(lasting, 10000000, &r);
	assert_int_equal(r.message_expiry, 0);
	inflight_fini(&f);
}

static bool keep_b(void *arg, const struct delivery *d)
{
	(void)arg;
	return str_is(d->msg->shared.payload, "b");
}

static void test_filter(void **state)
{
	(void)state;
	struct inflight f;
	inflight_init(&f);
	push(&f, "sent");
	assert_non_null(next(&f, 1));
	push(&f, "a");
	push(&f, "b");
	push(&f, "c");
	assert_int_equal(inflight_filter(&f, keep_b, NULL), 2);
	assert_int_equal(f.waiting_n, 1);
	assert_true(str_is(next(&f, 9)->msg->shared.payload, "b"));
	assert_non_null(inflight_find(&f, 1));
	inflight_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_and_order),
		cmocka_unit_test(test_restart_keeps_order_and_identifiers),
		cmocka_unit_test(test_released_stays_released),
		cmocka_unit_test(test_identifiers_wrap),
		cmocka_unit_test(test_all_identifiers),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
