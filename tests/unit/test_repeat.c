/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are kept for requests that are sent again (repeat.h): what is known of a key, for
 * how long, and that a caller who sends many pushes out nobody else's.
 */
#include "daemon/web/repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ANN STR("ann's session")
#define BOB STR("bob's session")

static struct repeats all;

static int set_up(void **state)
{
	(void)state;
	repeats_init(&all);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	repeats_fini(&all);
	return 0;
}

static enum repeat_state begin(struct str who, struct str key, uint64_t now_ms)
{
	uint64_t id;
	return repeat_begin(&all, who, key, STR("request"), now_ms, &id);
}

/* A request that is answered so. */
static void answered(struct str who, unsigned number, struct str answer)
{
	char key[32];
	uint64_t id;
	snprintf(key, sizeof(key), "key %u", number);
	assert_int_equal(repeat_begin(&all, who, str_of(key), STR("request"), 0, &id), REPEAT_NEW);
	repeat_keep(&all, id, 201, answer);
}

static void what_is_known_of_a_key(void **state)
{
	uint64_t id, again;
	(void)state;
	assert_int_equal(repeat_begin(&all, ANN, STR("k"), STR("request"), 0, &id), REPEAT_NEW);
	assert_int_equal(begin(ANN, STR("k"), 0), REPEAT_RUNNING);
	repeat_keep(&all, id, 201, STR("{}"));
	assert_int_equal(repeat_begin(&all, ANN, STR("k"), STR("request"), 0, &again), REPEAT_DONE);
	assert_int_equal(again, id);
	assert_int_equal(repeat_find(&all, id)->status, 201);
	assert_int_equal(repeat_begin(&all, ANN, STR("k"), STR("other"), 0, &again), REPEAT_OTHER);
	assert_int_equal(begin(BOB, STR("k"), 0), REPEAT_NEW);
	repeat_forget(&all, id);
	assert_null(repeat_find(&all, id));
	assert_int_equal(begin(ANN, STR("k"), 0), REPEAT_NEW);
}

static void it_is_forgotten_after_a_day(void **state)
{
	const uint64_t day = (uint64_t)REPEAT_HOURS * 3600 * 1000;
	(void)state;
	answered(ANN, 1, STR("{}"));
	assert_int_equal(begin(ANN, STR("key 1"), day - 1), REPEAT_DONE);
	assert_int_equal(begin(ANN, STR("key 1"), day), REPEAT_NEW);
}

static void who_sends_many_pushes_out_only_his_own(void **state)
{
	(void)state;
	answered(ANN, 1, STR("{}"));
	for (unsigned i = 0; i < 3 * REPEAT_MAX; i++)
		answered(BOB, i, STR("{}"));
	assert_true(all.n <= REPEAT_MAX);
	assert_int_equal(begin(ANN, STR("key 1"), 0), REPEAT_DONE);
	assert_int_equal(begin(BOB, STR("key 1535"), 0), REPEAT_DONE);
	assert_int_equal(begin(BOB, STR("key 0"), 0), REPEAT_NEW);
}

static void so_it_is_with_large_answers(void **state)
{
	AUTO_BUF large = {0};
	(void)state;
	while (large.n < REPEAT_ANSWER_MAX)
		buf_putc(&large, 'x');
	answered(ANN, 1, buf_view(&large));
	answered(ANN, 2, STR("{}"));
	for (unsigned i = 0; i < 2 * REPEAT_ANSWERS_MAX / REPEAT_ANSWER_MAX; i++)
		answered(BOB, i, buf_view(&large));
	assert_true(all.bytes <= REPEAT_ANSWERS_MAX + REPEAT_ANSWER_MAX);
	assert_int_equal(begin(ANN, STR("key 1"), 0), REPEAT_DONE);
	assert_int_equal(begin(ANN, STR("key 2"), 0), REPEAT_DONE);
	assert_int_equal(begin(BOB, STR("key 0"), 0), REPEAT_NEW);
}

static void one_that_is_too_large_is_not_told_again(void **state)
{
	AUTO_BUF large = {0};
	(void)state;
	while (large.n <= REPEAT_ANSWER_MAX)
		buf_putc(&large, 'x');
	answered(ANN, 1, buf_view(&large));
	assert_int_equal(all.bytes, 0);
	assert_int_equal(begin(ANN, STR("key 1"), 0), REPEAT_TOO_LARGE);
}

static void what_runs_stays(void **state)
{
	char key[32];
	uint64_t first;
	(void)state;
	assert_int_equal(repeat_begin(&all, ANN, STR("first"), STR("request"), 0, &first),
			 REPEAT_NEW);
	for (unsigned i = 0; i < REPEAT_MAX + 10; i++) {
		snprintf(key, sizeof(key), "running %u", i);
		assert_int_equal(begin(ANN, str_of(key), 0), REPEAT_NEW);
	}
	repeat_doubt(&all, first);
	assert_int_equal(repeat_find(&all, first)->id, first);
	assert_int_equal(begin(ANN, STR("running 1"), 0), REPEAT_RUNNING);
	assert_null(repeat_find(&all, first)); /* it was the only one that could go */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_known_of_a_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_forgotten_after_a_day, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_sends_many_pushes_out_only_his_own, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(so_it_is_with_large_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_is_too_large_is_not_told_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_runs_stays, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
