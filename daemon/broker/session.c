/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions: see session.h.
 */
#include "daemon/broker/session.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/alias.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/conn.h"
#include "daemon/broker/replay.h"
#include "daemon/broker/share.h"
#include "daemon/broker/spool_session.h"
#include "daemon/broker/subscribe.h"
#include "daemon/broker/trace.h"
#include "daemon/broker/will.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

struct session *session_new(struct worker *w, struct str client_id, struct identity *identity)
{
	struct session *s = mem_new(struct session);
	s->handle = slab_add(&w->sessions, s);
	if (!s->handle) {
		free(s);
		return NULL;
	}
	s->worker = w;
	s->client_id = str_dup(client_id);
	s->client_id_n = client_id.n;
	s->identity = identity_ref(identity);
	s->is_new = true;
	inflight_init(&s->out);
	s->out.gone = spool_row_gone;
	directory_set(w->broker->directory, client_id, s->handle);
	return s;
}

/* Adds (1) or takes away (-1) what waits in the figures. */
static void count_waiting(struct session *s, uint64_t sign)
{
	s->worker->stats.queued += sign * s->out.waiting_n;
	s->worker->stats.queued_bytes += sign * s->out.waiting_bytes;
}

static void drop_subscriptions(struct session *s)
{
	struct worker *w = s->worker;
	struct trie_edit edit;
	size_t at = 0;
	struct str filter;
	if (s->subscriptions.n) {
		worker_leave(w);
		trie_edit_begin(w->broker->trie, &w->reader, &edit);
		for (void *sub; map_next(&s->subscriptions, &at, &filter, &sub);) {
			trie_unsubscribe_all(&edit, s->handle, &filter, 1);
			free(sub);
		}
		trie_edit_commit(&edit);
		w->stats.subscriptions -= s->subscriptions.n;
		w->stats.shared -= s->shared;
	}
	replay_cancel_all(s);
	map_fini(&s->subscriptions);
	free(s->place);
}

struct subscription *session_subscription(struct session *s, struct str filter)
{
	struct subscription *sub = map_get(&s->subscriptions, filter);
	if (sub)
		return sub;
	uint32_t at = 0;
	while (at < s->places && s->place[at])
		at++;
	if (at == s->places) {
		const uint32_t more = s->places ? s->places * 2 : 4;
		s->place = mem_grow(s->place, more * sizeof(*s->place));
		memset(s->place + at, 0, (more - at) * sizeof(*s->place));
		s->places = more;
	}
	sub = mem_alloc(sizeof(*sub) + filter.n);
	sub->place = at;
	sub->filter_n = filter.n;
	memcpy(sub->filter, filter.p, filter.n);
	sub->key = topic_is_shared(filter) ? hash_str(filter) : 0;
	s->shared += topic_is_shared(filter);
	s->worker->stats.shared += topic_is_shared(filter);
	s->place[at] = sub;
	map_set(&s->subscriptions, filter, sub);
	s->worker->stats.subscriptions++;
	return sub;
}

void session_unsubscribed(struct session *s, struct subscription *sub)
{
	spool_subscription_end(s, subscription_filter(sub));
	replay_cancel(s, sub);
	s->shared -= topic_is_shared(subscription_filter(sub));
	s->worker->stats.shared -= topic_is_shared(subscription_filter(sub));
	s->place[sub->place] = NULL;
	map_remove(&s->subscriptions, subscription_filter(sub));
	free(sub);
	s->worker->stats.subscriptions--;
}

struct trie_sub session_index_entry(const struct session *s, const struct subscription *sub)
{
	const bool shared = topic_is_shared(subscription_filter(sub));
	const bool look = sub->identifier || sub->options & SUB_JUDGE || shared;
	const uint8_t away = shared && !s->conn ? SUB_AWAY : 0;
	const uint8_t durable = s->sid ? SUB_DURABLE : 0;
	const uint8_t plain = SUB_QOS | SUB_NO_LOCAL | SUB_RETAIN_AS_PUBLISHED;
	return (struct trie_sub){
		.handle = s->handle,
		.identifier = sub->place,
		.options =
			(uint8_t)((sub->options & plain) | (look ? SUB_LOOK : 0) | away | durable),
	};
}

static void reindex(struct session *s, bool shared_only)
{
	struct worker *w = s->worker;
	struct trie_edit edit;
	size_t at = 0;
	struct str filter;
	worker_leave(w);
	trie_edit_begin(w->broker->trie, &w->reader, &edit);
	for (void *value; map_next(&s->subscriptions, &at, &filter, &value);) {
		const struct subscription *sub = value;
		const struct trie_sub entry = session_index_entry(s, sub);
		bool replaced;
		if (sub->active && (!shared_only || sub->key))
			CHECK(trie_subscribe(&edit, filter, &entry, &replaced) == 0);
	}
	trie_edit_commit(&edit);
}

/* The index tells whoever chooses among the members of a group that this one is here, or is not. */
static void mark_presence(struct session *s)
{
	if (s->shared)
		reindex(s, true);
}

void session_reindex(struct session *s)
{
	if (s->subscriptions.n)
		reindex(s, false);
}

static void hand_over_list(struct session *s, struct list *deliveries)
{
	list_each (it, deliveries) {
		const struct delivery *d = list_entry(it, struct delivery, node);
		/* Of QoS 2, what was sent once is sent to nobody else [MQTT-4.8.2-5]. */
		if (d->share && !(d->qos == 2 && d->packet_id))
			share_again(s->worker, d->msg, d->share, s->handle, 0);
	}
}

/* The end of a member of groups: others get what it has not answered. */
static void hand_over(struct session *s)
{
	if (s->worker->stopping)
		return;
	hand_over_list(s, &s->out.under_way);
	hand_over_list(s, &s->out.waiting);
}

/* What the spool has of it goes when what others get of it is there. */
static void leave_to_others(struct session *s)
{
	struct worker *w = s->worker;
	struct promising outer;
	const uint64_t number = s->sid ? s->sid : s->will_sid;
	if (number)
		promise_ends(w, number, &outer);
	will_publish(s);
	drop_subscriptions(s);
	hand_over(s);
	spool_session_leave(s);
	if (number)
		promise_ended(w, &outer);
}

void session_end(struct session *s)
{
	struct worker *w = s->worker;
	CHECK(s->conn == NULL && s->joining == NULL);
	loop_timer_stop(w->loop, &s->expiry);
	if (s->will && w->stopping)
		s->will_sid = 0; /* it stays there, and is published after the start */
	leave_to_others(s);
	s->out.gone = NULL;
	count_waiting(s, (uint64_t)-1);
	inflight_fini(&s->out);
	directory_drop(w->broker->directory, session_client_id(s));
	slab_remove(&w->sessions, s->handle);
	identity_unref(s->identity);
	free(s->received);
	free(s->client_id);
	certnames_fini(&s->names);
	free(s);
}

void session_attach(struct session *s, struct conn *c)
{
	loop_timer_stop(s->worker->loop, &s->expiry);
	s->conn = c;
	s->joining = NULL;
	c->session = s;
	s->address = c->peer;
	mark_presence(s);
	session_pump(s);
}

static void expired(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, expiry);
	s->worker->stats.expired++;
	session_end(s);
}

static void expire_after(struct session *s, uint64_t ms)
{
	if (s->expiry_s != UINT32_MAX)
		loop_timer_start(s->worker->loop, &s->expiry, "session expiry", ms, expired);
}

void session_detach(struct session *s)
{
	s->conn = NULL;
	s->joining = NULL;
	s->disconnected_ms = clock_wall_ms();
	will_due(s);
	if (s->expiry_s == 0) {
		session_end(s);
		return;
	}
	count_waiting(s, (uint64_t)-1);
	inflight_restart(&s->out);
	s->held = 0;
	count_waiting(s, 1);
	mark_presence(s);
	spool_session(s);
	expire_after(s, s->expiry_s * UINT64_C(1000));
}

void session_wake(struct session *s)
{
	const uint64_t now = clock_wall_ms();
	if (s->disconnected_ms == 0) {
		/* It was connected when the broker ended. */
		spool_doubt(s);
		s->disconnected_ms = now;
		will_due(s);
		spool_session(s);
	} else {
		will_wake(s);
	}
	/* A clock that is behind lets nothing expire. */
	const uint64_t until = s->disconnected_ms + s->expiry_s * UINT64_C(1000);
	if (until <= now && s->expiry_s != UINT32_MAX)
		expired(&s->expiry);
	else
		expire_after(s, until - now);
}

/* ---- rights -----------------------------------------------------------------------------------
 */

struct acl_who session_who(const struct session *s)
{
	const struct identity *id = s->identity;
	return (struct acl_who){
		.clientid = session_client_id(s),
		.device = str_of(id->name),
		.cn = str_of(s->names.cn),
		.san = s->names.san,
		.san_n = s->names.san_n,
		.group = id->group,
		.group_n = id->group_n,
		.address = &s->address,
	};
}

const char *session_denied(const struct session *s, enum acl_action action, struct str topic,
			   struct acl_how how, uint64_t rule)
{
	if (rule)
		return "denied by a rule";
	const struct acl_who who = session_who(s);
	return acl_elsewhere(s->identity->acl, &who, action, topic, how)
		       ? "no rule allows it from this network"
		       : "no rule allows it";
}

static bool may_receive(void *arg, const struct delivery *d)
{
	const struct session *s = arg;
	const struct acl_who who = session_who(s);
	const struct acl_how how = {d->qos, d->retain};
	return acl_check(s->identity->acl, &who, ACL_RECEIVE, d->msg->shared.topic, how, NULL);
}

static void rejudge_subscriptions(struct session *s)
{
	struct worker *w = s->worker;
	struct trie_edit edit;
	size_t at = 0;
	struct str filter;
	worker_leave(w);
	trie_edit_begin(w->broker->trie, &w->reader, &edit);
	for (void *value; map_next(&s->subscriptions, &at, &filter, &value);) {
		struct subscription *sub = value;
		sub->active = subscription_judge(s, filter, &sub->options, NULL);
		const struct trie_sub entry = session_index_entry(s, sub);
		bool replaced;
		if (sub->active)
			CHECK(trie_subscribe(&edit, filter, &entry, &replaced) == 0);
		else
			trie_unsubscribe_all(&edit, s->handle, &filter, 1);
	}
	trie_edit_commit(&edit);
}

/* Reads the certificate only when a rule asks for its names; true when they are others now. */
static bool learn_names(struct session *s)
{
	if (!s->conn || s->names_known || !s->identity->uses_certificate)
		return false;
	struct certnames before = s->names;
	certnames_read(s->conn, &s->names);
	s->names_known = true;
	const bool changed = !certnames_equal(&before, &s->names);
	certnames_fini(&before);
	return changed;
}

void session_use_identity(struct session *s, struct identity *now)
{
	struct worker *w = s->worker;
	struct identity *old = s->identity;
	s->identity = now;
	identity_unref(old);
	if (!learn_names(s) && old == now)
		return;
	if (s->subscriptions.n)
		rejudge_subscriptions(s);
	count_waiting(s, (uint64_t)-1);
	const size_t dropped = inflight_filter(&s->out, may_receive, s);
	count_waiting(s, 1);
	w->stats.denied += dropped;
	s->dropped += dropped;
}

/* ---- messages to the client -------------------------------------------------------------------
 */

/* The same bytes as for the receiver before, but for the packet identifier and DUP. */
static bool send_cached(struct conn *c, const struct msg *m, const struct publish_receiver *r)
{
	struct worker *w = c->worker;
	const struct encoded *e = &w->encoded;
	if (e->msg != m || e->version != r->version || e->qos != r->qos || e->retain != r->retain ||
	    r->ids.n || r->topic_alias)
		return false;
	if (e->n > c->packet_max)
		return false;
	unsigned char *p = sendq_room(&c->out, &w->store, e->n);
	memcpy(p, e->bytes, e->n);
	if (r->qos)
		publish_patch(p, e->packet_id_at, r->packet_id, r->dup);
	sendq_wrote(&c->out, e->n);
	return true;
}

static void cache(struct worker *w, const struct msg *m, const struct publish_receiver *r,
		  const unsigned char *p, size_t n)
{
	struct encoded *e = &w->encoded;
	if (n > sizeof(e->bytes) || r->ids.n || r->has_message_expiry || r->topic_alias)
		return;
	memcpy(e->bytes, p, n);
	e->msg = m;
	e->version = r->version;
	e->qos = r->qos;
	e->retain = r->retain;
	e->n = (uint16_t)n;
	e->packet_id_at = r->qos ? (uint16_t)publish_packet_id_at(&m->shared, r) : 0;
}

/* False: the packet is larger than the client takes [MQTT-3.1.2-24]. */
static bool send_fresh(struct conn *c, struct msg *m, const struct publish_receiver *r)
{
	struct worker *w = c->worker;
	const size_t n = publish_size(&m->shared, r);
	if (n == 0 || n > c->packet_max)
		return false;
	const struct str tail = publish_tail(&m->shared, r->version);
	if (tail.n < SENDQ_REFER && n <= SENDQ_BLOCK) {
		unsigned char *p = sendq_room(&c->out, &w->store, n);
		struct out o = out_make(p, n);
		CHECK(publish_encode(&m->shared, r, &o));
		sendq_wrote(&c->out, n);
		cache(w, m, r, p, n);
		return true;
	}
	const size_t head = n - tail.n;
	unsigned char *p = arena_alloc(&w->arena, head);
	struct out o = out_make(p, head);
	CHECK(publish_head_encode(&m->shared, r, &o));
	sendq_put(&c->out, &w->store, p, head);
	sendq_refer(&c->out, &w->store, m, tail);
	return true;
}

/* A new alias may be what makes it too large. */
static bool send_without_alias(struct conn *c, struct msg *m, struct publish_receiver *r)
{
	if (!r->topic_alias || r->topic_omitted)
		return false;
	r->topic_alias = 0;
	return send_fresh(c, m, r);
}

static bool send_publish(struct conn *c, struct msg *m, struct publish_receiver *r)
{
	struct worker *w = c->worker;
	r->version = c->version;
	msg_expiry_left(m, loop_now_ms(w->loop), r);
	if (c->aliases_out)
		alias_choose(c, m->shared.topic, r);
	if (!send_cached(c, m, r) && !send_fresh(c, m, r) && !send_without_alias(c, m, r))
		return false;
	alias_sent(c, m->shared.topic, r);
	if (trace_on(c))
		trace_publish(c, m, r);
	c->messages_out++;
	w->stats.messages_out++;
	w->stats.packets_out++;
	w->stats.payload_out += m->shared.payload.n;
	conn_wrote(c);
	return true;
}

static void deliver_now(struct session *s, struct msg *m, bool retain, struct subscription_ids ids)
{
	struct conn *c = s->conn;
	struct stats *stats = &s->worker->stats;
	if (!c)
		return;
	if (conn_backlog(c) >= c->settings->config->broker.max_output_bytes) {
		stats->dropped_slow++;
		bound_dropped(s, BOUND_OUTPUT_BYTES);
		return;
	}
	struct publish_receiver r = {.retain = retain, .ids = ids};
	if (!send_publish(c, m, &r))
		stats->dropped_large++;
}

static bool queue_full(const struct session *s, const struct msg *m)
{
	const struct config_broker *b = &s->worker->settings->config->broker;
	return s->out.waiting_n >= b->max_queued_messages ||
	       s->out.waiting_bytes + msg_size(m) > b->max_queued_bytes;
}

static enum bound queue_bound(const struct session *s)
{
	const struct config_broker *b = &s->worker->settings->config->broker;
	return s->out.waiting_n >= b->max_queued_messages ? BOUND_QUEUED_MESSAGES
							  : BOUND_QUEUED_BYTES;
}

void session_drop(struct session *s, struct delivery *d)
{
	count_waiting(s, (uint64_t)-1);
	inflight_drop(&s->out, d);
	count_waiting(s, 1);
}

void session_drop_aged(struct session *s)
{
	const uint64_t max = s->worker->settings->config->broker.max_queued_age / 1000;
	const uint32_t now_s = (uint32_t)(loop_now_ms(s->worker->loop) / 1000);
	struct delivery *d;
	while (max && (d = inflight_oldest(&s->out)) && now_s - d->queued_s > max) {
		s->worker->stats.dropped_aged++;
		session_drop(s, d);
		bound_dropped(s, BOUND_QUEUED_AGE);
	}
}

bool session_takes(const struct session *s, const struct msg *m, uint8_t qos)
{
	if (qos)
		return !queue_full(s, m);
	return s->conn &&
	       conn_backlog(s->conn) < s->conn->settings->config->broker.max_output_bytes;
}

void session_deliver(struct session *s, struct msg *m, uint8_t qos, bool retain,
		     struct subscription_ids ids)
{
	session_deliver_shared(s, m, qos, retain, ids, 0);
}

void session_deliver_shared(struct session *s, struct msg *m, uint8_t qos, bool retain,
			    struct subscription_ids ids, uint64_t share)
{
	struct stats *stats = &s->worker->stats;
	if (qos == 0) {
		deliver_now(s, m, retain, ids);
		return;
	}
	if (queue_full(s, m)) {
		stats->dropped_full++;
		bound_dropped(s, queue_bound(s));
		return;
	}
	struct delivery *d = inflight_push(&s->out, m, qos, retain, ids, s->sid != 0);
	d->share = share;
	d->queued_s = (uint32_t)(loop_now_ms(s->worker->loop) / 1000);
	stats->queued++;
	stats->queued_bytes += msg_size(m);
	if (!s->sid) {
		session_pump(s);
		return;
	}
	/* Sent at once it is stored together with its identifier. */
	s->fresh = d;
	session_pump(s);
	if (s->fresh)
		spool_row(s, s->fresh);
}

struct delivery *session_restore_delivery(struct session *s, struct msg *m,
					  const struct body_spool_queue *b,
					  struct subscription_ids ids)
{
	struct delivery *d = inflight_push(&s->out, m, b->qos & SUB_QOS, b->retain, ids, true);
	d->share = b->share.n ? hash_str(b->share) : 0;
	d->row->place = b->place;
	d->row->batch = SPOOL_RESTORED;
	s->place_last = MAX(s->place_last, b->place);
	s->worker->stats.queued++;
	s->worker->stats.queued_bytes += msg_size(m);
	return d;
}

static void transmit(struct session *s, struct delivery *d)
{
	struct conn *c = s->conn;
	struct publish_receiver r = {
		.qos = d->qos,
		.retain = d->retain,
		.dup = d->dup,
		.packet_id = d->packet_id,
		.ids = {d->ids, d->ids_n},
	};
	d->state = d->received ? DELIVERY_RELEASED : DELIVERY_SENT;
	if (d->received) {
		conn_send_ack(c, PACKET_PUBREL, d->packet_id, REASON_SUCCESS);
	} else if (!send_publish(c, d->msg, &r)) {
		/* Acts as if it had been delivered [MQTT-3.1.2-25]. */
		s->worker->stats.dropped_large++;
		inflight_done(&s->out, d);
	}
}

static void send_delivery(struct session *s, struct delivery *d)
{
	if (!d->row || !spool_row_leaves(s, d))
		transmit(s, d);
}

void session_unhold(struct session *s)
{
	const uint64_t committed = s->worker->spool.committed;
	if (!s->conn)
		return;
	list_each_safe (it, &s->out.under_way) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (d->state != DELIVERY_HELD)
			continue;
		if (d->row && d->row->held > committed)
			break; /* what is behind it keeps its place */
		s->held--;
		transmit(s, d);
	}
	session_pump(s); /* one that was too large has left its place to another */
}

void session_pump(struct session *s)
{
	struct conn *c = s->conn;
	struct worker *w = s->worker;
	if (!c)
		return;
	if (list_empty(&s->out.waiting)) {
		replay_run(s);
		return;
	}
	const uint64_t now = loop_now_ms(w->loop);
	const uint32_t window = MIN(c->receive_maximum, c->settings->config->broker.max_inflight);
	const size_t enough = c->settings->config->broker.max_output_bytes / 2;
	struct delivery *d;
	count_waiting(s, (uint64_t)-1);
	while (conn_backlog(c) < enough &&
	       (d = inflight_next(&s->out, window, now, &w->stats.dropped_expired)))
		send_delivery(s, d);
	count_waiting(s, 1);
	/* Before what replay_run brings: that takes the place of fresh. */
	if (s->fresh)
		spool_row(s, s->fresh);
	replay_run(s);
}

enum reason session_acknowledged(struct session *s, enum packet_type type, uint16_t packet_id,
				 enum reason reason)
{
	struct delivery *d = inflight_find(&s->out, packet_id);
	if (d && d->state == DELIVERY_HELD)
		return REASON_SUCCESS; /* it was not sent; or PUBREC came already */
	if (type == PACKET_PUBREC) {
		/* An unknown identifier is answered, so that the client can forget it. */
		if (!d || d->qos != 2) {
			conn_send_ack(s->conn, PACKET_PUBREL, packet_id,
				      REASON_PACKET_IDENTIFIER_NOT_FOUND);
			return REASON_SUCCESS;
		}
		if (!reason_is_error(reason)) {
			d->received = true;
			d->state = DELIVERY_RELEASED;
			if (!d->row || !spool_row_received(s, d))
				conn_send_ack(s->conn, PACKET_PUBREL, packet_id, REASON_SUCCESS);
			return REASON_SUCCESS;
		}
	} else if (!d || d->qos != (type == PACKET_PUBACK ? 1 : 2)) {
		/* A late answer to what a reconnect has already settled: harmless. */
		return REASON_SUCCESS;
	}
	inflight_done(&s->out, d);
	session_pump(s);
	return REASON_SUCCESS;
}

/* ---- QoS 2 from the client --------------------------------------------------------------------
 */

struct received *session_received(const struct session *s, uint16_t packet_id)
{
	for (size_t i = 0; i < s->received_n; i++)
		if (s->received[i].packet_id == packet_id)
			return &s->received[i];
	return NULL;
}

struct received *session_receive(struct session *s, uint16_t packet_id)
{
	s->received = mem_grow(s->received, (s->received_n + 1) * sizeof(*s->received));
	s->received[s->received_n] = (struct received){.packet_id = packet_id};
	return &s->received[s->received_n++];
}

bool session_release(struct session *s, uint16_t packet_id)
{
	struct received *r = session_received(s, packet_id);
	if (!r)
		return false;
	*r = s->received[--s->received_n];
	if (s->sid)
		spool_received_end(s->worker, s->sid, packet_id);
	return true;
}

void session_received_done(struct session *s, uint16_t packet_id, bool stored)
{
	struct received *r = session_received(s, packet_id);
	if (!r)
		return;
	r->pending = false;
	if (!stored)
		session_release(s, packet_id);
}
