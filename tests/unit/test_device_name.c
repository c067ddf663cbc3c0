/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule for names of devices, and that its refusals say what is wrong where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/csr.h"
#include "daemon/base/err.h"

static void accepts_the_whole_alphabet(void **state)
{
	(void)state;
	static const struct str good[] = {
		STR("a"),
		STR("0"),
		STR("pump-1"),
		STR("Pump_1.plant:north@site-7"),
		STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"),
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(device_name_check(good[i], NULL), 0);
}

static void refuses_with_the_place(void **state)
{
	(void)state;
	static const struct {
		struct str name;
		const char *says;
	} bad[] = {
		{STR(""), "the device name is empty"},
		{STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-x"),
		 "the device name has 65 bytes"},
		{STR("-pump"), "byte 1 of the device name is 0x2d"},
		{STR("pump 1"), "byte 5 of the device name is 0x20"},
		{STR("pump\0"), "byte 5 of the device name is 0x00"},
		{STR("plant/pump"), "byte 6 of the device name is 0x2f"},
		{STR("pump+"), "byte 5 of the device name is 0x2b"},
		{STR("pump#"), "byte 5 of the device name is 0x23"},
		{STR("$gw"), "byte 1 of the device name is 0x24"},
		{STR("p\n"), "byte 2 of the device name is 0x0a"},
		{STR("p\xe2\x80\xae"), "byte 2 of the device name is 0xe2"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct why why = {""};
		assert_int_equal(device_name_check(bad[i].name, &why), ERR_INVALID);
		assert_memory_equal(why.text, bad[i].says, strlen(bad[i].says));
		assert_non_null(strstr(why.text, "1 to 64 of"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_the_whole_alphabet),
		cmocka_unit_test(refuses_with_the_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
