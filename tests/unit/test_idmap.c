/* SPDX-License-Identifier: Apache-2.0
 *
 * The map from numbers to numbers, against a plain array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/idmap.h"

enum { KEYS = 500, STEPS = 200000 };

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void it_agrees_with_an_array(void **state)
{
	static uint64_t model[KEYS + 1][2];
	struct idmap m = {0};
	size_t n = 0;
	(void)state;
	for (unsigned i = 1; i <= STEPS; i++) {
		const uint64_t a = 1 + next_random() % KEYS;
		const uint64_t b = next_random() % 2;
		uint64_t *place = &model[a][b];
		const uint64_t *found = idmap_find(&m, a, b);
		assert_int_equal(found ? *found : 0, *place);
		if (next_random() % 2) {
			n += *place == 0;
			*idmap_add(&m, a, b) = *place = i;
		} else {
			n -= *place != 0;
			idmap_remove(&m, a, b);
			*place = 0;
		}
		assert_int_equal(m.n, n);
	}
	for (uint64_t a = 1; a <= KEYS; a++)
		for (uint64_t b = 0; b < 2; b++) {
			const uint64_t *found = idmap_find(&m, a, b);
			assert_int_equal(found ? *found : 0, model[a][b]);
		}
	idmap_fini(&m);
}

static void a_new_key_has_the_value_0(void **state)
{
	struct idmap m = {0};
	(void)state;
	assert_null(idmap_find(&m, 1, 0));
	idmap_remove(&m, 1, 0);
	assert_int_equal(*idmap_add(&m, 1, 0), 0);
	assert_non_null(idmap_find(&m, 1, 0));
	assert_null(idmap_find(&m, 1, 1));
	idmap_fini(&m);
}

static void clearing_leaves_nothing(void **state)
{
	struct idmap m = {0};
	(void)state;
	for (size_t many = 10; many <= 10000; many *= 10) {
		for (uint64_t a = 1; a <= many; a++)
			*idmap_add(&m, a, 7) = a;
		idmap_clear(&m);
		assert_int_equal(m.n, 0);
		for (uint64_t a = 1; a <= many; a++)
			assert_null(idmap_find(&m, a, 7));
	}
	assert_int_equal(m.cap, 0); /* much memory is given back */
	idmap_fini(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_an_array),
		cmocka_unit_test(a_new_key_has_the_value_0),
		cmocka_unit_test(clearing_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
