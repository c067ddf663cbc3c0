/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets: daemon/base/secret.h.
 */
#include "daemon/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void comparison(void **state)
{
	(void)state;
	static const struct {
		struct str a, b;
		bool equal;
	} row[] = {
		{STR(""), STR(""), true},         {STR("abc"), STR("abc"), true},
		{STR("a\0b"), STR("a\0b"), true}, {STR("a\0b"), STR("a\0c"), false},
		{STR("abc"), STR("abd"), false},  {STR("xbc"), STR("abc"), false},
		{STR("abc"), STR("ab"), false},   {STR("ab"), STR("abc"), false},
		{STR(""), STR("a"), false},       {STR("\x80"), STR("\0"), false},
		{STR("ab"), STR("ba"), false},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		if (secret_equal(row[i].a, row[i].b) != row[i].equal)
			fail_msg("row %zu is judged wrongly", i);
}

static void wiping(void **state)
{
	(void)state;
	char key[] = "0123456789";
	secret_wipe(key + 2, 5);
	assert_memory_equal(key,
			    "01\0\0\0\0\0"
			    "789",
			    sizeof(key));
	secret_wipe(NULL, 0);
	struct buf b = {0};
	buf_puts(&b, "secret");
	secret_buf_fini(&b);
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	secret_buf_fini(&b);
}

/* Every byte is filled, also of more than the kernel gives at once, and never twice the same. */
static void random_bytes(void **state)
{
	(void)state;
	enum { N = 1000, TURNS = 8 };
	static unsigned char b[TURNS][N + 1];
	for (int t = 0; t < TURNS; t++) {
		secret_random(b[t], N);
		assert_int_equal(b[t][N], 0);
		for (int u = 0; u < t; u++)
			assert_memory_not_equal(b[t], b[u], N);
	}
	for (size_t i = 0; i < N; i++) {
		unsigned seen = 0;
		for (int t = 0; t < TURNS; t++)
			seen |= b[t][i];
		assert_int_not_equal(seen, 0);
	}
	secret_random(b[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparison),
		cmocka_unit_test(wiping),
		cmocka_unit_test(random_bytes),
	};
	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
