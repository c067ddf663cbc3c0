/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and error texts: daemon/base/clock.h, daemon/base/err.h.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void moments(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *text;
	} row[] = {
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59Z"},
		{951782399, "2000-02-28T23:59:59Z"},
		{951782400, "2000-02-29T00:00:00Z"},
		{2147483648, "2038-01-19T03:14:08Z"},
		{4107542400, "2100-03-01T00:00:00Z"}, /* 2100 is no leap year */
		{253402300799,
		 "9999-12-31T23:59:59Z"}, /* "no expiry" of RFC 5280 section 4.1.2.5 */
		{INT64_MAX, "out of range"},
	};
	char out[CLOCK_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		assert_string_equal(clock_format(row[i].seconds, out), row[i].text);
}

static void moments_with_milliseconds(void **state)
{
	(void)state;
	char out[CLOCK_TEXT];
	assert_string_equal(clock_format_ms(0, out), "1970-01-01T00:00:00.000Z");
	assert_string_equal(clock_format_ms(1764093034007, out), "2025-11-25T17:50:34.007Z");
	assert_string_equal(clock_format_ms(253402300799999, out), "9999-12-31T23:59:59.999Z");
}

static void clocks_agree_with_themselves(void **state)
{
	(void)state;
	const uint64_t ns = clock_mono_ns();
	const uint64_t ms = clock_mono_ms();
	assert_true(clock_mono_ns() >= ns);
	assert_true(ms >= ns / 1000000);
	const int64_t s = clock_wall();
	const uint64_t wall_ms = clock_wall_ms();
	assert_true((int64_t)(wall_ms / 1000) >= s);
	assert_true(s > 1700000000); /* a clock before this file is no clock */
}

/* Each code has words of its own; what is no code has others. */
static void error_texts(void **state)
{
	(void)state;
	assert_string_equal(err_text(0), "success");
	assert_string_equal(err_text(1), "unknown error");
	assert_string_equal(err_text(ERR_CRYPTO - 1), "unknown error");
	assert_string_equal(err_text(INT32_MIN), "unknown error");
	for (int a = ERR_CRYPTO; a < 0; a++) {
		assert_non_null(err_text(a));
		assert_string_not_equal(err_text(a), "unknown error");
		for (int b = a + 1; b <= 0; b++)
			assert_string_not_equal(err_text(a), err_text(b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments),
		cmocka_unit_test(moments_with_milliseconds),
		cmocka_unit_test(clocks_agree_with_themselves),
		cmocka_unit_test(error_texts),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
