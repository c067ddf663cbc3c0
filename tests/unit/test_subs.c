/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent set of subscribers against a plain array: random changes, copies that stay as they
 * were, order, counts and memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/mem.h"
#include "daemon/broker/subs.h"

#include <stdlib.h>

enum { HANDLES = 6000, COPIES = 5 };

static uint64_t seed = 424242424242;

static unsigned dice(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

struct seen {
	const uint32_t *expected; /* identifier by handle, 0 = absent */
	size_t n;
	uint64_t last;
};

static void see(void *ctx, const struct trie_sub *run, size_t n)
{
	struct seen *s = ctx;
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(s->n == 0 || run[i].handle > s->last);
		assert_int_equal(run[i].identifier, s->expected[run[i].handle]);
		s->last = run[i].handle;
		s->n++;
	}
}

static void compare(const struct subs *set, const uint32_t *expected, unsigned handles)
{
	struct seen seen = {.expected = expected};
	size_t n = 0;
	for (unsigned h = 0; h < handles; h++) {
		const struct trie_sub *sub = subs_get(set, h);
		assert_int_equal(sub ? sub->identifier : 0, expected[h]);
		if (expected[h])
			assert_int_equal(subs_at(set, n)->handle, h);
		n += expected[h] != 0;
	}
	subs_each(set, see, &seen);
	assert_int_equal(seen.n, n);
	assert_int_equal(subs_count(set), n);
	assert_int_equal(set == NULL, n == 0);
}

static struct subs *change(struct subs *set, uint32_t *expected, unsigned handles,
			   unsigned removals)
{
	bool was_there = false;
	const unsigned h = dice(handles);
	if (dice(10) < removals) {
		set = subs_remove(set, h, &was_there);
		assert_int_equal(was_there, expected[h] != 0);
		expected[h] = 0;
	} else {
		const struct trie_sub sub = {h, 1 + dice(1000), 1};
		set = subs_put(set, &sub, &was_there);
		assert_int_equal(was_there, expected[h] != 0);
		expected[h] = sub.identifier;
	}
	return set;
}

static void run(unsigned handles, unsigned rounds)
{
	/* Growing, steady, shrinking, growing, nearly all gone. */
	static const unsigned removals[COPIES] = {1, 5, 8, 2, 10};
	struct subs *set = NULL, *copies[COPIES];
	uint32_t *expected = mem_array(uint32_t, handles), *then[COPIES];
	for (unsigned c = 0; c < COPIES; c++) {
		for (unsigned i = 0; i < rounds; i++)
			set = change(set, expected, handles, removals[c]);
		copies[c] = subs_ref(set);
		then[c] = mem_copy(expected, handles * sizeof(*expected));
	}
	for (unsigned i = 0; i < rounds; i++)
		copies[1] = change(copies[1], then[1], handles, 5);
	compare(set, expected, handles);
	subs_unref(set);
	for (unsigned c = 0; c < COPIES; c++) {
		compare(copies[c], then[c], handles);
		subs_unref(copies[c]);
		free(then[c]);
	}
	free(expected);
}

static void test_random(void **state)
{
	(void)state;
	run(HANDLES, 15000);
	run(500, 2000);
	run(40, 200);
	run(2, 20);
}

/* In order of handle, upwards and downwards: full nodes, and empty at the end. */
static void test_order(void **state)
{
	(void)state;
	enum { N = 100000 };
	struct subs *set = NULL;
	bool was_there = false;
	for (unsigned i = 0; i < N; i++) {
		const struct trie_sub sub = {i, 0, 0};
		set = subs_put(set, &sub, &was_there);
		assert_false(was_there);
	}
	assert_int_equal(subs_count(set), N);
	assert_true(subs_bytes(set) <= N * 20);
	for (unsigned i = 0; i < N; i += 997)
		assert_int_equal(subs_at(set, i)->handle, i);
	for (unsigned i = 0; i < N; i++) {
		set = subs_remove(set, i % 2 ? N - i : i, &was_there);
		assert_true(was_there);
	}
	assert_null(set);
	set = subs_remove(set, 1, &was_there);
	assert_false(was_there);
	assert_null(set);
}

/* Thinned out evenly: small nodes join, memory follows the number. */
static void test_thin(void **state)
{
	(void)state;
	enum { N = 20000 };
	struct subs *set = NULL;
	bool was_there = false;
	for (unsigned i = 0; i < N; i++)
		set = subs_put(set, &(struct trie_sub){i, 0, 0}, &was_there);
	for (unsigned i = 0; i < N; i++)
		if (i % 20)
			set = subs_remove(set, i, &was_there);
	assert_int_equal(subs_count(set), N / 20);
	assert_true(subs_bytes(set) <= N / 20 * 24);
	subs_unref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_thin),
	};
	return cmocka_run_group_tests_name("subs", tests, NULL, NULL);
}
