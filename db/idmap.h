/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map from one or two numbers to a number, for millions of entries at 24 bytes a slot: who
 * refers to a message, what a batch holds. The keys are given by the broker, never by its clients,
 * so the hash is not keyed. One thread.
 */
#pragma once

#include "daemon/base/defs.h"

struct idmap_slot {
	uint64_t a; /* 0 = free */
	uint64_t b;
	uint64_t value;
};

struct idmap {
	struct idmap_slot *slot;
	size_t cap; /* power of two, 0 = none yet */
	size_t n;
};

/* The value of a key, or NULL; valid until the next add or remove. a must not be 0. */
uint64_t *idmap_find(const struct idmap *m, uint64_t a, uint64_t b);
/* The same; a key that is not there is added with the value 0. */
uint64_t *idmap_add(struct idmap *m, uint64_t a, uint64_t b);
void idmap_remove(struct idmap *m, uint64_t a, uint64_t b); /* nothing when not there */
void idmap_clear(struct idmap *m); /* removes all, and gives memory back when it is much */
void idmap_fini(struct idmap *m);
