/* SPDX-License-Identifier: Apache-2.0
 *
 * Filter algebra: tables from the standard (MQTT 5.0 section 4.7), and every pair of small filters
 * against the set of all small topics. A fresh name ("z") stands for the names no filter spells,
 * and topics are one level deeper than filters, so the sets decide exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/acl/acl.h"
#include "daemon/base/err.h"

#include <stdio.h>

enum { TOPICS_MAX = 800, FILTERS_MAX = 800, WORDS = (TOPICS_MAX + 63) / 64 };

static const char *const topic_level[] = {"a", "b", "z", "", "$x"};
static const char *const filter_level[] = {"a", "b", "+", "", "$x"};

static char topics[TOPICS_MAX][16];
static unsigned topic_count;
static char filters[FILTERS_MAX][16];
static unsigned filter_count;
static uint64_t matched[FILTERS_MAX][WORDS];

/* All names of up to depth levels. */
static void generate(char out[][16], unsigned *n, const char *const *level, unsigned depth,
		     const char *before)
{
	for (unsigned i = 0; depth && i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%s%s", before, level[i]);
		if (name[0])
			snprintf(out[(*n)++], 16, "%s", name);
		char next[16];
		snprintf(next, sizeof(next), "%.14s/", name);
		generate(out, n, level, depth - 1, next);
	}
}

/* The definition, by recursion over characters of both strings. */
static bool defined_match(const char *f, const char *t, bool first)
{
	if (first && t[0] == '$' && (f[0] == '+' || f[0] == '#'))
		return false;
	if (f[0] == '#')
		return true;
	const size_t fn = strcspn(f, "/"), tn = strcspn(t, "/");
	if (f[0] != '+' && (fn != tn || memcmp(f, t, fn) != 0))
		return false;
	if (!t[tn])
		return !f[fn] || strcmp(f + fn, "/#") == 0;
	return f[fn] && defined_match(f + fn + 1, t + tn + 1, false);
}

static int prepare(void **state)
{
	(void)state;
	generate(topics, &topic_count, topic_level, 4, "");
	generate(filters, &filter_count, filter_level, 3, "");
	const unsigned plain = filter_count;
	snprintf(filters[filter_count++], 16, "#");
	snprintf(filters[filter_count++], 16, "/#");
	for (unsigned i = 0; i < plain; i++) {
		const char *slash = strchr(filters[i], '/');
		if (!slash || !strchr(slash + 1, '/'))
			snprintf(filters[filter_count++], 16, "%.12s/#", filters[i]);
	}
	for (unsigned f = 0; f < filter_count; f++)
		for (unsigned t = 0; t < topic_count; t++)
			if (defined_match(filters[f], topics[t], true))
				matched[f][t / 64] |= 1ull << t % 64;
	return 0;
}

static void test_match(void **state)
{
	(void)state;
	for (unsigned f = 0; f < filter_count; f++)
		for (unsigned t = 0; t < topic_count; t++) {
			const bool expected = matched[f][t / 64] >> t % 64 & 1;
			if (filter_match(str_of(filters[f]), NULL, str_of(topics[t]), NULL) !=
			    expected)
				fail_msg("%s %s %s", filters[f],
					 expected ? "must match" : "must not match", topics[t]);
		}
}

static void compare(unsigned a, unsigned b)
{
	bool cover = true, meet = false;
	for (unsigned w = 0; w < WORDS; w++) {
		cover = cover && !(matched[b][w] & ~matched[a][w]);
		meet = meet || (matched[a][w] & matched[b][w]);
	}
	const struct str fa = str_of(filters[a]), fb = str_of(filters[b]);
	if (filter_cover(fa, NULL, fb, NULL) != cover)
		fail_msg("%s %s cover %s", filters[a], cover ? "must" : "must not", filters[b]);
	if (filter_meet(fa, NULL, fb) != meet)
		fail_msg("%s %s meet %s", filters[a], meet ? "must" : "must not", filters[b]);
}

static void test_pairs(void **state)
{
	(void)state;
	assert_true(topic_count > 700 && filter_count > 150);
	for (unsigned a = 0; a < filter_count; a++)
		for (unsigned b = 0; b < filter_count; b++)
			compare(a, b);
}

static void test_check(void **state)
{
	(void)state;
	static const char *const good[] = {"#",  "+",   "a",      "/",       "a/+/b", "+/#",
					   "//", "a/#", "$SYS/#", "sport/+", "a b"};
	static const char *const bad[] = {"",   "a#",   "#/a",  "a/#/b", "a+",
					  "+a", "a/+b", "a/##", "++",    "a/b#"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_null(filter_check(str_of(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_non_null(filter_check(str_of(bad[i])));
	assert_non_null(filter_check(str_make("a\0b", 3)));
}

static void test_unshared(void **state)
{
	(void)state;
	assert_true(str_is(filter_unshared(STR("$share/g/a/#")), "a/#"));
	assert_true(str_is(filter_unshared(STR("$share/g//a")), "/a"));
	assert_true(str_is(filter_unshared(STR("a/#")), "a/#"));
	assert_true(str_is(filter_unshared(STR("$shared/g/a")), "$shared/g/a"));
	static const char *const bad[] = {"$share",    "$share/",    "$share/g",   "$share/g/",
					  "$share//a", "$share/+/a", "$share/g#/a"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(filter_unshared(str_of(bad[i])).p);
}

static void test_values(void **state)
{
	(void)state;
	assert_true(filter_value_ok(STR("pump-1"), true));
	assert_true(filter_value_ok(STR("\xc3\xa4"), true));
	assert_true(filter_value_ok(STR("$SYS"), false));
	assert_false(filter_value_ok(STR("$SYS"), true));
	static const char *const bad[] = {"", "a/b", "+", "#", "a+", "a\n", "\x7f", "\xc2\x85"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(filter_value_ok(str_of(bad[i]), false));
}

static void test_variables(void **state)
{
	(void)state;
	assert_int_equal(filter_var(STR("${group}")), ACL_VAR_GROUP);
	assert_int_equal(filter_var(STR("${Group}")), ERR_NOT_FOUND);
	assert_int_equal(filter_var(STR("${group")), ERR_NOT_FOUND);
	assert_int_equal(filter_var(STR("x${group}")), ERR_NOT_FOUND);
	assert_int_equal(filter_var(STR("${group}x")), ERR_NOT_FOUND);
	assert_int_equal(filter_var(STR("${}")), ERR_NOT_FOUND);
	assert_int_equal(filter_var(STR("$group")), ERR_INVALID);
	const struct str groups[] = {STR("north"), STR(""), STR("pumps")};
	const struct acl_who who = {.device = STR("pump-1"),
				    .clientid = STR("+"),
				    .group = groups,
				    .group_n = ARRAY_LEN(groups)};
	assert_true(filter_match(STR("p/${device}/#"), &who, STR("p/pump-1/x"), NULL));
	assert_true(filter_match(STR("${group}/x"), &who, STR("pumps/x"), NULL));
	assert_false(filter_match(STR("${group}/x"), &who, STR("/x"), NULL));
	assert_false(filter_match(STR("${group}/x"), &who, STR("south/x"), NULL));
	assert_false(filter_match(STR("a/${clientid}"), &who, STR("a/+"), NULL));
	assert_false(filter_cover(STR("a/${clientid}"), &who, STR("a/+"), NULL));
	assert_false(filter_cover(STR("a/${device}"), &who, STR("a/+"), NULL));
	assert_true(filter_meet(STR("a/${device}"), &who, STR("a/+")));
	assert_true(filter_meet(STR("a/${device}"), &who, STR("a/#")));
	assert_false(filter_meet(STR("a/${clientid}"), &who, STR("a/#")));
	assert_false(filter_meet(STR("a/${cn}"), &who, STR("#")));
	assert_true(filter_match(STR("${device}"), NULL, STR("${device}"), NULL));
}

static void test_misses(void **state)
{
	(void)state;
	const struct acl_who who = {.device = STR("pump-1")};
	struct filter_miss m;
	assert_false(filter_match(STR("p/q/${device}"), &who, STR("p/q/pump-2"), &m));
	assert_int_equal(m.kind, FILTER_MISS_LEVEL);
	assert_int_equal(m.level, 3);
	assert_true(str_is(m.mine, "${device}") && str_is(m.other, "pump-2"));
	assert_false(filter_match(STR("p/${cn}"), &who, STR("p/x"), &m));
	assert_int_equal(m.kind, FILTER_MISS_VALUE);
	assert_false(filter_match(STR("p/q"), &who, STR("p"), &m));
	assert_int_equal(m.kind, FILTER_MISS_SHORT);
	assert_false(filter_match(STR("p"), &who, STR("p/q"), &m));
	assert_int_equal(m.kind, FILTER_MISS_LONG);
	assert_false(filter_match(STR("#"), &who, STR("$SYS/x"), &m));
	assert_int_equal(m.kind, FILTER_MISS_DOLLAR);
	assert_false(filter_cover(STR("p/q"), &who, STR("p/+"), &m));
	assert_int_equal(m.kind, FILTER_MISS_WIDER);
	assert_int_equal(m.level, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),  cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_check),  cmocka_unit_test(test_unshared),
		cmocka_unit_test(test_values), cmocka_unit_test(test_variables),
		cmocka_unit_test(test_misses),
	};
	return cmocka_run_group_tests_name("filter", tests, prepare, NULL);
}
