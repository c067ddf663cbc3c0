/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory, ownership and references: daemon/base/mem.h, daemon/base/defs.h, daemon/base/ref.h.
 */
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void small_allocations(void **state)
{
	(void)state;
	static const char zero[100];
	char *p = mem_alloc(100);
	assert_memory_equal(p, zero, 100);
	memset(p, 'x', 100);
	p = mem_grow(p, 10000);
	assert_int_equal(p[99], 'x');
	free(p);
	AUTO_CHAR copy = mem_strdup("plant");
	assert_string_equal(copy, "plant");
	AUTO_CHAR text = mem_printf("%s/%d", copy, 7);
	assert_string_equal(text, "plant/7");
	void *q = mem_copy("a\0b", 4);
	assert_memory_equal(q, "a\0b", 4);
	free(q);
}

struct wide {
	_Alignas(64) char first;
	char second[100];
};

static void alignment_is_kept(void **state)
{
	(void)state;
	static const struct wide zero[3];
	struct wide *p[8];
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = mem_array(struct wide, 3);
		assert_int_equal((uintptr_t)p[i] % 64, 0);
		assert_memory_equal(p[i], zero, sizeof(zero));
		memset(p[i], 1, sizeof(zero));
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
}

static void nothing_is_still_a_pointer(void **state)
{
	(void)state;
	void *const p[] = {mem_alloc(0), mem_try(0), mem_grow(NULL, 0), mem_copy(NULL, 0)};
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		assert_non_null(p[i]);
		free(p[i]);
	}
}

/* A size from outside that cannot be had is an answer, not the end of the process. */
static void an_impossible_size(void **state)
{
	(void)state;
	volatile size_t n = SIZE_MAX / 4; /* the compiler may not know it */
	assert_null(mem_try(n));
}

static void arena_gives_separate_aligned_memory(void **state)
{
	(void)state;
	struct arena a = {0};
	unsigned char *p[500];
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = arena_alloc(&a, i + 1);
		assert_int_equal((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)(i & 0xff), i + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(p[i][k], i & 0xff);
	arena_fini(&a);
	assert_null(a.head);
}

static void lists_grow_in_an_arena(void **state)
{
	(void)state;
	struct arena a = {0};
	uint32_t *one = NULL;
	uint64_t *other = NULL; /* appended to in turn: neither may lie in the other's way */
	for (size_t i = 0; i < 1000; i++) {
		one = arena_list(&a, one, i, sizeof(*one));
		other = arena_list(&a, other, i, sizeof(*other));
		one[i] = (uint32_t)i;
		other[i] = ~(uint64_t)i;
	}
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(one[i], i);
		assert_true(other[i] == ~(uint64_t)i);
	}
	arena_fini(&a);
}

static void arena_is_used_again(void **state)
{
	(void)state;
	struct arena a = {0};
	arena_reset(&a); /* an arena that was never used */
	void *first = arena_alloc(&a, 100);
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 100), first);
	memset(arena_alloc(&a, 1 * MiB), 1, 1 * MiB); /* larger than a block */
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 100), first); /* the big block was given back */
	arena_fini(&a);
	memset(arena_alloc(&a, 3), 1, 3); /* usable after its end */
	arena_fini(&a);
}

struct thing {
	struct ref ref;
	int *freed;
};

static void thing_unref(struct thing *t)
{
	if (!ref_put(&t->ref))
		return;
	(*t->freed)++;
	free(t);
}
DEFINE_AUTO(thing, thing_unref)

static struct thing *thing_new(int *freed)
{
	struct thing *t = mem_new(struct thing);
	ref_init(&t->ref);
	t->freed = freed;
	return t;
}

static void leaving_early_owes_nothing(void **state)
{
	(void)state;
	int freed = 0;
	struct thing *kept = NULL;
	{
		AUTO(thing) a = thing_new(&freed);
		AUTO(thing) b = thing_new(&freed);
		AUTO(thing) none = NULL;
		kept = TAKE(b);
		assert_null(b);
		assert_null(none);
		assert_non_null(a);
	}
	assert_int_equal(freed, 1);
	ref_get(&kept->ref);
	thing_unref(kept);
	assert_int_equal(freed, 1);
	thing_unref(kept);
	assert_int_equal(freed, 2);
}

static void descriptors_close_themselves(void **state)
{
	(void)state;
	int seen, kept;
	errno = 4711;
	{
		AUTO_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		AUTO_FD given = dup(fd);
		AUTO_FD none = -1;
		assert_true(fd >= 0 && given >= 0);
		seen = fd;
		kept = TAKE_FD(given);
		assert_int_equal(given, -1);
		assert_int_equal(none, -1);
		errno = 4711;
	}
	assert_int_equal(errno, 4711);
	assert_int_equal(fcntl(seen, F_GETFD), -1);
	assert_int_not_equal(fcntl(kept, F_GETFD), -1);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_allocations),
		cmocka_unit_test(alignment_is_kept),
		cmocka_unit_test(nothing_is_still_a_pointer),
		cmocka_unit_test(an_impossible_size),
		cmocka_unit_test(arena_gives_separate_aligned_memory),
		cmocka_unit_test(lists_grow_in_an_arena),
		cmocka_unit_test(arena_is_used_again),
		cmocka_unit_test(leaving_early_owes_nothing),
		cmocka_unit_test(descriptors_close_themselves),
	};
	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
