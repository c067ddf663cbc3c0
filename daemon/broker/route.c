/* SPDX-License-Identifier: Apache-2.0
 *
 * Routing: see route.h.
 */
#include "daemon/broker/route.h"
#include "daemon/broker/session.h"
#include "daemon/broker/share.h"
#include "daemon/broker/spool_promise.h"
#include "daemon/broker/subscribe.h"
#include "daemon/broker/trace.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

/* One session that gets the message, whatever the number of its subscriptions that match. */
struct pick {
	struct session *session;
	uint8_t qos;
	bool retain;
	uint32_t ids_n;
	uint32_t id; /* the first one; all of them are in ids when there are more */
	uint32_t *ids;
};

/* A message on the way to another worker. */
struct consignment {
	struct loop_note note;
	struct worker *worker;
	struct msg *msg;
	size_t bytes;
	struct promise_part *part; /* of the publisher that waits, or NULL */
	struct route_share share;
	size_t n;
	struct trie_sub target[];
};

bool route_congested(const struct worker *w)
{
	return atomic_load_explicit(&w->broker->congested, memory_order_relaxed) > 0;
}

/* ---- delivery on one worker -------------------------------------------------------------------
 */

static void add_id(struct worker *w, struct pick *p, uint32_t id)
{
	if (id == 0)
		return;
	if (p->ids_n == 0) {
		p->id = id;
	} else {
		uint32_t *ids = arena_alloc(&w->arena, (p->ids_n + 1) * sizeof(*ids));
		memcpy(ids, p->ids ? p->ids : &p->id, p->ids_n * sizeof(*ids));
		ids[p->ids_n] = id;
		p->ids = ids;
	}
	p->ids_n++;
}

static struct pick *new_pick(struct worker *w, struct session *s)
{
	if (w->pick_n == w->pick_cap) {
		w->pick_cap = w->pick_cap ? w->pick_cap * 2 : 64;
		w->pick = mem_grow(w->pick, w->pick_cap * sizeof(*w->pick));
	}
	s->stamp = w->publication;
	s->pick = (uint32_t)w->pick_n;
	struct pick *p = &w->pick[w->pick_n++];
	*p = (struct pick){.session = s};
	return p;
}

/* The subscription behind an entry that says SUB_LOOK. NULL: it ended since, and its place may even
 * have another one now. */
static const struct subscription *look(const struct session *s, const struct trie_sub *t,
				       const struct msg *m)
{
	const struct subscription *sub = t->identifier < s->places ? s->place[t->identifier] : NULL;
	return sub && topic_matches(subscription_filter(sub), m->shared.topic) ? sub : NULL;
}

static void pick_target(struct worker *w, const struct trie_sub *t, const struct msg *m)
{
	struct session *s = session_find(w, t->handle);
	if (!s || (t->options & SUB_NO_LOCAL && m->origin == t->handle))
		return;
	uint32_t identifier = 0;
	if (t->options & SUB_LOOK) {
		const struct subscription *sub = look(s, t, m);
		if (!sub)
			return;
		if (sub->options & SUB_JUDGE && !subscription_may_receive(s, sub, m, false)) {
			w->stats.denied++;
			return;
		}
		identifier = sub->identifier;
	}
	struct pick *p = s->stamp == w->publication ? &w->pick[s->pick] : new_pick(w, s);
	const uint8_t qos = MIN(m->qos, t->options & SUB_QOS);
	p->qos = MAX(p->qos, qos);
	p->retain |= m->retain && t->options & SUB_RETAIN_AS_PUBLISHED;
	add_id(w, p, identifier);
}

static void deliver(struct worker *w, struct msg *m, const struct trie_sub *target, size_t n)
{
	w->publication++;
	w->pick_n = 0;
	w->encoded.msg = NULL;
	for (size_t i = 0; i < n; i++)
		pick_target(w, &target[i], m);
	for (size_t i = 0; i < w->pick_n; i++) {
		const struct pick *p = &w->pick[i];
		const struct subscription_ids ids = {p->ids ? p->ids : &p->id, p->ids_n};
		session_deliver(p->session, m, p->qos, p->retain, ids);
	}
}

/* ---- between workers --------------------------------------------------------------------------
 */

static void charge(struct worker *w, size_t bytes)
{
	const size_t before = atomic_fetch_add_explicit(&w->backlog, bytes, memory_order_relaxed);
	if (before < WORKER_BACKLOG_MAX && before + bytes >= WORKER_BACKLOG_MAX)
		atomic_fetch_add_explicit(&w->broker->congested, 1, memory_order_relaxed);
}

static void discharge(struct worker *w, size_t bytes)
{
	const size_t before = atomic_fetch_sub_explicit(&w->backlog, bytes, memory_order_relaxed);
	if (before >= WORKER_BACKLOG_MAX && before - bytes < WORKER_BACKLOG_MAX)
		atomic_fetch_sub_explicit(&w->broker->congested, 1, memory_order_relaxed);
}

static void arrived(struct loop_note *note)
{
	struct consignment *c = container_of(note, struct consignment, note);
	struct worker *w = c->worker;
	if (c->part)
		promise_resume(w, c->part);
	if (msg_expired(c->msg, loop_now_ms(w->loop)))
		w->stats.dropped_expired++;
	else if (c->share.key)
		share_deliver(w, c->msg, c->target, c->share.key, c->share.hops);
	else
		deliver(w, c->msg, c->target, c->n);
	if (c->part)
		promise_suspend(w);
	arena_reset(&w->arena);
	discharge(w, c->bytes);
	msg_unref(c->msg);
	free(c);
}

/* One wake-up for all that this turn has for a worker. Nothing that a later packet causes can
 * overtake: whatever else goes from worker to worker is a connection before its CONNECT is
 * answered.
 */
static void dispatch(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, dispatch);
	for (unsigned i = 0; i < w->broker->workers; i++)
		if (w->outgoing[i].newest)
			loop_post_batch(w->broker->worker[i]->loop, &w->outgoing[i]);
}

void route_note(struct worker *w, unsigned to, struct loop_note *note,
		void (*run)(struct loop_note *))
{
	loop_batch_add(&w->outgoing[to], note, run);
	loop_defer(w->loop, &w->dispatch, dispatch);
}

static bool has_durable(const struct trie_sub *target, size_t n)
{
	uint8_t all = 0;
	for (size_t i = 0; i < n; i++)
		all |= target[i].options;
	return all & SUB_DURABLE;
}

void route_consign(struct worker *w, unsigned index, struct msg *m, const struct trie_sub *target,
		   size_t n, struct route_share share)
{
	struct worker *to = w->broker->worker[index];
	struct consignment *c = mem_grow(NULL, sizeof(*c) + n * sizeof(target[0]));
	c->worker = to;
	c->msg = msg_ref(m);
	c->share = share;
	c->n = n;
	c->bytes = sizeof(*c) + n * sizeof(target[0]) + msg_size(m);
	memcpy(c->target, target, n * sizeof(target[0]));
	c->part = m->qos && has_durable(target, n) ? promise_consign(w) : NULL;
	charge(to, c->bytes);
	route_note(w, index, &c->note, arrived);
}

/* ---- matching ---------------------------------------------------------------------------------
 */

static void matched(void *ctx, const struct trie_sub *run, size_t n)
{
	struct worker *w = ctx;
	while (n) {
		const unsigned to = handle_worker(run->handle);
		size_t same = 1;
		while (same < n && handle_worker(run[same].handle) == to)
			same++;
		if (w->target_n[to] + same > w->target_cap[to]) {
			w->target_cap[to] = MAX(w->target_cap[to] * 2, w->target_n[to] + same);
			w->target[to] =
				mem_grow(w->target[to], w->target_cap[to] * sizeof(*w->target[to]));
		}
		memcpy(w->target[to] + w->target_n[to], run, same * sizeof(*run));
		w->target_n[to] += same;
		run += same;
		n -= same;
	}
}

size_t route_publish(struct worker *w, struct msg *m)
{
	const unsigned workers = w->broker->workers;
	const struct route_share none = {0, 0};
	const struct trie_visitor visitor = {.subs = matched, .group = share_matched, .ctx = w};
	if (__builtin_expect(w->trace != NULL, 0))
		trace_message(w, m);
	w->share_n = 0;
	memset(w->target_n, 0, workers * sizeof(w->target_n[0]));
	worker_enter(w);
	trie_match(trie_load(w->broker->trie), m->shared.topic, &visitor);
	size_t sum = w->share_n;
	for (unsigned i = 0; i < workers; i++) {
		const size_t n = w->target_n[i];
		sum += n;
		if (n && promise_has(w, i))
			continue;
		if (n && i == w->index)
			deliver(w, m, w->target[i], n);
		else if (n)
			route_consign(w, i, m, w->target[i], n, none);
	}
	if (w->share_n)
		share_publish(w, m);
	return sum;
}
