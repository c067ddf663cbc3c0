/* SPDX-License-Identifier: Apache-2.0
 *
 * Patience with wrong passwords: who is judged, who waits, who can keep whom out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/guard.h"

#include <stdio.h>

#define SECOND 1000000ull

static const struct str pump = {"pump", 4}, other = {"other", 5};

static void a_source_and_an_account(void **state)
{
	struct guard *g = guard_new();
	const struct str here = STR("10.0.0.1");
	(void)state;
	for (unsigned i = 0; i < GUARD_TRIES; i++)
		assert_int_equal(guard_try(g, pump, here, SECOND), GUARD_STRANGER);
	assert_int_equal(guard_try(g, pump, here, SECOND), GUARD_SOURCE);
	/* The bucket is that of this account and of this source. */
	assert_int_equal(guard_try(g, other, here, SECOND), GUARD_STRANGER);
	assert_int_equal(guard_try(g, pump, STR("10.0.0.2"), SECOND), GUARD_STRANGER);
	/* One more after the time; asking too early costs nothing. */
	assert_int_equal(guard_try(g, pump, here, 10 * SECOND), GUARD_SOURCE);
	assert_int_equal(guard_try(g, pump, here, 11 * SECOND), GUARD_STRANGER);
	assert_int_equal(guard_try(g, pump, here, 12 * SECOND), GUARD_SOURCE);
	assert_int_equal(guard_stats(g).source, 3);
	guard_free(g);
}

static void a_network_of_ipv6_is_one_source(void **state)
{
	struct guard *g = guard_new();
	char source[64];
	(void)state;
	for (unsigned i = 0; i < GUARD_TRIES; i++) {
		snprintf(source, sizeof(source), "2001:db8::%x", i + 1);
		assert_int_equal(guard_try(g, pump, str_of(source), 0), GUARD_STRANGER);
	}
	assert_int_equal(guard_try(g, pump, STR("2001:db8::ffff"), 0), GUARD_SOURCE);
	assert_int_equal(guard_try(g, pump, STR("2001:db8:0:1::1"), 0), GUARD_STRANGER);
	guard_free(g);
}

static void all_strangers_together(void **state)
{
	struct guard *g = guard_new();
	char source[64];
	unsigned judged = 0;
	(void)state;
	guard_right(g, pump, STR("10.0.0.1"));
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(source, sizeof(source), "10.1.%u.%u", i % 1000 / 250, i % 250);
		judged += guard_try(g, pump, str_of(source), 0) == GUARD_STRANGER;
	}
	/* The first try of each, then those of the account. */
	assert_int_equal(judged, 1000 + GUARD_ACCOUNT_TIMES * GUARD_TRIES);
	assert_int_equal(guard_try(g, pump, STR("10.1.0.1"), SECOND / 2), GUARD_ACCOUNT);
	assert_int_equal(guard_try(g, pump, STR("10.1.0.1"), SECOND), GUARD_STRANGER);
	/* Nobody is kept out by them: neither who is known nor who comes for the first time. */
	assert_int_equal(guard_try(g, pump, STR("10.0.0.1"), SECOND), GUARD_KNOWN);
	assert_int_equal(guard_try(g, pump, STR("10.0.0.2"), SECOND), GUARD_STRANGER);
	guard_free(g);
}

static void a_known_source_is_not_boundless(void **state)
{
	struct guard *g = guard_new();
	const struct str here = STR("10.0.0.1");
	(void)state;
	for (unsigned i = 0; i < GUARD_TRIES; i++)
		guard_try(g, pump, here, 0);
	guard_right(g, pump, here); /* what it did wrong before is forgotten */
	for (unsigned i = 0; i < GUARD_KNOWN_TIMES * GUARD_TRIES; i++)
		assert_int_equal(guard_try(g, pump, here, 0), GUARD_KNOWN);
	assert_int_equal(guard_try(g, pump, here, 0), GUARD_SOURCE);
	assert_int_equal(guard_try(g, pump, here, SECOND), GUARD_KNOWN);
	/* Known for one account is a stranger to the others. */
	assert_int_equal(guard_try(g, other, here, SECOND), GUARD_STRANGER);
	guard_free(g);
}

static void memory_is_bounded(void **state)
{
	struct guard *g = guard_new();
	char name[64];
	(void)state;
	for (unsigned i = 0; i < 3 * GUARD_ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "device-%u", i);
		assert_int_equal(guard_try(g, str_of(name), STR("10.0.0.1"), i), GUARD_STRANGER);
	}
	assert_true(guard_stats(g).entries <= GUARD_ENTRIES_MAX);
	guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_and_an_account),
		cmocka_unit_test(a_network_of_ipv6_is_one_source),
		cmocka_unit_test(all_strangers_together),
		cmocka_unit_test(a_known_source_is_not_boundless),
		cmocka_unit_test(memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
