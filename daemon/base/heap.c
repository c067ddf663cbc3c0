/* SPDX-License-Identifier: Apache-2.0
 *
 * Binary heap: see heap.h. The thread that owns the heap.
 */
#include "daemon/base/heap.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

static void place(struct heap *h, size_t i, struct heap_node *node)
{
	h->node[i] = node;
	node->at = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct heap_node *node)
{
	while (i > 0 && h->node[(i - 1) / 2]->key > node->key) {
		place(h, i, h->node[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(h, i, node);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *node)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->node[child + 1]->key < h->node[child]->key)
			child++;
		if (h->node[child]->key >= node->key)
			break;
		place(h, i, h->node[child]);
		i = child;
	}
	place(h, i, node);
}

void heap_push(struct heap *h, struct heap_node *node, uint64_t key)
{
	heap_remove(h, node);
	if (h->n == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 16;
		h->node = mem_grow(h->node, h->cap * sizeof(h->node[0]));
	}
	node->key = key;
	h->n++;
	sift_up(h, h->n - 1, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	if (node->at == 0)
		return;
	const size_t i = node->at - 1;
	struct heap_node *last = h->node[--h->n];
	node->at = 0;
	if (last == node)
		return;
	if (i > 0 && h->node[(i - 1) / 2]->key > last->key)
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

void heap_fini(struct heap *h)
{
	free(h->node);
	*h = (struct heap){0};
}
