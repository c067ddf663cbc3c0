/* SPDX-License-Identifier: Apache-2.0
 *
 * The subscription index: which subscribers a topic reaches. MQTT 5.0 sections 4.7 and 4.8.
 *
 * A tree of topic levels, published as immutable versions. Any number of worker threads match
 * against the newest version without locks: each is an epoch reader and loads the version inside
 * its loop turn. Changes are made by one writer at a time, aside, and are published together:
 * trie_edit_begin, any number of changes, trie_edit_commit. A change copies the path to its node
 * (levels are persistent hash maps, subscribers persistent ordered sets), and within one edit each
 * node only once. Collect the SUBSCRIBEs of one loop turn and apply them in one edit.
 *
 * A subscriber is an opaque handle (worker, slot, generation). A filter holds at most one
 * subscription per handle; "$share/NAME/filter" and "filter" are different subscriptions. The trie
 * does not know sessions: whoever ends one unsubscribes its filters. It does not choose among the
 * members of a shared subscription; it hands out the whole group.
 */
#pragma once

#include "daemon/base/epoch.h"
#include "daemon/base/str.h"
#include "daemon/broker/subs.h"

enum {
	TRIE_LEVELS_MAX = 128, /* levels of a filter; topics may have more */
};

struct trie;
struct trie_version;

/* The epoch outlives the trie. */
struct trie *trie_new(struct epoch *epoch);
void trie_free(struct trie *t); /* no reader inside, no edit open */

struct trie_stats {
	size_t subscriptions; /* shared ones included */
	size_t shared;        /* members of shared subscriptions */
	size_t filters;       /* filters with at least one subscriber; groups count each */
	size_t nodes;         /* tree nodes */
	uint64_t seq;         /* number of publications */
};

/* Writing: any thread, outside the epoch from begin to commit. begin waits for other writers. */
struct trie_edit {
	struct trie *trie;
	struct trie_node *root; /* the next version, ours alone */
	struct trie_stats stats;
	bool changed;
};

/* self is the calling thread's reader (NULL when it has none): it must be outside. */
void trie_edit_begin(struct trie *t, const struct epoch_reader *self, struct trie_edit *edit);
/* Publishes when anything changed; visible to every match that starts afterwards. */
void trie_edit_commit(struct trie_edit *edit);

/* filter: valid by topic_filter_check, shared or not. *replaced tells whether the handle had this
 * very subscription already. 0; ERR_INVALID for a malformed filter; ERR_LIMIT above
 * TRIE_LEVELS_MAX. */
int trie_subscribe(struct trie_edit *edit, struct str filter, const struct trie_sub *sub,
		   bool *replaced) MUST_CHECK;
/* 0, or ERR_NOT_FOUND. */
int trie_unsubscribe(struct trie_edit *edit, struct str filter, uint64_t handle);
/* The end of a session: all its filters; number of those that were there. */
size_t trie_unsubscribe_all(struct trie_edit *edit, uint64_t handle, const struct str *filters,
			    size_t n);

/* Reading: inside the epoch; the version is valid until the reader leaves. */
const struct trie_version *trie_load(const struct trie *t);
struct trie_stats trie_version_stats(const struct trie_version *v);

/* Members that share one filter: choose one of subs_at(members, 0..subs_count - 1) per message. */
struct trie_group {
	struct str name;            /* share name */
	uint64_t key;               /* hash of name and filter, for state kept beside the trie */
	const struct subs *members; /* never empty */
	atomic_uint *turn; /* starts at 0; for the reader who chooses: the only thing it changes */
};

struct trie_visitor {
	/* Runs of subscribers of one filter, ascending by handle. A handle may come again for
	 * another filter that matches too. */
	void (*subs)(void *ctx, const struct trie_sub *run, size_t n);
	void (*group)(void *ctx, const struct trie_group *group); /* NULL: groups are skipped */
	void *ctx;
};

/* Everything that a valid topic name reaches. "$" topics are reached only by filters that spell
 * their first level [MQTT-4.7.2-1]. */
void trie_match(const struct trie_version *v, struct str topic, const struct trie_visitor *visitor);
/* The subscription of this handle with exactly this filter (shared or not), or NULL. */
const struct trie_sub *trie_find(const struct trie_version *v, struct str filter, uint64_t handle);
/* Whether any filter, shared or not, begins with exactly this level. */
bool trie_begins_with(const struct trie_version *v, struct str level);

/* Memory of the version in bytes, as asked from the allocator. Walks all of it: for tests. */
size_t trie_version_bytes(const struct trie_version *v);
