/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory: see mem.h. Any thread; an arena belongs to one thread.
 */
#include "daemon/base/mem.h"
#include "daemon/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 16 * KiB };

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(16) unsigned char data[];
};

void *mem_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);
	CHECK(p != NULL);
	return p;
}

void *mem_aligned(size_t n, size_t alignment)
{
	void *p = NULL;
	if (alignment <= _Alignof(max_align_t))
		return mem_alloc(n);
	CHECK(posix_memalign(&p, alignment, n ? n : 1) == 0);
	memset(p, 0, n);
	return p;
}

void *mem_try(size_t n)
{
	return malloc(n ? n : 1);
}

void *mem_grow(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);
	CHECK(q != NULL);
	return q;
}

void *mem_copy(const void *p, size_t n)
{
	void *q = mem_alloc(n);
	if (n)
		memcpy(q, p, n);
	return q;
}

char *mem_strdup(const char *s)
{
	return mem_copy(s, strlen(s) + 1);
}

char *mem_printf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	const int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	return s;
}

void mem_auto(char **p)
{
	free(*p);
}

void *arena_alloc(struct arena *a, size_t n)
{
	n = (n + 15) & ~(size_t)15;
	if (!a->head || a->head->size - a->used < n) {
		const size_t size = MAX(n, (size_t)ARENA_BLOCK);
		struct arena_block *b = mem_grow(NULL, sizeof(*b) + size);
		b->next = a->head;
		b->size = size;
		a->head = b;
		a->used = 0;
	}
	void *p = a->head->data + a->used;
	a->used += n;
	return p;
}

void *arena_list(struct arena *a, void *list, size_t n, size_t size)
{
	enum { FIRST = 4 };
	if (n != 0 && (n < FIRST || (n & (n - 1)) != 0))
		return list;
	void *bigger = arena_alloc(a, MAX((size_t)FIRST, 2 * n) * size);
	if (n)
		memcpy(bigger, list, n * size);
	return bigger;
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = NULL;
	while (a->head) {
		struct arena_block *next = a->head->next;
		if (!keep && a->head->size == ARENA_BLOCK)
			keep = a->head;
		else
			free(a->head);
		a->head = next;
	}
	if (keep)
		keep->next = NULL;
	a->head = keep;
	a->used = 0;
}

void arena_fini(struct arena *a)
{
	arena_reset(a);
	free(a->head);
	a->head = NULL;
}
