/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of administrators and retained messages: message.publish, retained.list,
 * retained.remove. The broker has the messages and judges topics and rules; the store authorises,
 * bounds and audits. Main thread of the store.
 *
 * message.publish   topic str, size int, receivers int: subscriptions that matched
 * retained.list     items: list of messages (broker/console.h); next: str or null
 * retained.remove   topic str, receivers int
 */
#include "daemon/base/base64.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "db/authorise.h"
#include "db/ops.h"

#include <stdlib.h>

enum {
	PAYLOAD_MAX = 24576,
	PER_SECOND = 20, /* of one administrator or program: each is in the audit log */
	BURST = 100,
	ANSWER_MS = 2000,
};

static struct link *broker_of(struct op_call *c)
{
	struct link *broker = c->s->peer[PROCESS_BROKER].link;
	if (!broker)
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker is away: try again");
	return broker;
}

/* The device of the argument "as", 0 without. False: refused. */
static bool take_as(struct op_call *c, uint64_t *device_id)
{
	struct str as;
	int64_t id = 0;
	if (op_str(c, "as", &as) && !op_find_device(c, "as", as, &id))
		return false;
	*device_id = (uint64_t)id;
	return true;
}

/* ---- publishing ---- */

static bool take_payload(struct op_call *c, struct buf *out)
{
	struct str text;
	struct str base64;
	const bool is_text = op_str(c, "payload", &text);
	const bool is_base64 = op_str(c, "data", &base64);
	if (is_text && is_base64) {
		op_refuse(c, OP_INVALID, "payload", "give payload or data, not both");
		return false;
	}
	if (is_text)
		buf_str(out, text);
	if (is_base64 && (base64_decode(base64, BASE64_STRICT, out) || out->n > PAYLOAD_MAX)) {
		op_refuse(c, OP_INVALID, "data", "data is no base64 of at most %d bytes",
			  PAYLOAD_MAX);
		return false;
	}
	return true;
}

static void refuse_denied(struct op_call *c, uint64_t rule)
{
	const struct str as = op_text(c, "as", "");
	if (rule)
		op_refuse(c, OP_REFUSED, "as", "%.*s may not publish to %s: rule %llu denies it",
			  STR_ARG(as), c->target, (unsigned long long)rule);
	else
		op_refuse(c, OP_REFUSED, "as", "%.*s may not publish to %s: no rule allows it",
			  STR_ARG(as), c->target);
}

static void refuse(struct op_call *c, const struct body_publish_done *done)
{
	switch ((enum publish_status)done->status) {
	case PUBLISH_DENIED:
		refuse_denied(c, done->rule);
		return;
	case PUBLISH_RESERVED:
		op_refuse(c, OP_REFUSED, "topic", "only the gateway publishes to %s", c->target);
		return;
	case PUBLISH_TOPIC:
		op_refuse(c, OP_INVALID, "topic",
			  "\"%s\" is no topic: it has a wildcard, is empty, or is longer than "
			  "broker.max-topic-length or max-topic-levels allow",
			  c->target);
		return;
	case PUBLISH_LARGE:
		op_refuse(c, OP_REFUSED, "payload", "it is larger than broker.max-payload allows");
		return;
	case PUBLISH_NOBODY:
		op_refuse(c, OP_REFUSED, "as", "that device is disabled");
		return;
	case PUBLISH_NOTHING:
		op_refuse(c, OP_NOT_FOUND, "topic", "%s has no retained message", c->target);
		return;
	default:
		op_refuse(c, OP_REFUSED, "retain",
			  "there is no room: broker.max-retained-messages and max-retained-bytes "
			  "bound what is kept");
	}
}

static void published(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_publish_done done;
	const int64_t *size = c->state;
	if (err || body_publish_done_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker does not answer: try again");
		return;
	}
	if (done.status != PUBLISH_SENT) {
		refuse(c, &done);
		return;
	}
	const bool removal = c->op == OP_RETAINED_REMOVE;
	AUTO_CHAR why = removal ? mem_strdup("") : mem_printf("%lld bytes", (long long)*size);
	authorise_audit(c, "ok", why);
	rec_str(&c->result, "topic", op_text(c, "topic", ""));
	if (!removal)
		rec_int(&c->result, "size", *size);
	rec_int(&c->result, "receivers", done.receivers);
	op_done(c);
}

static void send(struct op_call *c, struct body_publish *body)
{
	struct link *broker = broker_of(c);
	if (!broker)
		return;
	if (!rate_take(rates_of(&c->s->publishes, c->actor), PER_SECOND, BURST,
		       clock_mono_ms() * 1000)) {
		op_refuse(c, OP_TOO_MANY, NULL,
			  "%d messages per second may be published this way: try again",
			  PER_SECOND);
		return;
	}
	int64_t *size = mem_new(int64_t);
	*size = (int64_t)body->payload.n;
	c->state = size;
	c->state_free = free;
	op_str(c, "topic", &body->topic);
	LINK_ASK(broker, &c->ask, PUBLISH, publish, -1, body, ANSWER_MS, published);
}

void op_message_publish(struct op_call *c)
{
	struct body_publish body = {0};
	AUTO_BUF payload = {0};
	int64_t qos = 0;
	bool retain = false;
	if (!take_as(c, &body.device_id) || !take_payload(c, &payload))
		return;
	op_int(c, "qos", &qos);
	op_bool(c, "retain", &retain);
	body.qos = (uint8_t)qos;
	body.retain = retain;
	body.payload = buf_view(&payload);
	send(c, &body);
}

void op_retained_remove(struct op_call *c)
{
	struct body_publish body = {.retain = 1, .must_retain = 1, .payload = STR("")};
	send(c, &body);
}

/* ---- retained messages ---- */

static void listed(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_retained done;
	AUTO_BUF list = {0};
	if (err || body_retained_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker does not answer: try again");
		return;
	}
	rec_list(&list, "items");
	buf_str(&list, done.items);
	op_put_next(&list, done.after);
	if (!rec_valid(buf_view(&list))) {
		op_refuse(c, OP_FAILED, NULL, "the broker's answer can not be read");
		return;
	}
	buf_str(&c->result, buf_view(&list));
	op_done(c);
}

void op_retained_list(struct op_call *c)
{
	struct body_retained_get body = {.filter = op_text(c, "filter", "#"),
					 .after = op_text(c, "after", "")};
	int64_t limit;
	if (!op_limit(c, &limit) || !take_as(c, &body.device_id) ||
	    !op_check_filter(c, "filter", body.filter))
		return;
	struct link *broker = broker_of(c);
	if (!broker)
		return;
	body.max = (uint32_t)limit;
	body.payload = authorise_payload(c);
	LINK_ASK(broker, &c->ask, RETAINED_GET, retained_get, -1, &body, ANSWER_MS, listed);
}
