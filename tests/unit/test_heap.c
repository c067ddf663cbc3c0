/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap of timers: daemon/base/heap.h. The order of a plain sort says what is right.
 */
#include "daemon/base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 1000 };

/* A fixed sequence, so that a failure comes again. */
static uint64_t next_number(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static void check_order(const struct heap *h)
{
	for (size_t i = 0; i < h->n; i++) {
		assert_int_equal(h->node[i]->at, i + 1);
		if (i)
			assert_true(h->node[(i - 1) / 2]->key <= h->node[i]->key);
	}
}

static void smallest_first(void **state)
{
	(void)state;
	static struct heap_node node[MANY];
	struct heap h = {0};
	uint64_t seed = 1;
	assert_null(heap_min(&h));
	for (int i = 0; i < MANY; i++)
		heap_push(&h, &node[i], next_number(&seed) % 100);
	check_order(&h);
	uint64_t last = 0;
	for (int i = 0; i < MANY; i++) {
		struct heap_node *n = heap_min(&h);
		assert_true(n->key >= last);
		last = n->key;
		heap_remove(&h, n);
		assert_int_equal(n->at, 0);
	}
	assert_null(heap_min(&h));
	heap_fini(&h);
}

static void extreme_keys(void **state)
{
	(void)state;
	struct heap_node a = {0}, b = {0}, c = {0};
	struct heap h = {0};
	heap_push(&h, &a, UINT64_MAX);
	heap_push(&h, &b, 0);
	heap_push(&h, &c, (uint64_t)INT64_MAX + 1);
	assert_ptr_equal(heap_min(&h), &b);
	heap_remove(&h, &b);
	assert_ptr_equal(heap_min(&h), &c);
	heap_fini(&h);
}

static void moving_and_removing_anywhere(void **state)
{
	(void)state;
	static struct heap_node node[MANY];
	static bool in[MANY];
	struct heap h = {0};
	uint64_t seed = 7;
	size_t n = 0;
	for (int turn = 0; turn < 20000; turn++) {
		const size_t i = next_number(&seed) % MANY;
		if (next_number(&seed) % 3) {
			heap_push(&h, &node[i], next_number(&seed));
			n += !in[i];
			in[i] = true;
		} else {
			heap_remove(&h, &node[i]);
			n -= in[i];
			in[i] = false;
		}
		assert_int_equal(h.n, n);
		assert_int_equal(node[i].at != 0, in[i]);
	}
	check_order(&h);
	heap_fini(&h);
}

static void pushing_again_moves(void **state)
{
	(void)state;
	struct heap_node a = {0}, b = {0};
	struct heap h = {0};
	heap_push(&h, &a, 10);
	heap_push(&h, &b, 20);
	heap_push(&h, &a, 30);
	assert_int_equal(h.n, 2);
	assert_ptr_equal(heap_min(&h), &b);
	heap_push(&h, &a, 5);
	assert_ptr_equal(heap_min(&h), &a);
	heap_remove(&h, &a);
	heap_remove(&h, &a);
	assert_int_equal(h.n, 1);
	heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest_first),
		cmocka_unit_test(extreme_keys),
		cmocka_unit_test(moving_and_removing_anywhere),
		cmocka_unit_test(pushing_again_moves),
	};
	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
