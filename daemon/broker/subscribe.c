/* SPDX-License-Identifier: Apache-2.0
 *
 * SUBSCRIBE and UNSUBSCRIBE: see subscribe.h.
 */
#include "daemon/broker/subscribe.h"
#include "daemon/base/err.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/learn.h"
#include "daemon/broker/replay.h"
#include "daemon/broker/spool_session.h"
#include "daemon/ipc/rec.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

bool subscription_judge(const struct session *s, struct str filter, uint8_t *options,
			struct acl_verdict *verdict)
{
	const struct acl_who who = session_who(s);
	const struct acl_set *acl = s->identity->acl;
	const enum acl_grant grant = acl_subscribe(acl, &who, filter, *options & SUB_QOS, verdict);
	*options &= (uint8_t) ~(SUB_JUDGE | SUB_PARTIAL);
	if (grant == ACL_DENIED)
		return false;
	if (grant == ACL_PARTIAL)
		*options |= SUB_JUDGE | SUB_PARTIAL;
	else if (!acl_receive_covered(acl, &who, filter))
		*options |= SUB_JUDGE;
	return true;
}

bool subscription_may_receive(const struct session *s, const struct subscription *sub,
			      const struct msg *m, bool retain)
{
	const struct acl_who who = session_who(s);
	const uint8_t qos = sub->options & SUB_QOS;
	const struct acl_via via = {
		.filter = subscription_filter(sub),
		.grant = sub->options & SUB_PARTIAL ? ACL_PARTIAL : ACL_GRANTED,
		.qos = qos,
	};
	const struct acl_how how = {MIN(qos, m->qos), retain};
	return acl_deliver(s->identity->acl, &who, via, m->shared.topic, how, NULL);
}

static void tell_denied(struct conn *c, const char *why, struct str filter, uint64_t rule)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "action", "subscribe");
	journal_topic(&detail, filter);
	rec_int(&detail, "rule", (int64_t)rule);
	conn_event(c, EVENT_ACL_DENIED, why, &detail);
}

static uint8_t options_of(const struct packet_subscription *asked)
{
	return (uint8_t)(asked->qos | (asked->no_local ? SUB_NO_LOCAL : 0) |
			 (asked->retain_as_published ? SUB_RETAIN_AS_PUBLISHED : 0));
}

static bool filter_too_large(const struct conn *c, struct str filter, enum bound *which)
{
	const struct config_broker *b = &c->settings->config->broker;
	*which = filter.n > b->max_topic_length ? BOUND_TOPIC_LENGTH : BOUND_TOPIC_LEVELS;
	return *which == BOUND_TOPIC_LENGTH ||
	       topic_levels(topic_share_split(filter).filter) >
		       MIN(b->max_topic_levels, (uint32_t)TRIE_LEVELS_MAX);
}

/* Sections 3.8.3.1 and 4.8.2; existed: the session had this subscription before. */
static bool wants_retained(const struct packet_subscription *asked, bool existed)
{
	if (topic_is_shared(asked->filter))
		return false;
	return asked->retain_handling == 0 || (asked->retain_handling == 1 && !existed);
}

/* What the session had before of a subscription. */
enum before { HAD_NONE, HAD_OTHER, HAD_SAME };

static enum before had(const struct subscription *sub, uint8_t options, uint32_t identifier)
{
	if (!sub)
		return HAD_NONE;
	return sub->active && sub->options == options && sub->identifier == identifier ? HAD_SAME
										       : HAD_OTHER;
}

/* Below 0x80: the QoS that was granted. Otherwise *why may say more. *before: enum before. */
static enum reason subscribe_one(struct conn *c, struct trie_edit *edit,
				 const struct packet_subscription *asked, uint32_t identifier,
				 const char **why, char *before)
{
	struct session *s = c->session;
	struct subscription *sub = map_get(&s->subscriptions, asked->filter);
	struct acl_verdict verdict;
	uint8_t options = options_of(asked);
	const bool existed = sub != NULL;
	bool replaced;
	enum bound bound;
	*before = HAD_NONE;
	if (filter_too_large(c, asked->filter, &bound)) {
		bound_reached(c, bound);
		*why = bound_name(bound);
		return REASON_TOPIC_FILTER_INVALID;
	}
	if (!sub && s->subscriptions.n >= c->settings->config->broker.max_subscriptions) {
		bound_reached(c, BOUND_SUBSCRIPTIONS);
		*why = "max-subscriptions";
		return REASON_QUOTA_EXCEEDED;
	}
	if (!subscription_judge(s, asked->filter, &options, &verdict)) {
		const struct acl_how how = {.qos = asked->qos};
		*why = session_denied(s, ACL_SUBSCRIBE, asked->filter, how, verdict.rule);
		tell_denied(c, *why, asked->filter, verdict.rule);
		return REASON_NOT_AUTHORIZED;
	}
	learn_seen(s, ACL_SUBSCRIBE, topic_share_split(asked->filter).filter);
	*before = (char)had(sub, options, identifier);
	sub = session_subscription(s, asked->filter);
	sub->identifier = identifier;
	sub->options = options;
	sub->active = true;
	const struct trie_sub entry = session_index_entry(s, sub);
	if (trie_subscribe(edit, asked->filter, &entry, &replaced)) {
		session_unsubscribed(s, sub);
		return REASON_TOPIC_FILTER_INVALID;
	}
	if (*before != HAD_SAME)
		spool_subscription(s, sub);
	if (wants_retained(asked, existed))
		replay_start(s, sub); /* runs when SUBACK is on its way */
	return (enum reason)(options & SUB_QOS);
}

/* In MQTT 3 every failure is 0x80 [3.1.1 MQTT-3.9.3-2]. */
static char code_of(const struct conn *c, enum reason reason)
{
	return (char)(reason_is_error(reason) && c->version != MQTT_5 ? REASON_UNSPECIFIED_ERROR
								      : reason);
}

static enum reason unsubscribe_one(struct conn *c, struct trie_edit *edit, struct str filter)
{
	struct session *s = c->session;
	struct subscription *sub = map_get(&s->subscriptions, filter);
	if (!sub)
		return REASON_NO_SUBSCRIPTION_EXISTED;
	trie_unsubscribe_all(edit, s->handle, &filter, 1);
	session_unsubscribed(s, sub);
	return REASON_SUCCESS;
}

/* ---- answers that wait ------------------------------------------------------------------------
 */

/* SUBACK or UNSUBACK of a durable session: what it says must be so after an end of ours, too. */
struct answer {
	struct spool_wait wait;
	struct worker *worker;
	uint64_t conn;
	enum packet_type type;
	uint16_t packet_id;
	struct buf codes;
	struct buf filters; /* strs_put: of SUBACK */
	struct buf before;  /* enum before, of each */
	char *why;
};

/* Subscriptions that could not be stored are none; those that there were before stay. */
static void take_back(struct conn *c, struct answer *a, enum spool_status status)
{
	struct worker *w = c->worker;
	struct str filters = buf_view(&a->filters), filter;
	struct trie_edit edit;
	const enum reason code =
		status == SPOOL_FULL ? REASON_QUOTA_EXCEEDED : REASON_UNSPECIFIED_ERROR;
	worker_leave(w);
	trie_edit_begin(w->broker->trie, &w->reader, &edit);
	for (size_t i = 0; strs_next(&filters, &filter); i++) {
		if (reason_is_error((enum reason)(unsigned char)a->codes.p[i]))
			continue;
		const bool stays = a->before.p[i] && map_get(&c->session->subscriptions, filter);
		if (stays && a->before.p[i] == HAD_SAME)
			continue;
		a->codes.p[i] = code_of(c, code);
		if (!stays)
			unsubscribe_one(c, &edit, filter);
	}
	trie_edit_commit(&edit);
}

static void answer_now(struct spool_wait *wait, enum spool_status status)
{
	struct answer *a = container_of(wait, struct answer, wait);
	struct conn *c = conn_find(a->worker, a->conn);
	if (c)
		c->answers_n--;
	if (c && c->state == CONN_OPEN) {
		if (status != SPOOL_STORED && a->type == PACKET_SUBACK)
			take_back(c, a, status);
		struct packet p = {
			.type = a->type,
			.props = props_none,
			.suback = {a->packet_id, buf_view(&a->codes)},
		};
		packet_explain(&p, a->why);
		if (conn_send(c, &p)) {
			replay_run(c->session);
			conn_paid(c);
		} else {
			conn_close(c, REASON_PACKET_TOO_LARGE, "SUBACK does not fit the client");
		}
	}
	buf_fini(&a->codes);
	buf_fini(&a->filters);
	buf_fini(&a->before);
	free(a->why);
	free(a);
}

static void answer_later(struct conn *c, const struct packet *p,
			 const struct packet_subscription *subscriptions, struct str before)
{
	struct answer *a = mem_new(struct answer);
	a->worker = c->worker;
	a->conn = c->handle;
	c->answers_n++;
	a->type = p->type;
	a->packet_id = p->suback.packet_id;
	buf_str(&a->codes, p->suback.codes);
	buf_str(&a->before, before);
	for (size_t i = 0; i < before.n; i++)
		strs_put(&a->filters, subscriptions[i].filter);
	if (props_has(&p->props, PROPERTY_REASON_STRING))
		a->why = str_dup(p->props.reason_string);
	spool_wait(&c->worker->spool, &a->wait, answer_now);
}

enum reason subscribe_received(struct conn *c, const struct packet *p)
{
	struct worker *w = c->worker;
	const struct packet_subscribe *s = &p->subscribe;
	const uint32_t identifier =
		p->props.subscription_ids.n ? p->props.subscription_ids.p[0] : 0;
	char *codes = arena_alloc(&w->arena, s->n);
	char *before = arena_alloc(&w->arena, s->n);
	const char *why = NULL;
	struct trie_edit edit;
	worker_leave(w);
	trie_edit_begin(w->broker->trie, &w->reader, &edit);
	for (size_t i = 0; i < s->n; i++)
		codes[i] = code_of(c, subscribe_one(c, &edit, &s->subscriptions[i], identifier,
						    &why, &before[i]));
	trie_edit_commit(&edit);
	struct packet answer = {
		.type = PACKET_SUBACK,
		.props = props_none,
		.suback = {s->packet_id, str_make(codes, s->n)},
	};
	packet_explain(&answer, why);
	if (spool_must_wait(c->session)) {
		answer_later(c, &answer, s->subscriptions, str_make(before, s->n));
		return REASON_SUCCESS;
	}
	if (!conn_send(c, &answer))
		return REASON_PACKET_TOO_LARGE;
	replay_run(c->session);
	return REASON_SUCCESS;
}

enum reason unsubscribe_received(struct conn *c, const struct packet *p)
{
	struct worker *w = c->worker;
	const struct packet_unsubscribe *u = &p->unsubscribe;
	char *codes = arena_alloc(&w->arena, u->n);
	struct trie_edit edit;
	worker_leave(w);
	trie_edit_begin(w->broker->trie, &w->reader, &edit);
	for (size_t i = 0; i < u->n; i++)
		codes[i] = (char)unsubscribe_one(c, &edit, u->filters[i]);
	trie_edit_commit(&edit);
	struct packet answer = {
		.type = PACKET_UNSUBACK,
		.props = props_none,
		.suback = {u->packet_id, str_make(codes, u->n)},
	};
	if (spool_must_wait(c->session)) {
		answer_later(c, &answer, NULL, STR(""));
		return REASON_SUCCESS;
	}
	return conn_send(c, &answer) ? REASON_SUCCESS : REASON_PACKET_TOO_LARGE;
}
