/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map from bytes to a pointer. Keys are copied, values belong to the caller. The hash is keyed
 * with random bytes per process, so peers cannot choose colliding names. One thread.
 */
#pragma once

#include "daemon/base/str.h"

struct map_slot {
	char *key; /* NULL = free, MAP_GONE = removed */
	size_t key_len;
	uint64_t hash;
	void *value;
};

struct map {
	struct map_slot *slot;
	size_t cap;  /* power of two */
	size_t n;    /* live entries */
	size_t used; /* live and removed */
};

void *map_get(const struct map *m, struct str key); /* NULL when absent */
void *map_set(struct map *m, struct str key,
	      void *value);                      /* value != NULL; returns the old one or NULL */
void *map_remove(struct map *m, struct str key); /* returns the value or NULL */
/* Walks all entries: *at starts at 0; false at the end. The map must not grow meanwhile; removing
 * the entry just returned is allowed. */
bool map_next(const struct map *m, size_t *at, struct str *key, void **value);
void map_fini(struct map *m); /* keys freed, values untouched */

/* SipHash-2-4 with the process's key. */
uint64_t hash_bytes(const void *p, size_t n);
static inline uint64_t hash_str(struct str s)
{
	return hash_bytes(s.p, s.n);
}

/* A key made of one number. */
#define MAP_KEY(number) ((struct str){(const char *)&(number), sizeof(number)})
