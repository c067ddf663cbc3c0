/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory. Small allocations of our own choosing abort when memory is gone (mem_alloc, mem_new); a
 * size that comes from outside is checked against a named limit first and then asked for with
 * mem_try, which may fail. An arena serves the allocations of one packet: reset, never freed
 * singly.
 */
#pragma once

#include "daemon/base/defs.h"

void *mem_alloc(size_t n); /* zeroed; aborts when memory is gone */
void *mem_try(size_t n)
	MUST_CHECK;                /* not zeroed; NULL when memory is gone; n = 0 gives a pointer */
void *mem_grow(void *p, size_t n); /* realloc that aborts */
void *mem_copy(const void *p, size_t n); /* fresh copy of n bytes */
char *mem_strdup(const char *s);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The same for types that ask for more than the usual alignment (_Alignas). */
void *mem_aligned(size_t n, size_t alignment);

#define mem_new(type)      ((type *)mem_aligned(sizeof(type), _Alignof(type)))
#define mem_array(type, n) ((type *)mem_aligned(sizeof(type) * (n), _Alignof(type)))

/* A local char pointer that is freed when it leaves scope. */
void mem_auto(char **p);
#define AUTO_CHAR __attribute__((cleanup(mem_auto))) char *

struct arena {
	struct arena_block *head; /* the block that allocations come from, older ones behind it */
	size_t used;              /* bytes used of the head block */
};

void *arena_alloc(struct arena *a,
		  size_t n); /* 16-byte aligned, not zeroed; aborts when memory is gone */
/* Room for element n of a growing list of elements of `size` bytes in an arena: returns the list,
 * or a copy with more room. Begin with NULL and n = 0; append one by one. */
void *arena_list(struct arena *a, void *list, size_t n, size_t size);
void arena_reset(struct arena *a); /* gives back all but one block of normal size */
void arena_fini(struct arena *a);
