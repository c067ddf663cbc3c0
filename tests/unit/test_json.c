/* SPDX-License-Identifier: Apache-2.0
 *
 * Between JSON and rec: what the store answers as JSON, and arguments as people and programs send
 * them, judged by the table of operations.
 */
#include "daemon/base/err.h"
#include "daemon/web/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_json(const struct buf *rec, const char *want)
{
	json_t *j = json_from_rec(buf_view(rec));
	char *text = json_dumps(j, JSON_COMPACT);
	assert_string_equal(text, want);
	free(text);
	json_decref(j);
}

static void every_kind_of_value(void **state)
{
	AUTO_BUF b = {0};
	(void)state;
	rec_text(&b, "text", "a\"b");
	rec_int(&b, "number", -5);
	rec_bool(&b, "yes", true);
	rec_time(&b, "second", 1700000000000);
	rec_time(&b, "fraction", 1700000000120);
	rec_bytes(&b, "bytes", STR("\x00\xff"));
	rec_null(&b, "nothing");
	rec_list(&b, "list");
	rec_text(&b, "", "x");
	rec_object(&b, "");
	rec_int(&b, "deep", 1);
	rec_end(&b);
	rec_end(&b);
	expect_json(&b, "{\"text\":\"a\\\"b\",\"number\":-5,\"yes\":true,"
			"\"second\":\"2023-11-14T22:13:20Z\","
			"\"fraction\":\"2023-11-14T22:13:20.120Z\",\"bytes\":\"00ff\","
			"\"nothing\":null,\"list\":[\"x\",{\"deep\":1}]}");
}

/* The store vouches for its texts; should one be wrong, the answer still is JSON. */
static void texts_that_are_not_utf8(void **state)
{
	AUTO_BUF b = {0};
	(void)state;
	rec_str(&b, "text", STR("\xff"));
	rec_str(&b, "empty", STR(""));
	expect_json(&b, "{\"text\":\"(not UTF-8)\",\"empty\":\"\"}");
}

static int take(enum op op, const char *body, struct buf *args, struct json_problem *problem)
{
	json_t *j = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	const int err = json_args(op_spec(op), j, args, problem);
	json_decref(j);
	return err;
}

static void good_arguments(void **state)
{
	AUTO_BUF args = {0};
	struct json_problem problem;
	struct rec_value v;
	struct str s;
	bool yes;
	(void)state;
	assert_int_equal(take(OP_DEVICE_SET,
			      "{\"name\":\"a\",\"enabled\":false,\"groups\":[\"x\",\"y\"],"
			      "\"note\":null}",
			      &args, &problem),
			 0);
	assert_true(rec_valid(buf_view(&args)));
	assert_true(rec_get_str(buf_view(&args), "name", &s) && str_is(s, "a"));
	assert_true(rec_get_bool(buf_view(&args), "enabled", &yes) && !yes);
	assert_false(rec_find(buf_view(&args), "note", &v));
	assert_true(rec_find(buf_view(&args), "groups", &v));
	struct cur c = cur_of(v.text);
	assert_true(rec_next(&c, &v) && str_is(v.text, "x"));
	assert_true(rec_next(&c, &v) && str_is(v.text, "y"));
	assert_false(rec_next(&c, &v));
	assert_int_equal(json_args_complete(op_spec(OP_DEVICE_SET), buf_view(&args), &problem), 0);
}

static void wrong_arguments(void **state)
{
	static const struct {
		enum op op;
		const char *body, *field, *why;
	} wrong[] = {
		{OP_DEVICE_ADD, "{\"name\":1}", "name", "name must be text"},
		{OP_DEVICE_ADD, "{\"colour\":1}", "colour",
		 "device.add takes no argument named \"colour\""},
		{OP_DEVICE_ADD, "{\"groups\":\"a\"}", "groups", "groups must be a list of texts"},
		{OP_DEVICE_ADD, "{\"groups\":[\"\"]}", "groups",
		 "entry 1 of groups must be text of 1 to 64 bytes"},
		{OP_DEVICE_ADD, "{\"groups\":[\"a\",5]}", "groups",
		 "entry 2 of groups must be text of 1 to 64 bytes"},
		{OP_DEVICE_SET, "{\"enabled\":1}", "enabled", "enabled must be true or false"},
		{OP_DEVICE_LIST, "{\"limit\":1001}", "limit",
		 "limit is 1001; it must be between 0 and 1000"},
		{OP_DEVICE_LIST, "{\"limit\":-1}", "limit",
		 "limit is -1; it must be between 0 and 1000"},
		{OP_DEVICE_LIST, "{\"limit\":1.5}", "limit", "limit must be a whole number"},
		{OP_CLIENT_LIST, "{\"device\":{}}", "device", "device must be text"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_BUF args = {0};
		struct json_problem problem = {0};
		assert_int_equal(take(wrong[i].op, wrong[i].body, &args, &problem), ERR_INVALID);
		assert_string_equal(problem.field, wrong[i].field);
		assert_string_equal(problem.why, wrong[i].why);
	}
}

static void limits_are_exact(void **state)
{
	char body[200];
	struct json_problem problem;
	(void)state;
	for (int n = 63; n <= 65; n++) {
		AUTO_BUF args = {0};
		snprintf(body, sizeof(body), "{\"name\":\"%0*d\"}", n, 0);
		assert_int_equal(take(OP_DEVICE_ADD, body, &args, &problem),
				 n <= 64 ? 0 : ERR_INVALID);
	}
}

static int take_text(enum op op, const char *name, const char *text, struct buf *args,
		     struct json_problem *problem)
{
	return json_arg_text(op_spec(op), str_of(name), str_of(text), args, problem);
}

static void arguments_of_paths_and_queries(void **state)
{
	AUTO_BUF args = {0};
	struct json_problem problem;
	int64_t n;
	(void)state;
	assert_int_equal(take_text(OP_ACL_REMOVE, "id", "17", &args, &problem), 0);
	assert_true(rec_get_int(buf_view(&args), "id", &n) && n == 17);
	assert_int_equal(take_text(OP_ACL_REMOVE, "id", "17", &args, &problem), ERR_INVALID);
	assert_string_equal(problem.why, "id is given twice");
	args.n = 0;
	assert_int_equal(take_text(OP_ACL_REMOVE, "id", "x", &args, &problem), ERR_INVALID);
	assert_int_equal(take_text(OP_ACL_REMOVE, "id", "-1", &args, &problem), ERR_INVALID);
	assert_int_equal(take_text(OP_ACL_REMOVE, "id", "99999999999999999999", &args, &problem),
			 ERR_INVALID);
	assert_int_equal(take_text(OP_ACL_REMOVE, "other", "1", &args, &problem), ERR_INVALID);
	assert_int_equal(take_text(OP_DEVICE_SET, "enabled", "maybe", &args, &problem),
			 ERR_INVALID);
	assert_int_equal(take_text(OP_DEVICE_SET, "groups", "a", &args, &problem), ERR_INVALID);
	assert_int_equal(take_text(OP_DEVICE_SET, "name", "\xff", &args, &problem), ERR_INVALID);
	assert_int_equal(args.n, 0);
	assert_int_equal(take_text(OP_DEVICE_SET, "enabled", "true", &args, &problem), 0);
}

/* What the path says the body may not say again, and differently. */
static void twice_in_path_and_body(void **state)
{
	AUTO_BUF args = {0};
	struct json_problem problem;
	(void)state;
	assert_int_equal(take_text(OP_DEVICE_SET, "name", "a", &args, &problem), 0);
	assert_int_equal(take(OP_DEVICE_SET, "{\"name\":\"b\"}", &args, &problem), ERR_INVALID);
	assert_string_equal(problem.field, "name");
}

static void what_is_missing(void **state)
{
	AUTO_BUF args = {0};
	struct json_problem problem;
	(void)state;
	assert_int_equal(json_args_complete(op_spec(OP_ACL_ADD), buf_view(&args), &problem),
			 ERR_INVALID);
	assert_string_equal(problem.field, "effect");
	assert_int_equal(json_args_complete(op_spec(OP_STATUS), buf_view(&args), &problem), 0);
}

int main(void)
{
	json_seed_tables();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value),
		cmocka_unit_test(texts_that_are_not_utf8),
		cmocka_unit_test(good_arguments),
		cmocka_unit_test(wrong_arguments),
		cmocka_unit_test(limits_are_exact),
		cmocka_unit_test(arguments_of_paths_and_queries),
		cmocka_unit_test(twice_in_path_and_body),
		cmocka_unit_test(what_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
