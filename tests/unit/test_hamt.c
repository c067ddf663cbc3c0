/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent hash map against the plain map: random changes with a good and with a very bad hash,
 * copies that must not see later changes, and reference counts that come out even.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/hamt.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 3000 };

struct value {
	struct ref ref;
	unsigned number;
	char key[8];
};

static size_t live;

static struct str value_key(const void *p)
{
	const struct value *v = p;
	return str_of(v->key);
}

static void value_retain(void *p)
{
	struct value *v = p;
	ref_get(&v->ref);
}

static void value_release(void *p)
{
	struct value *v = p;
	if (!ref_put(&v->ref))
		return;
	live--;
	free(v);
}

/* Four hashes that agree in their low 40 bits: long shared paths, then lists of equal hashes. */
static uint64_t bad_hash(struct str key)
{
	return 0x5555555555ull | (uint64_t)(key.p[key.n - 1] & 3) << 50;
}

static const struct hamt_ops good = {value_key, value_retain, value_release, NULL};
static const struct hamt_ops bad = {value_key, value_retain, value_release, bad_hash};

static uint64_t seed = 88172645463325252;

static unsigned dice(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

static struct value *value_new(unsigned key, unsigned number)
{
	struct value *v = mem_new(struct value);
	ref_init(&v->ref);
	v->number = number;
	snprintf(v->key, sizeof(v->key), "k%u", key);
	live++;
	return v;
}

static const struct value *get(struct hamt h, const struct hamt_ops *ops, unsigned key)
{
	char name[16];
	snprintf(name, sizeof(name), "k%u", key);
	const struct str s = str_of(name);
	return hamt_get(h, ops, s, ops->hash ? ops->hash(s) : hash_str(s));
}

static void count(void *ctx, void *value)
{
	(void)value;
	(*(size_t *)ctx)++;
}

static void compare(struct hamt h, const struct hamt_ops *ops, const unsigned *expected,
		    unsigned keys)
{
	size_t n = 0, seen = 0;
	for (unsigned k = 0; k < keys; k++) {
		const struct value *v = get(h, ops, k);
		assert_int_equal(v ? v->number : 0, expected[k]);
		n += expected[k] != 0;
	}
	hamt_each(h, count, &seen);
	assert_int_equal(seen, n);
	assert_int_equal(h.root != 0, n != 0);
	assert_true(hamt_bytes(h) >= (n > 1 ? n * sizeof(void *) : 0));
}

static void change(struct hamt *h, const struct hamt_ops *ops, unsigned *expected, unsigned keys)
{
	const unsigned k = dice(keys);
	if (dice(3) == 0) {
		char name[16];
		snprintf(name, sizeof(name), "k%u", k);
		assert_int_equal(hamt_remove(h, ops, str_of(name)), expected[k] != 0);
		expected[k] = 0;
	} else {
		const unsigned number = 1 + dice(1000);
		assert_int_equal(hamt_put(h, ops, value_new(k, number)), expected[k] == 0);
		expected[k] = number;
	}
}

static void run(const struct hamt_ops *ops, unsigned keys, unsigned rounds)
{
	struct hamt h = {0}, copies[4] = {{0}};
	unsigned *expected = mem_array(unsigned, keys);
	unsigned *then[4];
	for (unsigned c = 0; c < 4; c++) {
		for (unsigned i = 0; i < rounds; i++)
			change(&h, ops, expected, keys);
		copies[c] = hamt_copy(h, ops);
		then[c] = mem_copy(expected, keys * sizeof(unsigned));
	}
	compare(h, ops, expected, keys);
	for (unsigned c = 0; c < 4; c++)
		compare(copies[c], ops, then[c], keys);
	/* A copy goes its own way, and the others do not see it. */
	for (unsigned i = 0; i < rounds; i++)
		change(&copies[1], ops, then[1], keys);
	compare(copies[1], ops, then[1], keys);
	compare(h, ops, expected, keys);
	hamt_free(&h, ops);
	for (unsigned c = 0; c < 4; c++) {
		compare(copies[c], ops, then[c], keys);
		hamt_free(&copies[c], ops);
		assert_int_equal(copies[c].root, 0);
		free(then[c]);
	}
	free(expected);
	assert_int_equal(live, 0);
}

/* A walk meets each key once although the map changes behind it; with equal hashes one of them. */
static void walk(const struct hamt_ops *ops, unsigned keys, bool change)
{
	struct hamt h = {0};
	unsigned *met = mem_array(unsigned, keys);
	size_t n = 0;
	uint64_t at;
	for (unsigned k = 0; k < keys; k++)
		hamt_put(&h, ops, value_new(k, 1));
	const uint64_t *after = NULL;
	for (struct value *v; (v = hamt_next(h, ops, after)) != NULL; n++) {
		const struct str key = str_of(v->key);
		const unsigned k = (unsigned)atoi(v->key + 1);
		at = ops->hash ? ops->hash(key) : hash_str(key);
		after = &at;
		assert_int_equal(met[k]++, 0);
		if (change)
			hamt_remove(&h, ops, key);
	}
	assert_int_equal(n, ops->hash ? 4 : keys);
	assert_true(!change || ops->hash || h.root == 0);
	hamt_free(&h, ops);
	free(met);
}

static void test_walk(void **state)
{
	(void)state;
	walk(&good, KEYS, false);
	walk(&good, KEYS, true);
	walk(&bad, 24, false);
	walk(&good, 1, true);
	const struct hamt none = {0};
	assert_null(hamt_next(none, &good, NULL));
}

static void test_random(void **state)
{
	(void)state;
	run(&good, KEYS, 4000);
	run(&good, 40, 300);
	run(&good, 3, 50);
}

static void test_collisions(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		run(&bad, 24, 200);
}

static void test_single(void **state)
{
	(void)state;
	struct hamt h = {0};
	assert_false(hamt_hashes(h));
	assert_null(get(h, &good, 1));
	assert_true(hamt_put(&h, &good, value_new(1, 7)));
	assert_false(hamt_hashes(h));
	assert_int_equal(hamt_bytes(h), 0);
	/* The hash is not looked at. */
	assert_non_null(hamt_get(h, &good, STR("k1"), 0));
	assert_null(hamt_get(h, &good, STR("k2"), 0));
	assert_true(hamt_put(&h, &good, value_new(2, 7)));
	assert_true(hamt_hashes(h));
	assert_true(hamt_remove(&h, &good, STR("k1")));
	assert_false(hamt_hashes(h));
	assert_false(hamt_remove(&h, &good, STR("k1")));
	assert_true(hamt_remove(&h, &good, STR("k2")));
	assert_int_equal(h.root, 0);
	assert_int_equal(live, 0);
}

static void *add_one(void *ctx, void *old)
{
	struct value *v = old;
	/* Alone in the map, or shared with the copy that the test holds. */
	assert_int_equal(ref_alone(&v->ref), *(bool *)ctx);
	if (ref_alone(&v->ref)) {
		v->number++;
		return v;
	}
	struct value *fresh = value_new((unsigned)atoi(v->key + 1), v->number + 1);
	value_release(v);
	return fresh;
}

static void *keep(void *ctx, void *old)
{
	(void)ctx;
	return old;
}

static void test_edit(void **state)
{
	(void)state;
	struct hamt h = {0};
	for (unsigned k = 0; k < 200; k++)
		hamt_put(&h, &good, value_new(k, 1));
	bool alone = true;
	hamt_edit(&h, &good, STR("k77"), hash_str(STR("k77")), add_one, &alone);
	assert_int_equal(get(h, &good, 77)->number, 2);
	struct hamt before = hamt_copy(h, &good);
	alone = false;
	hamt_edit(&h, &good, STR("k77"), hash_str(STR("k77")), add_one, &alone);
	hamt_edit(&h, &good, STR("k999"), hash_str(STR("k999")), keep, NULL);
	assert_int_equal(get(h, &good, 77)->number, 3);
	assert_int_equal(get(before, &good, 77)->number, 2);
	assert_null(get(h, &good, 999));
	hamt_free(&before, &good);
	alone = true;
	hamt_edit(&h, &good, STR("k77"), hash_str(STR("k77")), add_one, &alone);
	hamt_free(&h, &good);
	assert_int_equal(live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_single), cmocka_unit_test(test_edit),
		cmocka_unit_test(test_walk),
	};
	return cmocka_run_group_tests_name("hamt", tests, NULL, NULL);
}
