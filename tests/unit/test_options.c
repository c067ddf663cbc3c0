/* SPDX-License-Identifier: Apache-2.0
 *
 * Command line of gatehoused. What it prints is judged by tests/processes.
 */
#include "daemon/base/err.h"
#include "daemon/proc/options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct options got;

static int parse(const char *a, const char *b, const char *c)
{
	const char *words[] = {"gatehoused", a, b, c, NULL};
	int n = 1;
	while (n < 4 && words[n])
		n++;
	optind = 0; /* from the beginning */
	return options_parse(n, (char **)(uintptr_t)words, &got);
}

static void without_options_it_runs(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL, NULL, NULL), 0);
	assert_int_equal(got.action, ACTION_RUN);
	assert_non_null(strstr(got.config_path, "/gatehouse/gatehouse.conf"));
	assert_int_equal(got.n_overrides, 0);
}

static void options_long_and_short(void **state)
{
	(void)state;
	assert_int_equal(parse("--config=/x", "-t", NULL), 0);
	assert_string_equal(got.config_path, "/x");
	assert_int_equal(got.action, ACTION_TEST_CONFIG);
	assert_int_equal(parse("-c", "/y", "--print-config"), 0);
	assert_string_equal(got.config_path, "/y");
	assert_int_equal(got.action, ACTION_PRINT_CONFIG);
	assert_int_equal(parse("-o", "a.b=c", "--set=d.e=f"), 0);
	assert_int_equal(got.n_overrides, 2);
	assert_string_equal(got.overrides[0], "a.b=c");
	assert_string_equal(got.overrides[1], "d.e=f");
	assert_int_equal(parse("--probe", "broker:exec", NULL), 0);
	assert_int_equal(got.action, ACTION_PROBE);
	assert_string_equal(got.probe, "broker:exec");
}

static void what_is_wrong(void **state)
{
	(void)state;
	assert_int_equal(parse("--nonsense", NULL, NULL), ERR_INVALID);
	assert_int_equal(parse("word", NULL, NULL), ERR_INVALID);
	assert_int_equal(parse("-t", "word", NULL), ERR_INVALID);
	assert_int_equal(parse("--config", NULL, NULL), ERR_INVALID);
	assert_int_equal(parse("--process", "broker", NULL), ERR_INVALID);
}

static void overrides_are_bounded(void **state)
{
	const char *words[2 * OPTIONS_OVERRIDES_MAX + 3] = {"gatehoused"};
	(void)state;
	for (size_t i = 0; i <= OPTIONS_OVERRIDES_MAX; i++) {
		words[2 * i + 1] = "-o";
		words[2 * i + 2] = "a.b=c";
	}
	optind = 0;
	assert_int_equal(
		options_parse(2 * OPTIONS_OVERRIDES_MAX + 1, (char **)(uintptr_t)words, &got), 0);
	assert_int_equal(got.n_overrides, OPTIONS_OVERRIDES_MAX);
	optind = 0;
	assert_int_equal(
		options_parse(2 * OPTIONS_OVERRIDES_MAX + 3, (char **)(uintptr_t)words, &got),
		ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_it_runs),
		cmocka_unit_test(options_long_and_short),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(overrides_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
