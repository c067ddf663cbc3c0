/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages against a plain list: random changes, walks of random filters in random pieces,
 * bounds, expiry, and walks that go on while the tree changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/err.h"
#include "daemon/broker/retain.h"
#include "daemon/mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOPICS = 3 + 16 + 64, PIECE = 64 };

static const struct retain_limits plenty = {1000000, SIZE_MAX / 2};
static const struct retain_room wide = {PIECE, SIZE_MAX};

static uint64_t seed = 88172645463325252;

static unsigned dice(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

/* All topics of one to three of these levels, but for the empty one alone. */
static const char *const level[] = {"a", "b", "$x", ""};

static const char *topic_of(unsigned i)
{
	static char topic[16];
	if (i < 3)
		return level[i];
	if (i < 3 + 16)
		snprintf(topic, sizeof(topic), "%s/%s", level[(i - 3) / 4], level[(i - 3) % 4]);
	else
		snprintf(topic, sizeof(topic), "%s/%s/%s", level[(i - 19) / 16],
			 level[(i - 19) / 4 % 4], level[(i - 19) % 4]);
	return topic;
}

static struct msg *message(const char *topic, const char *payload, uint32_t expiry_s)
{
	struct props props = props_none;
	if (expiry_s) {
		props.message_expiry_interval = expiry_s;
		props_mark(&props, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
	}
	struct msg *m = msg_new(&(struct msg_parts){
		.topic = str_of(topic),
		.payload = str_of(payload),
		.props = &props,
		.retain = true,
		.now_ms = 1000,
	});
	assert_non_null(m);
	return m;
}

static int keep(struct retain *r, struct msg *m, const struct retain_limits *limits)
{
	struct retain_change change;
	return retain_set(r, m, limits, false, &change);
}

static void drop(struct retain *r, struct str topic)
{
	struct retain_change change;
	retain_drop(r, topic, &change);
}

static int set(struct retain *r, const char *topic, const char *payload)
{
	AUTO(msg) m = message(topic, payload, 0);
	return keep(r, m, &plenty);
}

/* The number of topics that the filter matches, in pieces; each must come once, as it is now. */
static size_t walk(struct retain *r, const char *filter, struct retain_room room,
		   const unsigned *now, bool *seen)
{
	struct retain_cursor c = {0};
	struct msg *m[PIECE];
	size_t sum = 0;
	while (!c.over) {
		const size_t n = retain_next(r, str_of(filter), &c, 1000, room, m);
		assert_true(n <= room.messages);
		for (size_t i = 0; i < n; i++) {
			unsigned t = 0;
			while (!str_is(m[i]->shared.topic, topic_of(t)))
				assert_true(++t < TOPICS);
			char payload[16];
			snprintf(payload, sizeof(payload), "%u", now[t]);
			assert_true(str_is(m[i]->shared.payload, payload));
			assert_true(topic_matches(str_of(filter), m[i]->shared.topic));
			assert_false(seen[t]);
			seen[t] = true;
			msg_unref(m[i]);
		}
		sum += n;
	}
	retain_cursor_fini(&c);
	return sum;
}

static const char *const filters[] = {
	"#",     "+",    "+/+",  "+/#",  "a",      "a/#",    "a/+",      "+/a",
	"+/+/a", "$x/#", "$x/+", "/",    "/+",     "//",     "+/b/#",    "a/+/b",
	"b/b/b", "$x",   "a//#", "nope", "a/nope", "nope/#", "+/nope/+",
};

static void change(struct retain *r, unsigned *now)
{
	const unsigned t = dice(TOPICS);
	char payload[16] = "";
	now[t] = dice(3) ? 1 + dice(1000) : 0;
	if (now[t])
		snprintf(payload, sizeof(payload), "%u", now[t]);
	assert_int_equal(set(r, topic_of(t), payload), 0);
}

static void compare(struct retain *r, const unsigned *now)
{
	size_t all = 0;
	for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		bool seen[TOPICS] = {0};
		size_t expected = 0;
		for (unsigned t = 0; t < TOPICS; t++)
			expected +=
				now[t] && topic_matches(str_of(filters[f]), str_of(topic_of(t)));
		const struct retain_room room = {1 + dice(PIECE), dice(2) ? 1 : SIZE_MAX};
		assert_int_equal(walk(r, filters[f], room, now, seen), expected);
	}
	for (unsigned t = 0; t < TOPICS; t++)
		all += now[t] != 0;
	assert_int_equal(retain_size(r).messages, all);
}

static void test_random(void **state)
{
	(void)state;
	struct retain *r = retain_new();
	unsigned now[TOPICS] = {0};
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 10; i++)
			change(r, now);
		compare(r, now);
	}
	for (unsigned t = 0; t < TOPICS; t++) {
		drop(r, str_of(topic_of(t)));
		now[t] = 0;
	}
	compare(r, now);
	assert_int_equal(retain_size(r).bytes, 0);
	retain_free(r);
}

/* A message that is there from the beginning to the end of a walk comes, once, whatever happens to
 * others meanwhile; one that is replaced comes as it is then. */
static void test_changes_during_a_walk(void **state)
{
	(void)state;
	struct retain *r = retain_new();
	char topic[32];
	struct retain_cursor c = {0};
	unsigned seen[2000] = {0};
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(topic, sizeof(topic), "t/%u/x", i);
		set(r, topic, "old");
	}
	for (unsigned round = 0; !c.over; round++) {
		struct msg *m[PIECE];
		const size_t n =
			retain_next(r, STR("t/+/x"), &c, 0, (struct retain_room){7, SIZE_MAX}, m);
		for (size_t i = 0; i < n; i++) {
			const unsigned number = (unsigned)atoi(m[i]->shared.topic.p + 2);
			assert_true(number < 2000 && !seen[number]);
			assert_true(number % 2 || !str_is(m[i]->shared.payload, "old") ||
				    round == 0);
			seen[number]++;
			msg_unref(m[i]);
		}
		/* Every third goes, those among them that were just met, others are replaced, new
		 * ones come. */
		for (unsigned i = 0; round == 0 && i < 2000; i++) {
			snprintf(topic, sizeof(topic), "t/%u/x", i);
			if (i % 3 == 0)
				drop(r, str_of(topic));
			else if (i % 2 == 0)
				set(r, topic, "new");
			snprintf(topic, sizeof(topic), "t/%u/y", i);
			set(r, topic, "another");
		}
	}
	for (unsigned i = 0; i < 2000; i++)
		assert_true(i % 3 == 0 || seen[i] == 1);
	retain_cursor_fini(&c);
	retain_free(r);
}

static void test_limits(void **state)
{
	(void)state;
	struct retain *r = retain_new();
	const size_t each = sizeof(struct msg) + 3;
	const struct retain_limits few = {2, 2 * each + 2};
	AUTO(msg) a = message("a", "11", 0);
	AUTO(msg) b = message("b", "22", 0);
	AUTO(msg) d = message("d", "33", 0);
	AUTO(msg) longer = message("b", "22222", 0);
	AUTO(msg) empty = message("a", "", 0);
	assert_int_equal(keep(r, a, &few), 0);
	assert_int_equal(keep(r, b, &few), 0);
	assert_int_equal(keep(r, b, &few), 0);
	assert_int_equal(keep(r, d, &few), ERR_LIMIT);
	assert_int_equal(keep(r, longer, &few), ERR_LIMIT);
	assert_int_equal(retain_size(r).messages, 2);
	assert_int_equal(retain_size(r).bytes, 2 * each);
	assert_int_equal(keep(r, empty, &few), 0);
	assert_int_equal(keep(r, empty, &few), 0);
	assert_int_equal(keep(r, longer, &few), 0);
	assert_int_equal(retain_size(r).messages, 1);
	retain_free(r);
}

static void test_expiry(void **state)
{
	(void)state;
	struct retain *r = retain_new();
	struct retain_cursor c = {0};
	struct msg *out[PIECE];
	char topic[16];
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(topic, sizeof(topic), i % 2 ? "$d/%u" : "d/%u", i);
		AUTO(msg) m = message(topic, "x", i % 3 ? 5 : 0);
		assert_int_equal(keep(r, m, &plenty), 0);
	}
	AUTO(msg) m = message("once", "x", 5);
	keep(r, m, &plenty);
	assert_int_equal(retain_next(r, STR("once"), &c, 5999, wide, out), 1);
	msg_unref(out[0]);
	retain_cursor_fini(&c);
	assert_int_equal(retain_next(r, STR("once"), &c, 6000, wide, out), 0);
	retain_cursor_fini(&c);
	assert_int_equal(retain_size(r).messages, 3000);
	for (unsigned i = 0; i < 10; i++)
		retain_sweep(r, &c, 6000);
	assert_int_equal(retain_size(r).messages, 1000);
	retain_cursor_fini(&c);
	retain_free(r);
}

static void test_memory(void **state)
{
	(void)state;
	struct retain *r = retain_new();
	char topic[64], payload[101];
	memset(payload, 'x', 100);
	payload[100] = 0;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(topic, sizeof(topic), "site-1/device-%05u/temperature", i);
		set(r, topic, payload);
	}
	assert_true(retain_memory(r) / 10000 <= 400);
	retain_free(r);
}

/* What whoever stores them has to know. */
static void test_changes_have_versions(void **state)
{
	struct retain *r = retain_new();
	AUTO(msg) first = message("a/b", "1", 0);
	AUTO(msg) second = message("a/b", "2", 0);
	AUTO(msg) empty = message("a/b", "", 0);
	struct retain_change c;
	(void)state;
	retain_number_from(r, 1000);
	assert_int_equal(retain_set(r, empty, &plenty, true, &c), 0);
	assert_int_equal(c.version, 0); /* there was none, and is none */
	assert_int_equal(retain_set(r, first, &plenty, true, &c), 0);
	assert_int_equal(c.version, 1001);
	assert_true(c.is_kept && !c.was_stored);
	assert_int_equal(retain_set(r, second, &plenty, false, &c), 0);
	assert_int_equal(c.version, 1002);
	assert_true(c.is_kept && c.was_stored);
	retain_forget(r, STR("a/b"), 1001); /* another one is there by now */
	assert_int_equal(retain_size(r).messages, 1);
	retain_forget(r, STR("a/b"), 1002);
	assert_int_equal(retain_size(r).messages, 0);
	assert_int_equal(retain_set(r, first, &plenty, true, &c), 0);
	assert_int_equal(retain_set(r, empty, &plenty, true, &c), 0);
	assert_int_equal(c.version, 1005);
	assert_true(!c.is_kept && c.was_stored);
	retain_free(r);
}

static void collect(void *ctx, struct msg *m, uint64_t version)
{
	buf_printf(ctx, "%.*s=%.*s@%u ", STR_ARG(m->shared.topic), STR_ARG(m->shared.payload),
		   (unsigned)version);
}

static void test_restored(void **state)
{
	struct retain *r = retain_new();
	AUTO(msg) old = message("x", "old", 0);
	AUTO(msg) brief = message("y", "brief", 5);
	AUTO(msg) memory = message("z", "not stored", 0);
	AUTO_BUF found = {0};
	struct retain_cursor sweep = {0};
	(void)state;
	retain_restore(r, old, 7);
	retain_restore(r, brief, 9);
	retain_number_from(r, 9);
	assert_int_equal(keep(r, memory, &plenty), 0);
	retain_each_stored(r, collect, &found);
	assert_non_null(strstr(buf_cstr(&found), "x=old@7 "));
	assert_non_null(strstr(buf_cstr(&found), "y=brief@9 "));
	assert_null(strstr(buf_cstr(&found), "z="));
	/* What expires is told, once, with a version of its own. */
	retain_sweep(r, &sweep, 1000 + 6000);
	AUTO_BUF expired = retain_take_expired(r);
	struct cur c = cur_of(buf_view(&expired));
	assert_int_equal(cur_u64le(&c), 11);
	assert_true(str_is(cur_str32le(&c), "y"));
	assert_true(cur_done(&c));
	assert_int_equal(retain_take_expired(r).n, 0);
	retain_cursor_fini(&sweep);
	retain_free(r);
}

/* $SYS and the like: whoever asks how many messages are retained does not mean them. */
static void test_own_are_not_counted(void **state)
{
	(void)state;
	struct retain *r = retain_new();
	const struct retain_limits one = {1, 1000};
	struct msg *own = message("$SYS/a", "x", 0), *theirs = message("$SYS/a", "yy", 0);
	struct msg *other = message("b", "zzz", 0);
	own->own = true;
	assert_int_equal(keep(r, own, &one), 0);
	assert_int_equal(retain_size(r).messages, 0);
	assert_int_equal(retain_size(r).bytes, 0);
	assert_int_equal(keep(r, other, &one), 0);
	assert_int_equal(retain_size(r).messages, 1);
	/* Whoever else puts one in its place needs room. */
	assert_int_equal(keep(r, theirs, &one), ERR_LIMIT);
	drop(r, STR("b"));
	assert_int_equal(keep(r, theirs, &one), 0);
	assert_int_equal(retain_size(r).messages, 1);
	assert_int_equal(keep(r, own, &one), 0);
	assert_int_equal(retain_size(r).messages, 0);
	assert_int_equal(retain_size(r).bytes, 0);
	drop(r, STR("$SYS/a"));
	assert_int_equal(retain_size(r).bytes, 0);
	msg_unref(own);
	msg_unref(theirs);
	msg_unref(other);
	retain_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),   cmocka_unit_test(test_changes_during_a_walk),
		cmocka_unit_test(test_limits),   cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_memory),   cmocka_unit_test(test_changes_have_versions),
		cmocka_unit_test(test_restored), cmocka_unit_test(test_own_are_not_counted),
	};
	return cmocka_run_group_tests_name("retain", tests, NULL, NULL);
}
