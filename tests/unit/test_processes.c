/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the processes and back.
 */
#include "daemon/base/err.h"
#include "daemon/base/processes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void every_name_leads_back_to_its_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROCESS_COUNT; i++) {
		enum process p = PROCESS_COUNT;
		assert_int_equal(process_by_name(str_of(process_name((enum process)i)), &p), 0);
		assert_int_equal(p, i);
	}
}

static void other_names_are_no_process(void **state)
{
	(void)state;
	enum process p = PROCESS_COUNT;
	assert_int_equal(process_by_name(STR("brokers"), &p), ERR_NOT_FOUND);
	assert_int_equal(process_by_name(STR("Broker"), &p), ERR_NOT_FOUND);
	assert_int_equal(process_by_name(STR(""), &p), ERR_NOT_FOUND);
	assert_int_equal(p, PROCESS_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_leads_back_to_its_process),
		cmocka_unit_test(other_names_are_no_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
