/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and addresses of server certificates: what is one, and when two sets are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/san.h"
#include "daemon/base/err.h"

#include <stdio.h>

static void tells_names_from_addresses(void **state)
{
	(void)state;
	struct san_set set = {0};
	assert_int_equal(san_add(&set, STR("Gateway.Example")), 0);
	assert_int_equal(san_add(&set, STR("192.0.2.7")), 0);
	assert_int_equal(san_add(&set, STR("[2001:db8::1]")), 0);
	assert_int_equal(set.n, 3);
	assert_int_equal(set.entry[0].kind, SAN_DNS);
	assert_string_equal(set.entry[0].value, "gateway.example");
	assert_int_equal(set.entry[1].kind, SAN_ADDRESS);
	assert_int_equal(set.entry[1].n, 16);
	assert_int_equal(set.entry[2].n, 4);
	assert_memory_equal(set.entry[2].value, "\xc0\x00\x02\x07", 4);
}

static void the_same_entry_counts_once(void **state)
{
	(void)state;
	struct san_set set = {0};
	assert_int_equal(san_add(&set, STR("gw.local")), 0);
	assert_int_equal(san_add(&set, STR("GW.local.")), 0);
	assert_int_equal(san_add(&set, STR("::1")), 0);
	assert_int_equal(san_add(&set, STR("0:0:0:0:0:0:0:1%lo")), 0);
	assert_int_equal(set.n, 2);
}

static void order_does_not_matter(void **state)
{
	(void)state;
	struct san_set a = {0};
	struct san_set b = {0};
	san_add(&a, STR("one"));
	san_add(&a, STR("10.0.0.1"));
	san_add(&b, STR("10.0.0.1"));
	assert_false(san_equal(&a, &b));
	san_add(&b, STR("one"));
	assert_true(san_equal(&a, &b));
	struct san_set c = {0};
	san_add(&c, STR("10.0.0.2"));
	san_add(&c, STR("one"));
	assert_false(san_equal(&a, &c));
}

static void refuses_what_is_neither(void **state)
{
	(void)state;
	static const struct str bad[] = {
		STR(""),
		STR("."),
		STR("a..b"),
		STR("-a"),
		STR("a-.b"),
		STR("a b"),
		STR("a/b"),
		STR("*"),
		STR("a.*.b"),
		STR("*.*.b"),
		STR("g\xc3\xa4"),
		STR("a\0b"),
		STR("2001:db8"),
		STR("[::1"),
		STR("*."),
		STR(".a"),
		STR("a."
		    "0123456789012345678901234567890123456789012345678901234567890123"),
	};
	struct san_set set = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(san_add(&set, bad[i]), ERR_INVALID);
	assert_int_equal(san_add_raw(&set, SAN_ADDRESS, STR("12345")), ERR_INVALID);
	assert_int_equal(set.n, 0);
	assert_int_equal(san_add(&set, STR("*.plant_1.example")), 0);
}

static void holds_so_many(void **state)
{
	(void)state;
	static struct san_set set;
	char name[32];
	for (int i = 0; i < SAN_MAX; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		assert_int_equal(san_add(&set, str_of(name)), 0);
	}
	assert_int_equal(san_add(&set, STR("one-more")), ERR_LIMIT);
	assert_int_equal(san_add(&set, STR("name-7")), 0);
}

static void holds_so_many_bytes(void **state)
{
	(void)state;
	static struct san_set set;
	char name[SAN_NAME_MAX + 1];
	int err = 0;
	int n = 0;
	for (; err == 0; n++) {
		snprintf(name, sizeof(name), "%061d.%061d.%061d.%03d", 0, 0, 0, n);
		err = san_add(&set, str_of(name));
	}
	assert_int_equal(err, ERR_LIMIT);
	assert_int_equal(n - 1, SAN_BYTES_MAX / (3 * 62 + 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_names_from_addresses),
		cmocka_unit_test(the_same_entry_counts_once),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(refuses_what_is_neither),
		cmocka_unit_test(holds_so_many),
		cmocka_unit_test(holds_so_many_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
