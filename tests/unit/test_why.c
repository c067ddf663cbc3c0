/* SPDX-License-Identifier: Apache-2.0
 *
 * why_set: the code passes through, text is cut and cleaned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/build.h"
#include "daemon/base/err.h"
#include "daemon/base/why.h"

#include <string.h>

static void returns_the_code_and_fills_the_text(void **state)
{
	(void)state;
	struct why why = {""};
	assert_int_equal(why_set(&why, ERR_LIMIT, "%d is above %d", 7, 6), ERR_LIMIT);
	assert_string_equal(why.text, "7 is above 6");
	assert_int_equal(why_set(NULL, ERR_INVALID, "unread"), ERR_INVALID);
}

static void cuts_and_cleans(void **state)
{
	(void)state;
	char big[2 * WHY_MAX];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	big[3] = '\n';
	big[4] = '\x7f';
	struct why why;
	why_set(&why, ERR_INVALID, "%s", big);
	assert_int_equal(strlen(why.text), WHY_MAX - 1);
	assert_memory_equal(why.text, "xxx??x", 6);
}

static void build_time_is_a_plausible_second(void **state)
{
	(void)state;
	assert_true(build_time() >= 1790812800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_the_code_and_fills_the_text),
		cmocka_unit_test(cuts_and_cleans),
		cmocka_unit_test(build_time_is_a_plausible_second),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
