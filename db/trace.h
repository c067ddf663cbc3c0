/* SPDX-License-Identifier: Apache-2.0
 *
 * The live traces and watches that people look at: what they are to show, the lines of the broker
 * that nobody has read yet (TRACE_WAITING of them and TRACE_WAITING_BYTES at most; beyond it the
 * oldest go and are counted), and their end: the time or the number of lines that was asked for, or
 * that nobody has read for TRACE_IDLE_MS. In memory only. Main thread of the store; op_trace.c are
 * the operations.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/base/share.h"
#include "daemon/ipc/frame.h"
#include "daemon/net/loop.h"

enum {
	TRACES = 8, /* at the same time, of which nobody has all (share.h); and as many watches */
	TRACE_WAITING = 4000,
	TRACE_WAITING_BYTES = 2 * MiB,
	TRACE_IDLE_MS = 10000,
	TRACE_ACTOR = 96,
};

struct link;

/* A call that waits for lines. */
struct trace_waiter {
	struct list node;
	void (*woken)(struct trace_waiter *w);
};

struct traces {
	struct loop *loop;
	struct list list; /* of struct trace */
	size_t n[2];      /* traces, watches */
	uint64_t last_id;
	struct link *broker; /* NULL: away */
};

struct trace_wish {
	const char *actor;    /* who looks: nobody else may read it */
	struct str client_id; /* one of these three */
	uint64_t device_id;
	struct str filter;
	bool payload;          /* with what messages say */
	bool messages;         /* a watch: of what is published to the filter */
	struct str publisher;  /* with it: only what this device publishes; empty: anyone */
	uint64_t as_device_id; /* with it: only what the rules let this device get; 0: all */
	uint64_t for_ms;
	uint64_t count; /* of lines; 0: no bound */
};

struct trace;

void traces_init(struct traces *t, struct loop *loop);
void traces_fini(struct traces *t);
/* The broker's link, or NULL; what is on goes on with a new one. */
void traces_use_broker(struct traces *t, struct link *broker);
/* TRACE_LINES. 0 or ERR_MALFORMED. */
int traces_take(struct traces *t, struct str lines);

/* How many of the kind, packets or messages, are his. */
size_t traces_of(const struct traces *t, const char *actor, bool messages);
/* May he have one more of the kind? */
static inline bool traces_have_room(const struct traces *t, const char *actor, bool messages)
{
	return share_has_room(traces_of(t, actor, messages), t->n[messages], TRACES);
}
/* NULL when there is no room for it. Its id is not 0. */
struct trace *trace_start(struct traces *t, const struct trace_wish *wish);
/* NULL: it has ended and was forgotten, is of the other kind, or somebody else looks at it. */
struct trace *trace_find(struct traces *t, uint64_t id, const char *actor, bool messages);
uint64_t trace_id(const struct trace *x);
bool trace_has_payload(const struct trace *x);
void trace_stop(struct trace *x); /* forgets it */

/* Forgets lines up to this number, and knows that somebody reads. */
void trace_read_up_to(struct trace *x, uint64_t seq);
/* Appends lines as objects of a list, each with its seq; returns how many. */
size_t trace_put(const struct trace *x, size_t max, struct buf *items);
uint64_t trace_dropped(const struct trace *x);
/* NULL while it goes on. */
const char *trace_ended(const struct trace *x);
/* The reader was told of the end, and has all lines: it will be forgotten soon. */
void trace_told(struct trace *x);
/* Wakes once: when the broker has begun, at the next line, or at the end. */
void trace_wait(struct trace *x, struct trace_waiter *w);
void trace_unwait(struct trace_waiter *w);
