/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages: the last one of each topic that was published with the retain flag. A tree of
 * topic levels under one lock, which is held for one look-up or for a bounded piece of a walk;
 * whoever publishes without the flag never comes here. A walk keeps no place in the tree, only the
 * topic that it reached: it may rest for as long as its client reads slowly, holds back no memory
 * meanwhile, and afterwards meets what is retained then. Any thread. It does not judge who may
 * receive what. Sections 3.3.1.3 and 3.8.3.1.
 */
#pragma once

#include "daemon/broker/msg.h"

struct retain;

struct retain *retain_new(void);
void retain_free(struct retain *r);

/* How much may be kept; bytes are those of msg_size. */
struct retain_limits {
	size_t messages;
	size_t bytes;
};

/* A change, for whoever stores it. Changes of a topic have growing versions in the order in which
 * they came. */
struct retain_change {
	uint64_t version; /* 0: nothing changed */
	bool was_stored;  /* the message before it */
	bool is_kept;     /* there is one now */
};

/* Keeps the message (a reference of it) in place of the one of its topic; one without a payload
 * only takes that away [MQTT-3.3.1-6]. stored: it is kept by the spool, too. 0; ERR_LIMIT: nothing
 * has changed. */
int retain_set(struct retain *r, struct msg *m, const struct retain_limits *limits, bool stored,
	       struct retain_change *change);
/* Takes away what the topic has. */
void retain_drop(struct retain *r, struct str topic, struct retain_change *change);
/* Takes it away if it is still that version: it could not be stored. */
void retain_forget(struct retain *r, struct str topic, uint64_t version);

/* Versions of changes are above this one. */
void retain_number_from(struct retain *r, uint64_t version);
/* Restoring, before there are others: as it was stored. */
void retain_restore(struct retain *r, struct msg *m, uint64_t version);
/* All that are stored. The lock is held meanwhile. */
void retain_each_stored(struct retain *r, void (*fn)(void *ctx, struct msg *m, uint64_t version),
			void *ctx);
/* Topics of stored messages that expired since the last call: a 64-bit version and the topic
 * behind a 32-bit length each, little-endian. The caller's. */
struct buf retain_take_expired(struct retain *r);

/* Of clients: the gateway's own ($SYS ...) are not counted. */
struct retain_size {
	size_t messages;
	size_t bytes;
};
struct retain_size retain_size(const struct retain *r); /* no lock */

/* A walk over what a filter matches; {0} is at the beginning. Messages come in no useful order. */
struct retain_cursor {
	struct buf path; /* of the topic, or the part of one, that was met last */
	bool begun;
	bool over;
};
void retain_cursor_fini(struct retain_cursor *c);

/* What one step may bring. */
struct retain_room {
	size_t messages; /* at least 1, at most what out has place for */
	size_t bytes;    /* but the first message always */
};
/* The next messages that match the filter (valid, without "$share/NAME/") and have not expired; a
 * reference to each is the caller's. Expired ones on the way are dropped. May be 0 although
 * more come: c->over tells the end. */
size_t retain_next(struct retain *r, struct str filter, struct retain_cursor *c, uint64_t now_ms,
		   struct retain_room room, struct msg **out);
/* Drops expired messages, a bounded piece of all at a time; begins anew after the end. */
void retain_sweep(struct retain *r, struct retain_cursor *c, uint64_t now_ms);
/* Memory of tree and messages in bytes, as asked from the allocator. For tests. */
size_t retain_memory(struct retain *r);
