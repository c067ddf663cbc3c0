/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds on what peers cost: each refusal, what is given back, that memory stays bounded.
 */
#include "daemon/base/clock.h"
#include "daemon/net/limit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct addr peer(const char *ip)
{
	struct addr a;
	assert_int_equal(addr_parse_ip(str_of(ip), &a), 0);
	return a;
}

static void connections_in_all_and_per_address(void **state)
{
	(void)state;
	AUTO(limit)
	l = limit_new(&(struct limit_settings){.connections = 3, .connections_per_address = 2});
	const struct addr a = peer("10.0.0.1"), b = peer("10.0.0.2");
	struct limit_hold hold[4] = {0};
	assert_int_equal(limit_accept(l, &a, &hold[0]), LIMIT_OK);
	assert_int_equal(limit_accept(l, &a, &hold[1]), LIMIT_OK);
	assert_int_equal(limit_accept(l, &a, &hold[2]), LIMIT_PER_ADDRESS);
	assert_int_equal(limit_accept(l, &b, &hold[2]), LIMIT_OK);
	assert_int_equal(limit_accept(l, &b, &hold[3]), LIMIT_CONNECTIONS);
	limit_release(l, &hold[3]); /* holds nothing: changes nothing */
	limit_release(l, &hold[0]);
	assert_int_equal(limit_accept(l, &a, &hold[0]), LIMIT_OK);
	struct limit_stats s;
	limit_stats(l, &s);
	assert_int_equal(s.connections, 3);
	assert_int_equal(s.half_open, 3);
	assert_int_equal(s.refused[LIMIT_PER_ADDRESS], 1);
	assert_int_equal(s.refused[LIMIT_CONNECTIONS], 1);
	for (size_t i = 0; i < 3; i++)
		limit_release(l, &hold[i]);
	limit_stats(l, &s);
	assert_int_equal(s.connections, 0);
	assert_int_equal(s.half_open, 0);
	assert_int_equal(s.addresses, 2);
}

static void half_open_ends_with_connect(void **state)
{
	(void)state;
	AUTO(limit) l = limit_new(&(struct limit_settings){.half_open = 1});
	const struct addr a = peer("2001:db8::1");
	struct limit_hold first = {0}, second = {0};
	assert_int_equal(limit_accept(l, &a, &first), LIMIT_OK);
	assert_int_equal(limit_accept(l, &a, &second), LIMIT_HALF_OPEN);
	limit_connected(l, &first);
	assert_int_equal(limit_accept(l, &a, &second), LIMIT_OK);
	limit_release(l, &second);
	limit_release(l, &first);
	struct limit_stats s;
	limit_stats(l, &s);
	assert_int_equal(s.half_open, 0);
}

static void a_proxy_counts_for_whom_it_speaks(void **state)
{
	(void)state;
	const struct limit_settings set = {.connections = 4, .connections_per_address = 1};
	AUTO(limit) l = limit_new(&set);
	const struct addr proxy = peer("10.0.0.1"), a = peer("10.0.0.2"), b = peer("10.0.0.3");
	struct limit_hold h[5] = {{0}};
	struct limit_stats s;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(limit_accept_proxy(l, &proxy, &h[i]), LIMIT_OK);
	assert_int_equal(limit_accept_proxy(l, &proxy, &h[4]), LIMIT_CONNECTIONS);
	assert_int_equal(limit_stated(l, &a, &h[0]), LIMIT_OK);
	assert_int_equal(limit_stated(l, &a, &h[1]), LIMIT_PER_ADDRESS);
	assert_int_equal(limit_stated(l, &b, &h[1]), LIMIT_OK);
	/* For itself: its own place does not count, those that have not spoken yet do. */
	assert_int_equal(limit_stated(l, &proxy, &h[2]), LIMIT_PER_ADDRESS);
	limit_release(l, &h[3]);
	assert_int_equal(limit_stated(l, &proxy, &h[2]), LIMIT_OK);
	limit_release(l, &h[0]);
	assert_int_equal(limit_accept(l, &a, &h[0]), LIMIT_OK);
	for (size_t i = 0; i < 3; i++)
		limit_release(l, &h[i]);
	limit_stats(l, &s);
	assert_int_equal(s.connections, 0);
	assert_int_equal(s.half_open, 0);
	assert_int_equal(s.refused[LIMIT_PER_ADDRESS], 2);
}

static void pre_connect_bytes_are_shared(void **state)
{
	(void)state;
	AUTO(limit) l = limit_new(&(struct limit_settings){.pre_connect_bytes = 100});
	const struct addr a = peer("10.0.0.1"), b = peer("10.0.0.2");
	struct limit_hold x = {0}, y = {0};
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_accept(l, &b, &y), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &x, 60), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &y, 41), LIMIT_PRE_CONNECT);
	assert_int_equal(limit_pre_connect(l, &y, SIZE_MAX), LIMIT_PRE_CONNECT);
	assert_int_equal(limit_pre_connect(l, &y, 40), LIMIT_OK);
	limit_connected(l, &x);
	assert_int_equal(limit_pre_connect(l, &y, 60), LIMIT_OK);
	/* A smaller pool while more is in use refuses everything until it fits again. */
	limit_configure(l, &(struct limit_settings){.pre_connect_bytes = 10});
	assert_int_equal(limit_pre_connect(l, &x, 1), LIMIT_PRE_CONNECT);
	limit_release(l, &y);
	assert_int_equal(limit_pre_connect(l, &x, 10), LIMIT_OK);
	limit_release(l, &x);
	struct limit_stats s;
	limit_stats(l, &s);
	assert_int_equal(s.pre_connect_bytes, 0);
}

static void identities_are_counted_and_moved(void **state)
{
	(void)state;
	AUTO(limit) l = limit_new(&(struct limit_settings){.connections_per_identity = 1});
	const struct addr a = peer("10.0.0.1");
	struct limit_hold x = {0}, y = {0};
	struct limit_stats s;
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_accept(l, &a, &y), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 7), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 7), LIMIT_OK);
	assert_int_equal(limit_identify(l, &y, 7), LIMIT_PER_IDENTITY);
	assert_int_equal(limit_identify(l, &y, 8), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 8), LIMIT_PER_IDENTITY);
	limit_stats(l, &s);
	assert_int_equal(s.identities, 2);
	limit_release(l, &y);
	/* Without an identity the address has one for publishes, and as many connections as it
	 * may have anyway. */
	struct limit_hold more[3] = {{0}};
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		assert_int_equal(limit_accept(l, &a, &more[i]), LIMIT_OK);
		limit_identify_address(l, &more[i]);
	}
	limit_stats(l, &s);
	assert_int_equal(s.identities, 2);
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		limit_release(l, &more[i]);
	assert_int_equal(limit_identify(l, &x, 8), LIMIT_OK);
	limit_stats(l, &s);
	assert_int_equal(s.identities, 1);
	limit_release(l, &x);
	limit_stats(l, &s);
	assert_int_equal(s.identities, 0);
}

static void handshakes_per_second(void **state)
{
	(void)state;
	AUTO(limit)
	l = limit_new(&(struct limit_settings){.handshakes_per_second = 5,
					       .handshakes_per_second_per_address = 2});
	const struct addr a = peer("10.0.0.1"), b = peer("10.0.0.2"), c = peer("10.0.0.3");
	struct limit_hold x = {0}, y = {0}, z = {0};
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_accept(l, &b, &y), LIMIT_OK);
	assert_int_equal(limit_accept(l, &c, &z), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &x, 1000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &x, 1000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &x, 1000), LIMIT_HANDSHAKES_PER_ADDRESS);
	assert_int_equal(limit_handshake(l, &y, 1000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &y, 1000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &z, 1000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &z, 1000), LIMIT_HANDSHAKES);
	/* Half a second later each address has one token again, all together 2.5. */
	assert_int_equal(limit_handshake(l, &x, 1499), LIMIT_HANDSHAKES_PER_ADDRESS);
	assert_int_equal(limit_handshake(l, &x, 1500), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &z, 1500), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &y, 1500), LIMIT_HANDSHAKES);
	/* A bucket never holds more than a second's worth. */
	assert_int_equal(limit_handshake(l, &x, 900000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &x, 900000), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &x, 900000), LIMIT_HANDSHAKES_PER_ADDRESS);
	limit_release(l, &x);
	/* Coming back does not refill it. */
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &x, 900001), LIMIT_HANDSHAKES_PER_ADDRESS);
	limit_release(l, &x);
	limit_release(l, &y);
	limit_release(l, &z);
}

static void idle_addresses_are_bounded(void **state)
{
	(void)state;
	AUTO(limit)
	l = limit_new(&(struct limit_settings){.idle = 10, .handshakes_per_second_per_address = 1});
	struct limit_stats s;
	struct limit_hold stays = {0};
	const struct addr kept = peer("192.0.2.1");
	assert_int_equal(limit_accept(l, &kept, &stays), LIMIT_OK);
	assert_int_equal(limit_handshake(l, &stays, 1), LIMIT_OK);
	for (unsigned i = 0; i < 1000; i++) {
		char ip[64];
		struct limit_hold h = {0};
		snprintf(ip, sizeof(ip), "2001:db8:0:%x::1", i);
		const struct addr a = peer(ip);
		assert_int_equal(limit_accept(l, &a, &h), LIMIT_OK);
		limit_release(l, &h);
	}
	limit_stats(l, &s);
	assert_int_equal(s.addresses, 11);
	/* The connected one was not forgotten. */
	assert_int_equal(limit_handshake(l, &stays, 1), LIMIT_HANDSHAKES_PER_ADDRESS);
	limit_configure(l, &(struct limit_settings){.idle = 3});
	limit_stats(l, &s);
	assert_int_equal(s.addresses, 4);
	limit_release(l, &stays);
}

static void shares_of_one_address(void **state)
{
	(void)state;
	AUTO(limit)
	l = limit_new(&(struct limit_settings){
		.half_open = 4,
		.half_open_per_address = 2,
		.pre_connect_bytes = 100,
		.pre_connect_bytes_per_address = 40,
	});
	/* Two addresses of one /64 share, another /64 does not. */
	const struct addr a = peer("2001:db8::1"), same = peer("2001:db8::2"),
			  b = peer("2001:db8:0:1::1"), proxy = peer("10.0.0.1");
	struct limit_hold h[6] = {{0}};
	assert_int_equal(limit_accept(l, &a, &h[0]), LIMIT_OK);
	assert_int_equal(limit_accept(l, &same, &h[1]), LIMIT_OK);
	assert_int_equal(limit_accept(l, &a, &h[2]), LIMIT_HALF_OPEN_PER_ADDRESS);
	assert_int_equal(limit_accept(l, &b, &h[2]), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &h[0], 30), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &h[1], 11), LIMIT_PRE_CONNECT_PER_ADDRESS);
	assert_int_equal(limit_pre_connect(l, &h[1], 10), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &h[2], 40), LIMIT_OK);
	/* What CONNECT gives back is there again, and only for this address. */
	limit_connected(l, &h[0]);
	assert_int_equal(limit_pre_connect(l, &h[1], 30), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &h[1], 1), LIMIT_PRE_CONNECT_PER_ADDRESS);
	/* A proxy is nobody's share until it speaks; then what it holds moves. */
	assert_int_equal(limit_accept_proxy(l, &proxy, &h[3]), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &h[3], 5), LIMIT_OK);
	assert_int_equal(limit_stated(l, &b, &h[3]), LIMIT_OK);
	assert_int_equal(limit_pre_connect(l, &h[2], 1), LIMIT_PRE_CONNECT_PER_ADDRESS);
	limit_connected(l, &h[1]);
	assert_int_equal(limit_accept_proxy(l, &proxy, &h[4]), LIMIT_OK);
	assert_int_equal(limit_stated(l, &b, &h[4]), LIMIT_HALF_OPEN_PER_ADDRESS);
	for (size_t i = 0; i < ARRAY_LEN(h); i++)
		limit_release(l, &h[i]);
	struct limit_stats s;
	limit_stats(l, &s);
	assert_int_equal(s.half_open, 0);
	assert_int_equal(s.pre_connect_bytes, 0);
	assert_int_equal(s.refused[LIMIT_HALF_OPEN_PER_ADDRESS], 2);
	assert_int_equal(s.refused[LIMIT_PRE_CONNECT_PER_ADDRESS], 3);
	assert_int_equal(limit_bound(l, LIMIT_HALF_OPEN_PER_ADDRESS), 2);
}

static unsigned publish_all(struct limit *l, const struct limit_hold *h, size_t n, uint64_t now_ms,
			    struct limit_pause *pause)
{
	unsigned taken = 0;
	while (limit_publish(l, h, n, now_ms, pause) == LIMIT_OK)
		taken++;
	return taken;
}

static void messages_per_second_of_an_identity(void **state)
{
	(void)state;
	AUTO(limit) l = limit_new(&(struct limit_settings){.publish_messages = 100});
	const struct addr a = peer("10.0.0.1"), b = peer("10.0.0.2");
	struct limit_hold x = {0}, y = {0}, z = {0};
	struct limit_pause p;
	struct limit_stats s;
	const uint64_t now = clock_mono_ms();
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_accept(l, &b, &y), LIMIT_OK);
	assert_int_equal(limit_accept(l, &b, &z), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 7), LIMIT_OK);
	assert_int_equal(limit_identify(l, &y, 7), LIMIT_OK);
	assert_int_equal(limit_identify(l, &z, 8), LIMIT_OK);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(limit_publish(l, &x, 1 << 20, now, &p), LIMIT_OK);
	/* The other connection of the same identity has what the first one left. */
	assert_int_equal(publish_all(l, &y, 1, now, &p), 40);
	assert_true(p.tell && p.ms >= 10 && p.ms <= 20);
	assert_int_equal(limit_publish(l, &x, 1, now, &p), LIMIT_PUBLISH_MESSAGES);
	assert_false(p.tell);
	assert_int_equal(publish_all(l, &z, 1, now, &p), 100);
	assert_int_equal(publish_all(l, &x, 1, now + 500, &p), 50);
	assert_int_equal(publish_all(l, &x, 1, now + 60000, &p), 100);
	assert_true(p.tell);
	/* Coming back does not refill it. */
	limit_release(l, &x);
	limit_release(l, &y);
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 7), LIMIT_OK);
	assert_int_equal(limit_publish(l, &x, 1, now + 60000, &p), LIMIT_PUBLISH_MESSAGES);
	limit_stats(l, &s);
	assert_int_equal(s.refused[LIMIT_PUBLISH_MESSAGES], 6);
	/* A reload takes effect at once, and none is none. */
	limit_configure(l, &(struct limit_settings){.publish_messages = 0});
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(limit_publish(l, &x, 1, now + 60000, &p), LIMIT_OK);
	limit_release(l, &x);
	limit_release(l, &z);
}

static void bytes_per_second_of_an_identity(void **state)
{
	(void)state;
	AUTO(limit) l = limit_new(&(struct limit_settings){.publish_bytes = 1000});
	const struct addr a = peer("10.0.0.1");
	struct limit_hold x = {0};
	struct limit_pause p;
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	/* Before CONNECT nobody publishes; nothing to count by. */
	assert_int_equal(limit_publish(l, &x, 1 << 28, 5000, &p), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 7), LIMIT_OK);
	assert_int_equal(publish_all(l, &x, 100, 5000, &p), 10);
	/* The last one may be larger than what is left: it is waited for. */
	assert_int_equal(limit_publish(l, &x, 4000, 5100, &p), LIMIT_OK);
	assert_int_equal(limit_publish(l, &x, 1, 5100, &p), LIMIT_PUBLISH_BYTES);
	assert_int_equal(p.ms, 3901);
	assert_int_equal(limit_publish(l, &x, 1, 5100 + 3899, &p), LIMIT_PUBLISH_BYTES);
	assert_int_equal(limit_publish(l, &x, 1, 5100 + 3901, &p), LIMIT_OK);
	limit_release(l, &x);
}

static void a_raised_rate_takes_debts_away(void **state)
{
	(void)state;
	AUTO(limit)
	l = limit_new(&(struct limit_settings){.publish_bytes = 1000, .publish_messages = 1});
	const struct addr a = peer("10.0.0.1");
	const uint64_t now = clock_mono_ms();
	struct limit_hold x = {0};
	struct limit_pause p;
	assert_int_equal(limit_accept(l, &a, &x), LIMIT_OK);
	assert_int_equal(limit_identify(l, &x, 7), LIMIT_OK);
	assert_int_equal(limit_publish(l, &x, 1000000, now, &p), LIMIT_OK);
	/* The same rate, or a lower one: a thousand seconds, as before. */
	limit_configure(l, &(struct limit_settings){.publish_bytes = 1000});
	limit_configure(l, &(struct limit_settings){.publish_bytes = 999});
	assert_int_equal(limit_publish(l, &x, 1, now, &p), LIMIT_PUBLISH_BYTES);
	assert_in_range(p.ms, 998000, 1000001);
	/* A higher one: the bucket was empty when it came. */
	limit_configure(l, &(struct limit_settings){.publish_bytes = 1000000});
	const uint64_t later = clock_mono_ms() + 1;
	assert_int_equal(limit_publish(l, &x, 1, later, &p), LIMIT_OK);
	assert_int_equal(limit_publish(l, &x, 2000000, later, &p), LIMIT_OK);
	assert_int_equal(limit_publish(l, &x, 1, later, &p), LIMIT_PUBLISH_BYTES);
	assert_in_range(p.ms, 1, 2001);
	limit_release(l, &x);
}

static void identities_that_owe_are_bounded(void **state)
{
	(void)state;
	AUTO(limit)
	l = limit_new(&(struct limit_settings){.publish_bytes = 1, .idle = 10});
	const struct addr a = peer("10.0.0.1");
	struct limit_pause p;
	struct limit_stats s;
	for (uint64_t i = 1; i <= 100; i++) {
		struct limit_hold h = {0};
		assert_int_equal(limit_accept(l, &a, &h), LIMIT_OK);
		assert_int_equal(limit_identify(l, &h, i), LIMIT_OK);
		assert_int_equal(limit_publish(l, &h, 1000, clock_mono_ms(), &p), LIMIT_OK);
		limit_release(l, &h);
	}
	limit_stats(l, &s);
	assert_int_equal(s.identities, 10);
}

static void *hammer(void *arg)
{
	struct limit *l = arg;
	const struct addr a = peer("10.0.0.1"), b = peer("10.0.0.2");
	for (unsigned i = 0; i < 20000; i++) {
		struct limit_hold h = {0};
		if (limit_accept(l, i & 1 ? &a : &b, &h) == LIMIT_OK) {
			limit_pre_connect(l, &h, 10);
			limit_identify(l, &h, 1 + i % 5);
			struct limit_pause pause;
			limit_publish(l, &h, 10, 1000 + i, &pause);
		}
		limit_release(l, &h);
	}
	return NULL;
}

static void many_threads(void **state)
{
	(void)state;
	AUTO(limit) l = limit_new(&(struct limit_settings){.connections = 3});
	pthread_t t[4];
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, l), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	struct limit_stats s;
	limit_stats(l, &s);
	assert_int_equal(s.connections, 0);
	assert_int_equal(s.half_open, 0);
	assert_int_equal(s.identities, 0);
	assert_int_equal(s.pre_connect_bytes, 0);
}

static void every_refusal_has_a_name(void **state)
{
	(void)state;
	for (unsigned r = 0; r < LIMIT_REFUSALS; r++)
		assert_true(strlen(limit_refusal_name((enum limit_refusal)r)) > 0);
	assert_string_equal(limit_refusal_name(LIMIT_PER_ADDRESS), "max-connections-per-address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_in_all_and_per_address),
		cmocka_unit_test(half_open_ends_with_connect),
		cmocka_unit_test(a_proxy_counts_for_whom_it_speaks),
		cmocka_unit_test(pre_connect_bytes_are_shared),
		cmocka_unit_test(identities_are_counted_and_moved),
		cmocka_unit_test(handshakes_per_second),
		cmocka_unit_test(idle_addresses_are_bounded),
		cmocka_unit_test(shares_of_one_address),
		cmocka_unit_test(messages_per_second_of_an_identity),
		cmocka_unit_test(bytes_per_second_of_an_identity),
		cmocka_unit_test(a_raised_rate_takes_debts_away),
		cmocka_unit_test(identities_that_owe_are_bounded),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(every_refusal_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
