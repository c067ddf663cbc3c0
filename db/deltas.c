/* SPDX-License-Identifier: Apache-2.0
 *
 * Deltas to the broker: see deltas.h.
 */
#include "db/deltas.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/ops.h"

#include <stdlib.h>

enum { DELTA_BYTES = 60000, NUDGE_MS = 1000 };

struct delta_ask {
	struct list node; /* in change->asks */
	struct list turn; /* in deltas->waiting */
	struct link_call call;
	struct store *s;
	struct op_call *op; /* NULL: nobody waits */
	struct buf entries;
};

void deltas_init(struct deltas *d)
{
	*d = (struct deltas){0};
	list_init(&d->waiting);
}

static void free_ask(struct delta_ask *ask)
{
	list_remove(&ask->node);
	list_remove(&ask->turn);
	buf_fini(&ask->entries);
	free(ask);
}

void deltas_forget(struct list *asks)
{
	while (!list_empty(asks)) {
		struct delta_ask *ask = list_entry(asks->next, struct delta_ask, node);
		list_remove(&ask->node);
		ask->op = NULL;
	}
}

/* A delta found no room in the queue to a broker that does not read now. No later one may come for
 * long, so the gap is shown to it: otherwise a revocation would wait for the next change. */
static void nudge(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, deltas.nudge_timer);
	const struct body_delta missed = {.seq = 0};
	if (!s->broker_synced)
		return; /* its snapshot will say it */
	if (LINK_SEND(s->peer[PROCESS_BROKER].link, DELTA, delta, 0, -1, &missed))
		loop_timer_start(s->loop, t, "nudge", NUDGE_MS, nudge);
}

static void nudge_in(struct store *s, uint64_t ms)
{
	if (!loop_timer_running(&s->deltas.nudge_timer))
		loop_timer_start(s->loop, &s->deltas.nudge_timer, "nudge", ms, nudge);
}

void deltas_missed(struct store *s)
{
	snapshot_again(s);
	if (s->broker_synced)
		nudge_in(s, 0);
}

static void told(struct delta_ask *ask, bool away, uint64_t closed)
{
	struct op_call *c = ask->op;
	free_ask(ask);
	if (c)
		change_told(c, away, closed);
}

/* They have their numbers, so that what follows shows the gap. */
void deltas_drop(struct store *s)
{
	while (!list_empty(&s->deltas.waiting)) {
		s->seq++;
		told(list_entry(s->deltas.waiting.next, struct delta_ask, turn), true, 0);
	}
}

static void send_waiting(struct store *s);

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct delta_ask *ask = container_of(call, struct delta_ask, call);
	struct store *s = ask->s;
	struct body_delta_done done;
	const bool away = err || body_delta_done_get(reply->body, &done);
	s->deltas.under_way--;
	if (err && (err == ERR_UNAVAILABLE || !list_empty(&s->deltas.waiting)))
		nudge_in(s, NUDGE_MS);
	told(ask, away, away ? 0 : done.closed);
	if (err)
		deltas_drop(s);
	else
		send_waiting(s);
}

static void send_waiting(struct store *s)
{
	struct deltas *d = &s->deltas;
	while (!list_empty(&d->waiting) && d->under_way < DELTAS_AT_ONCE) {
		struct delta_ask *ask = list_entry(d->waiting.next, struct delta_ask, turn);
		const struct body_delta body = {(uint64_t)++s->seq, buf_view(&ask->entries)};
		list_remove(&ask->turn);
		d->under_way++;
		LINK_ASK(s->peer[PROCESS_BROKER].link, &ask->call, DELTA, delta, -1, &body,
			 DELTAS_MS, answered);
		buf_fini(&ask->entries);
	}
}

static void add(struct store *s, struct op_call *c, struct str entries)
{
	if (!s->broker_synced) {
		s->seq++;
		snapshot_add(s, entries);
		if (c)
			c->change.away = true;
		return;
	}
	struct delta_ask *ask = mem_new(struct delta_ask);
	ask->s = s;
	ask->op = c;
	buf_str(&ask->entries, entries);
	list_append(&s->deltas.waiting, &ask->turn);
	if (c)
		list_append(&c->change.asks, &ask->node);
}

/* Bytes of whole entries at the start that fit one message. */
static size_t part_size(struct str entries)
{
	const size_t n = entries_head(entries, DELTA_BYTES).n;
	CHECK(n > 0);
	return n;
}

int64_t deltas_count(struct str entries)
{
	int64_t parts = 0;
	for (; entries.n; parts++) {
		const size_t n = part_size(entries);
		entries = str_make(entries.p + n, entries.n - n);
	}
	return parts;
}

void deltas_send(struct store *s, struct op_call *c, struct str entries)
{
	while (entries.n) {
		const size_t n = part_size(entries);
		add(s, c, str_make(entries.p, n));
		entries = str_make(entries.p + n, entries.n - n);
	}
	send_waiting(s);
}

void deltas_fini(struct store *s)
{
	deltas_drop(s);
	loop_timer_stop(s->loop, &s->deltas.nudge_timer);
}
