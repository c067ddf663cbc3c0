/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic names and filters: validity, shared subscriptions, matching (sections 4.7 and 4.8.2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/mqtt/topic.h"

#define GOOD      REASON_SUCCESS
#define MALFORMED REASON_MALFORMED_PACKET
#define BAD_NAME  REASON_TOPIC_NAME_INVALID
#define BAD       REASON_TOPIC_FILTER_INVALID

struct row {
	struct str text;
	enum reason want;
};

static const struct row names[] = {
	{STR("a"), GOOD},
	{STR("/"), GOOD},
	{STR("a//b/"), GOOD},
	{STR("$SYS/broker"), GOOD},
	{STR("a b/\xc3\xa4"), GOOD},
	{STR("plant/line-1/pump-7/temperature"), GOOD},
	{STR("\xef\xbb\xbf"), GOOD}, /* U+FEFF is a character like others [MQTT-1.5.4-3] */
	{STR("\x7f\x01"), GOOD},
	{STR(""), BAD_NAME}, /* [MQTT-4.7.3-1] */
	{STR("+"), BAD_NAME},
	{STR("#"), BAD_NAME},
	{STR("a#"), BAD_NAME},
	{STR("plant/line-1/+/x"), BAD_NAME},
	{STR("plant/line-1/pump-7/#"), BAD_NAME},
	{STR("\xc3\xa4+"), BAD_NAME},
	{STR("a\0b"), MALFORMED}, /* [MQTT-4.7.3-2] */
	{STR("plant/line-1/pump-7\0"), MALFORMED},
	{STR("plant/line-1/\xff/x"), MALFORMED},
	{STR("\xed\xa0\x80"), MALFORMED}, /* [MQTT-1.5.4-1] */
	{STR("+\xff"), MALFORMED},
};

static const struct row filters[] = {
	{STR("#"), GOOD},
	{STR("+"), GOOD},
	{STR("/"), GOOD},
	{STR("+/+"), GOOD},
	{STR("/+"), GOOD},
	{STR("a/+/b/#"), GOOD},
	{STR("+/#"), GOOD},
	{STR("a//#"), GOOD},
	{STR("plant/line-1/pump-7/temperature"), GOOD},
	{STR("\xc3\xa4/+"), GOOD},
	{STR(""), BAD},          /* [MQTT-4.7.3-1] */
	{STR("a#"), BAD},        /* [MQTT-4.7.1-1] */
	{STR("#/a"), BAD},       /* [MQTT-4.7.1-1] */
	{STR("a/#/"), BAD},      /* [MQTT-4.7.1-1] */
	{STR("##"), BAD},        /* [MQTT-4.7.1-1] */
	{STR("a+"), BAD},        /* [MQTT-4.7.1-2] */
	{STR("+a/b"), BAD},      /* [MQTT-4.7.1-2] */
	{STR("a/++/b"), BAD},    /* [MQTT-4.7.1-2] */
	{STR("a/+#"), BAD},      /* [MQTT-4.7.1-2] */
	{STR("a\0"), MALFORMED}, /* [MQTT-4.7.3-2] */
	{STR("a/+/\xc0\x80"), MALFORMED},
	{STR("$share/g/a"), GOOD},
	{STR("$share/g//"), GOOD},
	{STR("$share/g/#"), GOOD},
	{STR("$share"), GOOD}, /* no share prefix: a filter like others */
	{STR("$shared/g/a"), GOOD},
	{STR("$share/"), BAD},        /* [MQTT-4.8.2-1] */
	{STR("$share//a"), BAD},      /* [MQTT-4.8.2-1] */
	{STR("$share/g"), BAD},       /* [MQTT-4.8.2-2] */
	{STR("$share/g/"), BAD},      /* [MQTT-4.8.2-2] */
	{STR("$share/+/a"), BAD},     /* [MQTT-4.8.2-2] */
	{STR("$share/g#/a"), BAD},    /* [MQTT-4.8.2-2] */
	{STR("$share/g/a/#/b"), BAD}, /* [MQTT-4.7.1-1] */
	{STR("$share/\xff/a"), MALFORMED},
};

/* Memory of exactly the size, so that a sanitizer sees the eight-byte steps go too far. */
static enum reason check(enum reason (*of)(struct str), struct str s)
{
	char *copy = mem_copy(s.p, s.n);
	const enum reason r = of(str_make(copy, s.n));
	free(copy);
	return r;
}

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (check(topic_name_check, names[i].text) != names[i].want)
			fail_msg("name %.*s", STR_ARG(names[i].text));
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		if (check(topic_filter_check, filters[i].text) != filters[i].want)
			fail_msg("filter %.*s", STR_ARG(filters[i].text));
}

/* A bad byte is seen at every place of a name of every length. */
static void test_every_place(void **state)
{
	(void)state;
	static const struct {
		char byte;
		enum reason want;
	} bytes[] = {
		{'+', BAD_NAME},     {'#', BAD_NAME}, {'\0', MALFORMED},
		{'\x80', MALFORMED}, {'$', GOOD},     {'*', GOOD},
		{',', GOOD},         {'"', GOOD},     {'\x01', GOOD},
	};
	for (size_t n = 1; n <= 33; n++) {
		for (size_t at = 0; at < n; at++) {
			for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
				char text[33];
				memset(text, 'a', sizeof(text));
				text[at] = bytes[i].byte;
				assert_int_equal(check(topic_name_check, str_make(text, n)),
						 bytes[i].want);
			}
		}
	}
}

static void test_length(void **state)
{
	(void)state;
	char *text = mem_alloc(PACKET_STRING_MAX + 1);
	memset(text, 'a', PACKET_STRING_MAX + 1);
	/* [MQTT-4.7.3-3] */
	assert_int_equal(topic_name_check(str_make(text, PACKET_STRING_MAX)), GOOD);
	assert_int_equal(topic_name_check(str_make(text, PACKET_STRING_MAX + 1)), BAD_NAME);
	assert_int_equal(topic_filter_check(str_make(text, PACKET_STRING_MAX)), GOOD);
	assert_int_equal(topic_filter_check(str_make(text, PACKET_STRING_MAX + 1)), BAD);
	free(text);
}

static void test_share(void **state)
{
	(void)state;
	static const struct {
		const char *whole;
		const char *group;
		const char *filter;
	} rows[] = {
		{"a/b", "", "a/b"},
		{"#", "", "#"},
		{"$share/g/a/+/#", "g", "a/+/#"},
		{"$share/g//", "g", "/"},
		{"$shared/g/a", "", "$shared/g/a"},
		{"$share", "", "$share"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct topic_share s = topic_share_split(str_of(rows[i].whole));
		assert_true(str_is(s.group, rows[i].group));
		assert_true(str_is(s.filter, rows[i].filter));
		assert_int_equal(topic_is_shared(str_of(rows[i].whole)), s.group.n != 0);
	}
}

static void test_matches(void **state)
{
	(void)state;
	static const struct {
		const char *filter;
		const char *name;
		bool want;
	} rows[] = {
		{"a/b", "a/b", true},
		{"a/b", "a/B", false}, /* bytes are compared as they are [MQTT-4.7.3-4] */
		{"a/b", "a", false},
		{"a", "a/b", false},
		{"a", "a/", false},
		{"a/", "a", false},
		{"/a", "a", false},
		{"ab", "a", false},
		{"a", "ab", false},
		{"\xc3\xa4", "a\xcc\x88", false},
		{"#", "a", true},
		{"#", "a/b/c", true},
		{"#", "/", true},
		{"a/#", "a", true}, /* the parent level too (4.7.1.2) */
		{"a/#", "a/", true},
		{"a/#", "a/b/c", true},
		{"a/#", "ab", false},
		{"a/#", "b", false},
		{"a/b/#", "a", false},
		{"/#", "/a", true},
		{"/#", "a", false},
		{"+", "a", true},
		{"+", "a/b", false},
		{"+", "/a", false},
		{"+/+", "/a", true},
		{"/+", "/a", true},
		{"a/+", "a", false},
		{"a/+", "a/", true},
		{"a/+", "a/b", true},
		{"a/+", "a/b/c", false},
		{"a/+/c", "a/b/c", true},
		{"a/+/c", "a//c", true},
		{"a/+/c", "a/b/d", false},
		{"+/b/#", "a/b", true},
		{"+/b/#", "a/c/b", false},
		{"#", "$SYS/a", false}, /* [MQTT-4.7.2-1] */
		{"+/a", "$SYS/a", false},
		{"+/#", "$SYS/a", false},
		{"$SYS/#", "$SYS/a", true},
		{"$SYS/+", "$SYS/a", true},
		{"$SYS/#", "$SYS", true},
		{"a/#", "a/$b", true}, /* only the first level counts */
		{"a/+", "a/$b", true},
		{"$SYS/a", "$SYS/a", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (topic_matches(str_of(rows[i].filter), str_of(rows[i].name)) != rows[i].want)
			fail_msg("%s, %s", rows[i].filter, rows[i].name);
}

static void test_levels(void **state)
{
	(void)state;
	static const char *const want[] = {"", "a", "", "b", ""};
	size_t n = 0;
	struct str level;
	for (struct str rest = STR("/a//b/"); topic_next(&rest, &level); n++)
		assert_true(n < ARRAY_LEN(want) && str_is(level, want[n]));
	assert_int_equal(n, ARRAY_LEN(want));
	assert_int_equal(topic_levels(STR("/a//b/")), 5);
	assert_int_equal(topic_levels(STR("a")), 1);
	assert_true(topic_has_wildcard(STR("a/+")));
	assert_true(topic_has_wildcard(STR("#")));
	assert_false(topic_has_wildcard(STR("a/b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),   cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_length),  cmocka_unit_test(test_share),
		cmocka_unit_test(test_matches), cmocka_unit_test(test_levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
