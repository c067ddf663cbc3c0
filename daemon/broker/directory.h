/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the session of each client identifier lives: worker, session, and the identity that made
 * it. One entry per session, from its beginning to its end; the only place that decides which of
 * two clients owns an identifier. Sharded by a keyed hash, one mutex per shard, held for one
 * look-up. Any thread; only the worker that owns an entry changes or drops it. Section 3.1.3.1.
 */
#pragma once

#include "daemon/base/str.h"

struct directory;

struct directory *directory_new(void);
void directory_free(struct directory *d);
DEFINE_AUTO(directory, directory_free)

enum claim {
	CLAIM_NEW,     /* nobody had it: the entry is the caller's now, session 0 */
	CLAIM_HERE,    /* its session is on the caller's worker */
	CLAIM_THERE,   /* its session is on another worker: ask there */
	CLAIM_FOREIGN, /* it belongs to another identity */
	CLAIM_FULL,    /* as many sessions as allowed; nothing was made */
};

struct owner {
	uint64_t device_id; /* 0: anonymous clients share */
	uint64_t session;   /* handle; 0 until directory_set */
	unsigned worker;
};

/* max: sessions in all. *owner is who has it, except for CLAIM_FULL. */
enum claim directory_claim(struct directory *d, struct str client_id, uint64_t device_id,
			   unsigned worker, size_t max, struct owner *owner);
void directory_set(struct directory *d, struct str client_id, uint64_t session);
void directory_drop(struct directory *d, struct str client_id);
size_t directory_count(const struct directory *d);
