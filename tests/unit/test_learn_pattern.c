/* SPDX-License-Identifier: Apache-2.0
 *
 * Topics that were seen, and the filters that are proposed for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/learn_pattern.h"

#include <stdio.h>

static void add(struct learn_topics *t, const char *topic, const char *device, unsigned actions)
{
	const struct learn_topic use = {.actions = actions, .times = 1, .first = 5, .last = 5};
	learn_topics_add(t, str_of(topic), str_of(device), &use);
}

/* "topic actions times" of each, with blanks between them. */
static void is(const struct learn_topics *t, const char *expected)
{
	AUTO_BUF text = {0};
	for (size_t i = 0; i < t->n; i++)
		buf_printf(&text, "%s%s %u %d", i ? ", " : "", t->p[i].topic, t->p[i].actions,
			   (int)t->p[i].times);
	assert_string_equal(buf_cstr(&text), expected);
}

static void test_own_name(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	add(&t, "plant/pump-1/state", "pump-1", ACL_PUBLISH);
	add(&t, "plant/pump-2/state", "pump-2", ACL_PUBLISH);
	add(&t, "plant/pump-1x", "pump-1", ACL_PUBLISH);
	learn_topics_generalise(&t, true);
	is(&t, "plant/${device}/state 1 2, plant/pump-1x 1 1");
}

static void test_numbers(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	add(&t, "a/1/x", "", ACL_PUBLISH);
	add(&t, "a/2/x", "", ACL_PUBLISH);
	add(&t, "a/b/x", "", ACL_PUBLISH);
	add(&t, "a/1/y", "", ACL_PUBLISH);
	add(&t, "b/7", "", ACL_PUBLISH);
	add(&t, "c/1/-3", "", ACL_PUBLISH);
	add(&t, "c/2/-4", "", ACL_PUBLISH);
	learn_topics_generalise(&t, true);
	is(&t, "a/+/x 1 3, a/1/y 1 1, b/7 1 1, c/1/-3 1 1, c/2/-4 1 1");
}

static void test_fan_out(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	char topic[32];
	for (int i = 0; i < LEARN_FAN_OUT; i++) {
		snprintf(topic, sizeof(topic), "a/w%c/x", 'a' + i);
		add(&t, topic, "", ACL_PUBLISH);
		snprintf(topic, sizeof(topic), "w%c", 'a' + i);
		if (i < 2)
			add(&t, topic, "", ACL_PUBLISH);
	}
	learn_topics_generalise(&t, true);
	is(&t, "a/+/x 1 8, wa 1 1, wb 1 1");
	/* What comes later joins the one that stands for all. */
	add(&t, "a/other/x", "", ACL_PUBLISH);
	learn_topics_generalise(&t, true);
	is(&t, "a/+/x 1 9, wa 1 1, wb 1 1");
}

static void test_first_level_and_dollar(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	char topic[32];
	for (int i = 0; i < 2 * LEARN_FAN_OUT; i++) {
		snprintf(topic, sizeof(topic), "w%c", 'a' + i);
		add(&t, topic, "", ACL_PUBLISH);
	}
	learn_topics_generalise(&t, true);
	assert_int_equal(t.n, 2 * LEARN_FAN_OUT);
}

static void test_actions(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	add(&t, "a/#", "", ACL_SUBSCRIBE);
	add(&t, "b", "", ACL_SUBSCRIBE);
	add(&t, "b", "", ACL_PUBLISH);
	add(&t, "c/1", "", ACL_SUBSCRIBE);
	add(&t, "c/2", "", ACL_PUBLISH);
	learn_topics_generalise(&t, false);
	is(&t, "a/# 2 1, b 1 1, b 2 1, c/1 2 1, c/2 1 1");
	learn_topics_generalise(&t, true);
	is(&t, "a/# 2 1, b 3 2, c/1 2 1, c/2 1 1");
}

static void test_times(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	learn_topics_add(&t, STR("a/1"), STR(""), &(struct learn_topic){NULL, 1, 3, 10, 30});
	learn_topics_add(&t, STR("a/2"), STR(""), &(struct learn_topic){NULL, 1, 4, 5, 20});
	learn_topics_generalise(&t, true);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.p[0].times, 7);
	assert_int_equal(t.p[0].first, 5);
	assert_int_equal(t.p[0].last, 30);
}

static void test_nothing(void **state)
{
	(void)state;
	AUTO_LEARN_TOPICS t = {0};
	learn_topics_generalise(&t, true);
	add(&t, "", "", ACL_PUBLISH);
	add(&t, "/", "", ACL_PUBLISH);
	learn_topics_generalise(&t, true);
	is(&t, " 1 1, / 1 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_name), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_fan_out),  cmocka_unit_test(test_first_level_and_dollar),
		cmocka_unit_test(test_actions),  cmocka_unit_test(test_times),
		cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests_name("learn_pattern", tests, NULL, NULL);
}
