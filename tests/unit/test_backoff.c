/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting after wrong passwords: who is counted together, and what a flood cannot do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/web/fold.h"
#include "db/backoff.h"

#include <stdio.h>

static void wrong(struct backoff *b, const char *account, const char *source, int times)
{
	for (int i = 0; i < times; i++)
		backoff_failed(b, str_of(account), str_of(source), 1000);
}

static unsigned wait_of(const struct backoff *b, const char *account, const char *source)
{
	return backoff_wait(b, str_of(account), str_of(source), 1000);
}

static void test_account_and_source(void **state)
{
	(void)state;
	struct backoff b = {0};
	wrong(&b, "ann", "192.0.2.1", BACKOFF_FREE - 1);
	assert_int_equal(wait_of(&b, "ann", "192.0.2.1"), 0);
	wrong(&b, "ann", "192.0.2.1", 1);
	assert_int_equal(wait_of(&b, "ann", "192.0.2.1"), 2);
	assert_int_equal(wait_of(&b, "ann", "192.0.2.2"), 0);
	assert_int_equal(wait_of(&b, "bob", "192.0.2.1"), 0);
	backoff_worked(&b, STR("ann"), STR("192.0.2.1"));
	assert_int_equal(wait_of(&b, "ann", "192.0.2.1"), 0);
	wrong(&b, "x", "192.0.2.1", 4 * BACKOFF_FREE);
	assert_true(wait_of(&b, "anybody", "192.0.2.1") > 0);
	backoff_fini(&b);
}

/* Each address of its own, each network of 64 bits of its own: together they wait, and no others.
 */
static void test_a_site(void **state)
{
	(void)state;
	struct backoff b = {0};
	char source[64];
	char name[16];
	for (int i = 0; i < 4 * 4 * BACKOFF_FREE; i++) {
		assert_int_equal(wait_of(&b, "new", "2001:db8:7:ffff::1"), 0);
		snprintf(source, sizeof(source), "2001:db8:7:%x::%x", i, i + 1);
		snprintf(name, sizeof(name), "n%d", i);
		wrong(&b, name, source, 1);
	}
	assert_true(wait_of(&b, "new", "2001:db8:7:ffff::1") > 0);
	assert_int_equal(wait_of(&b, "new", "2001:db8:8::1"), 0);
	backoff_fini(&b);
}

static void test_a_flood_lets_nobody_off(void **state)
{
	(void)state;
	struct backoff b = {0};
	char name[24];
	wrong(&b, "ann", "192.0.2.1", BACKOFF_FREE + 3);
	const unsigned strict = wait_of(&b, "ann", "192.0.2.1");
	/* More would take long: each that has no room is looked for among all. */
	for (int i = 0; i < BACKOFF_ENTRIES_MAX + 100; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		backoff_failed(&b, str_of(name), STR("198.51.100.7"), 1000);
	}
	assert_true(b.failed.n <= BACKOFF_ENTRIES_MAX);
	assert_int_equal(wait_of(&b, "ann", "192.0.2.1"), strict);
	assert_int_equal(wait_of(&b, "anybody", "198.51.100.7"), BACKOFF_MAX_S);
	wrong(&b, "carl", "203.0.113.9", BACKOFF_FREE);
	assert_true(wait_of(&b, "carl", "203.0.113.9") > 0);
	backoff_fini(&b);
}

static void test_swarms_are_told_once(void **state)
{
	(void)state;
	struct fold f = {0};
	uint32_t more;
	assert_true(fold_passes(&f, STR("192.0.2.1:4711"), 5, &more));
	assert_int_equal(more, 0);
	for (unsigned port = 1000; port < 1020; port++) {
		char text[32];
		snprintf(text, sizeof(text), "192.0.2.1:%u", port);
		assert_false(fold_passes(&f, str_of(text), 6, &more));
	}
	assert_false(fold_passes(&f, STR("192.0.2.1"), 4 + FOLD_MS, &more));
	assert_true(fold_passes(&f, STR("192.0.2.1:9"), 5 + FOLD_MS, &more));
	assert_int_equal(more, 21);
	assert_true(fold_passes(&f, STR("[2001:db8::1]:9"), 5, &more));
	assert_false(fold_passes(&f, STR("[2001:db8::1]:10"), 5, &more));
}

static void test_what_is_usual_is_told_when_it_is_much(void **state)
{
	(void)state;
	struct fold f = {0};
	for (unsigned i = 1; i < 10; i++)
		assert_false(fold_reaches(&f, STR("192.0.2.1"), 5, 10));
	assert_false(fold_reaches(&f, STR("192.0.2.2"), 5, 10));
	assert_true(fold_reaches(&f, STR("192.0.2.1"), 6, 10));
	for (unsigned i = 1; i < 30; i++)
		assert_false(fold_reaches(&f, STR("192.0.2.1"), 7, 10));
	for (unsigned i = 1; i < 10; i++)
		assert_false(fold_reaches(&f, STR("192.0.2.1"), 5 + FOLD_MS, 10));
	assert_true(fold_reaches(&f, STR("192.0.2.1"), 5 + FOLD_MS, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account_and_source),
		cmocka_unit_test(test_a_site),
		cmocka_unit_test(test_a_flood_lets_nobody_off),
		cmocka_unit_test(test_swarms_are_told_once),
		cmocka_unit_test(test_what_is_usual_is_told_when_it_is_much),
	};
	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
