/* SPDX-License-Identifier: Apache-2.0
 *
 * Wills: see will.h.
 */
#include "daemon/broker/will.h"
#include "daemon/broker/replay.h"
#include "daemon/broker/route.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

struct will {
	struct session *session;
	struct msg *msg;
	uint32_t expiry_s; /* message expiry interval, counted from its publication */
	bool expires;
	uint32_t delay_s;
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
		.reason = rule ? STR("denied by a rule") : STR("no rule allows it"),
	};
	journal_event(&s->worker->journal, EVENT_ACL_DENIED, e.device_id, &e, &detail);
}

static void route_will(struct worker *w, struct msg *m)
{
	if (m->retain && !replay_keep(w, m))
		retain_drop(w->broker->retain, m->shared.topic);
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
	if (acl_check(s->identity->acl, &who, ACL_PUBLISH, m->shared.topic, how, &verdict))
		route_will(w, m);
	else
		tell_denied(s, m, verdict.rule);
	will_drop(s);
}

static void delay_over(struct loop_timer *t)
{
	will_publish(container_of(t, struct will, timer)->session);
}

void will_due(struct session *s)
{
	struct will *will = s->will;
	if (!will)
		return;
	if (will->delay_s == 0 || s->expiry_s == 0)
		will_publish(s);
	else
		loop_timer_start(s->worker->loop, &will->timer, "will delay",
				 will->delay_s * UINT64_C(1000), delay_over);
}
