/* SPDX-License-Identifier: Apache-2.0
 *
 * Wills: see will.h.
 */
#include "daemon/broker/will.h"
#include "daemon/base/clock.h"
#include "daemon/broker/publish.h"
#include "daemon/broker/replay.h"
#include "daemon/broker/route.h"
#include "daemon/broker/spool_session.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

struct will {
	struct session *session;
	struct msg *msg;
	uint32_t expiry_s; /* message expiry interval, counted from its publication */
	bool expires;
	uint32_t delay_s;
	uint64_t due_ms; /* wall clock; 0: the client is connected */
	struct loop_timer timer;
};

void will_drop(struct session *s)
{
	struct will *will = TAKE(s->will);
	if (!will)
		return;
	loop_timer_stop(s->worker->loop, &will->timer);
	msg_unref(will->msg);
	free(will);
}

void will_set(struct session *s, const struct packet_will *from)
{
	struct props props = from->props;
	const bool expires = props_has(&props, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
	/* The interval begins with the publication, whenever that is; the delay is no property of
	 * the message that subscribers get. */
	props_drop(&props, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
	props_drop(&props, PROPERTY_WILL_DELAY_INTERVAL);
	const struct msg_parts parts = {
		.topic = from->topic,
		.payload = from->payload,
		.props = &props,
		.qos = from->qos,
		.retain = from->retain,
		.origin = s->handle,
	};
	struct msg *m = msg_new(&parts);
	will_drop(s);
	if (!m)
		return;
	struct will *will = mem_new(struct will);
	will->session = s;
	will->msg = m;
	will->expires = expires;
	will->expiry_s = from->props.message_expiry_interval;
	will->delay_s = from->props.will_delay_interval;
	s->will = will;
}

static void tell_denied(struct session *s, const struct msg *m, uint64_t rule)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "action", "publish");
	journal_topic(&detail, m->shared.topic);
	rec_bool(&detail, "will", true);
	rec_int(&detail, "rule", (int64_t)rule);
	struct body_event e = {
		.device_id = s->identity->device_id,
		.actor = str_of(s->identity->name),
		.client_id = session_client_id(s),
		.reason = str_of(session_denied(s, ACL_PUBLISH, m->shared.topic,
						(struct acl_how){m->qos, m->retain}, rule)),
	};
	journal_event(&s->worker->journal, EVENT_ACL_DENIED, e.device_id, &e, &detail);
}

static void route_will(struct session *s, struct msg *m)
{
	struct worker *w = s->worker;
	if (m->retain && !replay_keep(w, m, (enum config_durability)s->durability))
		replay_forget(w, m);
	route_publish(w, m);
}

void will_publish(struct session *s)
{
	struct worker *w = s->worker;
	struct will *will = s->will;
	if (!will || w->stopping) {
		will_drop(s);
		return;
	}
	struct msg *m = will->msg;
	const struct acl_who who = session_who(s);
	const struct acl_how how = {m->qos, m->retain};
	struct acl_verdict verdict;
	if (will->expires)
		m->expires_ms = loop_now_ms(w->loop) + will->expiry_s * UINT64_C(1000);
	if (acl_check(s->identity->acl, &who, ACL_PUBLISH, m->shared.topic, how, &verdict) &&
	    !publish_reserved(m->shared.topic))
		route_will(s, m);
	else
		tell_denied(s, m, verdict.rule);
	will_drop(s);
}

static void delay_over(struct loop_timer *t)
{
	struct session *s = container_of(t, struct will, timer)->session;
	will_publish(s);
	spool_session(s);
}

static void publish_after(struct session *s, uint64_t ms)
{
	loop_timer_start(s->worker->loop, &s->will->timer, "will delay", ms, delay_over);
}

void will_due(struct session *s)
{
	struct will *will = s->will;
	if (!will)
		return;
	will->due_ms = clock_wall_ms() + will->delay_s * UINT64_C(1000);
	if (s->worker->stopping && (s->will_sid || (s->sid && s->expiry_s)))
		return; /* after the start */
	if (will->delay_s == 0 || s->expiry_s == 0)
		will_publish(s);
	else
		publish_after(s, will->delay_s * UINT64_C(1000));
}

void will_wake(struct session *s)
{
	const struct will *will = s->will;
	const uint64_t now = clock_wall_ms();
	if (!will)
		return;
	/* Not later than it would be due from now, whatever the clock did. */
	if (will->due_ms > now)
		publish_after(s, MIN(will->due_ms - now, will->delay_s * UINT64_C(1000)));
	else
		publish_after(s, 0);
}

uint64_t will_due_at(const struct session *s)
{
	return s->will ? s->will->due_ms : 0;
}

/* ---- as the spool keeps it --------------------------------------------------------------------
 */

void will_save(const struct session *s, struct buf *to)
{
	const struct will *will = s->will;
	if (!will)
		return;
	const struct msg *m = will->msg;
	const size_t n =
		11 + 3 * 4 + m->shared.topic.n + m->shared.properties.n + m->shared.payload.n;
	struct out o = out_make(buf_reserve(to, n), n);
	out_u8(&o, m->qos);
	out_u8(&o, m->retain);
	out_u8(&o, will->expires);
	out_u32le(&o, will->expiry_s);
	out_u32le(&o, will->delay_s);
	out_str32le(&o, m->shared.topic);
	out_str32le(&o, m->shared.properties);
	out_str32le(&o, m->shared.payload);
	CHECK(out_ok(&o));
	to->n += o.need;
}

void will_load(struct session *s, struct str saved, uint64_t due_ms)
{
	struct cur c = cur_of(saved);
	struct msg_parts parts = {.props = &props_none, .origin = s->handle};
	struct will *will = mem_new(struct will);
	parts.qos = cur_u8(&c) & 3;
	parts.retain = cur_u8(&c);
	will->expires = cur_u8(&c);
	will->expiry_s = cur_u32le(&c);
	will->delay_s = cur_u32le(&c);
	parts.topic = cur_str32le(&c);
	parts.properties = cur_str32le(&c);
	parts.payload = cur_str32le(&c);
	will->msg = cur_done(&c) ? msg_new(&parts) : NULL;
	if (!will->msg) {
		free(will);
		return;
	}
	will->session = s;
	will->due_ms = due_ms;
	s->will = will;
}
