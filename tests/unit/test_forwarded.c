/* SPDX-License-Identifier: Apache-2.0
 *
 * X-Forwarded-For: which of its addresses counts, whatever a stranger writes into it.
 */
#include "daemon/web/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
	const char *field;
	const char *from; /* NULL: the proxy speaks for itself */
} rows[] = {
	{"192.0.2.7", "192.0.2.7"},
	{" 192.0.2.7 ", "192.0.2.7"},
	{"203.0.113.9, 192.0.2.7", "192.0.2.7"},
	{"127.0.0.1,192.0.2.7", "192.0.2.7"},
	{"192.0.2.7, 10.0.0.1", "192.0.2.7"},
	{"192.0.2.7, 10.0.0.1, 10.9.9.9", "192.0.2.7"},
	{"10.0.0.2, 10.0.0.1", "10.0.0.2"},
	{"192.0.2.7:4711", "192.0.2.7"},
	{"2001:db8::7", "2001:db8::7"},
	{"[2001:db8::7]:4711", "2001:db8::7"},
	{"::ffff:192.0.2.7", "192.0.2.7"},
	{"rubbish, 192.0.2.7", "192.0.2.7"},
	{",192.0.2.7", "192.0.2.7"},
	{"", NULL},
	{",", NULL},
	{"192.0.2.7,", NULL},
	{"unknown", NULL},
	{"192.0.2.7, unknown", NULL},
	{"unix:/x", NULL},
	{"*:80", NULL},
	{"192.0.2.7 192.0.2.8", NULL},
	{"unknown, 10.0.0.1", "10.0.0.1"},
};

static void the_last_address_counts_that_is_no_proxy(void **state)
{
	struct cidr proxy;
	(void)state;
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &proxy), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr from;
		char text[ADDR_TEXT];
		const bool found = forwarded_for(str_of(rows[i].field), &proxy, 1, &from);
		if (found != (rows[i].from != NULL))
			fail_msg("\"%s\": %s", rows[i].field, found ? "an address" : "none");
		if (found)
			assert_string_equal(addr_format_ip(&from, text), rows[i].from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_address_counts_that_is_no_proxy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
