/* SPDX-License-Identifier: Apache-2.0
 *
 * Handles, and the directory of who owns which client identifier.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/broker/directory.h"
#include "daemon/broker/slab.h"

static void test_handles(void **state)
{
	(void)state;
	struct slab s;
	int item[3];
	slab_init(&s, 5);
	const uint64_t a = slab_add(&s, &item[0]);
	const uint64_t b = slab_add(&s, &item[1]);
	assert_int_equal(handle_worker(a), 5);
	assert_ptr_equal(slab_find(&s, a), &item[0]);
	assert_ptr_equal(slab_find(&s, b), &item[1]);
	assert_int_equal(s.live, 2);
	slab_remove(&s, a);
	assert_null(slab_find(&s, a));
	slab_remove(&s, a);
	assert_int_equal(s.live, 1);
	/* The place is used again, the handle is not. */
	const uint64_t c = slab_add(&s, &item[2]);
	assert_int_not_equal(c, a);
	assert_int_equal(s.n, 2);
	assert_null(slab_find(&s, a));
	assert_ptr_equal(slab_find(&s, c), &item[2]);
	assert_null(slab_find(&s, 0));
	assert_null(slab_find(&s, UINT64_MAX));
	slab_fini(&s);
}

static void test_walk_while_removing(void **state)
{
	(void)state;
	enum { N = 1000 };
	struct slab s;
	uint64_t handle[N];
	static uint64_t item[N];
	slab_init(&s, 0);
	for (uint64_t i = 0; i < N; i++) {
		item[i] = i;
		handle[i] = slab_add(&s, &item[i]);
	}
	uint32_t at = 0;
	size_t seen = 0;
	for (const uint64_t *p; (p = slab_next(&s, &at)); seen++)
		slab_remove(&s, handle[*p]);
	assert_int_equal(seen, N);
	assert_int_equal(s.live, 0);
	slab_fini(&s);
}

static void test_claims(void **state)
{
	(void)state;
	struct owner o;
	AUTO(directory) d = directory_new();
	assert_int_equal(directory_claim(d, STR("x"), 1, 0, 2, &o), CLAIM_NEW);
	directory_set(d, STR("x"), 77);
	assert_int_equal(directory_claim(d, STR("x"), 1, 0, 2, &o), CLAIM_HERE);
	assert_int_equal(o.session, 77);
	assert_int_equal(directory_claim(d, STR("x"), 1, 3, 2, &o), CLAIM_THERE);
	assert_int_equal(o.worker, 0);
	assert_int_equal(directory_claim(d, STR("x"), 2, 0, 2, &o), CLAIM_FOREIGN);
	assert_int_equal(directory_claim(d, STR("y"), 2, 1, 2, &o), CLAIM_NEW);
	assert_int_equal(directory_claim(d, STR("z"), 2, 1, 2, &o), CLAIM_FULL);
	assert_int_equal(directory_count(d), 2);
	directory_drop(d, STR("x"));
	assert_int_equal(directory_claim(d, STR("z"), 2, 1, 2, &o), CLAIM_NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handles),
		cmocka_unit_test(test_walk_while_removing),
		cmocka_unit_test(test_claims),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
