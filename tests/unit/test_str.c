/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte strings and growable buffers: daemon/base/str.h.
 */
#include "daemon/base/err.h"
#include "daemon/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void find(void **state)
{
	(void)state;
	const struct str s = STR("a--b--c");
	assert_ptr_equal(str_find(s, "--"), s.p + 1);
	assert_ptr_equal(str_find(s, "c"), s.p + 6);
	assert_null(str_find(s, "---"));
	assert_null(str_find(str_make(s.p, 6), "c"));
	assert_null(str_find((struct str){NULL, 0}, "a"));
}

static void utf8(void **state)
{
	(void)state;
	static const struct {
		struct str s;
		bool good;
	} row[] = {
		{STR(""), true},
		{STR("plant/pump-1"), true},
		{STR("\x01\x7f"), true},
		{STR("\0"), false},
		{STR("a\0b"), false},
		/* the first and the last of each length, and their neighbours */
		{STR("\xc2\x80"), true},
		{STR("\xdf\xbf"), true},
		{STR("\xe0\xa0\x80"), true},
		{STR("\xef\xbf\xbf"), true},
		{STR("\xf0\x90\x80\x80"), true},
		{STR("\xf4\x8f\xbf\xbf"), true},
		{STR("\xf4\x90\x80\x80"), false},
		{STR("\xf5\x80\x80\x80"), false},
		/* longer than needed */
		{STR("\xc0\x80"), false},
		{STR("\xc1\xbf"), false},
		{STR("\xe0\x9f\xbf"), false},
		{STR("\xf0\x8f\xbf\xbf"), false},
		/* surrogates [MQTT-1.5.4-1] */
		{STR("\xed\x9f\xbf"), true},
		{STR("\xed\xa0\x80"), false},
		{STR("\xed\xbf\xbf"), false},
		{STR("\xee\x80\x80"), true},
		/* cut off, or without a start */
		{STR("\xc3"), false},
		{STR("a\xe2\x82"), false},
		{STR("\xf0\x9f\x98"), false},
		{STR("\x80"), false},
		{STR("\xbf"), false},
		{STR("\xff"), false},
		/* a byte behind the second that does not continue */
		{STR("\xe2\x82\x41"), false},
		{STR("\xf0\x9f\x98\xc0"), false},
		{STR("\xf0\x9f\x41\x80"), false},
		{STR("\xc3\x41"), false},
		/* a byte order mark is an ordinary character [MQTT-1.5.4-3] */
		{STR("\xef\xbb\xbf"), true},
		{STR("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), true},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		if (str_is_utf8(row[i].s) != row[i].good)
			fail_msg("row %zu is judged wrongly", i);
}

/* The memory behind the string is not looked at. */
static void utf8_reads_no_further(void **state)
{
	(void)state;
	char *const p = malloc(3);
	memcpy(p, "\xe2\x82\xac", 3);
	for (size_t n = 1; n < 3; n++) {
		char *const cut = malloc(n);
		memcpy(cut, p, n);
		assert_false(str_is_utf8(str_make(cut, n)));
		free(cut);
	}
	assert_true(str_is_utf8(str_make(p, 3)));
	free(p);
}

static void numbers(void **state)
{
	(void)state;
	static const struct {
		const char *s;
		uint64_t max;
		int err;
		uint64_t value;
	} row[] = {
		{"0", 0, 0, 0},
		{"1", 0, ERR_LIMIT, 0},
		{"65535", 65535, 0, 65535},
		{"65536", 65535, ERR_LIMIT, 0},
		{"007", 10, 0, 7},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, ERR_LIMIT, 0},
		{"99999999999999999999", UINT64_MAX, ERR_LIMIT, 0},
		{"00000000000000000001", 1, 0, 1},
		{"000000000000000000001", 1, ERR_MALFORMED, 0},
		{"", 9, ERR_MALFORMED, 0},
		{"-1", 9, ERR_MALFORMED, 0},
		{"+1", 9, ERR_MALFORMED, 0},
		{" 1", 9, ERR_MALFORMED, 0},
		{"1 ", 9, ERR_MALFORMED, 0},
		{"1k", 9, ERR_MALFORMED, 0},
		{"0x1", 9, ERR_MALFORMED, 0},
		{"/", 9, ERR_MALFORMED, 0},
		{":", 9, ERR_MALFORMED, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		uint64_t v = 4711;
		const int err = str_u64(str_of(row[i].s), row[i].max, &v);
		if (err != row[i].err || v != (err ? 4711 : row[i].value))
			fail_msg("'%s': error %d, value %llu", row[i].s, err,
				 (unsigned long long)v);
	}
}

static void split_leaves_nothing_out(void **state)
{
	(void)state;
	static const struct {
		const char *s;
		const char *parts[5];
	} row[] = {
		{"a", {"a"}}, {"a/b", {"a", "b"}}, {"/", {"", ""}}, {"a//b/", {"a", "", "b", ""}},
		{"", {""}},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct str rest = str_of(row[i].s);
		size_t n = 0;
		for (; rest.p; n++) {
			const struct str part = str_split(&rest, '/');
			assert_non_null(row[i].parts[n]);
			assert_true(str_is(part, row[i].parts[n]));
		}
		assert_null(row[i].parts[n]);
	}
}

static void trim(void **state)
{
	(void)state;
	assert_true(str_is(str_trim(STR(" \t a b\r\n")), "a b"));
	assert_true(str_is(str_trim(STR("\v a")), "\v a"));
	assert_int_equal(str_trim(STR(" \t\r\n")).n, 0);
	assert_int_equal(str_trim(STR("")).n, 0);
}

static void order_and_equality(void **state)
{
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("b"), STR("a")) > 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("ab"), STR("a")) > 0);
	assert_true(str_cmp(STR("\x7f"), STR("\x80")) < 0);
	assert_int_equal(str_cmp(STR("a\0b"), STR("a\0b")), 0);
	assert_true(str_cmp(STR("a\0b"), STR("a\0c")) < 0);
	assert_int_equal(str_cmp((struct str){NULL, 0}, STR("")), 0);
	assert_true(str_eq((struct str){NULL, 0}, STR("")));
	assert_false(str_eq(STR("a"), STR("A")));
	assert_false(str_eq(STR("a"), STR("a\0")));
	assert_true(str_is((struct str){NULL, 0}, NULL));
	assert_true(str_prefix(STR("plant/1"), STR("plant/")));
	assert_true(str_prefix(STR("plant/"), STR("plant/")));
	assert_true(str_prefix(STR("x"), STR("")));
	assert_false(str_prefix(STR("plant"), STR("plant/")));
	assert_false(str_prefix(STR("Plant/"), STR("plant/")));
}

static void duplicate(void **state)
{
	(void)state;
	char *const copy = str_dup(str_make("abcdef", 3));
	assert_string_equal(copy, "abc");
	free(copy);
	char *const nothing = str_dup((struct str){NULL, 0});
	assert_string_equal(nothing, "");
	free(nothing);
}

static void hexadecimal(void **state)
{
	(void)state;
	static const unsigned char bytes[] = {0x00, 0x1f, 0xa0, 0xff};
	char text[2 * sizeof(bytes) + 1];
	hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "001fa0ff");
	unsigned char back[sizeof(bytes)] = {1, 1, 1, 1};
	assert_int_equal(hex_decode(STR("001FA0ff"), back, sizeof(back)), 0);
	assert_memory_equal(back, bytes, sizeof(bytes));
	static const char *const bad[] = {"001fa0f",  "001fa0ff0", "001fa0fg", "001fa0f/",
					  "001fa0f:", "001fa0f@",  "001fa0f`", " 01fa0ff"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memset(back, 7, sizeof(back));
		assert_int_equal(hex_decode(str_of(bad[i]), back, sizeof(back)), ERR_MALFORMED);
		assert_int_equal(back[0], 7); /* outputs only on success */
	}
	hex_encode(bytes, 0, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode(STR(""), back, 0), 0);
}

static void distance(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		size_t d;
	} row[] = {
		{"", "", 0},
		{"", "abc", 3},
		{"listen", "listen", 0},
		{"lisen", "listen", 1},
		{"kitten", "sitting", 3},
		{"bind", "bnid", 2},
		{"ab", "ba", 2},
		{"flaw", "lawn", 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(str_distance(str_of(row[i].a), str_of(row[i].b)), row[i].d);
		assert_int_equal(str_distance(str_of(row[i].b), str_of(row[i].a)), row[i].d);
	}
	/* names of over 64 bytes are not compared, only told apart */
	char longer[65];
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(str_distance(str_make(longer, 64), str_make(longer, 64)), 0);
	assert_int_equal(str_distance(str_make(longer, 65), str_make(longer, 64)), 65);
}

static void buffers_grow(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	assert_int_equal(b.n, 10 * 2 + 90 * 3 + 900 * 4);
	assert_true(str_prefix(buf_view(&b), STR("0,1,2,")));
	assert_memory_equal(b.p + b.n - 8, "998,999,", 8);
	buf_consume(&b, b.n - 4);
	assert_true(str_is(buf_view(&b), "999,"));
	buf_putc(&b, '\0');
	buf_puts(&b, "x");
	buf_str(&b, STR("y\0z"));
	buf_put(&b, NULL, 0);
	assert_true(str_eq(buf_view(&b), STR("999,\0xy\0z")));
	assert_int_equal(buf_cstr(&b)[b.n], '\0');
	assert_int_equal(b.n, 9);
	buf_consume(&b, b.n);
	assert_int_equal(b.n, 0);
	assert_string_equal(buf_cstr(&b), "");
	buf_fini(&b);
	assert_null(b.p);
	buf_puts(&b, "again");
	assert_string_equal(buf_cstr(&b), "again");
}

static void buffers_reserve(void **state)
{
	(void)state;
	AUTO_BUF b = {0};
	buf_puts(&b, "head");
	char *const room = buf_reserve(&b, 5000);
	assert_ptr_equal(room, b.p + 4);
	memset(room, 'x', 5000);
	assert_int_equal(b.n, 4);
	assert_true(b.cap >= 5004);
	b.n += 5000;
	const char *const before = b.p;
	buf_reserve(&b, b.cap - b.n);
	assert_ptr_equal(before, b.p); /* what was reserved does not move */
}

static void controls_are_masked(void **state)
{
	(void)state;
	char text[] = "a\n\x1b[2J\x7f|\xc2\x9b|\xc2\xa0\xc3\x9b|\xc2";
	str_mask_controls(text, sizeof(text) - 1);
	assert_string_equal(text, "a??[2J?|??|\xc2\xa0\xc3\x9b|\xc2");
}

static void heads_end_with_a_character(void **state)
{
	(void)state;
	const struct str text =
		STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"); /* 1, 2, 3, 4, 1 bytes */
	static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
	for (size_t max = 0; max < ARRAY_LEN(whole); max++) {
		const struct str head = str_head(text, max);
		assert_ptr_equal(head.p, text.p);
		assert_int_equal(head.n, whole[max]);
	}
	assert_int_equal(str_head(STR("\x80\x80\x80\x80\x80\x80"), 5).n, 5); /* it is none */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(find),
		cmocka_unit_test(utf8),
		cmocka_unit_test(utf8_reads_no_further),
		cmocka_unit_test(numbers),
		cmocka_unit_test(split_leaves_nothing_out),
		cmocka_unit_test(trim),
		cmocka_unit_test(order_and_equality),
		cmocka_unit_test(duplicate),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(distance),
		cmocka_unit_test(buffers_grow),
		cmocka_unit_test(buffers_reserve),
		cmocka_unit_test(controls_are_masked),
		cmocka_unit_test(heads_end_with_a_character),
	};
	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
