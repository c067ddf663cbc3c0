/* SPDX-License-Identifier: Apache-2.0
 *
 * The subscription index against a list of subscriptions that is tried one by one; old versions
 * that stay as they were; shared subscriptions; readers in threads while a writer changes the tree
 * (the sanitizers watch).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/broker/trie.h"
#include "daemon/mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { SUBS_MAX = 600, NAME = 48, FOUND_MAX = 4096 };

static uint64_t seed = 0x853c49e6748fea9b;

static unsigned dice(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

/* What a match found: sorted afterwards, so the order of visits does not matter. */
struct found {
	struct trie_sub sub[FOUND_MAX];
	size_t n;
	size_t groups;
	size_t members;
	uint64_t group_keys; /* sum */
};

static void found_subs(void *ctx, const struct trie_sub *run, size_t n)
{
	struct found *f = ctx;
	assert_true(f->n + n <= FOUND_MAX);
	memcpy(f->sub + f->n, run, n * sizeof(*run));
	f->n += n;
}

static void found_group(void *ctx, const struct trie_group *group)
{
	struct found *f = ctx;
	assert_true(subs_count(group->members) > 0);
	assert_true(group->name.n > 0);
	f->groups++;
	f->members += subs_count(group->members);
	f->group_keys += group->key;
}

static int by_handle(const void *a, const void *b)
{
	const struct trie_sub *x = a, *y = b;
	if (x->handle != y->handle)
		return x->handle < y->handle ? -1 : 1;
	return x->identifier < y->identifier ? -1 : x->identifier > y->identifier;
}

static void find(const struct trie_version *v, const char *topic, struct found *f)
{
	const struct trie_visitor visitor = {found_subs, found_group, f};
	f->n = f->groups = f->members = 0;
	f->group_keys = 0;
	trie_match(v, str_of(topic), &visitor);
	qsort(f->sub, f->n, sizeof(f->sub[0]), by_handle);
}

struct fixture {
	struct epoch epoch;
	struct epoch_reader reader;
	struct trie *trie;
};

static struct fixture fix;

static int setup(void **state)
{
	(void)state;
	epoch_init(&fix.epoch);
	epoch_reader_add(&fix.epoch, &fix.reader);
	fix.trie = trie_new(&fix.epoch);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	trie_free(fix.trie);
	epoch_reader_remove(&fix.reader);
	epoch_fini(&fix.epoch);
	return 0;
}

static int subscribe(const char *filter, uint64_t handle, uint32_t identifier)
{
	struct trie_edit edit;
	bool replaced = false;
	trie_edit_begin(fix.trie, &fix.reader, &edit);
	const int err = trie_subscribe(&edit, str_of(filter),
				       &(struct trie_sub){handle, identifier, 1}, &replaced);
	trie_edit_commit(&edit);
	return err ? err : replaced;
}

static int unsubscribe(const char *filter, uint64_t handle)
{
	struct trie_edit edit;
	trie_edit_begin(fix.trie, NULL, &edit);
	const int err = trie_unsubscribe(&edit, str_of(filter), handle);
	trie_edit_commit(&edit);
	return err;
}

static size_t reached(const char *topic)
{
	struct found *f = mem_new(struct found);
	find(trie_load(fix.trie), topic, f);
	const size_t n = f->n;
	free(f);
	return n;
}

static void test_standard(void **state)
{
	(void)state;
	static const struct {
		const char *filter, *topic;
		bool match;
	} table[] = {
		/* The examples of sections 4.7.1 and 4.7.2. */
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"#", "a/b", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/a", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/a", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a", "A", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_int_equal(subscribe(table[i].filter, 1, 0), 0);
		if (reached(table[i].topic) != table[i].match)
			fail_msg("%s and %s", table[i].filter, table[i].topic);
		assert_int_equal(unsubscribe(table[i].filter, 1), 0);
		assert_int_equal(reached(table[i].topic), 0);
	}
	const struct trie_stats s = trie_version_stats(trie_load(fix.trie));
	assert_int_equal(s.subscriptions + s.filters + s.nodes + s.shared, 0);
	assert_int_equal(s.seq, 2 * ARRAY_LEN(table));
}

static void test_replace(void **state)
{
	(void)state;
	assert_int_equal(subscribe("a/b", 7, 1), 0);
	assert_int_equal(subscribe("a/b", 7, 2), 1);
	assert_int_equal(subscribe("$share/g/a/b", 7, 3), 0);
	const struct trie_version *v = trie_load(fix.trie);
	assert_int_equal(trie_find(v, STR("a/b"), 7)->identifier, 2);
	assert_int_equal(trie_find(v, STR("$share/g/a/b"), 7)->identifier, 3);
	assert_null(trie_find(v, STR("$share/h/a/b"), 7));
	assert_null(trie_find(v, STR("a/b"), 8));
	assert_null(trie_find(v, STR("a/#"), 7));
	assert_null(trie_find(v, STR("a/b/c"), 7));
	assert_int_equal(trie_version_stats(v).subscriptions, 2);
	assert_int_equal(trie_version_stats(v).shared, 1);
	assert_int_equal(trie_version_stats(v).filters, 2);
	assert_int_equal(unsubscribe("a/b", 8), ERR_NOT_FOUND);
	assert_int_equal(unsubscribe("a", 7), ERR_NOT_FOUND);
	assert_ptr_equal(trie_load(fix.trie), v); /* nothing changed, nothing published */
	struct trie_edit edit;
	const struct str filters[] = {STR("a/b"), STR("x"), STR("$share/g/a/b")};
	trie_edit_begin(fix.trie, &fix.reader, &edit);
	assert_int_equal(trie_unsubscribe_all(&edit, 7, filters, 3), 2);
	trie_edit_commit(&edit);
	assert_int_equal(trie_version_stats(trie_load(fix.trie)).nodes, 0);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "a/#/b", "a#", "+a", "$share/g", "$share//a"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(subscribe(bad[i], 1, 0), ERR_INVALID);
		assert_null(trie_find(trie_load(fix.trie), str_of(bad[i]), 1));
	}
	char deep[2 * TRIE_LEVELS_MAX + 2];
	memset(deep, '/', sizeof(deep));
	deep[TRIE_LEVELS_MAX - 1] = '\0';
	assert_int_equal(subscribe(deep, 1, 0), 0);
	assert_int_equal(reached(deep), 1);
	deep[TRIE_LEVELS_MAX - 1] = '/';
	deep[TRIE_LEVELS_MAX] = '\0';
	assert_int_equal(subscribe(deep, 1, 0), ERR_LIMIT);
	/* Topics may be deeper than filters. */
	assert_int_equal(subscribe("#", 2, 0), 0);
	deep[TRIE_LEVELS_MAX] = '/';
	deep[2 * TRIE_LEVELS_MAX] = '\0';
	assert_int_equal(reached(deep), 1);
}

static void test_groups(void **state)
{
	(void)state;
	subscribe("$share/g/a/+", 1, 0);
	subscribe("$share/g/a/+", 2, 0);
	subscribe("$share/h/a/#", 3, 0);
	subscribe("$share/g/a/#", 3, 0);
	subscribe("$share/g/$x/+", 3, 0);
	struct found *f = mem_new(struct found);
	find(trie_load(fix.trie), "a/b", f);
	assert_int_equal(f->n, 0);
	assert_int_equal(f->groups, 3);
	assert_int_equal(f->members, 4);
	assert_int_equal(f->group_keys, hash_str(STR("$share/g/a/+")) +
						hash_str(STR("$share/h/a/#")) +
						hash_str(STR("$share/g/a/#")));
	find(trie_load(fix.trie), "a", f);
	assert_int_equal(f->groups, 2);
	const struct trie_visitor plain = {found_subs, NULL, f};
	trie_match(trie_load(fix.trie), STR("a/b"), &plain);
	assert_int_equal(f->groups, 2);
	assert_int_equal(unsubscribe("$share/g/a/#", 3), 0);
	find(trie_load(fix.trie), "a", f);
	assert_int_equal(f->groups, 1);
	free(f);
}

/* The list of subscriptions that the trie is compared with. */
struct model {
	struct {
		char filter[NAME];
		struct trie_sub sub;
	} entry[SUBS_MAX];
	size_t n;
};

static void random_name(char *out, bool filter)
{
	static const char *const level[] = {"a", "b", "c", "", "$x", "long-level", "+", "+"};
	const unsigned n = 1 + dice(4);
	strcpy(out, filter && dice(6) == 0 ? "$share/g/" : "");
	if (filter && out[0] && dice(2))
		out[7] = 'h';
	const size_t start = strlen(out);
	for (unsigned i = 0; i < n && strlen(out) < 28; i++) {
		strcat(out, i ? "/" : "");
		strcat(out, level[dice(filter ? 8 : 6)]);
	}
	if (filter && dice(4) == 0)
		strcat(out, "/#");
	if (!out[start])
		strcat(out, filter ? "#" : "a");
}

static void model_change(struct model *m, struct trie_edit *edit)
{
	char filter[NAME];
	random_name(filter, true);
	const struct trie_sub sub = {dice(40), 1 + dice(100), 0};
	size_t at = 0;
	while (at < m->n &&
	       (strcmp(m->entry[at].filter, filter) != 0 || m->entry[at].sub.handle != sub.handle))
		at++;
	if (m->n == SUBS_MAX || dice(5) < 2) {
		if (at == m->n && m->n && dice(4)) {
			at = dice((unsigned)m->n);
			strcpy(filter, m->entry[at].filter);
		}
		const uint64_t handle = at < m->n ? m->entry[at].sub.handle : sub.handle;
		assert_int_equal(trie_unsubscribe(edit, str_of(filter), handle),
				 at < m->n ? 0 : ERR_NOT_FOUND);
		if (at < m->n)
			m->entry[at] = m->entry[--m->n];
		return;
	}
	bool replaced = false;
	assert_int_equal(trie_subscribe(edit, str_of(filter), &sub, &replaced), 0);
	assert_int_equal(replaced, at < m->n);
	strcpy(m->entry[at].filter, filter);
	m->entry[at].sub = sub;
	m->n += at == m->n;
}

static void model_find(const struct model *m, const char *topic, struct found *f)
{
	f->n = f->members = 0;
	for (size_t i = 0; i < m->n; i++) {
		const struct topic_share share = topic_share_split(str_of(m->entry[i].filter));
		if (!topic_matches(share.filter, str_of(topic)))
			continue;
		if (share.group.p)
			f->members++;
		else
			f->sub[f->n++] = m->entry[i].sub;
	}
	qsort(f->sub, f->n, sizeof(f->sub[0]), by_handle);
}

static void model_compare(const struct model *m, const struct trie_version *v)
{
	struct found *have = mem_new(struct found), *want = mem_new(struct found);
	for (unsigned i = 0; i < 60; i++) {
		char topic[NAME];
		random_name(topic, false);
		find(v, topic, have);
		model_find(m, topic, want);
		if (have->n != want->n || have->members != want->members)
			fail_msg("%s: %zu, expected %zu", topic, have->n, want->n);
		for (size_t k = 0; k < want->n; k++) {
			assert_int_equal(have->sub[k].handle, want->sub[k].handle);
			assert_int_equal(have->sub[k].identifier, want->sub[k].identifier);
		}
	}
	const struct trie_stats s = trie_version_stats(v);
	size_t shared = 0;
	for (size_t i = 0; i < m->n; i++)
		shared += topic_is_shared(str_of(m->entry[i].filter));
	assert_int_equal(s.subscriptions, m->n);
	assert_int_equal(s.shared, shared);
	assert_true(s.filters <= m->n && (s.nodes > 0) == (m->n > 0));
	free(have);
	free(want);
}

static void test_random(void **state)
{
	(void)state;
	struct model *m = mem_new(struct model), *then = mem_new(struct model);
	for (unsigned round = 0; round < 120; round++) {
		epoch_enter(&fix.reader);
		const struct trie_version *before = trie_load(fix.trie);
		struct trie_edit edit;
		*then = *m;
		/* Another thread's edit, while this reader holds the version before it. */
		trie_edit_begin(fix.trie, NULL, &edit);
		const unsigned changes = dice(40);
		for (unsigned i = 0; i < changes; i++)
			model_change(m, &edit);
		trie_edit_commit(&edit);
		model_compare(m, trie_load(fix.trie));
		model_compare(then, before);
		epoch_leave(&fix.reader);
	}
	struct trie_edit edit;
	trie_edit_begin(fix.trie, &fix.reader, &edit);
	for (size_t i = 0; i < m->n; i++)
		assert_int_equal(
			trie_unsubscribe(&edit, str_of(m->entry[i].filter), m->entry[i].sub.handle),
			0);
	trie_edit_commit(&edit);
	const struct trie_stats s = trie_version_stats(trie_load(fix.trie));
	assert_int_equal(s.subscriptions + s.filters + s.nodes + s.shared, 0);
	free(m);
	free(then);
}

/* A path is copied, not a node of many children: what one SUBSCRIBE adds stays small while an old
 * version is held. And what a subscription costs, far from
 * the goal of 200 bytes. */
static void test_memory(void **state)
{
	(void)state;
	enum { N = 20000 };
	struct trie_edit edit;
	char filter[NAME];
	bool replaced = false;
	trie_edit_begin(fix.trie, &fix.reader, &edit);
	for (unsigned i = 0; i < N; i++) {
		snprintf(filter, sizeof(filter), "plant/line-%u/pump/+/state", i);
		const struct trie_sub sub = {i, 0, 0};
		assert_int_equal(trie_subscribe(&edit, str_of(filter), &sub, &replaced), 0);
	}
	trie_edit_commit(&edit);
	assert_true(trie_version_bytes(trie_load(fix.trie)) <= N * 140);
	assert_int_equal(trie_version_stats(trie_load(fix.trie)).nodes, 2 + N);
	assert_int_equal(reached("plant/line-7/pump/1/state"), 1);
	assert_int_equal(reached("plant/line-20000/pump/1/state"), 0);
}

/* Threads: "fixed" is always subscribed by 1, "pair/a" and "pair/b" always in one edit by the same
 * handle; a match that sees anything else saw a version in the making or freed memory. */
static atomic_bool stop;

static void sum(void *ctx, const struct trie_sub *run, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(uint64_t *)ctx += run[i].handle;
}

static void *reader_main(void *arg)
{
	uintptr_t wrong = 0;
	struct epoch_reader self;
	(void)arg;
	epoch_reader_add(&fix.epoch, &self);
	while (!atomic_load(&stop)) {
		uint64_t fixed = 0, a = 0, b = 0;
		epoch_enter(&self);
		const struct trie_version *v = trie_load(fix.trie);
		trie_match(v, STR("fixed"), &(struct trie_visitor){sum, NULL, &fixed});
		trie_match(v, STR("pair/a"), &(struct trie_visitor){sum, NULL, &a});
		trie_match(v, STR("pair/b"), &(struct trie_visitor){sum, NULL, &b});
		wrong += fixed != 1 || a != b;
		epoch_leave(&self);
	}
	epoch_reader_remove(&self);
	return (void *)wrong;
}

static void *writer_main(void *arg)
{
	const uint64_t base = (uintptr_t)arg;
	struct epoch_reader self;
	epoch_reader_add(&fix.epoch, &self);
	for (unsigned i = 0; i < 4000; i++) {
		struct trie_edit edit;
		bool replaced = false;
		const uint64_t handle = base + i / 2 % 50;
		const struct trie_sub sub = {handle, 0, 0};
		trie_edit_begin(fix.trie, &self, &edit);
		if (i % 2) {
			trie_unsubscribe(&edit, STR("pair/a"), handle);
			trie_unsubscribe(&edit, STR("pair/b"), handle);
		} else {
			CHECK(trie_subscribe(&edit, STR("pair/a"), &sub, &replaced) == 0);
			CHECK(trie_subscribe(&edit, STR("pair/b"), &sub, &replaced) == 0);
		}
		trie_edit_commit(&edit);
	}
	epoch_reader_remove(&self);
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t reader[2], writer[2];
	assert_int_equal(subscribe("fixed", 1, 0), 0);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&reader[i], NULL, reader_main, NULL), 0);
		void *base = (void *)(1000 * (i + 1));
		assert_int_equal(pthread_create(&writer[i], NULL, writer_main, base), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(writer[i], NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		void *wrong = NULL;
		pthread_join(reader[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(trie_version_stats(trie_load(fix.trie)).subscriptions, 1);
}

/* Writers that change one tree and free each other's old versions of it. */
static void *busy_writer_main(void *arg)
{
	const uint64_t handle = (uintptr_t)arg;
	struct epoch_reader self;
	epoch_reader_add(&fix.epoch, &self);
	for (unsigned i = 0; i < 4000; i++) {
		const struct trie_sub sub = {handle, 0, 0};
		char filter[2][NAME];
		struct trie_edit edit;
		bool replaced = false;
		snprintf(filter[0], NAME, "plant/line-%u/+/state", i / 2 % 100);
		snprintf(filter[1], NAME, "$share/group/plant/line-%u/#", i / 2 % 3);
		trie_edit_begin(fix.trie, &self, &edit);
		for (unsigned f = 0; f < 2; f++) {
			if (i % 2)
				trie_unsubscribe(&edit, str_of(filter[f]), handle);
			else
				CHECK(trie_subscribe(&edit, str_of(filter[f]), &sub, &replaced) ==
				      0);
		}
		trie_edit_commit(&edit);
	}
	epoch_reader_remove(&self);
	return NULL;
}

static void test_writers(void **state)
{
	(void)state;
	pthread_t writer[4];
	assert_int_equal(subscribe("plant/line-0/+/state", 1, 0), 0);
	for (uintptr_t i = 0; i < ARRAY_LEN(writer); i++)
		assert_int_equal(
			pthread_create(&writer[i], NULL, busy_writer_main, (void *)(i + 2)), 0);
	for (unsigned i = 0; i < ARRAY_LEN(writer); i++)
		pthread_join(writer[i], NULL);
	assert_int_equal(trie_version_stats(trie_load(fix.trie)).subscriptions, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_standard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writers, setup, teardown),
	};
	return cmocka_run_group_tests_name("trie", tests, NULL, NULL);
}
