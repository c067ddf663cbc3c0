/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent hash map: see hamt.h.
 *
 * A *slot* is one word: 0, a value (bit 0 set) or a node. A node has a bitmap of 32 positions and a
 * slot for each that is set; five bits of the hash choose the position, from the low end, one group
 * per level. Behind the last bit, keys with equal hashes stand in a node side by side. A node that
 * holds one value and nothing else never exists: the value stands in its place.
 */
#include "daemon/base/hamt.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <stdlib.h>

enum {
	BITS = 5,
	LAST_SHIFT = 60, /* the level of the last bits; the one below it is a list */
};

struct node {
	struct ref ref;
	uint32_t map; /* positions in use; in a list, one bit per entry from bit 0 on */
	uintptr_t slot[];
};

struct edit {
	const struct hamt_ops *ops;
	struct str key;
	uint64_t hash;
	void *(*change)(void *ctx, void *old);
	void *ctx;
};

static inline bool is_value(uintptr_t slot)
{
	return slot & 1;
}

static inline void *value_of(uintptr_t slot)
{
	return (void *)(slot & ~(uintptr_t)1);
}

static inline uintptr_t slot_of_value(void *value)
{
	return value ? (uintptr_t)value | 1 : 0;
}

static inline struct node *node_of(uintptr_t slot)
{
	return (struct node *)slot;
}

static inline unsigned node_count(const struct node *node)
{
	return (unsigned)__builtin_popcount(node->map);
}

static inline uint32_t bit_of(uint64_t hash, unsigned shift)
{
	return 1u << (hash >> shift & 31);
}

static inline unsigned index_of(const struct node *node, uint32_t bit)
{
	return (unsigned)__builtin_popcount(node->map & (bit - 1));
}

static size_t node_size(unsigned n)
{
	return sizeof(struct node) + n * sizeof(uintptr_t);
}

static bool slot_is(uintptr_t slot, const struct hamt_ops *ops, struct str key)
{
	return str_eq(ops->key(value_of(slot)), key);
}

static uint64_t hash_of(const struct hamt_ops *ops, struct str key)
{
	return ops->hash ? ops->hash(key) : hash_str(key);
}

static void *list_get(const struct node *node, const struct hamt_ops *ops, struct str key)
{
	for (unsigned i = 0; i < node_count(node); i++)
		if (slot_is(node->slot[i], ops, key))
			return value_of(node->slot[i]);
	return NULL;
}

void *hamt_get(struct hamt h, const struct hamt_ops *ops, struct str key, uint64_t hash)
{
	uintptr_t slot = h.root;
	for (unsigned shift = 0; slot && !is_value(slot); shift += BITS) {
		const struct node *node = node_of(slot);
		if (shift > LAST_SHIFT)
			return list_get(node, ops, key);
		const uint32_t bit = bit_of(hash, shift);
		if (!(node->map & bit))
			return NULL;
		slot = node->slot[index_of(node, bit)];
	}
	return slot && slot_is(slot, ops, key) ? value_of(slot) : NULL;
}

static void slot_ref(uintptr_t slot, const struct hamt_ops *ops)
{
	if (is_value(slot))
		ops->retain(value_of(slot));
	else if (slot)
		ref_get(&node_of(slot)->ref);
}

static void slot_unref(uintptr_t slot, const struct hamt_ops *ops)
{
	if (is_value(slot)) {
		ops->release(value_of(slot));
		return;
	}
	struct node *node = node_of(slot);
	if (!node || !ref_put(&node->ref))
		return;
	for (unsigned i = 0; i < node_count(node); i++)
		slot_unref(node->slot[i], ops);
	free(node);
}

/* Turns the caller's reference to node into a node that nobody else holds. */
static struct node *node_own(struct node *node, const struct hamt_ops *ops)
{
	if (ref_alone(&node->ref))
		return node;
	/* Not its count of references: others may be giving theirs back meanwhile. */
	const unsigned n = node_count(node);
	struct node *copy = mem_alloc(node_size(n));
	ref_init(&copy->ref);
	copy->map = node->map;
	memcpy(copy->slot, node->slot, n * sizeof(copy->slot[0]));
	for (unsigned i = 0; i < n; i++)
		slot_ref(copy->slot[i], ops);
	slot_unref((uintptr_t)node, ops);
	return copy;
}

static uintptr_t node_insert(struct node *node, uint32_t bit, uintptr_t slot)
{
	const unsigned n = node_count(node), at = index_of(node, bit);
	node = mem_grow(node, node_size(n + 1));
	memmove(&node->slot[at + 1], &node->slot[at], (n - at) * sizeof(uintptr_t));
	node->slot[at] = slot;
	node->map |= bit;
	return (uintptr_t)node;
}

/* Takes the slot at bit out of an owned node (its reference is the caller's). */
static uintptr_t node_drop(struct node *node, uint32_t bit)
{
	const unsigned n = node_count(node), at = index_of(node, bit);
	memmove(&node->slot[at], &node->slot[at + 1], (n - at - 1) * sizeof(uintptr_t));
	node->map &= ~bit;
	return (uintptr_t)mem_grow(node, node_size(n - 1));
}

/* An owned node after a change: nothing, its only value, or itself. */
static uintptr_t node_settle(uintptr_t slot)
{
	struct node *node = node_of(slot);
	const unsigned n = node_count(node);
	if (n > 1 || (n == 1 && !is_value(node->slot[0])))
		return slot;
	const uintptr_t only = n ? node->slot[0] : 0;
	free(node);
	return only;
}

/* A node of two values with different keys. */
static uintptr_t node_pair(uintptr_t a, uint64_t hash_a, uintptr_t b, uint64_t hash_b,
			   unsigned shift)
{
	const bool list = shift > LAST_SHIFT;
	const uint32_t bit_a = list ? 1 : bit_of(hash_a, shift);
	const uint32_t bit_b = list ? 2 : bit_of(hash_b, shift);
	struct node *node = mem_alloc(node_size(2));
	ref_init(&node->ref);
	node->map = bit_a | bit_b;
	if (bit_a == bit_b) {
		node = mem_grow(node, node_size(1));
		node->slot[0] = node_pair(a, hash_a, b, hash_b, shift + BITS);
	} else {
		node->slot[bit_a > bit_b] = a;
		node->slot[bit_a < bit_b] = b;
	}
	return (uintptr_t)node;
}

static uintptr_t change(const struct edit *e, void *old)
{
	return slot_of_value(e->change(e->ctx, old));
}

static uintptr_t edit_value(uintptr_t slot, unsigned shift, const struct edit *e)
{
	if (slot_is(slot, e->ops, e->key))
		return change(e, value_of(slot));
	const uintptr_t added = change(e, NULL);
	if (!added)
		return slot;
	const uint64_t hash = hash_of(e->ops, e->ops->key(value_of(slot)));
	return node_pair(slot, hash, added, e->hash, shift);
}

static uintptr_t edit_list(struct node *node, const struct edit *e)
{
	const unsigned n = node_count(node);
	unsigned at = 0;
	while (at < n && !slot_is(node->slot[at], e->ops, e->key))
		at++;
	if (at < n) {
		node->slot[at] = change(e, value_of(node->slot[at]));
		if (node->slot[at])
			return (uintptr_t)node;
		node->slot[at] = node->slot[n - 1];
		return node_settle(node_drop(node, 1u << (n - 1)));
	}
	const uintptr_t added = change(e, NULL);
	/* More keys than this with one 64-bit keyed hash cannot be made by anyone. */
	CHECK(n < 32);
	return added ? node_insert(node, 1u << n, added) : (uintptr_t)node;
}

/* Takes over the reference to slot and returns what stands there afterwards. */
static uintptr_t edit_slot(uintptr_t slot, unsigned shift, const struct edit *e)
{
	if (!slot)
		return change(e, NULL);
	if (is_value(slot))
		return edit_value(slot, shift, e);
	struct node *node = node_own(node_of(slot), e->ops);
	if (shift > LAST_SHIFT)
		return edit_list(node, e);
	const uint32_t bit = bit_of(e->hash, shift);
	if (!(node->map & bit)) {
		const uintptr_t added = change(e, NULL);
		return added ? node_insert(node, bit, added) : (uintptr_t)node;
	}
	uintptr_t *at = &node->slot[index_of(node, bit)];
	*at = edit_slot(*at, shift + BITS, e);
	return node_settle(*at ? (uintptr_t)node : node_drop(node, bit));
}

void hamt_edit(struct hamt *h, const struct hamt_ops *ops, struct str key, uint64_t hash,
	       void *(*fn)(void *ctx, void *old), void *ctx)
{
	const struct edit e = {ops, key, hash, fn, ctx};
	h->root = edit_slot(h->root, 0, &e);
}

struct plain {
	const struct hamt_ops *ops;
	void *value;
	bool was_there;
};

static void *plain_change(void *ctx, void *old)
{
	struct plain *p = ctx;
	p->was_there = old != NULL;
	if (old)
		p->ops->release(old);
	return p->value;
}

bool hamt_put(struct hamt *h, const struct hamt_ops *ops, void *value)
{
	struct plain p = {.ops = ops, .value = value};
	const struct str key = ops->key(value);
	hamt_edit(h, ops, key, hash_of(ops, key), plain_change, &p);
	return !p.was_there;
}

bool hamt_remove(struct hamt *h, const struct hamt_ops *ops, struct str key)
{
	struct plain p = {.ops = ops};
	hamt_edit(h, ops, key, hash_of(ops, key), plain_change, &p);
	return p.was_there;
}

static void slot_each(uintptr_t slot, void (*fn)(void *ctx, void *value), void *ctx)
{
	if (is_value(slot)) {
		fn(ctx, value_of(slot));
		return;
	}
	const struct node *node = node_of(slot);
	for (unsigned i = 0; node && i < node_count(node); i++)
		slot_each(node->slot[i], fn, ctx);
}

void hamt_each(struct hamt h, void (*fn)(void *ctx, void *value), void *ctx)
{
	slot_each(h.root, fn, ctx);
}

static uintptr_t slot_first(uintptr_t slot)
{
	while (slot && !is_value(slot))
		slot = node_of(slot)->slot[0];
	return slot;
}

/* Is a behind b? Both took the same way down to this level. */
static bool hash_behind(uint64_t a, uint64_t b, unsigned shift)
{
	while (shift <= LAST_SHIFT && (a >> shift & 31) == (b >> shift & 31))
		shift += BITS;
	return shift <= LAST_SHIFT && (a >> shift & 31) > (b >> shift & 31);
}

static uintptr_t slot_behind(uintptr_t slot, unsigned shift, const struct hamt_ops *ops,
			     uint64_t hash)
{
	if (!slot || is_value(slot))
		return slot && hash_behind(hash_of(ops, ops->key(value_of(slot))), hash, shift)
			       ? slot
			       : 0;
	const struct node *node = node_of(slot);
	if (shift > LAST_SHIFT)
		return 0;
	const uint32_t bit = bit_of(hash, shift);
	unsigned at = index_of(node, bit);
	if (node->map & bit) {
		const uintptr_t found = slot_behind(node->slot[at++], shift + BITS, ops, hash);
		if (found)
			return found;
	}
	return at < node_count(node) ? slot_first(node->slot[at]) : 0;
}

void *hamt_next(struct hamt h, const struct hamt_ops *ops, const uint64_t *after)
{
	const uintptr_t slot = after ? slot_behind(h.root, 0, ops, *after) : slot_first(h.root);
	return slot ? value_of(slot) : NULL;
}

struct hamt hamt_copy(struct hamt h, const struct hamt_ops *ops)
{
	slot_ref(h.root, ops);
	return h;
}

void hamt_free(struct hamt *h, const struct hamt_ops *ops)
{
	slot_unref(h->root, ops);
	h->root = 0;
}

static size_t slot_bytes(uintptr_t slot)
{
	const struct node *node = node_of(slot);
	if (!slot || is_value(slot))
		return 0;
	size_t n = node_size(node_count(node));
	for (unsigned i = 0; i < node_count(node); i++)
		n += slot_bytes(node->slot[i]);
	return n;
}

size_t hamt_bytes(struct hamt h)
{
	return slot_bytes(h.root);
}
