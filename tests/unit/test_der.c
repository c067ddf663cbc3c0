/* SPDX-License-Identifier: Apache-2.0
 *
 * DER: what the writer spells (X.690, RFC 5280 4.1.2.5) and what the reader refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/der.h"

static void assert_bytes(struct buf *b, const char *hex)
{
	char text[4096];
	assert_true(b->n * 2 < sizeof(text));
	hex_encode(b->p, b->n, text);
	assert_string_equal(text, hex);
	buf_fini(b);
}

static void writes_numbers(void **state)
{
	(void)state;
	struct buf b = {0};
	der_put_number(&b, 0);
	der_put_number(&b, 127);
	der_put_number(&b, 128);
	der_put_number(&b, 256);
	der_put_uint(&b, STR("\x00\x00\x80\x01"));
	der_put_bool(&b, true);
	der_put_bool(&b, false);
	assert_bytes(&b, "020100"
			 "02017f"
			 "02020080"
			 "02020100"
			 "0203008001"
			 "0101ff"
			 "010100");
}

static void writes_identifiers_and_bits(void **state)
{
	(void)state;
	struct buf b = {0};
	der_put_oid(&b, "1.2.840.113549.1.1.11");
	der_put_oid(&b, "2.5.29.35");
	der_put_oid(&b, "2.999.3");
	der_put_bits(&b, STR("\xa5"));
	der_put(&b, DER_NULL, STR(""));
	assert_bytes(&b, "06092a864886f70d01010b"
			 "0603551d23"
			 "0603883703"
			 "030200a5"
			 "0500");
}

static void writes_times_of_both_kinds(void **state)
{
	(void)state;
	struct buf b = {0};
	der_put_time(&b, 2524607999); /* the last second of 2049 */
	der_put_time(&b, 2524608000);
	der_put_generalized_time(&b, 0);
	der_put_generalized_time(&b, 253402300799);
	assert_bytes(&b, "170d3439313233313233353935395a"
			 "180f32303530303130313030303030305a"
			 "180f31393730303130313030303030305a"
			 "180f39393939313233313233353935395a");
}

static void nests_and_grows_lengths(void **state)
{
	(void)state;
	static const struct {
		size_t n;
		const char *header;
	} cases[] = {
		{0, "3000"},     {127, "307f"},     {128, "308180"},
		{255, "3081ff"}, {256, "30820100"}, {65536, "3083010000"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF b = {0};
		const size_t mark = der_begin(&b, DER_SEQUENCE);
		memset(buf_reserve(&b, cases[i].n), 7, cases[i].n);
		b.n += cases[i].n;
		der_end(&b, mark);
		char text[16];
		const size_t header = strlen(cases[i].header) / 2;
		hex_encode(b.p, header, text);
		assert_string_equal(text, cases[i].header);
		assert_int_equal(b.n, header + cases[i].n);

		struct cur c = cur_of(buf_view(&b));
		assert_int_equal(der_get(&c, DER_SEQUENCE).n, cases[i].n);
		assert_true(cur_done(&c));
	}
}

static void reads_nested_elements(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	const size_t outer = der_begin(&b, DER_SEQUENCE);
	der_put_oid(&b, "1.2.840.10045.2.1");
	der_put_number(&b, 5);
	der_end(&b, outer);
	struct cur c = cur_of(buf_view(&b));
	assert_int_equal(der_peek(&c), DER_SEQUENCE);
	struct cur inside = der_open(&c, DER_SEQUENCE);
	assert_true(der_oid_is(der_get(&inside, DER_OID), "1.2.840.10045.2.1"));
	const struct der number = der_read(&inside);
	assert_int_equal(number.tag, DER_INTEGER);
	assert_true(str_eq(number.whole, STR("\x02\x01\x05")));
	assert_true(cur_done(&inside));
	assert_true(cur_done(&c));
	assert_int_equal(der_peek(&c), 0);
}

static void a_wrong_tag_fails_and_stays_failed(void **state)
{
	(void)state;
	struct cur c = cur_of(STR("\x02\x01\x05\x02\x01\x06"));
	struct cur inside = der_open(&c, DER_SEQUENCE);
	assert_false(cur_ok(&c));
	assert_false(cur_ok(&inside));
	assert_int_equal(der_read(&c).tag, 0);
	assert_false(der_oid_is(der_get(&c, DER_OID), "1.2.3"));
}

static void refuses_what_is_not_der(void **state)
{
	(void)state;
	static const struct str bad[] = {
		STR("\x30"),                          /* no length */
		STR("\x04\x02x"),                     /* value cut off */
		STR("\x04\x80xx\x00\x00"),            /* indefinite length */
		STR("\x04\x81\x01x"),                 /* long form for a short length */
		STR("\x04\x82\x00\x01x"),             /* leading zero in the length */
		STR("\x04\x85\x00\x00\x00\x00\x01x"), /* more length bytes than we read */
		STR("\x04\x84\xff\xff\xff\xff"),      /* longer than everything */
		STR("\x04\x82\x01"),                  /* length cut off */
		STR("\x1f\x01x"),                     /* tag of more bytes */
		STR("\x00\x00"),                      /* end-of-contents */
		STR(""),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cur c = cur_of(bad[i]);
		assert_int_equal(der_read(&c).tag, 0);
		assert_false(cur_ok(&c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_numbers),
		cmocka_unit_test(writes_identifiers_and_bits),
		cmocka_unit_test(writes_times_of_both_kinds),
		cmocka_unit_test(nests_and_grows_lengths),
		cmocka_unit_test(reads_nested_elements),
		cmocka_unit_test(a_wrong_tag_fails_and_stays_failed),
		cmocka_unit_test(refuses_what_is_not_der),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
