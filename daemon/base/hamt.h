/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent hash map (hash array mapped trie): a copy costs nothing, a change to a copy makes new
 * the few nodes on the way to it and shares the rest with all other copies.
 *
 * A struct hamt is one word. {0} is empty; hamt_copy makes a second one with the same contents;
 * each is changed and freed by itself. The map stores pointers to values that contain their own
 * key; struct hamt_ops says how to find it and how to count references. Nodes that only one map
 * holds are changed in place, so a run of changes before a publication copies each node once.
 *
 * Reading (get, each) needs no lock as long as the copy that is read is not changed or freed;
 * changes to different copies may run in different threads when retain and release are atomic.
 */
#pragma once

#include "daemon/base/str.h"

struct hamt {
	uintptr_t root; /* 0 = empty, a value with bit 0 set = the only one, or a node */
};

/* Values are pointers to at least 2-aligned memory. */
struct hamt_ops {
	struct str (*key)(const void *value); /* constant while the value is in a map */
	void (*retain)(void *value);
	void (*release)(void *value);
	uint64_t (*hash)(struct str key); /* NULL: hash_str (map.h), which peers cannot foresee */
};

/* hash is that of the key, wherever it is asked for: whoever looks up the same key in several maps
 * computes it once. */
void *hamt_get(struct hamt h, const struct hamt_ops *ops, struct str key, uint64_t hash);

/* False when hamt_get on this map does not look at the hash (at most one value). */
static inline bool hamt_hashes(struct hamt h)
{
	return h.root && !(h.root & 1);
}

/* One change. change(ctx, old) gets the value at key (NULL when absent) together with the map's
 * reference to it, and returns what shall stand there, with a reference for the map (NULL:
 * nothing). When the old value's reference is the only one, the value may be changed in place and
 * returned. */
void hamt_edit(struct hamt *h, const struct hamt_ops *ops, struct str key, uint64_t hash,
	       void *(*change)(void *ctx, void *old), void *ctx);

/* The plain forms. put takes over the caller's reference to value and releases the one it replaces;
 * true when the key was new. remove: true when there was one. */
bool hamt_put(struct hamt *h, const struct hamt_ops *ops, void *value);
bool hamt_remove(struct hamt *h, const struct hamt_ops *ops, struct str key);

/* Calls fn for every value, in no useful order. */
void hamt_each(struct hamt h, void (*fn)(void *ctx, void *value), void *ctx);

/* The values one by one, in an order that only the hashes of their keys decide, so that a walk goes
 * on where it stopped although the map has changed: the first one behind *after, or the very first
 * (after NULL); NULL at the end. Of keys with equal hashes one is met. */
void *hamt_next(struct hamt h, const struct hamt_ops *ops, const uint64_t *after);

struct hamt hamt_copy(struct hamt h, const struct hamt_ops *ops);
void hamt_free(struct hamt *h, const struct hamt_ops *ops); /* h is empty afterwards */

/* Memory of the nodes (not of the values) in bytes, as asked from the allocator. */
size_t hamt_bytes(struct hamt h);
