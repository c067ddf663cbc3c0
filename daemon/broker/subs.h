/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent ordered set of subscribers: who gets the messages of one filter, or who shares them.
 *
 * A set is a reference-counted pointer, NULL when empty: a leaf of a few entries, or a tree of
 * leaves. It is ordered by handle, so the entries of one worker lie together. A change copies one
 * path of it (at most a few hundred bytes per level) unless nobody else holds the nodes; a set of
 * 100,000 costs about 20 bytes a subscriber, a set of one 32 bytes.
 *
 * Used inside the trie by its one writer; readers of a published trie walk it without locks.
 */
#pragma once

#include "daemon/base/defs.h"

/* One subscription of one client. The set is keyed by handle. */
struct trie_sub {
	uint64_t handle;     /* opaque; its order is the order of delivery lists */
	uint32_t identifier; /* subscription identifier, 0 = none (MQTT 5.0 section 3.8.2.1.2) */
	uint8_t options; /* as in SUBSCRIBE (section 3.8.3.1): QoS, no-local, retain-as-published */
};

struct subs;

struct subs *subs_ref(struct subs *set); /* NULL stays NULL */
void subs_unref(struct subs *set);       /* NULL is allowed */

/* Adds or replaces; takes over the reference to set and returns one to the result.
 * *replaced tells whether the handle was there. */
struct subs *subs_put(struct subs *set, const struct trie_sub *sub, bool *replaced);
/* Removes; the same rule of references. The result is NULL when nothing is left. */
struct subs *subs_remove(struct subs *set, uint64_t handle, bool *removed);

const struct trie_sub *subs_get(const struct subs *set, uint64_t handle); /* or NULL */
size_t subs_count(const struct subs *set);
const struct trie_sub *subs_at(const struct subs *set, size_t i); /* i < subs_count, by handle */
/* Calls fn with runs of entries, ascending by handle. */
void subs_each(const struct subs *set, void (*fn)(void *ctx, const struct trie_sub *run, size_t n),
	       void *ctx);
size_t subs_bytes(const struct subs *set); /* as asked from the allocator */
