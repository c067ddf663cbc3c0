/* SPDX-License-Identifier: Apache-2.0
 *
 * Binary heap of intrusive nodes ordered by a 64-bit key, smallest first: the timers of a loop.
 * The heap owns its array, not the nodes. One thread.
 */
#pragma once

#include "daemon/base/defs.h"

struct heap_node {
	uint64_t key;
	size_t at; /* 1-based place in the heap, 0 = in no heap */
};

struct heap {
	struct heap_node **node;
	size_t n;
	size_t cap;
};

void heap_push(struct heap *h, struct heap_node *node, uint64_t key); /* moves it when already in */
void heap_remove(struct heap *h, struct heap_node *node);             /* nothing when in no heap */
static inline struct heap_node *heap_min(const struct heap *h)
{
	return h->n ? h->node[0] : NULL;
}
void heap_fini(struct heap *h);
