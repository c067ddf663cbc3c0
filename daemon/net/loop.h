/* SPDX-License-Identifier: Apache-2.0
 *
 * Event loop of one thread: descriptors (epoll, level-triggered unless asked otherwise), timers,
 * work deferred to the end of the turn, and an inbox through which other threads reach it.
 *
 * One turn: wait, run the ready descriptors, run the inbox, run expired timers, run deferred tasks
 * until none is left. All structs are intrusive and owned by the caller; removing or freeing one's
 * own struct inside its callback is allowed, and so is removing any other one.
 * Only the loop's own thread may call these functions, except those that post. A handler that runs
 * for more than 100 ms is logged by name.
 */
#pragma once

#include "daemon/base/heap.h"
#include "daemon/base/inbox.h"
#include "daemon/base/list.h"

#include <sys/epoll.h>

struct loop;

struct loop_io {
	int fd;           /* -1 = not in a loop */
	uint32_t events;  /* EPOLLIN, EPOLLOUT, EPOLLET ... as last set */
	const char *name; /* for the watchdog; must outlive the struct */
	void (*ready)(struct loop_io *io, uint32_t events);
};

struct loop_timer {
	struct heap_node node;
	const char *name;
	void (*expired)(struct loop_timer *t);
};

/* Work for the end of this turn. Deferring a task twice before it ran runs it once. */
struct loop_task {
	struct list node;
	void (*run)(struct loop_task *task);
};

/* A message from another thread; run() in the loop's thread owns it from then on. */
struct loop_note {
	struct inbox_node node;
	void (*run)(struct loop_note *note);
};

/* Messages that are posted together, so that they wake the other thread once. Zero is empty. */
struct loop_batch {
	struct inbox_node *newest;
	struct inbox_node *oldest;
};

struct loop *loop_new(void);    /* aborts when the kernel gives no epoll or eventfd */
void loop_free(struct loop *l); /* runs notes still in the inbox first */
DEFINE_AUTO(loop, loop_free)

/* 0 or ERR_IO (errno). The loop never closes the descriptor. */
int loop_add(struct loop *l, struct loop_io *io, const char *name, int fd, uint32_t events,
	     void (*ready)(struct loop_io *, uint32_t));
void loop_set_events(struct loop *l, struct loop_io *io,
		     uint32_t events);                /* no system call when unchanged */
void loop_remove(struct loop *l, struct loop_io *io); /* nothing when not in a loop */

/* Starts or restarts a timer that expires once, delay_ms after loop_now_ms(). */
void loop_timer_start(struct loop *l, struct loop_timer *t, const char *name, uint64_t delay_ms,
		      void (*expired)(struct loop_timer *));
void loop_timer_stop(struct loop *l, struct loop_timer *t); /* nothing when not running */
static inline bool loop_timer_running(const struct loop_timer *t)
{
	return t->node.at != 0;
}

void loop_defer(struct loop *l, struct loop_task *task, void (*run)(struct loop_task *));
void loop_undefer(struct loop_task *task); /* nothing when not deferred */
void loop_post(struct loop *l, struct loop_note *note,
	       void (*run)(struct loop_note *)); /* any thread */
void loop_batch_add(struct loop_batch *batch, struct loop_note *note,
		    void (*run)(struct loop_note *));
/* As loop_post of each, in the order in which they were added; empties the batch. Any thread. */
void loop_post_batch(struct loop *l, struct loop_batch *batch);

uint64_t loop_now_ms(const struct loop *l); /* monotonic, read once at the start of the turn */
/* The handler that runs now is known to take long (start-up): the watchdog does not log it. */
void loop_excuse(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* after the current turn; loop thread only */
void loop_turn(struct loop *l,
	       int timeout_ms); /* one turn; for tests and for draining at the end */
