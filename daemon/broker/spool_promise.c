/* SPDX-License-Identifier: Apache-2.0
 *
 * What publishers wait for: see spool_promise.h.
 */
#include "daemon/broker/spool_promise.h"
#include "daemon/broker/route.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_session.h"

#include <stdlib.h>

/* ---- the end ----------------------------------------------------------------------------------
 */

/* What is ready leaves, in order. */
static void release(struct conn *c)
{
	while (!list_empty(&c->owed)) {
		struct promise *p = list_entry(c->owed.next, struct promise, node);
		if (!p->ready)
			return;
		list_remove(&p->node);
		c->owed_n--;
		conn_send_ack_why(c, p->type, p->packet_id, p->reason, p->why);
		free(p);
		if (c->state == CONN_CLOSED)
			return;
	}
}

/* MQTT 3 cannot say no: a publisher that is told nothing would take it for stored. */
static bool must_close(const struct conn *c, const struct promise *p)
{
	return reason_is_error(p->reason) && c->version != MQTT_5 && p->parts_failed;
}

static void settle(struct conn *c, struct promise *p)
{
	if (must_close(c, p)) {
		conn_close(c, REASON_QUOTA_EXCEEDED, p->why);
		return;
	}
	release(c);
	if (c->state != CONN_CLOSED)
		conn_paid(c);
}

/* The same PUBLISH came again meanwhile, perhaps on another connection. */
static void ready_followers(struct conn *c, const struct promise *first)
{
	list_each (it, &c->owed) {
		struct promise *p = list_entry(it, struct promise, node);
		if (!p->follows || p->packet_id != first->packet_id)
			continue;
		p->ready = true;
		p->reason = first->reason;
		p->why = first->why;
	}
}

static void fulfilled(struct promise *p)
{
	struct worker *w = p->home;
	struct conn *c = list_linked(&p->node) ? conn_find(w, p->conn) : NULL;
	struct session *s = p->type == PACKET_PUBREC ? session_find(w, p->session) : NULL;
	p->ready = true;
	if (s)
		session_received_done(s, p->packet_id, !p->parts_failed);
	if (s && s->conn) {
		ready_followers(s->conn, p);
		if (s->conn != c)
			settle(s->conn, p);
	}
	if (c)
		settle(c, p);
	else
		free(p);
}

/* Others have what the session had to give. */
static void end_session(struct promise *p)
{
	struct worker *w = p->home;
	if (w->ending == p)
		w->ending = NULL;
	atomic_fetch_sub(&w->broker->spooled, 1);
	spool_gone(w, p->ends);
	while (!list_empty(&p->waits)) {
		struct spool_wait *wait = list_entry(p->waits.next, struct spool_wait, node);
		list_remove(&wait->node);
		spool_wait(&w->spool, wait, wait->done);
	}
	free(p);
}

static void fail(struct promise *p, enum spool_status status)
{
	p->parts_failed = true;
	p->reason = status == SPOOL_FULL ? REASON_QUOTA_EXCEEDED : REASON_UNSPECIFIED_ERROR;
	p->why = status == SPOOL_FULL ? "no room to store it" : "it cannot be stored";
}

/* At home. */
static void settle_part(struct promise *p, enum spool_status status)
{
	if (status != SPOOL_STORED)
		fail(p, status);
	if (atomic_fetch_sub(&p->parts, 1) != 1)
		return;
	if (p->ends)
		end_session(p);
	else
		fulfilled(p);
}

static void came_home(struct loop_note *note)
{
	struct promise_part *part = container_of(note, struct promise_part, note);
	struct promise *p = part->promise;
	const enum spool_status status = part->status;
	free(part);
	settle_part(p, status);
}

static void part_done(struct promise_part *part, enum spool_status status)
{
	struct promise *p = part->promise;
	if (p->home != part->worker) {
		part->status = status;
		route_note(part->worker, p->home->index, &part->note, came_home);
		return;
	}
	free(part);
	settle_part(p, status);
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static void committed(struct spool_wait *wait, enum spool_status status)
{
	struct promise_part *part = container_of(wait, struct promise_part, wait);
	const struct promise *p = part->promise;
	/* What the refused batch was to say is said by the next one. PUBCOMP cannot say no
	 * [MQTT-3.7.2-1], and must not be early; nor may the end of a session, while what others
	 * got from it is owed. */
	const bool again = p->ends ? status != SPOOL_STORED || part->worker->spool.owes
				   : status != SPOOL_STORED && p->type == PACKET_PUBCOMP;
	if (again)
		spool_wait(&part->worker->spool, wait, committed);
	else
		part_done(part, status);
}

static void one_less(struct promise_part *part)
{
	if (--part->rows)
		return;
	list_remove(&part->wait.node);
	part_done(part, SPOOL_STORED);
}

void promise_undone(struct promise_part *part)
{
	one_less(part);
}

void promise_begin(struct worker *w, uint64_t sid, uint16_t packet_id)
{
	w->promising = (struct promising){.on = true, .sid = sid, .packet_id = packet_id};
}

static struct promise *promise_of(struct worker *w)
{
	struct promising *now = &w->promising;
	if (!now->promise) {
		now->promise = mem_new(struct promise);
		now->promise->home = w;
		now->promise->sid = now->sid;
		now->promise->ends = now->ends;
		list_init(&now->promise->waits);
		now->promise->packet_id = now->packet_id;
		/* One until promise_owe, so that it cannot end before. */
		atomic_init(&now->promise->parts, 1);
	}
	return now->promise;
}

static struct promise_part *part_new(struct worker *w)
{
	struct promise_part *part = mem_new(struct promise_part);
	part->promise = promise_of(w);
	atomic_fetch_add(&part->promise->parts, 1);
	part->worker = w;
	part->rows = 1;
	return part;
}

struct promise_part *promise_row(struct worker *w)
{
	struct promising *now = &w->promising;
	if (!now->on)
		return NULL;
	if (!now->part)
		now->part = part_new(w);
	struct promise_part *part = now->part;
	part->rows++;
	if (!list_linked(&part->wait.node)) {
		spool_wait(&w->spool, &part->wait, committed);
		if (part->promise->sid)
			spool_received(w, part->promise->sid, part->promise->packet_id, false);
	}
	return part->promise->ends ? NULL : part; /* nobody to refuse it to */
}

struct promise_part *promise_consign(struct worker *w)
{
	return w->promising.on ? part_new(w) : NULL;
}

void promise_resume(struct worker *w, struct promise_part *part)
{
	part->worker = w;
	w->promising = (struct promising){.on = true, .promise = part->promise, .part = part};
}

void promise_suspend(struct worker *w)
{
	struct promise_part *part = w->promising.part;
	w->promising = (struct promising){0};
	if (part)
		one_less(part);
}

struct promise *promise_end(struct worker *w)
{
	struct promise *p = w->promising.promise;
	promise_suspend(w);
	return p;
}

/* ---- the end of a session ---------------------------------------------------------------------
 */

void promise_ends(struct worker *w, uint64_t sid, struct promising *outer)
{
	*outer = w->promising;
	w->promising = (struct promising){.on = true, .ends = sid};
}

void promise_ended(struct worker *w, const struct promising *outer)
{
	const uint64_t sid = w->promising.ends;
	struct promise *p = promise_end(w);
	w->promising = *outer;
	if (!p) {
		spool_gone(w, sid);
		return;
	}
	/* A stop in order waits for it. */
	atomic_fetch_add(&w->broker->spooled, 1);
	w->ending = p;
	settle_part(p, SPOOL_STORED);
}

void promise_wait_ended(struct worker *w, struct spool_wait *wait,
			void (*done)(struct spool_wait *wait, enum spool_status status))
{
	if (w->ending) {
		wait->done = done;
		list_append(&w->ending->waits, &wait->node);
	} else {
		spool_wait(&w->spool, wait, done);
	}
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void put(struct conn *c, struct promise *p)
{
	p->conn = c->handle;
	list_append(&c->owed, &p->node);
	c->owed_n++;
}

void promise_owe(struct conn *c, struct promise *p, enum packet_type type, uint16_t packet_id,
		 enum reason reason, const char *why)
{
	if (!p && list_empty(&c->owed)) {
		conn_send_ack_why(c, type, packet_id, reason, why);
		return;
	}
	const bool waits = p != NULL;
	if (!p)
		p = mem_new(struct promise);
	p->home = c->worker;
	p->session = c->session ? c->session->handle : 0;
	p->type = type;
	p->packet_id = packet_id;
	p->reason = reason;
	p->why = why;
	p->ready = !waits;
	put(c, p);
	if (waits)
		settle_part(p, SPOOL_STORED);
	if (c->owed_n == c->settings->config->broker.max_inflight)
		conn_paid(c); /* it is read no more for now */
}

void promise_follow(struct conn *c, uint16_t packet_id)
{
	struct promise *p = mem_new(struct promise);
	p->home = c->worker;
	p->type = PACKET_PUBREC;
	p->packet_id = packet_id;
	p->follows = true;
	put(c, p);
}

void promise_orphan(struct conn *c)
{
	while (!list_empty(&c->owed)) {
		struct promise *p = list_entry(c->owed.next, struct promise, node);
		list_remove(&p->node);
		if (p->ready || p->follows)
			free(p);
	}
	c->owed_n = 0;
}
