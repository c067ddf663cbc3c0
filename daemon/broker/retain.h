/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages: the last one of each topic that was published with the retain flag, in memory
 * only. A tree of topic levels under one lock, which is held for one look-up or for a bounded piece
 * of a walk; whoever publishes without the flag never comes here. A walk keeps no place in the
 * tree, only the topic that it reached: it may rest for as long as its client reads slowly, holds
 * back no memory meanwhile, and afterwards meets what is retained then. Any thread. It does not
 * judge who may receive what. Sections 3.3.1.3 and 3.8.3.1.
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

/* Keeps the message (a reference of it) in place of the one of its topic; one without a payload
 * only takes that away [MQTT-3.3.1-6]. 0; ERR_LIMIT: nothing has changed. */
int retain_set(struct retain *r, struct msg *m, const struct retain_limits *limits);
/* Takes away what the topic has. */
void retain_drop(struct retain *r, struct str topic);

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
