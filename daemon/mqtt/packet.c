/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets as values: see packet.h. Names and comparison only; bytes are the business of decode.c
 * and encode.c. Pure, any thread.
 */
#include "daemon/mqtt/packet.h"

const char *packet_name(enum packet_type type)
{
	static const char *const names[] = {
		[PACKET_CONNECT] = "CONNECT",   [PACKET_CONNACK] = "CONNACK",
		[PACKET_PUBLISH] = "PUBLISH",   [PACKET_PUBACK] = "PUBACK",
		[PACKET_PUBREC] = "PUBREC",     [PACKET_PUBREL] = "PUBREL",
		[PACKET_PUBCOMP] = "PUBCOMP",   [PACKET_SUBSCRIBE] = "SUBSCRIBE",
		[PACKET_SUBACK] = "SUBACK",     [PACKET_UNSUBSCRIBE] = "UNSUBSCRIBE",
		[PACKET_UNSUBACK] = "UNSUBACK", [PACKET_PINGREQ] = "PINGREQ",
		[PACKET_PINGRESP] = "PINGRESP", [PACKET_DISCONNECT] = "DISCONNECT",
		[PACKET_AUTH] = "AUTH",
	};
	const unsigned i = type;
	return i < ARRAY_LEN(names) && names[i] ? names[i] : "reserved";
}

static bool will_equal(const struct packet_will *a, const struct packet_will *b)
{
	return str_eq(a->topic, b->topic) && str_eq(a->payload, b->payload) && a->qos == b->qos &&
	       a->retain == b->retain && props_equal(&a->props, &b->props);
}

static bool connect_equal(const struct packet_connect *a, const struct packet_connect *b)
{
	if (a->version != b->version || a->clean_start != b->clean_start ||
	    a->keep_alive != b->keep_alive || !str_eq(a->client_id, b->client_id))
		return false;
	if (a->has_user_name != b->has_user_name || a->has_password != b->has_password ||
	    a->has_will != b->has_will)
		return false;
	return (!a->has_user_name || str_eq(a->user_name, b->user_name)) &&
	       (!a->has_password || str_eq(a->password, b->password)) &&
	       (!a->has_will || will_equal(&a->will, &b->will));
}

static bool publish_equal(const struct packet_publish *a, const struct packet_publish *b)
{
	return str_eq(a->topic, b->topic) && str_eq(a->payload, b->payload) &&
	       a->packet_id == b->packet_id && a->qos == b->qos && a->retain == b->retain &&
	       a->dup == b->dup;
}

static bool subscribe_equal(const struct packet_subscribe *a, const struct packet_subscribe *b)
{
	if (a->packet_id != b->packet_id || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct packet_subscription *x = &a->subscriptions[i];
		const struct packet_subscription *y = &b->subscriptions[i];
		if (!str_eq(x->filter, y->filter) || x->qos != y->qos ||
		    x->retain_handling != y->retain_handling || x->no_local != y->no_local ||
		    x->retain_as_published != y->retain_as_published)
			return false;
	}
	return true;
}

static bool unsubscribe_equal(const struct packet_unsubscribe *a,
			      const struct packet_unsubscribe *b)
{
	if (a->packet_id != b->packet_id || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->filters[i], b->filters[i]))
			return false;
	return true;
}

static bool connack_equal(const struct packet_connack *a, const struct packet_connack *b)
{
	return a->session_present == b->session_present && a->reason == b->reason;
}

static bool ack_equal(const struct packet_ack *a, const struct packet_ack *b)
{
	return a->packet_id == b->packet_id && a->reason == b->reason;
}

static bool suback_equal(const struct packet_suback *a, const struct packet_suback *b)
{
	return a->packet_id == b->packet_id && str_eq(a->codes, b->codes);
}

bool packet_equal(const struct packet *a, const struct packet *b)
{
	if (a->type != b->type || !props_equal(&a->props, &b->props))
		return false;
	switch (a->type) {
	case PACKET_CONNECT:
		return connect_equal(&a->connect, &b->connect);
	case PACKET_CONNACK:
		return connack_equal(&a->connack, &b->connack);
	case PACKET_PUBLISH:
		return publish_equal(&a->publish, &b->publish);
	case PACKET_PUBACK:
	case PACKET_PUBREC:
	case PACKET_PUBREL:
	case PACKET_PUBCOMP:
		return ack_equal(&a->ack, &b->ack);
	case PACKET_SUBSCRIBE:
		return subscribe_equal(&a->subscribe, &b->subscribe);
	case PACKET_UNSUBSCRIBE:
		return unsubscribe_equal(&a->unsubscribe, &b->unsubscribe);
	case PACKET_SUBACK:
	case PACKET_UNSUBACK:
		return suback_equal(&a->suback, &b->suback);
	case PACKET_DISCONNECT:
	case PACKET_AUTH:
		return a->disconnect.reason == b->disconnect.reason;
	case PACKET_PINGREQ:
	case PACKET_PINGRESP:
		break;
	}
	return true;
}
