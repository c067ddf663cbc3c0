/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages on their way to one client: see replay.h.
 */
#include "daemon/broker/replay.h"
#include "daemon/broker/conn.h"
#include "daemon/broker/retain.h"
#include "daemon/broker/spool_session.h"
#include "daemon/broker/subscribe.h"

#include <stdlib.h>

enum { REPLAY_MESSAGES = 64 /* in one piece */ };

struct replay {
	struct replay *next;
	struct subscription *sub;
	struct retain_cursor cursor;
};

static void replay_free(struct replay *r)
{
	retain_cursor_fini(&r->cursor);
	free(r);
}

void replay_cancel(struct session *s, const struct subscription *sub)
{
	for (struct replay **at = &s->replay; *at; at = &(*at)->next) {
		struct replay *r = *at;
		if (r->sub != sub)
			continue;
		*at = r->next;
		replay_free(r);
		return;
	}
}

void replay_cancel_all(struct session *s)
{
	list_remove(&s->replaying);
	while (s->replay) {
		struct replay *r = s->replay;
		s->replay = r->next;
		replay_free(r);
	}
}

void replay_start(struct session *s, struct subscription *sub)
{
	struct replay **at = &s->replay;
	replay_cancel(s, sub);
	while (*at)
		at = &(*at)->next;
	*at = mem_new(struct replay);
	(*at)->sub = sub;
}

/* How much may be brought now; messages = 0: nothing. A quarter of what may wait leaves place for
 * the messages of the day. */
static struct retain_room room_of(const struct session *s)
{
	const struct config_broker *b = &s->conn->settings->config->broker;
	const size_t messages = MIN((b->max_queued_messages + 3) / 4, (uint32_t)REPLAY_MESSAGES);
	const size_t backlog = conn_backlog(s->conn), most = b->max_output_bytes / 4;
	const size_t waiting = s->out.waiting_bytes, queue = b->max_queued_bytes / 4;
	if (s->out.waiting_n >= messages || backlog >= most || waiting >= queue)
		return (struct retain_room){0, 0};
	return (struct retain_room){messages - s->out.waiting_n,
				    MIN(most - backlog, queue - waiting)};
}

static void bring(struct session *s, const struct subscription *sub, struct msg *m)
{
	struct worker *w = s->worker;
	if (sub->options & SUB_NO_LOCAL && m->origin == s->handle)
		return;
	if (sub->options & SUB_JUDGE && !subscription_may_receive(s, sub, m, true)) {
		w->stats.denied++;
		return;
	}
	const struct subscription_ids ids = {&sub->identifier, sub->identifier ? 1 : 0};
	session_deliver(s, m, MIN(m->qos, sub->options & SUB_QOS), true, ids);
}

/* One piece of the first replay; frees it when it is over. */
static void piece(struct session *s, struct retain_room room)
{
	struct worker *w = s->worker;
	struct replay *r = s->replay;
	struct msg *m[REPLAY_MESSAGES];
	const struct str filter = subscription_filter(r->sub);
	const size_t n = r->sub->active ? retain_next(w->broker->retain, filter, &r->cursor,
						      loop_now_ms(w->loop), room, m)
					: 0;
	w->encoded.msg = NULL; /* memory of a message that it knew may be that of another now */
	for (size_t i = 0; i < n; i++) {
		bring(s, r->sub, m[i]);
		msg_unref(m[i]);
	}
	if (!r->sub->active || r->cursor.over) {
		s->replay = r->next;
		replay_free(r);
	}
}

/* The next turn: one piece for each session that was put off, then it is the others' turn again. */
static void go_on(struct loop_note *note)
{
	struct worker *w = container_of(note, struct worker, replay);
	struct list now;
	w->replay_posted = false;
	list_init(&now);
	while (!list_empty(&w->replaying)) {
		struct list *it = w->replaying.next;
		list_remove(it);
		list_append(&now, it);
	}
	while (!list_empty(&now)) {
		struct session *s = list_entry(now.next, struct session, replaying);
		list_remove(&s->replaying);
		replay_run(s);
		arena_reset(&w->arena);
	}
}

static void put_off(struct session *s)
{
	struct worker *w = s->worker;
	if (list_linked(&s->replaying))
		return;
	list_append(&w->replaying, &s->replaying);
	if (!w->replay_posted)
		loop_post(w->loop, &w->replay, go_on);
	w->replay_posted = true;
}

void replay_run(struct session *s)
{
	if (!s->replay || !s->conn || list_linked(&s->replaying))
		return;
	const struct retain_room room = room_of(s);
	if (room.messages == 0)
		return; /* session_pump comes back */
	/* Deliveries below pump the session: they must not begin another piece. */
	list_append(&s->worker->replaying, &s->replaying);
	piece(s, room);
	list_remove(&s->replaying);
	if (s->replay)
		put_off(s);
}

bool replay_keep(struct worker *w, struct msg *m, enum config_durability durability)
{
	const struct config_broker *b = &w->settings->config->broker;
	const struct retain_limits limits = {b->max_retained_messages, b->max_retained_bytes};
	const bool stored = durability != CONFIG_DURABILITY_NONE;
	struct retain_change change;
	if (retain_set(w->broker->retain, m, &limits, stored, &change)) {
		w->stats.dropped_retained++;
		return false;
	}
	spool_retain(w, m, &change, durability);
	return true;
}

void replay_forget(struct worker *w, struct msg *m)
{
	struct retain_change change;
	retain_drop(w->broker->retain, m->shared.topic, &change);
	spool_retain(w, m, &change, CONFIG_DURABILITY_FULL);
}
