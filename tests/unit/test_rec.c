/* SPDX-License-Identifier: Apache-2.0
 *
 * rec: what is written is read back, by order and by name; what is malformed is found, wherever it
 * is cut and however deep it goes.
 */
#include "daemon/ipc/rec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void put_sample(struct buf *b)
{
	rec_text(b, "name", "pump-1");
	rec_int(b, "number", -5);
	rec_bool(b, "enabled", true);
	rec_time(b, "since", 1700000000123);
	rec_bytes(b, "hash", STR("\x00\xff"));
	rec_null(b, "nothing");
	rec_list(b, "groups");
	rec_text(b, "", "a");
	rec_text(b, "", "b");
	rec_end(b);
	rec_object(b, "inner");
	rec_int(b, "deep", 7);
	rec_end(b);
}

static void values_in_order(void **state)
{
	static const struct {
		enum rec_kind kind;
		const char *name;
	} want[] = {
		{REC_STR, "name"},    {REC_INT, "number"},   {REC_BOOL, "enabled"},
		{REC_TIME, "since"},  {REC_BYTES, "hash"},   {REC_NULL, "nothing"},
		{REC_LIST, "groups"}, {REC_OBJECT, "inner"},
	};
	AUTO_BUF b = {0};
	struct rec_value v;
	(void)state;
	put_sample(&b);
	assert_true(rec_valid(buf_view(&b)));
	struct cur c = cur_of(buf_view(&b));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(rec_next(&c, &v));
		assert_int_equal(v.kind, want[i].kind);
		assert_true(str_is(v.name, want[i].name));
	}
	assert_false(rec_next(&c, &v));
	assert_true(cur_ok(&c));
}

static void values_by_name(void **state)
{
	AUTO_BUF b = {0};
	struct str text;
	struct rec_value v;
	int64_t number;
	bool yes;
	(void)state;
	put_sample(&b);
	const struct str rec = buf_view(&b);
	assert_true(rec_get_str(rec, "name", &text) && str_is(text, "pump-1"));
	assert_true(rec_get_str(rec, "hash", &text) && str_eq(text, STR("\x00\xff")));
	assert_true(rec_get_int(rec, "number", &number) && number == -5);
	assert_true(rec_get_int(rec, "since", &number) && number == 1700000000123);
	assert_true(rec_get_bool(rec, "enabled", &yes) && yes);
	assert_false(rec_get_str(rec, "number", &text));
	assert_false(rec_get_int(rec, "enabled", &number));
	assert_false(rec_get_bool(rec, "name", &yes));
	assert_false(rec_find(rec, "nothing", &v));
	assert_false(rec_find(rec, "nam", &v));
	assert_false(rec_find(rec, "deep", &v));
	assert_true(rec_find(rec, "inner", &v));
	assert_true(rec_get_int(v.text, "deep", &number) && number == 7);
	assert_true(rec_find(rec, "groups", &v));
	struct cur c = cur_of(v.text);
	assert_true(rec_next(&c, &v) && str_is(v.text, "a"));
	assert_true(rec_next(&c, &v) && str_is(v.text, "b"));
	assert_false(rec_next(&c, &v));
}

static void cut_anywhere(void **state)
{
	AUTO_BUF b = {0};
	size_t whole = 0;
	(void)state;
	rec_list(&b, "l");
	put_sample(&b);
	rec_end(&b);
	for (size_t n = 1; n < b.n; n++)
		whole += rec_valid((struct str){b.p, n});
	assert_int_equal(whole, 0);
	assert_true(rec_valid(buf_view(&b)));
	assert_true(rec_valid(STR("")));
}

static void depth(void **state)
{
	(void)state;
	for (int levels = 1; levels <= 20; levels++) {
		AUTO_BUF b = {0};
		for (int i = 0; i < levels; i++)
			rec_list(&b, "");
		for (int i = 0; i < levels; i++)
			rec_end(&b);
		assert_int_equal(rec_valid(buf_view(&b)), levels <= REC_DEPTH);
	}
}

static void what_is_malformed(void **state)
{
	static const struct str bad[] = {
		STR("\x09\x00"),                 /* no such kind */
		STR("\x08\x00"),                 /* an end without a beginning */
		STR("\x01\x00\x02"),             /* a boolean of 2 */
		STR("\x03\x00\xff\xff\xff\xff"), /* longer than there is */
		STR("\x00\x05"),                 /* a name that is not there */
		STR("\x06\x00\x07\x00\x08\x00"), /* an open list */
		STR("\x06\x00\x08\x00\x08\x00"), /* one end too many */
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(rec_valid(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_in_order),   cmocka_unit_test(values_by_name),
		cmocka_unit_test(cut_anywhere),      cmocka_unit_test(depth),
		cmocka_unit_test(what_is_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
