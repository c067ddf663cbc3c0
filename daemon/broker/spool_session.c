/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of sessions and retained messages: see spool_session.h.
 */
#include "daemon/broker/spool_session.h"
#include "daemon/base/clock.h"
#include "daemon/broker/retain.h"
#include "daemon/broker/session.h"
#include "daemon/broker/will.h"

#include <stdlib.h>

static struct spool *spool_of(const struct session *s)
{
	return &s->worker->spool;
}

static bool is_full(const struct session *s)
{
	/* Whoever need not wait has to all the same when the store holds back too much. */
	return s->durability == CONFIG_DURABILITY_FULL || spool_is_full(s->worker->broker);
}

/* ---- sessions ---------------------------------------------------------------------------------
 */

enum { COMMON_NAME_MAX = 1024, MORE_ROOM = 4096 };

/* As many alternative names as there is room for. */
static void put_names(const struct certnames *names, struct out *o)
{
	const struct str cn = str_of(names->cn);
	out_str16(o, cn.n <= COMMON_NAME_MAX ? cn : STR(""));
	for (size_t i = 0; i < names->san_n; i++)
		if (o->need + 2 + names->san[i].n <= MORE_ROOM)
			out_str16(o, names->san[i]);
}

static void put_more(const struct session *s, struct out *o)
{
	char address[ADDR_TEXT];
	out_u8(o, (uint8_t)s->durability);
	out_u8(o, (uint8_t)s->worker->broker->workers);
	out_str16(o, str_of(addr_format(&s->address, address)));
	put_names(&s->names, o);
}

void spool_session(struct session *s)
{
	unsigned char more[MORE_ROOM];
	struct out o = out_make(more, sizeof(more));
	AUTO_BUF will = {0};
	if (!s->sid)
		return;
	put_more(s, &o);
	will_save(s, &will);
	const struct body_spool_session body = {
		.sid = s->sid,
		.device_id = s->identity->device_id,
		.expiry = s->expiry_s,
		.disconnected_ms = s->disconnected_ms,
		.will_due_ms = will_due_at(s),
		.client_id = session_client_id(s),
		.will = buf_view(&will),
		.more = str_make(more, o.need),
	};
	SPOOL_ADD(spool_of(s), SESSION, session, &body);
}

void spool_subscription(struct session *s, const struct subscription *sub)
{
	const struct body_spool_sub body = {
		.sid = s->sid,
		.options = sub->options,
		.identifier = sub->identifier,
		.filter = subscription_filter(sub),
	};
	if (s->sid)
		SPOOL_ADD(spool_of(s), SUB, sub, &body);
}

void spool_subscription_end(struct session *s, struct str filter)
{
	const struct body_spool_sub_gone body = {.sid = s->sid, .filter = filter};
	if (s->sid)
		SPOOL_ADD(spool_of(s), SUB_GONE, sub_gone, &body);
}

static void store_subscriptions(struct session *s)
{
	size_t at = 0;
	for (void *sub; map_next(&s->subscriptions, &at, NULL, &sub);)
		spool_subscription(s, sub);
}

static void store_received(struct session *s)
{
	for (size_t i = 0; i < s->received_n; i++)
		spool_received(s->worker, s->sid, s->received[i].packet_id, true);
}

/* What waits is in memory only from now on. */
static void forget_rows(struct list *deliveries)
{
	list_each (it, deliveries)
		list_entry(it, struct delivery, node)->row = NULL;
}

void spool_session_end(struct session *s)
{
	const struct body_spool_session_gone body = {s->sid};
	if (!s->sid)
		return;
	SPOOL_ADD(spool_of(s), SESSION_GONE, session_gone, &body);
	s->sid = 0;
	s->fresh = NULL;
	s->held = 0;
	forget_rows(&s->out.waiting);
	forget_rows(&s->out.under_way);
}

void spool_session_begin(struct session *s, enum config_durability durability)
{
	const bool durable = s->expiry_s > 0 && durability != CONFIG_DURABILITY_NONE;
	s->durability = (uint8_t)durability;
	if (!durable) {
		if (s->sid) {
			spool_session_end(s);
			session_reindex(s);
		}
		return;
	}
	if (s->sid) {
		spool_session(s);
		return;
	}
	s->sid = spool_number(spool_of(s));
	spool_session(s);
	/* One that was not durable so far; the messages that wait stay in memory only. */
	store_subscriptions(s);
	store_received(s);
	session_reindex(s);
}

/* ---- rows -------------------------------------------------------------------------------------
 */

enum { IDS_MAX = UINT16_MAX / sizeof(uint32_t) };

static struct str share_of(const struct session *s, uint64_t key)
{
	for (uint32_t i = 0; key && i < s->places; i++)
		if (s->place[i] && s->place[i]->key == key)
			return subscription_filter(s->place[i]);
	return STR("");
}

static void put_sent(struct session *s, struct delivery *d)
{
	struct spool_row *row = d->row;
	const struct body_spool_sent body = {
		.sid = s->sid,
		.place = row->place,
		.packet_id = d->packet_id,
		.state = d->received ? DELIVERY_RELEASED : DELIVERY_SENT,
	};
	const uint32_t entry = SPOOL_ADD(spool_of(s), SENT, sent, &body);
	if (row->batch == spool_of(s)->open.number && !row->sent)
		row->sent = entry + 1;
	if (d->qos == 2)
		row->held = spool_of(s)->open.number;
	row->has_id = true;
}

static uint64_t queued_at(const struct session *s, const struct delivery *d)
{
	const uint32_t now_s = (uint32_t)(loop_now_ms(s->worker->loop) / 1000);
	return clock_wall_ms() - (uint32_t)(now_s - d->queued_s) * UINT64_C(1000);
}

/* More identifiers than a record takes are told to the client of now, not to that of after an end
 * of ours. */
static struct str stored_ids(const struct delivery *d)
{
	return str_make(d->ids, MIN(d->ids_n, (uint32_t)IDS_MAX) * sizeof(d->ids[0]));
}

static void put_queue(struct session *s, struct delivery *d, struct promise_part *part)
{
	struct spool *spool = spool_of(s);
	struct spool_row *row = d->row;
	row->part = part;
	row->message = spool_add_message(spool, d->msg, !part);
	const struct body_spool_queue body = {
		.sid = s->sid,
		.place = row->place,
		.mid = atomic_load_explicit(&d->msg->mid, memory_order_relaxed),
		.queued_ms = queued_at(s, d),
		.qos = d->qos,
		.retain = d->retain,
		.share = share_of(s, d->share),
		.ids = stored_ids(d),
	};
	row->entry = SPOOL_ADD(spool, QUEUE, queue, &body);
	row->batch = spool->open.number;
	row->sent = 0;
	struct spool_entry *e = spool_entry(spool, row->entry);
	e->kept = !part;
	e->session = s->handle;
	e->place = row->place;
	if (d->packet_id)
		put_sent(s, d);
}

void spool_row(struct session *s, struct delivery *d)
{
	s->fresh = NULL;
	d->row->place = ++s->place_last;
	put_queue(s, d, is_full(s) ? promise_row(s->worker) : NULL);
}

static void unhold(struct spool_wait *wait, enum spool_status status);

struct hold {
	struct spool_wait wait;
	struct worker *worker;
	uint64_t session;
};

static void hold(struct session *s)
{
	struct spool *spool = spool_of(s);
	if (s->hold_batch == spool->open.number)
		return;
	struct hold *h = mem_new(struct hold);
	h->worker = s->worker;
	h->session = s->handle;
	s->hold_batch = spool->open.number;
	spool_wait(spool, &h->wait, unhold);
}

/* What the refused batch was to say is said by the next one. */
static void hold_on(struct session *s)
{
	const struct spool *spool = spool_of(s);
	list_each (it, &s->out.under_way) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (d->state == DELIVERY_HELD && d->row && d->row->held <= spool->committed)
			d->row->held = spool->open.number;
	}
	if (s->held)
		hold(s);
}

static void unhold(struct spool_wait *wait, enum spool_status status)
{
	struct hold *h = container_of(wait, struct hold, wait);
	struct session *s = session_find(h->worker, h->session);
	free(h);
	if (s && status == SPOOL_STORED)
		session_unhold(s);
	else if (s)
		hold_on(s);
}

static bool held_back(struct session *s, struct delivery *d)
{
	struct spool *spool = spool_of(s);
	struct spool_row *row = d->row;
	if (s->durability != CONFIG_DURABILITY_FULL ||
	    (row->held <= spool->committed && s->held == 0))
		return false;
	if (s->held) /* behind the ones that are held */
		row->held = spool->open.number;
	d->state = DELIVERY_HELD;
	s->held++;
	hold(s);
	return true;
}

bool spool_row_leaves(struct session *s, struct delivery *d)
{
	if (!d->row->batch)
		spool_row(s, d);
	else if (!d->row->has_id)
		put_sent(s, d);
	return held_back(s, d);
}

bool spool_row_received(struct session *s, struct delivery *d)
{
	put_sent(s, d);
	return held_back(s, d);
}

static void undo_row(struct spool *spool, struct spool_row *row)
{
	spool_entry(spool, row->entry)->undone = true;
	spool_release_message(spool, row->message);
	if (row->sent)
		spool_entry(spool, row->sent - 1)->undone = true;
	if (row->part)
		promise_undone(TAKE(row->part));
}

void spool_row_gone(struct inflight *f, struct delivery *d)
{
	struct session *s = container_of(f, struct session, out);
	struct spool *spool = spool_of(s);
	struct spool_row *row = d->row;
	if (s->fresh == d)
		s->fresh = NULL;
	if (d->state == DELIVERY_HELD)
		s->held--;
	if (row->batch == spool->open.number) {
		undo_row(spool, row);
	} else if (row->batch) {
		const struct body_spool_queue_gone body = {s->sid, row->place, d->msg->mid};
		SPOOL_ADD(spool, QUEUE_GONE, queue_gone, &body);
	}
}

/* ---- QoS 2 from the client --------------------------------------------------------------------
 */

void spool_received(struct worker *w, uint64_t sid, uint16_t packet_id, bool kept)
{
	const struct body_spool_received body = {sid, packet_id, UINT64_C(1) << w->index};
	spool_entry(&w->spool, SPOOL_ADD(&w->spool, RECEIVED, received, &body))->kept = kept;
}

void spool_received_end(struct worker *w, uint64_t sid, uint16_t packet_id)
{
	const struct body_spool_received_gone body = {sid, packet_id};
	SPOOL_ADD(&w->spool, RECEIVED_GONE, received_gone, &body);
}

/* ---- retained messages ------------------------------------------------------------------------
 */

static void retain_gone(struct worker *w, struct str topic, uint64_t version)
{
	const struct body_spool_retain_gone body = {version, topic};
	SPOOL_ADD(&w->spool, RETAIN_GONE, retain_gone, &body);
}

static void retain_put(struct worker *w, struct msg *m, uint64_t version, bool kept)
{
	spool_add_message(&w->spool, m, kept);
	const struct body_spool_retain body = {m->mid, version, m->shared.topic};
	spool_entry(&w->spool, SPOOL_ADD(&w->spool, RETAIN, retain, &body))->kept = kept;
}

void spool_retain(struct worker *w, struct msg *m, const struct retain_change *change,
		  enum config_durability durability)
{
	const bool store = durability != CONFIG_DURABILITY_NONE && change->is_kept;
	if (!change->version || (!store && !change->was_stored))
		return;
	const bool waits = durability == CONFIG_DURABILITY_FULL || spool_is_full(w->broker);
	const struct promise_part *part = waits ? promise_row(w) : NULL;
	if (store)
		retain_put(w, m, change->version, !part);
	else
		retain_gone(w, m->shared.topic, change->version);
}

void spool_retain_expired(struct worker *w, struct str expired)
{
	struct cur c = cur_of(expired);
	while (cur_left(&c)) {
		const uint64_t version = cur_u64le(&c);
		retain_gone(w, cur_str32le(&c), version);
	}
}

/* ---- refusal ----------------------------------------------------------------------------------
 */

static struct delivery *find_place(struct list *deliveries, uint64_t place)
{
	/* It is one of the last. */
	for (struct list *it = deliveries->prev; it != deliveries; it = it->prev) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (d->row && d->row->place == place)
			return d;
	}
	return NULL;
}

static void refuse_row(struct worker *w, const struct spool_entry *e)
{
	struct session *s = session_find(w, e->session);
	struct delivery *d = s ? find_place(&s->out.under_way, e->place) : NULL;
	if (s && !d)
		d = find_place(&s->out.waiting, e->place);
	if (!d)
		return;
	if (d->state != DELIVERY_HELD && d->packet_id) {
		d->row = NULL; /* it has left: at least once */
		return;
	}
	d->row->batch = 0;
	w->stats.dropped_store++;
	s->dropped++;
	session_drop(s, d);
}

void spool_refuse(struct worker *w, const struct spool_entry *e, struct str record)
{
	struct cur c = cur_of(record);
	struct spool_record r;
	if (e->kind == SPOOL_KIND_QUEUE) {
		refuse_row(w, e);
	} else if (e->kind == SPOOL_KIND_RETAIN) {
		CHECK(spool_next(&c, &r));
		retain_forget(w->broker->retain, r.retain.topic, r.retain.version);
		retain_gone(w, r.retain.topic, r.retain.version);
	}
}

/* ---- everything anew --------------------------------------------------------------------------
 */

static void store_rows(struct session *s, struct list *deliveries)
{
	list_each (it, deliveries) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (d->row && d->row->batch && d->row->batch != spool_of(s)->open.number)
			put_queue(s, d, NULL);
	}
}

static void store_session(struct session *s)
{
	if (!s->sid)
		return;
	spool_session(s);
	store_subscriptions(s);
	store_received(s);
	store_rows(s, &s->out.under_way);
	store_rows(s, &s->out.waiting);
}

static void store_retained(void *ctx, struct msg *m, uint64_t version)
{
	retain_put(ctx, m, version, true);
}

void spool_store_all(struct worker *w)
{
	uint32_t at = 0;
	for (struct session *s; (s = slab_next(&w->sessions, &at));)
		store_session(s);
	if (w->index == 0)
		retain_each_stored(w->broker->retain, store_retained, w);
}
