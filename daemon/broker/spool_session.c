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

bool spool_must_wait(const struct session *s)
{
	return s->sid &&
	       (s->durability == CONFIG_DURABILITY_FULL || spool_is_full(s->worker->broker));
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
	out_u8(o, s->durability | SPOOL_MORE_MADE);
	out_u8(o, (uint8_t)s->worker->broker->workers);
	out_u64le(o, s->made);
	out_str16(o, str_of(addr_format(&s->address, address)));
	put_names(&s->names, o);
}

/* What SESSION says. */
struct session_row {
	struct body_spool_session body;
	struct buf will;
	unsigned char more[MORE_ROOM];
};

static void session_row(struct session *s, struct session_row *row)
{
	struct out o = out_make(row->more, sizeof(row->more));
	put_more(s, &o);
	row->will = (struct buf){0};
	will_save(s, &row->will);
	row->body = (struct body_spool_session){
		.sid = s->sid ? s->sid : s->will_sid,
		.device_id = s->identity->device_id,
		.expiry = s->expiry_s,
		.disconnected_ms = s->disconnected_ms,
		.will_due_ms = will_due_at(s),
		.client_id = session_client_id(s),
		.will = buf_view(&row->will),
		.more = str_make(row->more, o.need),
	};
}

static void put_session(struct session *s)
{
	struct session_row row;
	session_row(s, &row);
	SPOOL_ADD(spool_of(s), SESSION, session, &row.body);
	buf_fini(&row.will);
}

void spool_session(struct session *s)
{
	if (s->sid)
		put_session(s);
}

static uint64_t new_number(struct session *s)
{
	s->made = atomic_fetch_add(&s->worker->broker->spool_made, 1) + 1;
	return spool_number(spool_of(s));
}

static struct body_spool_sub sub_row(const struct session *s, const struct subscription *sub)
{
	return (struct body_spool_sub){
		.sid = s->sid,
		.options = sub->options,
		.identifier = sub->identifier,
		.filter = subscription_filter(sub),
	};
}

void spool_subscription(struct session *s, const struct subscription *sub)
{
	const struct body_spool_sub body = sub_row(s, sub);
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
static void forget_rows(struct spool *spool, struct list *deliveries)
{
	list_each (it, deliveries) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (d->row && d->row->batch == spool->open.number)
			spool_entry(spool, d->row->entry)->row = NULL;
		d->row = NULL;
	}
}

void spool_gone(struct worker *w, uint64_t sid)
{
	const struct body_spool_session_gone body = {sid};
	SPOOL_ADD(&w->spool, SESSION_GONE, session_gone, &body);
}

uint64_t spool_session_leave(struct session *s)
{
	const uint64_t number = s->sid ? s->sid : s->will_sid;
	s->sid = s->will_sid = 0;
	s->fresh = NULL;
	s->held = 0;
	s->owed = 0;
	forget_rows(spool_of(s), &s->out.waiting);
	forget_rows(spool_of(s), &s->out.under_way);
	return number;
}

void spool_session_end(struct session *s)
{
	const uint64_t number = spool_session_leave(s);
	if (number)
		spool_gone(s->worker, number);
}

static void begin_will(struct session *s)
{
	if (!s->will || s->expiry_s || s->durability == CONFIG_DURABILITY_NONE)
		return;
	s->will_sid = new_number(s);
	put_session(s);
}

void spool_session_begin(struct session *s, enum config_durability durability)
{
	const bool durable = s->expiry_s > 0 && durability != CONFIG_DURABILITY_NONE;
	s->durability = (uint8_t)durability;
	if (!durable) {
		const bool was_durable = s->sid;
		spool_session_end(s);
		if (was_durable)
			session_reindex(s);
		begin_will(s);
		return;
	}
	if (s->sid) {
		spool_session(s);
		return;
	}
	s->sid = new_number(s);
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

void spool_doubt(struct session *s)
{
	list_each (it, &s->out.waiting) {
		struct delivery *d = list_entry(it, struct delivery, node);
		/* Without its identifier on disk no QoS 2 message leaves, but for a relaxed one. */
		if (!d->row || d->packet_id ||
		    (d->qos == 2 && s->durability == CONFIG_DURABILITY_FULL))
			continue;
		/* An end of ours before it is sent must not take that away. */
		const struct body_spool_sent body = {s->sid, d->row->place, 0, DELIVERY_SENT};
		SPOOL_ADD(spool_of(s), SENT, sent, &body);
		d->dup = true;
	}
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
	e->row = row;
	if (d->packet_id)
		put_sent(s, d);
}

static void owe(struct session *s, struct delivery *d)
{
	struct spool_row *row = d->row;
	row->batch = 0;
	row->sent = 0;
	row->has_id = false;
	row->owed = true;
	if (d->state == DELIVERY_HELD)
		row->held = UINT64_MAX;
	s->owed++;
	s->worker->stats.spool_owed++;
	spool_owe(spool_of(s));
}

void spool_row(struct session *s, struct delivery *d)
{
	struct worker *w = s->worker;
	s->fresh = NULL;
	d->row->place = ++s->place_last;
	if (s->durability == CONFIG_DURABILITY_FULL) {
		put_queue(s, d, promise_row(w));
	} else if (!spool_is_full(w->broker)) {
		put_queue(s, d, NULL);
	} else {
		owe(s, d);
	}
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

static void unhold(struct spool_wait *wait, enum spool_status status)
{
	struct hold *h = container_of(wait, struct hold, wait);
	struct session *s = session_find(h->worker, h->session);
	free(h);
	/* What a refused batch was to say is said by the next one. */
	if (s && s->held && s->worker->spool.committed < s->hold_batch)
		hold(s);
	if (s && status == SPOOL_STORED)
		session_unhold(s);
}

static bool held_back(struct session *s, struct delivery *d)
{
	struct spool *spool = spool_of(s);
	struct spool_row *row = d->row;
	if (s->durability != CONFIG_DURABILITY_FULL ||
	    (row->held <= spool->committed && s->held == 0))
		return false;
	if (s->held) /* behind the ones that are held */
		row->held = MAX(row->held, spool->open.number);
	d->state = DELIVERY_HELD;
	s->held++;
	hold(s);
	return true;
}

bool spool_row_leaves(struct session *s, struct delivery *d)
{
	struct spool_row *row = d->row;
	if (!row->batch && !row->owed)
		spool_row(s, d);
	else if (row->batch && !row->has_id)
		put_sent(s, d);
	if (row->owed && d->qos == 2)
		row->held = UINT64_MAX;
	return held_back(s, d);
}

bool spool_row_received(struct session *s, struct delivery *d)
{
	if (d->row->owed)
		d->row->held = UINT64_MAX;
	else
		put_sent(s, d);
	return held_back(s, d);
}

static void undo_row(struct spool *spool, struct spool_row *row)
{
	spool_undo(spool, row->entry);
	spool_release_message(spool, row->message);
	if (row->sent)
		spool_undo(spool, row->sent - 1);
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
	if (row->owed)
		s->owed--;
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

static void owe_retained(struct spool *spool, uint64_t version)
{
	if (!spool->owed_retained || version < spool->owed_retained)
		spool->owed_retained = version;
	spool->worker->stats.spool_owed++;
	spool_owe(spool);
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
	const bool waits = durability == CONFIG_DURABILITY_FULL;
	const bool behind = !waits && spool_is_full(w->broker);
	const struct promise_part *part = waits || (behind && !store) ? promise_row(w) : NULL;
	if (!store) {
		retain_gone(w, m->shared.topic, change->version);
	} else if (behind) {
		owe_retained(&w->spool, change->version);
	} else {
		retain_put(w, m, change->version, !part);
	}
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
	if (e->kept) {
		owe(s, d);
		return;
	}
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
		if (e->kept) {
			owe_retained(&w->spool, r.retain.version);
			return;
		}
		retain_forget(w->broker->retain, r.retain.topic, r.retain.version);
		retain_gone(w, r.retain.topic, r.retain.version);
	}
}

/* ---- what is owed -----------------------------------------------------------------------------
 */

static bool has_room(const struct spool *spool)
{
	return spool->open.bytes.n < spool->piece;
}

static void pay_rows(struct session *s, struct list *deliveries)
{
	list_each (it, deliveries) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (!s->owed || !has_room(spool_of(s)))
			return;
		if (!d->row || !d->row->owed)
			continue;
		d->row->owed = false;
		s->owed--;
		put_queue(s, d, NULL);
		d->row->held = MIN(d->row->held, spool_of(s)->open.number);
		if (d->state == DELIVERY_HELD)
			hold(s);
	}
}

static void collect(void *ctx, struct msg *m, uint64_t version)
{
	struct spool *spool = ctx;
	const struct spool_retained r = {m, version};
	if (version < spool->owed_retained)
		return;
	msg_ref(m);
	buf_put(&spool->retained, &r, sizeof(r));
}

static void pay_retained(struct worker *w)
{
	struct spool *spool = &w->spool;
	if (spool->owed_retained && spool->retained.n == 0) {
		retain_each_stored(w->broker->retain, collect, spool);
		spool->owed_retained = 0;
	}
	while (spool->retained.n && has_room(spool)) {
		struct spool_retained r;
		spool->retained.n -= sizeof(r);
		memcpy(&r, spool->retained.p + spool->retained.n, sizeof(r));
		retain_put(w, r.msg, r.version, true);
		msg_unref(r.msg);
	}
}

bool spool_pay(struct worker *w)
{
	struct spool *spool = &w->spool;
	uint32_t at = 0;
	for (struct session *s; has_room(spool) && (s = slab_next(&w->sessions, &at));) {
		if (s->owed) {
			pay_rows(s, &s->out.under_way);
			pay_rows(s, &s->out.waiting);
		}
	}
	pay_retained(w);
	return has_room(spool);
}

/* ---- everything anew --------------------------------------------------------------------------
 */

/* Before the records of the open batch, which refer to it. */
static void store_first(struct session *s)
{
	struct buf *first = &spool_of(s)->first;
	struct session_row row;
	size_t at = 0;
	session_row(s, &row);
	SPOOL_PUT(first, SESSION, session, &row.body);
	buf_fini(&row.will);
	if (!s->sid)
		return;
	for (void *sub; map_next(&s->subscriptions, &at, NULL, &sub);) {
		const struct body_spool_sub body = sub_row(s, sub);
		SPOOL_PUT(first, SUB, sub, &body);
	}
	for (size_t i = 0; i < s->received_n; i++) {
		const struct body_spool_received body = {s->sid, s->received[i].packet_id,
							 UINT64_C(1) << s->worker->index};
		SPOOL_PUT(first, RECEIVED, received, &body);
	}
}

/* Those of the open batch and of the one without an answer are stored with it. */
static void owe_rows(struct session *s, struct list *deliveries)
{
	const struct spool *spool = spool_of(s);
	list_each (it, deliveries) {
		struct delivery *d = list_entry(it, struct delivery, node);
		const uint64_t batch = d->row ? d->row->batch : 0;
		if (batch && batch != spool->open.number &&
		    !(spool->is_sent && batch == spool->sent.number))
			owe(s, d);
	}
}

void spool_store_all(struct worker *w)
{
	uint32_t at = 0;
	for (struct session *s; (s = slab_next(&w->sessions, &at));) {
		if (!s->sid && !s->will_sid)
			continue;
		store_first(s);
		if (!s->sid)
			continue;
		owe_rows(s, &s->out.under_way);
		owe_rows(s, &s->out.waiting);
	}
	if (w->index == 0)
		owe_retained(&w->spool, 1);
	spool_owe(&w->spool);
}
