/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the parent believes when one process accuses another.
 */
#include "daemon/proc/accuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void only_peers(void **state)
{
	struct accusations a = {0};
	(void)state;
	assert_int_equal(accuse_judge(&a, PROCESS_BROKER, PROCESS_STORE, 1), ACCUSE_BELIEVED);
	assert_int_equal(accuse_judge(&a, PROCESS_VAULT, PROCESS_ENROL, 1), ACCUSE_BELIEVED);
	assert_int_equal(accuse_judge(&a, PROCESS_ENROL, PROCESS_BROKER, 1), ACCUSE_NO_LINK);
	assert_int_equal(accuse_judge(&a, PROCESS_BROKER, PROCESS_ADMIN, 1), ACCUSE_NO_LINK);
	assert_int_equal(accuse_judge(&a, PROCESS_CTL, PROCESS_VAULT, 1), ACCUSE_NO_LINK);
	assert_int_equal(accuse_judge(&a, PROCESS_STORE, PROCESS_STORE, 1), ACCUSE_NO_LINK);
	assert_int_equal(accuse_judge(&a, PROCESS_STORE, PROCESS_PARENT, 1), ACCUSE_NO_LINK);
	assert_int_equal(a.n, 2);
}

static void not_again_and_again(void **state)
{
	struct accusations a = {0};
	(void)state;
	for (unsigned i = 0; i < ACCUSE_MAX; i++)
		assert_int_equal(accuse_judge(&a, PROCESS_BROKER, PROCESS_STORE, 1000),
				 ACCUSE_BELIEVED);
	assert_int_equal(accuse_judge(&a, PROCESS_BROKER, PROCESS_STORE, 1000), ACCUSE_TOO_MANY);
	/* Whoever it names. */
	assert_int_equal(accuse_judge(&a, PROCESS_BROKER, PROCESS_VAULT, 1000 + ACCUSE_MS),
			 ACCUSE_TOO_MANY);
	assert_int_equal(accuse_judge(&a, PROCESS_BROKER, PROCESS_STORE, 1001 + ACCUSE_MS),
			 ACCUSE_BELIEVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_peers),
		cmocka_unit_test(not_again_and_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
