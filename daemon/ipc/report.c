/* SPDX-License-Identifier: Apache-2.0
 *
 * Reporting events: see report.h.
 */
#include "daemon/ipc/report.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ipc/rec.h"

enum { BATCH_MAX = 60000, RETRY_MS = 100 };

/* The beginning of a text that fits, without half a character at its end. */
static struct str cut(struct str s, size_t max)
{
	size_t n = MIN(s.n, max);
	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return (struct str){s.p, n};
}

static void append(struct report *r, const struct body_event *e)
{
	ENTRIES_PUT(&r->pending, event, e);
}

static void tell_dropped(struct report *r)
{
	AUTO_BUF detail = {0};
	rec_int(&detail, "count", (int64_t)r->dropped);
	const struct body_event e = {
		.event = EVENT_LIMIT_REACHED,
		.time_ms = clock_wall_ms(),
		.reason = STR("events dropped"),
		.detail = buf_view(&detail),
	};
	r->dropped = 0;
	append(r, &e);
}

static void try_again(struct loop_timer *t);

static void send_pending(struct loop_task *task)
{
	struct report *r = container_of(task, struct report, task);
	while (r->store && r->pending.n) {
		const size_t n = entries_head(buf_view(&r->pending), BATCH_MAX).n;
		const struct body_events batch = {.events = {r->pending.p, n}};
		const int err = LINK_SEND(r->store, EVENTS, events, 0, -1, &batch);
		if (err == ERR_LIMIT)
			loop_timer_start(r->loop, &r->retry, "report", RETRY_MS, try_again);
		if (err)
			return;
		buf_consume(&r->pending, n);
		if (r->pending.n == 0 && r->dropped)
			tell_dropped(r);
	}
}

static void try_again(struct loop_timer *t)
{
	struct report *r = container_of(t, struct report, retry);
	send_pending(&r->task);
}

void report_init(struct report *r, struct loop *loop)
{
	*r = (struct report){.loop = loop};
}

void report_fini(struct report *r)
{
	if (r->pending.n)
		send_pending(&r->task);
	loop_undefer(&r->task);
	if (loop_timer_running(&r->retry))
		loop_timer_stop(r->loop, &r->retry);
	buf_fini(&r->pending);
}

void report_set_link(struct report *r, struct link *store)
{
	r->store = store;
	if (store && r->pending.n)
		loop_defer(r->loop, &r->task, send_pending);
}

void report_event(struct report *r, enum event event, const struct body_event *fields)
{
	struct body_event e = *fields;
	if (r->pending.n > REPORT_MAX) {
		r->dropped++;
		return;
	}
	if (r->dropped)
		tell_dropped(r);
	e.event = (uint16_t)event;
	if (e.time_ms == 0)
		e.time_ms = clock_wall_ms();
	e.actor = cut(e.actor, 256);
	e.client_id = cut(e.client_id, 1024);
	e.address = cut(e.address, 64);
	e.listener = cut(e.listener, 64);
	e.reason = cut(e.reason, 256);
	if (e.detail.n > 4096)
		e.detail = (struct str){NULL, 0}; /* half a rec is none */
	append(r, &e);
	if (r->store)
		loop_defer(r->loop, &r->task, send_pending);
}
