/* SPDX-License-Identifier: Apache-2.0
 *
 * Event loop of one thread: see loop.h.
 */
#include "daemon/net/loop.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 256, SLOW_HANDLER_MS = 100 };

struct loop {
	int epoll;
	bool stopping;
	bool excused;
	uint64_t now_ms;
	struct epoll_event batch[BATCH];
	int batch_n;
	int batch_at;
	struct heap timers;
	struct list tasks;
	struct inbox inbox;
	struct loop_io inbox_io;
};

static void run_inbox(struct loop *l)
{
	struct inbox_node *node = inbox_drain(&l->inbox);
	while (node) {
		struct inbox_node *next = node->next;
		struct loop_note *note = container_of(node, struct loop_note, node);
		note->run(note);
		node = next;
	}
}

static void inbox_ready(struct loop_io *io, uint32_t events)
{
	(void)events;
	run_inbox(container_of(io, struct loop, inbox_io));
}

struct loop *loop_new(void)
{
	struct loop *l = mem_new(struct loop);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK(l->epoll >= 0);
	CHECK(inbox_init(&l->inbox) == 0);
	list_init(&l->tasks);
	l->now_ms = clock_mono_ms();
	CHECK(loop_add(l, &l->inbox_io, "inbox", l->inbox.fd, EPOLLIN, inbox_ready) == 0);
	return l;
}

void loop_free(struct loop *l)
{
	run_inbox(l);
	loop_remove(l, &l->inbox_io);
	inbox_fini(&l->inbox);
	heap_fini(&l->timers);
	close(l->epoll);
	free(l);
}

int loop_add(struct loop *l, struct loop_io *io, const char *name, int fd, uint32_t events,
	     void (*ready)(struct loop_io *, uint32_t))
{
	struct epoll_event ev = {.events = events, .data.ptr = io};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return ERR_IO;
	io->fd = fd;
	io->events = events;
	io->name = name;
	io->ready = ready;
	return 0;
}

void loop_set_events(struct loop *l, struct loop_io *io, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = io};
	if (io->events == events)
		return;
	CHECK(epoll_ctl(l->epoll, EPOLL_CTL_MOD, io->fd, &ev) == 0);
	io->events = events;
}

void loop_remove(struct loop *l, struct loop_io *io)
{
	if (io->fd < 0 || !io->ready)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, io->fd, NULL);
	/* Events of this turn that are still to come must not reach freed memory. */
	for (int i = l->batch_at + 1; i < l->batch_n; i++)
		if (l->batch[i].data.ptr == io)
			l->batch[i].data.ptr = NULL;
	io->fd = -1;
	io->ready = NULL;
}

void loop_timer_start(struct loop *l, struct loop_timer *t, const char *name, uint64_t delay_ms,
		      void (*expired)(struct loop_timer *))
{
	t->name = name;
	t->expired = expired;
	heap_push(&l->timers, &t->node, l->now_ms + delay_ms);
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	heap_remove(&l->timers, &t->node);
}

void loop_defer(struct loop *l, struct loop_task *task, void (*run)(struct loop_task *))
{
	task->run = run;
	if (!list_linked(&task->node))
		list_append(&l->tasks, &task->node);
}

void loop_undefer(struct loop_task *task)
{
	list_remove(&task->node);
}

void loop_post(struct loop *l, struct loop_note *note, void (*run)(struct loop_note *))
{
	note->run = run;
	inbox_post(&l->inbox, &note->node);
}

void loop_batch_add(struct loop_batch *batch, struct loop_note *note,
		    void (*run)(struct loop_note *))
{
	note->run = run;
	note->node.next = batch->newest;
	batch->newest = &note->node;
	if (!batch->oldest)
		batch->oldest = &note->node;
}

void loop_post_batch(struct loop *l, struct loop_batch *batch)
{
	if (batch->newest)
		inbox_post_chain(&l->inbox, batch->newest, batch->oldest);
	*batch = (struct loop_batch){0};
}

uint64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

void loop_excuse(struct loop *l)
{
	l->excused = true;
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
}

/* Tells when a handler held the loop for too long. Returns the time at which it ended. */
static uint64_t watch(struct loop *l, const char *name, uint64_t started)
{
	const uint64_t ended = clock_mono_ms();
	if (ended - started >= SLOW_HANDLER_MS && !l->excused)
		log_warning("handler '%s' held its loop for %llu ms", name,
			    (unsigned long long)(ended - started));
	l->excused = false;
	return ended;
}

static void run_ready(struct loop *l)
{
	uint64_t t = l->now_ms;
	for (l->batch_at = 0; l->batch_at < l->batch_n; l->batch_at++) {
		struct loop_io *io = l->batch[l->batch_at].data.ptr;
		if (!io)
			continue;
		const char *name = io->name;
		io->ready(io, l->batch[l->batch_at].events);
		t = watch(l, name, t);
	}
	l->batch_n = 0;
}

static void run_timers(struct loop *l)
{
	for (;;) {
		struct heap_node *node = heap_min(&l->timers);
		if (!node || node->key > l->now_ms)
			return;
		struct loop_timer *t = container_of(node, struct loop_timer, node);
		heap_remove(&l->timers, node);
		const char *name = t->name;
		const uint64_t started = clock_mono_ms();
		t->expired(t);
		watch(l, name, started);
	}
}

static void run_tasks(struct loop *l)
{
	while (!list_empty(&l->tasks)) {
		struct loop_task *task = list_entry(l->tasks.next, struct loop_task, node);
		list_remove(&task->node);
		task->run(task);
	}
}

static int wait_ms(const struct loop *l, int timeout_ms)
{
	const struct heap_node *node = heap_min(&l->timers);
	if (!list_empty(&l->tasks))
		return 0;
	if (!node)
		return timeout_ms;
	const uint64_t now = clock_mono_ms();
	const uint64_t left = node->key > now ? node->key - now : 0;
	const int capped = left > 3600000 ? 3600000 : (int)left;
	return timeout_ms < 0 ? capped : MIN(capped, timeout_ms);
}

void loop_turn(struct loop *l, int timeout_ms)
{
	const int n = epoll_wait(l->epoll, l->batch, BATCH, wait_ms(l, timeout_ms));
	CHECK(n >= 0 || errno == EINTR);
	l->now_ms = clock_mono_ms();
	l->batch_n = n > 0 ? n : 0;
	run_ready(l);
	run_timers(l);
	run_tasks(l);
}

void loop_run(struct loop *l)
{
	l->stopping = false;
	while (!l->stopping)
		loop_turn(l, -1);
}
