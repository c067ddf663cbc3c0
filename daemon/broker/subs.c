/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent ordered set of subscribers: see subs.h. A B+ tree with shared nodes.
 *
 * Nodes are allocated to their exact size. One that only the caller's set holds is changed in
 * place, others are copied (subs_own). Splits at the end of a node leave it full, so sets that grow
 * in order of handle waste nothing. On removal a node that became small joins a neighbour.
 */
#include "daemon/broker/subs.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <stdlib.h>
#include <string.h>

enum {
	ENTRIES_MAX = 32, /* entries of a leaf, branches of an inner node */
	ENTRIES_LOW = 8,  /* below this a node looks for a neighbour to join */
	ENTRIES_JOIN = 24 /* and joins when both have no more than this */
};

struct branch {
	uint64_t first; /* smallest handle below */
	struct subs *child;
};

struct subs {
	struct ref ref;
	uint16_t n;      /* entries or branches */
	uint16_t height; /* 0 = leaf */
	uint32_t count;  /* subscribers here and below */
	_Alignas(8) unsigned char data[];
};

_Static_assert(sizeof(struct branch) == sizeof(struct trie_sub), "one size for all nodes");

static inline struct trie_sub *entries(const struct subs *s)
{
	return (struct trie_sub *)(uintptr_t)s->data;
}

static inline struct branch *branches(const struct subs *s)
{
	return (struct branch *)(uintptr_t)s->data;
}

/* Both kinds of node start with the handle. */
static inline uint64_t first_at(const struct subs *s, unsigned i)
{
	uint64_t first;
	memcpy(&first, s->data + i * sizeof(struct branch), sizeof(first));
	return first;
}

static size_t size_of(unsigned n)
{
	return sizeof(struct subs) + n * sizeof(struct branch);
}

struct subs *subs_ref(struct subs *set)
{
	if (set)
		ref_get(&set->ref);
	return set;
}

void subs_unref(struct subs *set)
{
	if (!set || !ref_put(&set->ref))
		return;
	for (unsigned i = 0; set->height && i < set->n; i++)
		subs_unref(branches(set)[i].child);
	free(set);
}

static struct subs *subs_new(unsigned height, unsigned room)
{
	struct subs *s = mem_alloc(size_of(room));
	ref_init(&s->ref);
	s->height = (uint16_t)height;
	return s;
}

/* Turns the caller's reference into a node that nobody else holds, with room for more entries. */
static struct subs *subs_own(struct subs *s, unsigned room)
{
	if (ref_alone(&s->ref))
		return room ? mem_grow(s, size_of(s->n + room)) : s;
	struct subs *copy = subs_new(s->height, s->n + room);
	copy->n = s->n;
	copy->count = s->count;
	memcpy(copy->data, s->data, s->n * sizeof(struct branch));
	for (unsigned i = 0; s->height && i < s->n; i++)
		subs_ref(branches(s)[i].child);
	subs_unref(s);
	return copy;
}

/* Moves entries up or down by one place, in an owned node with room. */
static void shift_up(struct subs *s, unsigned at)
{
	memmove(s->data + (at + 1) * sizeof(struct branch), s->data + at * sizeof(struct branch),
		(s->n - at) * sizeof(struct branch));
	s->n++;
}

static void shift_down(struct subs *s, unsigned at)
{
	s->n--;
	memmove(s->data + at * sizeof(struct branch), s->data + (at + 1) * sizeof(struct branch),
		(s->n - at) * sizeof(struct branch));
}

static void recount(struct subs *s)
{
	s->count = s->height ? 0 : s->n;
	for (unsigned i = 0; s->height && i < s->n; i++)
		s->count += branches(s)[i].child->count;
}

/* Splits a node that has one entry too many; the new one was put at place last. */
static struct subs *split(struct subs **s, unsigned last)
{
	struct subs *left = *s;
	const unsigned at = last == ENTRIES_MAX ? ENTRIES_MAX : (ENTRIES_MAX + 1) / 2;
	struct subs *right = subs_new(left->height, left->n - at);
	right->n = (uint16_t)(left->n - at);
	memcpy(right->data, left->data + at * sizeof(struct branch),
	       right->n * sizeof(struct branch));
	left->n = (uint16_t)at;
	recount(left);
	recount(right);
	*s = mem_grow(left, size_of(at));
	return right;
}

/* The first place whose handle is not smaller. */
static unsigned place_of(const struct subs *s, uint64_t handle)
{
	unsigned lo = 0, hi = s->n;
	while (lo < hi) {
		const unsigned mid = (lo + hi) / 2;
		if (first_at(s, mid) < handle)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The branch below which the handle is, or belongs. */
static unsigned branch_of(const struct subs *s, uint64_t handle)
{
	const unsigned at = place_of(s, handle);
	const bool exact = at < s->n && first_at(s, at) == handle;
	return exact || at == 0 ? at : at - 1;
}

static struct subs *put(struct subs *s, const struct trie_sub *sub, struct subs **right,
			bool *replaced);

static struct subs *put_leaf(struct subs *s, const struct trie_sub *sub, struct subs **right,
			     bool *replaced)
{
	const unsigned at = place_of(s, sub->handle);
	*replaced = at < s->n && first_at(s, at) == sub->handle;
	s = subs_own(s, *replaced ? 0 : 1);
	if (!*replaced) {
		shift_up(s, at);
		s->count++;
	}
	entries(s)[at] = *sub;
	if (s->n > ENTRIES_MAX)
		*right = split(&s, at);
	return s;
}

static struct subs *put_inner(struct subs *s, const struct trie_sub *sub, struct subs **right,
			      bool *replaced)
{
	const unsigned at = branch_of(s, sub->handle);
	struct subs *beside = NULL;
	s = subs_own(s, 0);
	struct branch *b = &branches(s)[at];
	b->child = put(b->child, sub, &beside, replaced);
	b->first = first_at(b->child, 0);
	s->count += !*replaced;
	if (!beside)
		return s;
	s = subs_own(s, 1);
	shift_up(s, at + 1);
	branches(s)[at + 1] = (struct branch){first_at(beside, 0), beside};
	if (s->n > ENTRIES_MAX)
		*right = split(&s, at + 1);
	return s;
}

static struct subs *put(struct subs *s, const struct trie_sub *sub, struct subs **right,
			bool *replaced)
{
	return s->height ? put_inner(s, sub, right, replaced) : put_leaf(s, sub, right, replaced);
}

struct subs *subs_put(struct subs *set, const struct trie_sub *sub, bool *replaced)
{
	struct subs *right = NULL;
	struct subs *left = put(set ? set : subs_new(0, 0), sub, &right, replaced);
	if (!right)
		return left;
	struct subs *top = subs_new(left->height + 1u, 2);
	top->n = 2;
	branches(top)[0] = (struct branch){first_at(left, 0), left};
	branches(top)[1] = (struct branch){first_at(right, 0), right};
	recount(top);
	return top;
}

/* Joins the branches at and at + 1 of an owned node when both are small enough. */
static void join(struct subs *s, unsigned at)
{
	struct subs *left = branches(s)[at].child, *right = branches(s)[at + 1].child;
	if (left->n + right->n > ENTRIES_JOIN)
		return;
	left = subs_own(left, right->n);
	memcpy(left->data + left->n * sizeof(struct branch), right->data,
	       right->n * sizeof(struct branch));
	for (unsigned i = 0; right->height && i < right->n; i++)
		subs_ref(branches(right)[i].child);
	left->n = (uint16_t)(left->n + right->n);
	left->count += right->count;
	subs_unref(right);
	branches(s)[at].child = left;
	shift_down(s, at + 1);
}

/* The handle is there. Takes over the reference to s. */
static struct subs *take(struct subs *s, uint64_t handle)
{
	const unsigned at = s->height ? branch_of(s, handle) : place_of(s, handle);
	s = subs_own(s, 0);
	s->count--;
	if (s->height) {
		struct branch *b = &branches(s)[at];
		b->child = take(b->child, handle);
		if (!b->child)
			shift_down(s, at);
		else
			b->first = first_at(b->child, 0);
		if (b->child && b->child->n < ENTRIES_LOW && s->n > 1)
			join(s, at ? at - 1 : 0);
	} else {
		shift_down(s, at);
	}
	if (s->n)
		return mem_grow(s, size_of(s->n));
	free(s);
	return NULL;
}

struct subs *subs_remove(struct subs *set, uint64_t handle, bool *removed)
{
	*removed = subs_get(set, handle) != NULL;
	if (!*removed)
		return set;
	set = take(set, handle);
	while (set && set->height && set->n == 1) {
		struct subs *child = subs_ref(branches(set)[0].child);
		subs_unref(set);
		set = child;
	}
	return set;
}

const struct trie_sub *subs_get(const struct subs *set, uint64_t handle)
{
	if (!set)
		return NULL;
	while (set->height)
		set = branches(set)[branch_of(set, handle)].child;
	const unsigned at = place_of(set, handle);
	return at < set->n && first_at(set, at) == handle ? &entries(set)[at] : NULL;
}

size_t subs_count(const struct subs *set)
{
	return set ? set->count : 0;
}

const struct trie_sub *subs_at(const struct subs *set, size_t i)
{
	CHECK(i < subs_count(set));
	while (set->height) {
		unsigned at = 0;
		while (i >= branches(set)[at].child->count)
			i -= branches(set)[at++].child->count;
		set = branches(set)[at].child;
	}
	return &entries(set)[i];
}

void subs_each(const struct subs *set, void (*fn)(void *ctx, const struct trie_sub *run, size_t n),
	       void *ctx)
{
	if (!set)
		return;
	if (!set->height) {
		fn(ctx, entries(set), set->n);
		return;
	}
	for (unsigned i = 0; i < set->n; i++)
		subs_each(branches(set)[i].child, fn, ctx);
}

size_t subs_bytes(const struct subs *set)
{
	size_t bytes = set ? size_of(set->n) : 0;
	for (unsigned i = 0; set && set->height && i < set->n; i++)
		bytes += subs_bytes(branches(set)[i].child);
	return bytes;
}
