/* SPDX-License-Identifier: Apache-2.0
 *
 * Live traces: see trace.h.
 */
#include "db/trace.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/link.h"
#include "daemon/ipc/rec.h"

#include <stdio.h>
#include <stdlib.h>

enum { START_MS = 2000 };

struct line {
	struct list node;
	uint64_t seq;
	size_t n;
	char rec[];
};

struct trace {
	struct list node;
	struct traces *all;
	uint64_t id;
	char actor[TRACE_ACTOR];
	struct buf client_id;
	struct buf filter;
	uint64_t device_id;
	bool payload;
	bool messages;
	struct buf publisher;
	uint64_t as_device_id;
	bool bounded;  /* ends after `left` lines */
	uint64_t left; /* of the lines that were asked for */
	uint64_t ends_ms;
	uint64_t read_ms; /* last time that somebody read it */
	const char *ended;
	bool told; /* so its reader knows, and has all lines */
	struct list lines;
	size_t lines_n;
	size_t bytes;
	uint64_t seq; /* of the last line */
	uint64_t dropped;
	struct list waiters;
	struct loop_timer timer;
	struct link_call start;
};

void traces_init(struct traces *t, struct loop *loop)
{
	*t = (struct traces){.loop = loop};
	list_init(&t->list);
}

static void wake(struct trace *x)
{
	struct list woken;
	list_init(&woken);
	while (!list_empty(&x->waiters)) {
		struct list *node = x->waiters.next;
		list_remove(node);
		list_append(&woken, node);
	}
	while (!list_empty(&woken)) {
		struct trace_waiter *w = list_entry(woken.next, struct trace_waiter, node);
		list_remove(&w->node);
		w->woken(w);
	}
}

/* The broker tells from now on, or is away. */
static void started(struct link_call *call, int err, struct record *reply)
{
	(void)err;
	(void)reply;
	wake(container_of(call, struct trace, start));
}

static void tell_start(struct trace *x)
{
	const struct body_trace_start b = {
		.id = x->id,
		.client_id = buf_view(&x->client_id),
		.device_id = x->device_id,
		.filter = buf_view(&x->filter),
		.payload = x->payload,
		.messages = x->messages,
		.publisher = buf_view(&x->publisher),
		.as_device_id = x->as_device_id,
	};
	link_call_cancel(&x->start);
	if (x->all->broker)
		LINK_ASK(x->all->broker, &x->start, TRACE_START, trace_start, -1, &b, START_MS,
			 started);
}

static void tell_stop(const struct trace *x)
{
	const struct body_trace_stop b = {x->id};
	if (x->all->broker)
		LINK_SEND(x->all->broker, TRACE_STOP, trace_stop, 0, -1, &b);
}

/* What has come can still be read. */
static void end(struct trace *x, const char *why)
{
	if (x->ended)
		return;
	x->ended = why;
	tell_stop(x);
	wake(x);
}

static void drop_first(struct trace *x)
{
	struct line *l = list_entry(x->lines.next, struct line, node);
	list_remove(&l->node);
	x->lines_n--;
	x->bytes -= l->n;
	free(l);
}

void trace_stop(struct trace *x)
{
	end(x, "stopped");
	while (!list_empty(&x->lines))
		drop_first(x);
	loop_timer_stop(x->all->loop, &x->timer);
	link_call_cancel(&x->start);
	list_remove(&x->node);
	x->all->n[x->messages]--;
	buf_fini(&x->client_id);
	buf_fini(&x->filter);
	buf_fini(&x->publisher);
	free(x);
}

void traces_fini(struct traces *t)
{
	t->broker = NULL;
	while (!list_empty(&t->list))
		trace_stop(list_entry(t->list.next, struct trace, node));
}

void traces_use_broker(struct traces *t, struct link *broker)
{
	t->broker = broker;
	list_each (it, &t->list) {
		struct trace *x = list_entry(it, struct trace, node);
		if (!x->ended)
			tell_start(x);
	}
}

static void look(struct loop_timer *timer)
{
	struct trace *x = container_of(timer, struct trace, timer);
	const uint64_t now = loop_now_ms(x->all->loop);
	const bool idle = list_empty(&x->waiters) && now - x->read_ms >= TRACE_IDLE_MS;
	uint64_t wait = TRACE_IDLE_MS;
	if (idle || x->told) {
		trace_stop(x);
		return;
	}
	if (now >= x->ends_ms)
		end(x, "the time is over");
	if (list_empty(&x->waiters))
		wait -= now - x->read_ms;
	if (!x->ended)
		wait = MIN(wait, x->ends_ms - now);
	loop_timer_start(x->all->loop, &x->timer, "trace", x->told ? 0 : wait, look);
}

void trace_told(struct trace *x)
{
	x->told = true;
	loop_timer_start(x->all->loop, &x->timer, "trace", 0, look);
}

size_t traces_of(const struct traces *t, const char *actor, bool messages)
{
	size_t n = 0;
	list_each (it, &t->list) {
		const struct trace *x = list_entry(it, struct trace, node);
		n += x->messages == messages && strcmp(x->actor, actor) == 0;
	}
	return n;
}

struct trace *trace_start(struct traces *t, const struct trace_wish *wish)
{
	if (!traces_have_room(t, wish->actor, wish->messages))
		return NULL;
	struct trace *x = mem_new(struct trace);
	x->all = t;
	x->id = ++t->last_id;
	snprintf(x->actor, sizeof(x->actor), "%s", wish->actor);
	buf_str(&x->client_id, wish->client_id);
	buf_str(&x->filter, wish->filter);
	x->device_id = wish->device_id;
	x->payload = wish->payload;
	x->messages = wish->messages;
	buf_str(&x->publisher, wish->publisher);
	x->as_device_id = wish->as_device_id;
	x->bounded = wish->count > 0;
	x->left = wish->count;
	x->read_ms = loop_now_ms(t->loop);
	x->ends_ms = x->read_ms + wish->for_ms;
	list_init(&x->lines);
	list_init(&x->waiters);
	list_append(&t->list, &x->node);
	t->n[x->messages]++;
	loop_timer_start(t->loop, &x->timer, "trace", MIN(wish->for_ms, (uint64_t)TRACE_IDLE_MS),
			 look);
	tell_start(x);
	return x;
}

static struct trace *find(struct traces *t, uint64_t id)
{
	list_each (it, &t->list) {
		struct trace *x = list_entry(it, struct trace, node);
		if (x->id == id)
			return x;
	}
	return NULL;
}

struct trace *trace_find(struct traces *t, uint64_t id, const char *actor, bool messages)
{
	struct trace *x = find(t, id);
	return x && x->messages == messages && strcmp(x->actor, actor) == 0 ? x : NULL;
}

uint64_t trace_id(const struct trace *x)
{
	return x->id;
}

bool trace_has_payload(const struct trace *x)
{
	return x->payload;
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static void add(struct trace *x, struct str rec)
{
	struct line *l = mem_alloc(sizeof(*l) + rec.n);
	l->seq = ++x->seq;
	l->n = rec.n;
	memcpy(l->rec, rec.p, rec.n);
	list_append(&x->lines, &l->node);
	x->lines_n++;
	x->bytes += rec.n;
	while (x->lines_n > TRACE_WAITING || x->bytes > TRACE_WAITING_BYTES) {
		drop_first(x);
		x->dropped++;
	}
	if (x->bounded && --x->left == 0)
		end(x, "the number of lines is reached");
}

int traces_take(struct traces *t, struct str lines)
{
	struct cur c = cur_of(lines);
	struct str record;
	while (entries_next(&c, &record)) {
		struct body_trace_line b;
		if (body_trace_line_get(record, &b) || (b.line.n && !rec_valid(b.line)))
			return ERR_MALFORMED;
		struct trace *x = find(t, b.id);
		if (!x || x->ended)
			continue; /* it was on the way when the trace ended */
		x->dropped += b.dropped;
		if (b.line.n)
			add(x, b.line);
	}
	list_each (it, &t->list) {
		struct trace *x = list_entry(it, struct trace, node);
		if (x->lines_n)
			wake(x);
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

void trace_read_up_to(struct trace *x, uint64_t seq)
{
	x->read_ms = loop_now_ms(x->all->loop);
	while (!list_empty(&x->lines) && list_entry(x->lines.next, struct line, node)->seq <= seq)
		drop_first(x);
}

size_t trace_put(const struct trace *x, size_t max, struct buf *items)
{
	size_t n = 0;
	list_each (it, &x->lines) {
		const struct line *l = list_entry(it, struct line, node);
		if (n == max)
			break;
		rec_object(items, "");
		rec_int(items, "seq", (int64_t)l->seq);
		buf_put(items, l->rec, l->n);
		rec_end(items);
		n++;
	}
	return n;
}

uint64_t trace_dropped(const struct trace *x)
{
	return x->dropped;
}

const char *trace_ended(const struct trace *x)
{
	return x->ended;
}

void trace_wait(struct trace *x, struct trace_waiter *w)
{
	list_append(&x->waiters, &w->node);
}

void trace_unwait(struct trace_waiter *w)
{
	list_remove(&w->node);
}
