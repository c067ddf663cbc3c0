/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds on what peers cost: each refusal, what is given back, that memory stays bounded.
 */
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
	l = limit_new(&(struct limit_settings){.addresses_idle = 10,
					       .handshakes_per_second_per_address = 1});
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
	limit_configure(l, &(struct limit_settings){.addresses_idle = 3});
	limit_stats(l, &s);
	assert_int_equal(s.addresses, 4);
	limit_release(l, &stays);
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
	assert_string_equal(limit_refusal_name(LIMIT_PER_ADDRESS), "connections-per-address");
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
		cmocka_unit_test(many_threads),
		cmocka_unit_test(every_refusal_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
