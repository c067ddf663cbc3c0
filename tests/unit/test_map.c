/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash map: daemon/base/map.h. A table of few slots makes keys meet; thousands of keys make it
 * grow; a plain array says what should be in it.
 */
#include "daemon/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 5000 };

static void set_get_replace_remove(void **state)
{
	(void)state;
	struct map m = {0};
	int a, b;
	assert_null(map_get(&m, STR("x")));
	assert_null(map_remove(&m, STR("x")));
	assert_null(map_set(&m, STR("x"), &a));
	assert_ptr_equal(map_get(&m, STR("x")), &a);
	assert_ptr_equal(map_set(&m, STR("x"), &b), &a);
	assert_ptr_equal(map_get(&m, STR("x")), &b);
	assert_int_equal(m.n, 1);
	assert_ptr_equal(map_remove(&m, STR("x")), &b);
	assert_null(map_get(&m, STR("x")));
	assert_null(map_remove(&m, STR("x")));
	assert_int_equal(m.n, 0);
	assert_null(map_set(&m, STR("x"), &a));
	assert_ptr_equal(map_get(&m, STR("x")), &a);
	map_fini(&m);
	assert_null(map_get(&m, STR("x")));
}

static void keys_are_bytes(void **state)
{
	(void)state;
	struct map m = {0};
	int v[6];
	const struct str key[] = {STR(""), STR("\0"), STR("\0\0"), STR("a"), STR("a\0"), STR("A")};
	for (size_t i = 0; i < ARRAY_LEN(key); i++)
		assert_null(map_set(&m, key[i], &v[i]));
	for (size_t i = 0; i < ARRAY_LEN(key); i++)
		assert_ptr_equal(map_get(&m, key[i]), &v[i]);
	assert_ptr_equal(map_get(&m, (struct str){NULL, 0}), &v[0]);
	const uint64_t number = 0x0102030405060708;
	int w;
	map_set(&m, MAP_KEY(number), &w);
	assert_ptr_equal(map_get(&m, STR("\x08\x07\x06\x05\x04\x03\x02\x01")), &w);
	map_fini(&m);
}

static void keys_are_copied(void **state)
{
	(void)state;
	struct map m = {0};
	int v;
	char name[] = "pump-1";
	map_set(&m, str_of(name), &v);
	name[0] = 'P';
	assert_null(map_get(&m, str_of(name)));
	assert_ptr_equal(map_get(&m, STR("pump-1")), &v);
	map_fini(&m);
}

static struct str key_of(int i, char text[16])
{
	snprintf(text, 16, "device-%d", i);
	return str_of(text);
}

static void expect(const struct map *m, const int *value, const bool *in)
{
	char text[16];
	size_t n = 0;
	for (int i = 0; i < MANY; i++) {
		assert_ptr_equal(map_get(m, key_of(i, text)), in[i] ? &value[i] : NULL);
		n += in[i];
	}
	assert_int_equal(m->n, n);
	bool seen[MANY] = {0};
	size_t at = 0;
	struct str key;
	void *v;
	for (; map_next(m, &at, &key, &v); n--) {
		const ptrdiff_t i = (int *)v - value;
		assert_in_range(i, 0, MANY - 1);
		assert_true(in[i] && !seen[i]);
		assert_true(str_eq(key, key_of((int)i, text)));
		seen[i] = true;
	}
	assert_int_equal(n, 0);
}

static void grows_and_forgets(void **state)
{
	(void)state;
	static int value[MANY];
	static bool in[MANY];
	char text[16];
	struct map m = {0};
	for (int i = 0; i < MANY; i++) {
		assert_null(map_set(&m, key_of(i, text), &value[i]));
		in[i] = true;
	}
	expect(&m, value, in);
	for (int i = 0; i < MANY; i++) {
		if (i % 3 == 0)
			continue;
		assert_ptr_equal(map_remove(&m, key_of(i, text)), &value[i]);
		in[i] = false;
	}
	expect(&m, value, in);
	for (int i = 0; i < MANY; i += 2) {
		map_set(&m, key_of(i, text), &value[i]);
		in[i] = true;
	}
	expect(&m, value, in);
	map_fini(&m);
}

/* Removed places are used again: names that come and go for ever must not fill the table. */
static void stays_small_under_churn(void **state)
{
	(void)state;
	struct map m = {0};
	char text[16];
	int v;
	for (int i = 0; i < 20000; i++) {
		map_set(&m, key_of(i, text), &v);
		if (i >= 8)
			assert_ptr_equal(map_remove(&m, key_of(i - 8, text)), &v);
	}
	assert_int_equal(m.n, 8);
	assert_true(m.cap <= 64);
	map_fini(&m);
}

static void removal_while_walking(void **state)
{
	(void)state;
	static int value[MANY];
	char text[16];
	struct map m = {0};
	for (int i = 0; i < 100; i++)
		map_set(&m, key_of(i, text), &value[i]);
	size_t at = 0;
	int walked = 0;
	void *v;
	struct str key;
	while (map_next(&m, &at, &key, &v)) {
		walked++;
		if (((int *)v - value) % 2)
			assert_ptr_equal(map_remove(&m, key_of((int)((int *)v - value), text)), v);
	}
	assert_int_equal(walked, 100);
	assert_int_equal(m.n, 50);
	at = 0;
	while (map_next(&m, &at, NULL, &v))
		assert_int_equal(((int *)v - value) % 2, 0);
	map_fini(&m);
}

/* Every byte and the length take part, at every place in and behind the blocks of eight. */
static void the_hash_sees_every_byte(void **state)
{
	(void)state;
	unsigned char b[24] = {0};
	for (size_t n = 0; n <= sizeof(b); n++) {
		const uint64_t plain = hash_bytes(b, n);
		assert_true(plain == hash_bytes(b, n));
		for (size_t i = 0; i < n; i++) {
			b[i] = 1;
			assert_true(hash_bytes(b, n) != plain);
			b[i] = 0;
		}
		for (size_t k = 0; k < n; k++)
			assert_true(hash_bytes(b, k) != plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_get_replace_remove),   cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(keys_are_copied),          cmocka_unit_test(grows_and_forgets),
		cmocka_unit_test(stays_small_under_churn),  cmocka_unit_test(removal_while_walking),
		cmocka_unit_test(the_hash_sees_every_byte),
	};
	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
