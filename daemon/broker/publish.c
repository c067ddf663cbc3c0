/* SPDX-License-Identifier: Apache-2.0
 *
 * PUBLISH from clients: see publish.h.
 */
#include "daemon/broker/publish.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/learn.h"
#include "daemon/broker/renew.h"
#include "daemon/broker/replay.h"
#include "daemon/broker/route.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_session.h"
#include "daemon/ipc/rec.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

enum { RECEIVED_UNTOLD = 4096 /* QoS 2 messages of a client that knows no receive maximum */ };

/* Finds the topic behind an alias, or gives the alias its topic (section 3.3.2.3.4). */
static enum reason resolve_alias(struct conn *c, const struct packet *p, struct str *topic)
{
	const uint16_t alias = p->props.topic_alias;
	*topic = p->publish.topic;
	if (alias == 0)
		return REASON_SUCCESS;
	if (alias > CONN_ALIASES)
		return REASON_TOPIC_ALIAS_INVALID; /* [MQTT-3.3.2-9] */
	if (!c->alias)
		c->alias = mem_array(char *, CONN_ALIASES);
	char **place = &c->alias[alias - 1];
	if (topic->n == 0) {
		*topic = str_of(*place);
		return *place ? REASON_SUCCESS : REASON_PROTOCOL_ERROR;
	}
	free(*place);
	*place = str_dup(*topic);
	return REASON_SUCCESS;
}

static void tell_denied(struct conn *c, const char *why, struct str topic, uint64_t rule)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "action", "publish");
	journal_topic(&detail, topic);
	rec_int(&detail, "rule", (int64_t)rule);
	c->worker->stats.denied++;
	conn_event(c, EVENT_ACL_DENIED, why, &detail);
}

/* What the publisher is told. */
struct answer {
	enum reason reason;
	const char *why; /* or NULL */
};

bool publish_reserved(struct str topic)
{
	return str_prefix(topic, STR("$gw/pki/"));
}

/* May this message be taken? */
static struct answer judge(struct conn *c, const struct packet_publish *p, struct str topic)
{
	const struct session *s = c->session;
	const struct acl_who who = session_who(s);
	const struct acl_how how = {p->qos, p->retain};
	const uint64_t max_payload = c->settings->config->broker.max_payload;
	struct acl_verdict verdict;
	if (max_payload && p->payload.n > max_payload) {
		c->worker->stats.dropped_large++;
		bound_reached(c, BOUND_PAYLOAD);
		return (struct answer){REASON_QUOTA_EXCEEDED, "max-payload"};
	}
	const bool allowed = acl_check(s->identity->acl, &who, ACL_PUBLISH, topic, how, &verdict);
	if (allowed && !publish_reserved(topic)) {
		learn_seen(c->session, ACL_PUBLISH, topic);
		return (struct answer){REASON_SUCCESS, NULL};
	}
	const char *why = allowed ? "only the gateway publishes there"
				  : session_denied(s, ACL_PUBLISH, topic, how, verdict.rule);
	tell_denied(c, why, topic, verdict.rule);
	return (struct answer){REASON_NOT_AUTHORIZED, why};
}

/* Which of the two has no room for one more. */
static enum bound retained_bound(const struct conn *c)
{
	const struct config_broker *b = &c->worker->settings->config->broker;
	return retain_size(c->worker->broker->retain).messages >= b->max_retained_messages
		       ? BOUND_RETAINED_MESSAGES
		       : BOUND_RETAINED_BYTES;
}

/* False: nothing is acknowledged as kept that is not. Where the answer cannot say so, the message
 * goes to those who are there, and an older one does not stay in its place [MQTT-3.3.1-5]. */
static bool keep(struct conn *c, struct msg *m)
{
	if (replay_keep(c->worker, m, c->endpoint->config->durability))
		return true;
	bound_reached(c, retained_bound(c));
	if (c->version == MQTT_5 && m->qos)
		return false;
	replay_forget(c->worker, m);
	return true;
}

static struct answer route(struct conn *c, const struct packet *p, struct str topic)
{
	struct worker *w = c->worker;
	const struct msg_parts parts = {
		.topic = topic,
		.payload = p->publish.payload,
		.props = &p->props,
		.qos = p->publish.qos,
		.retain = p->publish.retain,
		.origin = c->session->handle,
		.now_ms = loop_now_ms(w->loop),
	};
	AUTO(msg) m = msg_new(&parts);
	if (!m) {
		w->stats.dropped_memory++;
		return (struct answer){REASON_QUOTA_EXCEEDED, "no memory"};
	}
	if (m->retain && !keep(c, m))
		return (struct answer){REASON_QUOTA_EXCEEDED, "no room for retained messages"};
	const bool matched = route_publish(w, m) > 0;
	return (struct answer){matched ? REASON_SUCCESS : REASON_NO_MATCHING_SUBSCRIBERS, NULL};
}

static struct answer take(struct conn *c, const struct packet *p, struct str topic)
{
	if (renew_topic(topic)) {
		struct answer own;
		own.reason = renew_received(c, p, &own.why);
		return own;
	}
	const struct answer a = judge(c, &p->publish, topic);
	return reason_is_error(a.reason) ? a : route(c, p, topic);
}

static bool offers_retain(const struct conn *c)
{
	return c->settings->config->broker.max_retained_messages > 0;
}

static bool topic_too_large(const struct conn *c, struct str topic, enum bound *which)
{
	const struct config_broker *b = &c->settings->config->broker;
	*which = topic.n > b->max_topic_length ? BOUND_TOPIC_LENGTH : BOUND_TOPIC_LEVELS;
	return *which == BOUND_TOPIC_LENGTH || topic_levels(topic) > b->max_topic_levels;
}

static void received_again(struct conn *c, const struct received *r)
{
	if (r->pending)
		promise_follow(c, r->packet_id);
	else
		promise_owe(c, NULL, PACKET_PUBREC, r->packet_id, REASON_SUCCESS, NULL);
}

/* From now on the same identifier means the same message, also after the broker's end. */
static void store_received(struct session *s, struct received *r)
{
	r->workers = 0;
	if (!s->sid)
		return;
	/* Rows of a receiver on this worker have said so already; saying it twice is harmless. */
	const bool waits = spool_must_wait(s);
	spool_received(s->worker, s->sid, r->packet_id, !waits || !promise_row(s->worker));
}

/* A QoS 2 message counts from PUBLISH to PUBREL against the receive maximum that we announced.
 * Clients of MQTT 3 are told none, and some send all they have at once. */
static size_t received_max(const struct conn *c)
{
	const size_t told = c->settings->config->broker.max_inflight;
	return c->version == MQTT_5 ? told : MAX(told, (size_t)RECEIVED_UNTOLD);
}

static enum reason take_exactly_once(struct conn *c, const struct packet *p, struct str topic)
{
	struct session *s = c->session;
	struct worker *w = c->worker;
	const uint16_t id = p->publish.packet_id;
	struct received *r = session_received(s, id);
	/* A message that was not stored everywhere before our end comes again with DUP
	 * [MQTT-3.3.1-1]. Without it is another one: the client was told that the first one failed.
	 */
	if (r && r->workers && !p->publish.dup) {
		session_release(s, id);
		r = NULL;
	}
	if (r && !r->workers) {
		received_again(c, r);
		return REASON_SUCCESS;
	}
	if (!r && s->received_n >= received_max(c))
		return REASON_RECEIVE_MAXIMUM_EXCEEDED;
	promise_begin(w, s->sid, id);
	w->promising.skip = r ? r->workers : 0;
	const struct answer a = take(c, p, topic);
	if (!r && (!reason_is_error(a.reason) || c->version != MQTT_5))
		r = session_receive(s, id);
	if (r)
		store_received(s, r);
	struct promise *promise = promise_end(w);
	if (r)
		r->pending = promise != NULL;
	promise_owe(c, promise, PACKET_PUBREC, id, a.reason, a.why);
	return REASON_SUCCESS;
}

/* MQTT 3 cannot say no to a message: what is refused is acknowledged, dropped and logged. */
static void take_at_least_once(struct conn *c, const struct packet *p, struct str topic)
{
	promise_begin(c->worker, 0, 0);
	const struct answer a = take(c, p, topic);
	struct promise *promise = promise_end(c->worker);
	promise_owe(c, promise, PACKET_PUBACK, p->publish.packet_id, a.reason, a.why);
}

enum reason publish_received(struct conn *c, const struct packet *p)
{
	struct str topic;
	enum bound bound;
	const enum reason reason = resolve_alias(c, p, &topic);
	if (reason != REASON_SUCCESS)
		return reason;
	c->messages_in++;
	c->worker->stats.messages_in++;
	c->worker->stats.payload_in += p->publish.payload.n;
	if (topic_too_large(c, topic, &bound)) {
		bound_reached(c, bound);
		conn_close(c, REASON_TOPIC_NAME_INVALID, bound_name(bound));
		return REASON_SUCCESS;
	}
	if (p->publish.retain && c->version == MQTT_5 && !offers_retain(c))
		return REASON_RETAIN_NOT_SUPPORTED;
	if (p->publish.qos == 2)
		return take_exactly_once(c, p, topic);
	if (p->publish.qos == 1)
		take_at_least_once(c, p, topic);
	else
		take(c, p, topic);
	return REASON_SUCCESS;
}

enum reason acknowledge_received(struct conn *c, const struct packet *p)
{
	return session_acknowledged(c->session, p->type, p->ack.packet_id, p->ack.reason);
}

enum reason release_received(struct conn *c, const struct packet *p)
{
	struct session *s = c->session;
	const uint16_t id = p->ack.packet_id;
	promise_begin(c->worker, 0, 0);
	const bool known = session_release(s, id);
	/* The client may use the identifier for another message now: an end of ours must not bring
	 * this one back. */
	if (known && spool_must_wait(s))
		promise_row(c->worker);
	struct promise *promise = promise_end(c->worker);
	promise_owe(c, promise, PACKET_PUBCOMP, id,
		    known ? REASON_SUCCESS : REASON_PACKET_IDENTIFIER_NOT_FOUND, NULL);
	return REASON_SUCCESS;
}
