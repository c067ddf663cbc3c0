/* SPDX-License-Identifier: Apache-2.0
 *
 * One-time passwords against the vectors of RFC 6238, and waiting after wrong passwords.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/backoff.h"
#include "db/totp.h"

#include <stdio.h>

static const unsigned char rfc_secret[TOTP_SECRET] = "12345678901234567890";

static void codes_are_those_of_the_standard(void **state)
{
	static const struct {
		int64_t time;
		unsigned code; /* the last six of the eight digits of appendix B */
	} vector[] = {
		{59, 287082},       {1111111109, 81804},  {1111111111, 50471},
		{1234567890, 5924}, {2000000000, 279037}, {INT64_C(20000000000), 353130},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vector); i++)
		assert_int_equal(totp_code(rfc_secret, vector[i].time / TOTP_STEP_S),
				 vector[i].code);
}

static void secret_as_people_type_it(void **state)
{
	char text[TOTP_TEXT];
	(void)state;
	totp_text(rfc_secret, text);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

static bool check(const char *text, int64_t now, int64_t used, int64_t *step)
{
	return totp_check(rfc_secret, str_of(text), now, used, step);
}

static void one_step_off_is_right_and_two_are_not(void **state)
{
	int64_t step = 0;
	(void)state;
	assert_true(check("287082", 59, 0, &step));
	assert_int_equal(step, 1);
	assert_true(check("287 082", 59 + TOTP_STEP_S, 0, &step));
	assert_true(check("287082", 59 - TOTP_STEP_S, 0, &step));
	assert_false(check("287082", 59 + 2 * TOTP_STEP_S, 0, &step));
	assert_false(check("287083", 59, 0, &step));
}

static void a_code_works_once(void **state)
{
	int64_t step = 0;
	(void)state;
	assert_true(check("287082", 59, 0, &step));
	assert_false(check("287082", 59, step, &step));
}

static void other_texts_are_no_codes(void **state)
{
	static const char *const wrong[] = {"",        "28708",   "2870820", "28708a",
					    "-287082", "287.082", "0287082"};
	int64_t step;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(check(wrong[i], 59, 0, &step));
}

/* ---- waiting ---- */

static void waits_grow_and_others_do_not_wait(void **state)
{
	struct backoff b = {0};
	const struct str ann = STR("ann");
	const struct str here = STR("192.0.2.7");
	int64_t now = 1000;
	(void)state;
	for (int i = 0; i < BACKOFF_FREE - 1; i++)
		backoff_failed(&b, ann, here, now);
	assert_int_equal(backoff_wait(&b, ann, here, now), 0);
	backoff_failed(&b, ann, here, now);
	assert_int_equal(backoff_wait(&b, ann, here, now), 2);
	backoff_failed(&b, ann, here, now);
	assert_int_equal(backoff_wait(&b, ann, here, now), 4);
	assert_int_equal(backoff_wait(&b, ann, STR("192.0.2.8"), now), 0);
	assert_int_equal(backoff_wait(&b, STR("bob"), here, now), 0);
	assert_int_equal(backoff_wait(&b, ann, here, now + 4), 0);
	for (int i = 0; i < 40; i++)
		backoff_failed(&b, ann, here, now);
	assert_int_equal(backoff_wait(&b, ann, here, now), BACKOFF_MAX_S);
	assert_int_equal(backoff_wait(&b, STR("bob"), here, now), BACKOFF_MAX_S);
	backoff_fini(&b);
}

static void the_right_password_ends_it(void **state)
{
	struct backoff b = {0};
	const struct str ann = STR("ann");
	const struct str here = STR("192.0.2.7");
	(void)state;
	for (int i = 0; i < BACKOFF_FREE + 2; i++)
		backoff_failed(&b, ann, here, 5);
	backoff_worked(&b, ann, here);
	assert_int_equal(backoff_wait(&b, ann, here, 5), 0);
	backoff_failed(&b, ann, here, 5);
	assert_int_equal(backoff_wait(&b, ann, here, 5), 0);
	backoff_fini(&b);
}

static void a_network_of_ipv6_is_one_source(void **state)
{
	struct backoff b = {0};
	char address[32];
	(void)state;
	for (int i = 0; i < BACKOFF_FREE; i++) {
		snprintf(address, sizeof(address), "2001:db8::%d", i + 1);
		backoff_failed(&b, STR("ann"), str_of(address), 5);
	}
	assert_int_equal(backoff_wait(&b, STR("ann"), STR("2001:db8::99"), 5), 2);
	assert_int_equal(backoff_wait(&b, STR("ann"), STR("2001:db8:1::99"), 5), 0);
	backoff_fini(&b);
}

static void old_failures_are_forgotten(void **state)
{
	struct backoff b = {0};
	(void)state;
	for (int i = 0; i < BACKOFF_FREE; i++)
		backoff_failed(&b, STR("ann"), STR("192.0.2.7"), 5);
	backoff_failed(&b, STR("ann"), STR("192.0.2.7"), 5 + BACKOFF_FORGET_S);
	assert_int_equal(backoff_wait(&b, STR("ann"), STR("192.0.2.7"), 5 + BACKOFF_FORGET_S), 0);
	backoff_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_those_of_the_standard),
		cmocka_unit_test(secret_as_people_type_it),
		cmocka_unit_test(one_step_off_is_right_and_two_are_not),
		cmocka_unit_test(a_code_works_once),
		cmocka_unit_test(other_texts_are_no_codes),
		cmocka_unit_test(waits_grow_and_others_do_not_wait),
		cmocka_unit_test(the_right_password_ends_it),
		cmocka_unit_test(a_network_of_ipv6_is_one_source),
		cmocka_unit_test(old_failures_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
