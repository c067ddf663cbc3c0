/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of SCRAM: an exchange, names with escapes, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/broker/scram.h"

static const unsigned char random_bytes[SCRAM_NONCE] = "abcdefghijklmnopqr";

static bool first(struct scram *s, const char *text)
{
	return scram_client_first(s, str_of(text));
}

static void test_exchange(void **state)
{
	(void)state;
	struct scram s = {0};
	AUTO_BUF out = {0};
	unsigned char proof[SCRAM_PROOF], expected[SCRAM_PROOF];
	memset(expected, 0xff, sizeof(expected));
	assert_true(first(&s, "n,,n=us=2Cer=3D,r=clientnonce,x=ignored"));
	assert_true(str_is(buf_view(&s.name), "us,er="));
	scram_server_first(&s, random_bytes, STR("salt"), 4096, &out);
	assert_string_equal(buf_cstr(&out),
			    "r=clientnonceYWJjZGVmZ2hpamtsbW5vcHFy,s=c2FsdA==,i=4096");
	assert_true(scram_client_final(&s,
				       STR("c=biws,r=clientnonceYWJjZGVmZ2hpamtsbW5vcHFy,x=y,"
					   "p=//////////////////////////////////////////8="),
				       proof));
	assert_memory_equal(proof, expected, sizeof(proof));
	assert_string_equal(buf_cstr(&s.message),
			    "n=us=2Cer=3D,r=clientnonce,x=ignored,"
			    "r=clientnonceYWJjZGVmZ2hpamtsbW5vcHFy,s=c2FsdA==,i=4096,"
			    "c=biws,r=clientnonceYWJjZGVmZ2hpamtsbW5vcHFy,x=y");
	buf_fini(&out);
	scram_server_final(STR("sig"), &out);
	assert_string_equal(buf_cstr(&out), "v=c2ln");
	scram_fini(&s);
}

static void test_refused_beginnings(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		",",
		"n",
		"n,",
		"n,,",
		"n,,n=a",
		"n,,n=a,",
		"n,,n=a,r",
		"n,,n=a,r=",
		"n,,r=b,n=a",
		"p=x,,n=a,r=b",
		"n,a=c,n=a,r=b",
		"n,,m=x,n=a,r=b",
		"q,,n=a,r=b",
		"n,,n=,r=b",
		"n,,n=a=,r=b",
		"n,,n=a=2,r=b",
		"n,,n=a=2c,r=b",
		"n,,n=\xff,r=b",
		"n,,n=a,r=b c",
		"n,,n=a,r=\x7f",
	};
	struct scram s = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(first(&s, bad[i]));
	assert_true(first(&s, "y,,n=a,r=b"));
	scram_fini(&s);
}

static void test_refused_ends(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"c=biws",
		"c=biws,r=bX",
		"c=biws,r=bYWJjZGVmZ2hpamtsbW5vcHFy",
		"c=biws,r=bYWJjZGVmZ2hpamtsbW5vcHFy,p=",
		"c=biws,r=bYWJjZGVmZ2hpamtsbW5vcHFy,p=AAAA",
		"c=biws,r=bYWJjZGVmZ2hpamtsbW5vcHFy,p=///////////////////////////////////////////=",
		"c=biws,r=bYWJjZGVmZ2hpamtsbW5vcHFy,p=//////////////////////////////////////////"
		"8=,x=y",
		"c=biwsx,r=bYWJjZGVmZ2hpamtsbW5vcHFy,p=//////////////////////////////////////////"
		"8=",
		"c=eSws,r=bYWJjZGVmZ2hpamtsbW5vcHFy,p=//////////////////////////////////////////8=",
		"c=biws,r=bYWJjZGVmZ2hpamtsbW5vcHFx,p=//////////////////////////////////////////8=",
	};
	unsigned char proof[SCRAM_PROOF];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct scram s = {0};
		AUTO_BUF out = {0};
		assert_true(first(&s, "n,,n=a,r=b"));
		scram_server_first(&s, random_bytes, STR("salt"), 4096, &out);
		assert_false(scram_client_final(&s, str_of(bad[i]), proof));
		scram_fini(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_refused_beginnings),
		cmocka_unit_test(test_refused_ends),
	};
	return cmocka_run_group_tests_name("scram text", tests, NULL, NULL);
}
