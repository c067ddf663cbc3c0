/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages and the queues of bytes to write: what goes in comes out, in order, whatever the sizes
 * and whatever the stream takes at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/broker/sendq.h"

#include <stdlib.h>

static struct msg *message(struct str payload, const struct props *props)
{
	const struct msg_parts parts = {.topic = STR("a/b"), .payload = payload, .props = props};
	return msg_new(&parts);
}

static void test_layout(void **state)
{
	(void)state;
	struct props props = props_none;
	props.content_type = STR("text/plain");
	props_mark(&props, PROPERTY_CONTENT_TYPE);
	AUTO(msg) m = message(STR("hello"), &props);
	assert_true(str_is(m->shared.topic, "a/b"));
	assert_true(str_is(m->shared.payload, "hello"));
	assert_int_equal(m->shared.properties.n, 13);
	/* One block: MQTT 5 receivers get it whole, others the end of it. */
	assert_ptr_equal(m->shared.properties.p + 13, m->shared.payload.p);
	assert_int_equal(publish_tail(&m->shared, MQTT_5).n, 18);
	assert_true(str_is(publish_tail(&m->shared, MQTT_3_1_1), "hello"));
	assert_false(msg_expired(m, UINT64_MAX));
}

/* Takes everything out in random pieces. */
static void drain(struct sendq *q, struct sendq_store *store, struct buf *out)
{
	while (q->bytes) {
		struct iovec iov[4];
		const size_t n = sendq_iov(q, iov, 4);
		size_t left = (size_t)rand() % 9000 + 1;
		size_t taken = 0;
		for (size_t i = 0; i < n && left; i++) {
			const size_t part = MIN(left, iov[i].iov_len);
			buf_put(out, iov[i].iov_base, part);
			left -= part;
			taken += part;
		}
		sendq_taken(q, store, taken);
	}
}

static void test_bytes_come_out(void **state)
{
	(void)state;
	struct sendq_store store = {0};
	struct sendq q = {0};
	AUTO_BUF in = {0};
	AUTO_BUF out = {0};
	AUTO_BUF big = {0};
	srand(1);
	for (int i = 0; i < 50000; i++)
		buf_putc(&big, (char)i);
	AUTO(msg) m = message(buf_view(&big), &props_none);
	for (int i = 0; i < 2000; i++) {
		const size_t n = (size_t)rand() % (i % 7 ? 300 : 20000) + 1;
		buf_put(&in, big.p, n);
		if (i % 3 == 0) {
			sendq_refer(&q, &store, m, str_make(m->shared.payload.p, n));
		} else if (i % 3 == 1 && n <= SENDQ_BLOCK) {
			memcpy(sendq_room(&q, &store, n), big.p, n);
			sendq_wrote(&q, n);
		} else {
			sendq_put(&q, &store, big.p, n);
		}
		if (i % 50 == 0)
			drain(&q, &store, &out);
	}
	assert_int_equal(q.bytes + out.n, in.n);
	drain(&q, &store, &out);
	assert_true(str_eq(buf_view(&in), buf_view(&out)));
	assert_null(q.head);
	assert_null(q.tail);
	sendq_store_fini(&store);
}

static void test_clear_lets_messages_go(void **state)
{
	(void)state;
	struct sendq_store store = {0};
	struct sendq q = {0};
	AUTO_BUF big = {0};
	for (int i = 0; i < 2 * SENDQ_REFER; i++)
		buf_putc(&big, 'x');
	AUTO(msg) m = message(buf_view(&big), &props_none);
	sendq_put(&q, &store, "head", 4);
	sendq_refer(&q, &store, m, m->shared.payload);
	assert_int_equal(atomic_load(&m->ref.n), 2);
	assert_int_equal(q.bytes, 4 + 2 * SENDQ_REFER);
	sendq_clear(&q, &store);
	assert_int_equal(atomic_load(&m->ref.n), 1);
	assert_int_equal(q.bytes, 0);
	assert_int_equal(sendq_iov(&q, (struct iovec[1]){{NULL, 0}}, 1), 0);
	sendq_store_fini(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_bytes_come_out),
		cmocka_unit_test(test_clear_lets_messages_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
