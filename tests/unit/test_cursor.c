/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing wire formats with a sticky error: daemon/base/cursor.h.
 */
#include "daemon/base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void numbers_in_both_orders(void **state)
{
	(void)state;
	static const unsigned char b[] = {1, 1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8};
	struct cur big = cur_make(b, sizeof(b));
	assert_int_equal(cur_u8(&big), 0x01);
	assert_int_equal(cur_u16(&big), 0x0102);
	assert_int_equal(cur_u32(&big), 0x01020304);
	assert_true(cur_u64(&big) == 0x0102030405060708);
	assert_true(cur_done(&big));
	struct cur little = cur_make(b + 1, sizeof(b) - 1);
	assert_int_equal(cur_u16le(&little), 0x0201);
	assert_int_equal(cur_u32le(&little), 0x04030201);
	assert_true(cur_u64le(&little) == 0x0807060504030201);
	assert_true(cur_done(&little));
}

static void the_highest_numbers(void **state)
{
	(void)state;
	unsigned char b[8];
	memset(b, 0xff, sizeof(b));
	struct cur c = cur_make(b, 8);
	assert_true(cur_u64(&c) == UINT64_MAX);
	c = cur_make(b, 8);
	assert_true(cur_u32(&c) == UINT32_MAX);
	assert_true(cur_u32le(&c) == UINT32_MAX);
	c = cur_make(b, 8);
	assert_int_equal(cur_u16(&c), UINT16_MAX);
}

/* A decoder reads all its fields and judges once: nothing after the first error may look right. */
static void an_error_sticks(void **state)
{
	(void)state;
	const char b[] = {1, 2, 3};
	struct cur c = cur_make(b, sizeof(b));
	assert_int_equal(cur_u16(&c), 0x0102);
	assert_int_equal(cur_u16(&c), 0); /* one byte is left */
	assert_false(cur_ok(&c));
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(cur_u8(&c), 0); /* would have been 3 */
	assert_int_equal(cur_u64le(&c), 0);
	assert_null(cur_take(&c, 1));
	assert_int_equal(cur_str16(&c).n, 0);
	assert_false(cur_done(&c));
	struct cur sub = cur_sub(&c, 0);
	assert_false(cur_ok(&sub));
}

static void done_means_all_and_no_more(void **state)
{
	(void)state;
	struct cur c = cur_of(STR("ab"));
	assert_false(cur_done(&c));
	cur_u8(&c);
	assert_false(cur_done(&c));
	cur_u8(&c);
	assert_true(cur_done(&c));
	cur_fail(&c);
	assert_false(cur_done(&c));
	struct cur nothing = cur_make(NULL, 0);
	assert_true(cur_done(&nothing));
	assert_int_equal(cur_u8(&nothing), 0);
	assert_false(cur_ok(&nothing));
}

static void strings_behind_their_length(void **state)
{
	(void)state;
	struct cur c = cur_of(STR("\0\3abc\0\0\2\0\0\0hi\0\4xyz"));
	assert_true(str_is(cur_str16(&c), "abc"));
	const struct str empty = cur_str16(&c);
	assert_int_equal(empty.n, 0);
	assert_true(cur_ok(&c));
	assert_true(str_is(cur_str32le(&c), "hi"));
	/* says four bytes, has three: neither a short string nor a read behind the end */
	const struct str cut = cur_str16(&c);
	assert_int_equal(cut.n, 0);
	assert_null(cut.p);
	assert_false(cur_ok(&c));
	/* a length close to SIZE_MAX must not wrap */
	struct cur huge = cur_of(STR("\xff\xff\xff\xff"));
	assert_int_equal(cur_str32le(&huge).n, 0);
	assert_false(cur_ok(&huge));
	struct cur wrap = cur_of(STR("abc"));
	assert_null(cur_take(&wrap, SIZE_MAX));
	assert_false(cur_ok(&wrap));
}

static void a_cursor_over_a_part(void **state)
{
	(void)state;
	struct cur c = cur_of(STR("abcdef"));
	struct cur part = cur_sub(&c, 4);
	assert_int_equal(cur_left(&c), 2);
	assert_true(str_is(cur_bytes(&part, 4), "abcd"));
	assert_true(cur_done(&part));
	cur_u8(&part);
	assert_false(cur_ok(&part));
	assert_true(cur_ok(&c)); /* the inner error stays inside */
	struct cur beyond = cur_sub(&c, 3);
	assert_false(cur_ok(&beyond));
	assert_false(cur_ok(&c));
}

static void what_is_written_is_what_is_read(void **state)
{
	(void)state;
	unsigned char b[64];
	struct out o = out_make(b, sizeof(b));
	out_u8(&o, 0xfe);
	out_u16(&o, 0xfedc);
	out_u32(&o, 0xfedcba98);
	out_u64(&o, 0xfedcba9876543210);
	out_u16le(&o, 0xfedc);
	out_u32le(&o, 0xfedcba98);
	out_u64le(&o, 0xfedcba9876543210);
	out_str16(&o, STR("plant"));
	out_str32le(&o, STR(""));
	assert_true(out_ok(&o));
	assert_int_equal(o.need, 1 + 2 * (2 + 4 + 8) + 7 + 4);
	assert_ptr_equal(o.p, b + o.need);
	assert_memory_equal(b, "\xfe\xfe\xdc\xfe\xdc\xba\x98", 7);
	struct cur c = cur_make(b, o.need);
	assert_int_equal(cur_u8(&c), 0xfe);
	assert_int_equal(cur_u16(&c), 0xfedc);
	assert_int_equal(cur_u32(&c), 0xfedcba98);
	assert_true(cur_u64(&c) == 0xfedcba9876543210);
	assert_int_equal(cur_u16le(&c), 0xfedc);
	assert_int_equal(cur_u32le(&c), 0xfedcba98);
	assert_true(cur_u64le(&c) == 0xfedcba9876543210);
	assert_true(str_is(cur_str16(&c), "plant"));
	assert_int_equal(cur_str32le(&c).n, 0);
	assert_true(cur_done(&c));
}

/* After the first write that does not fit nothing is written, but the need is still counted. */
static void a_full_writer_counts_on(void **state)
{
	(void)state;
	unsigned char b[6];
	memset(b, 0xaa, sizeof(b));
	struct out o = out_make(b, 4);
	out_u16(&o, 0x0102);
	out_u32(&o, 0x03040506);
	assert_false(out_ok(&o));
	out_u8(&o, 0x07); /* would fit */
	assert_memory_equal(b, "\1\2\xaa\xaa\xaa\xaa", 6);
	assert_int_equal(o.need, 7);
	struct out none = out_make(NULL, 0);
	out_str16(&none, STR("abc"));
	assert_false(out_ok(&none));
	assert_int_equal(none.need, 5);
}

static void a_string_longer_than_its_length_field(void **state)
{
	(void)state;
	static char text[UINT16_MAX + 1];
	static unsigned char b[2 * sizeof(text)];
	struct out o = out_make(b, sizeof(b));
	out_str16(&o, str_make(text, UINT16_MAX));
	assert_true(out_ok(&o));
	o = out_make(b, sizeof(b));
	out_str16(&o, str_make(text, UINT16_MAX + 1));
	assert_false(out_ok(&o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_both_orders),
		cmocka_unit_test(the_highest_numbers),
		cmocka_unit_test(an_error_sticks),
		cmocka_unit_test(done_means_all_and_no_more),
		cmocka_unit_test(strings_behind_their_length),
		cmocka_unit_test(a_cursor_over_a_part),
		cmocka_unit_test(what_is_written_is_what_is_read),
		cmocka_unit_test(a_full_writer_counts_on),
		cmocka_unit_test(a_string_longer_than_its_length_field),
	};
	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
