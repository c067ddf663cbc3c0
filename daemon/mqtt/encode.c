/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding: see encode.h. Each packet type has one function that writes its body; the size comes
 * from running it into a writer without room, which counts. So size and bytes cannot disagree.
 * Pure, any thread; owns nothing, allocates nothing.
 */
#include "daemon/mqtt/encode.h"

static void encode_props(enum mqtt_version version, const struct props *p, struct out *o)
{
	if (version == MQTT_5)
		props_encode(p, o);
}

/* Makes every size that is computed from o say that the packet cannot be sent. */
static void refuse(struct out *o)
{
	o->failed = true;
	o->need += PACKET_SIZE_MAX;
}

static uint8_t connect_flags(const struct packet_connect *p)
{
	unsigned flags = p->clean_start ? 0x02 : 0;
	if (p->has_will)
		flags |= 0x04u | (unsigned)p->will.qos << 3 | (p->will.retain ? 0x20u : 0);
	if (p->has_password)
		flags |= 0x40;
	if (p->has_user_name)
		flags |= 0x80;
	return (uint8_t)flags;
}

static void encode_connect(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	const struct packet_connect *p = &packet->connect;
	string_encode(version == MQTT_3_1 ? STR("MQIsdp") : STR("MQTT"), o);
	out_u8(o, (uint8_t)version);
	out_u8(o, connect_flags(p));
	out_u16(o, p->keep_alive);
	encode_props(version, &packet->props, o);
	string_encode(p->client_id, o);
	if (p->has_will) {
		encode_props(version, &p->will.props, o);
		string_encode(p->will.topic, o);
		string_encode(p->will.payload, o);
	}
	if (p->has_user_name)
		string_encode(p->user_name, o);
	if (p->has_password)
		string_encode(p->password, o);
	if (version != MQTT_5 && p->has_password && !p->has_user_name)
		refuse(o);
}

static void encode_connack(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	const struct packet_connack *p = &packet->connack;
	int code = (int)p->reason;
	if (version != MQTT_5)
		code = reason_to_connack_v3(p->reason);
	if (code < 0)
		refuse(o);
	out_u8(o, p->session_present && version != MQTT_3_1);
	out_u8(o, (uint8_t)code);
	encode_props(version, &packet->props, o);
}

static void encode_publish(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	const struct packet_publish *p = &packet->publish;
	string_encode(p->topic, o);
	if (p->qos)
		out_u16(o, p->packet_id);
	encode_props(version, &packet->props, o);
	out_bytes(o, p->payload.p, p->payload.n);
}

/* Reason code and properties, each left out where nothing is said by it. */
static void encode_reason(enum mqtt_version version, enum reason reason, const struct props *props,
			  struct out *o)
{
	const bool has_props = props_body_size(props, PROPS_ALL) > 0;
	if (version != MQTT_5 || (reason == REASON_SUCCESS && !has_props))
		return;
	out_u8(o, (uint8_t)reason);
	if (has_props)
		props_encode(props, o);
}

static void encode_ack(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	out_u16(o, packet->ack.packet_id);
	encode_reason(version, packet->ack.reason, &packet->props, o);
}

static void encode_subscribe(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	const struct packet_subscribe *p = &packet->subscribe;
	out_u16(o, p->packet_id);
	encode_props(version, &packet->props, o);
	for (size_t i = 0; i < p->n; i++) {
		const struct packet_subscription *s = &p->subscriptions[i];
		const unsigned options = s->qos | (s->no_local ? 0x04u : 0) |
					 (s->retain_as_published ? 0x08u : 0) |
					 (unsigned)s->retain_handling << 4;
		string_encode(s->filter, o);
		out_u8(o, version == MQTT_5 ? (uint8_t)options : s->qos);
	}
}

static void encode_suback(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	const struct packet_suback *p = &packet->suback;
	out_u16(o, p->packet_id);
	encode_props(version, &packet->props, o);
	if (version == MQTT_5) {
		out_bytes(o, p->codes.p, p->codes.n);
		return;
	}
	if (packet->type == PACKET_UNSUBACK)
		return;
	for (size_t i = 0; i < p->codes.n; i++) /* [3.1.1 MQTT-3.9.3-2] */
		out_u8(o, MIN((uint8_t)p->codes.p[i], (uint8_t)REASON_UNSPECIFIED_ERROR));
}

static void encode_unsubscribe(enum mqtt_version version, const struct packet *packet,
			       struct out *o)
{
	const struct packet_unsubscribe *p = &packet->unsubscribe;
	out_u16(o, p->packet_id);
	encode_props(version, &packet->props, o);
	for (size_t i = 0; i < p->n; i++)
		string_encode(p->filters[i], o);
}

static void encode_ping(enum mqtt_version version UNUSED, const struct packet *packet UNUSED,
			struct out *o UNUSED)
{
}

static void encode_disconnect(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	encode_reason(version, packet->disconnect.reason, &packet->props, o);
}

/* Unlike the others AUTH has no form with a reason code alone (section 3.15.2.1). */
static void encode_auth(enum mqtt_version version, const struct packet *packet, struct out *o)
{
	if (version != MQTT_5)
		refuse(o);
	if (packet->auth.reason == REASON_SUCCESS && !props_body_size(&packet->props, PROPS_ALL))
		return;
	out_u8(o, (uint8_t)packet->auth.reason);
	props_encode(&packet->props, o);
}

struct kind {
	void (*encode)(enum mqtt_version version, const struct packet *packet, struct out *o);
	uint8_t flags;
	bool answers;  /* may lose user properties and reason string */
	bool explains; /* may carry them although the client asked for none [MQTT-3.1.2-29] */
};

static const struct kind kinds[16] = {
	[PACKET_CONNECT] = {encode_connect, 0, false, true},
	[PACKET_CONNACK] = {encode_connack, 0, true, true},
	[PACKET_PUBLISH] = {encode_publish, 0, false, true},
	[PACKET_PUBACK] = {encode_ack, 0, true, false},
	[PACKET_PUBREC] = {encode_ack, 0, true, false},
	[PACKET_PUBREL] = {encode_ack, 2, true, false},
	[PACKET_PUBCOMP] = {encode_ack, 0, true, false},
	[PACKET_SUBSCRIBE] = {encode_subscribe, 2, false, true},
	[PACKET_SUBACK] = {encode_suback, 0, true, false},
	[PACKET_UNSUBSCRIBE] = {encode_unsubscribe, 2, false, true},
	[PACKET_UNSUBACK] = {encode_suback, 0, true, false},
	[PACKET_PINGREQ] = {encode_ping, 0, false, true},
	[PACKET_PINGRESP] = {encode_ping, 0, false, true},
	[PACKET_DISCONNECT] = {encode_disconnect, 0, true, true},
	[PACKET_AUTH] = {encode_auth, 0, true, false},
};

static uint8_t publish_flags(bool dup, uint8_t qos, bool retain)
{
	return (uint8_t)((dup ? 8 : 0) | qos << 1 | (retain ? 1 : 0));
}

static uint8_t flags_of(const struct packet *p)
{
	if (p->type == PACKET_PUBLISH)
		return publish_flags(p->publish.dup, p->publish.qos, p->publish.retain);
	return kinds[p->type].flags;
}

static enum mqtt_version version_of(enum mqtt_version version, const struct packet *p)
{
	return p->type == PACKET_CONNECT ? p->connect.version : version;
}

/* Size of the body; above PACKET_REMAINING_MAX when the packet cannot be sent. */
static size_t body_size(enum mqtt_version version, const struct packet *p)
{
	struct out dry = out_make(NULL, 0);
	kinds[p->type].encode(version_of(version, p), p, &dry);
	return dry.need;
}

static size_t whole_size(size_t body)
{
	return body > PACKET_REMAINING_MAX ? 0 : 1 + varint_size((uint32_t)body) + body;
}

size_t packet_size(enum mqtt_version version, const struct packet *p)
{
	return whole_size(body_size(version, p));
}

static bool has_room(struct out *o, size_t n)
{
	if (n == 0 || (size_t)(o->end - o->p) < n)
		o->failed = true;
	return out_ok(o);
}

bool packet_encode(enum mqtt_version version, const struct packet *p, struct out *o)
{
	const size_t body = body_size(version, p);
	if (!has_room(o, whole_size(body)))
		return false;
	out_u8(o, (uint8_t)((unsigned)p->type << 4 | flags_of(p)));
	varint_encode((uint32_t)body, o);
	kinds[p->type].encode(version_of(version, p), p, o);
	return out_ok(o);
}

void ack_encode(enum packet_type type, uint16_t packet_id, struct out *o)
{
	const uint8_t ack[ACK_SIZE] = {
		(uint8_t)((unsigned)type << 4 | kinds[type].flags),
		2,
		(uint8_t)(packet_id >> 8),
		(uint8_t)packet_id,
	};
	out_bytes(o, ack, sizeof(ack));
}

static void drop_user_properties(struct packet *p)
{
	props_drop(&p->props, PROPERTY_USER_PROPERTY);
}

static void drop_reason_string(struct packet *p)
{
	props_drop(&p->props, PROPERTY_REASON_STRING);
}

size_t packet_fit(enum mqtt_version version, struct packet *p, size_t limit)
{
	size_t size = packet_size(version, p);
	if ((size == 0 || size > limit) && kinds[p->type].answers) {
		drop_user_properties(p);
		size = packet_size(version, p);
	}
	if ((size == 0 || size > limit) && kinds[p->type].answers) {
		drop_reason_string(p);
		size = packet_size(version, p);
	}
	return size <= limit ? size : 0;
}

void packet_drop_problem_information(struct packet *p)
{
	if (kinds[p->type].explains)
		return;
	drop_user_properties(p);
	drop_reason_string(p);
}

/* The properties that differ from receiver to receiver. */
#define OWN_PROPERTIES                                                                           \
	((uint64_t)1 << PROPERTY_MESSAGE_EXPIRY_INTERVAL | (uint64_t)1 << PROPERTY_TOPIC_ALIAS | \
	 (uint64_t)1 << PROPERTY_SUBSCRIPTION_IDENTIFIER)

size_t publish_shared_size(const struct props *p)
{
	return props_body_size(p, ~OWN_PROPERTIES);
}

void publish_shared_encode(const struct props *p, struct out *o)
{
	props_encode_body(p, ~OWN_PROPERTIES, o);
}

static size_t own_properties_size(const struct publish_receiver *r)
{
	size_t n = (r->has_message_expiry ? 5 : 0) + (r->topic_alias ? 3 : 0);
	for (size_t i = 0; i < r->ids.n; i++)
		n += 1 + varint_size(r->ids.p[i]);
	return n;
}

static void own_properties_encode(const struct publish_receiver *r, struct out *o)
{
	if (r->has_message_expiry) {
		out_u8(o, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
		out_u32(o, r->message_expiry);
	}
	for (size_t i = 0; i < r->ids.n; i++) {
		out_u8(o, PROPERTY_SUBSCRIPTION_IDENTIFIER);
		varint_encode(r->ids.p[i], o);
	}
	if (r->topic_alias) {
		out_u8(o, PROPERTY_TOPIC_ALIAS);
		out_u16(o, r->topic_alias);
	}
}

struct publish_layout {
	struct str topic;
	size_t properties; /* value of the property length */
	size_t remaining;
	size_t head;
	size_t size; /* 0: cannot be sent */
};

static struct publish_layout layout_of(const struct publish_shared *m,
				       const struct publish_receiver *r)
{
	const bool v5 = r->version == MQTT_5;
	struct publish_layout l = {.topic = m->topic};
	if (v5 && r->topic_omitted)
		l.topic.n = 0;
	const size_t own = v5 ? own_properties_size(r) : 0;
	l.properties = v5 ? own + m->properties.n : 0;
	if (l.topic.n > PACKET_STRING_MAX || l.properties > PACKET_REMAINING_MAX)
		return l;
	const size_t length = v5 ? varint_size((uint32_t)l.properties) : 0;
	const size_t body = 2 + l.topic.n + (r->qos ? 2 : 0) + length + own;
	l.remaining = body + publish_tail(m, r->version).n;
	l.size = whole_size(l.remaining);
	l.head = l.size ? l.size - l.remaining + body : 0;
	return l;
}

size_t publish_head_size(const struct publish_shared *m, const struct publish_receiver *r)
{
	return layout_of(m, r).head;
}

size_t publish_size(const struct publish_shared *m, const struct publish_receiver *r)
{
	return layout_of(m, r).size;
}

static void head_encode(const struct publish_layout *l, const struct publish_receiver *r,
			struct out *o)
{
	out_u8(o, (uint8_t)(PACKET_PUBLISH << 4 | publish_flags(r->dup, r->qos, r->retain)));
	varint_encode((uint32_t)l->remaining, o);
	out_str16(o, l->topic);
	if (r->qos)
		out_u16(o, r->packet_id);
	if (r->version != MQTT_5)
		return;
	varint_encode((uint32_t)l->properties, o);
	own_properties_encode(r, o);
}

bool publish_head_encode(const struct publish_shared *m, const struct publish_receiver *r,
			 struct out *o)
{
	const struct publish_layout l = layout_of(m, r);
	if (!has_room(o, l.head))
		return false;
	head_encode(&l, r, o);
	return out_ok(o);
}

bool publish_encode(const struct publish_shared *m, const struct publish_receiver *r, struct out *o)
{
	const struct publish_layout l = layout_of(m, r);
	if (!has_room(o, l.size))
		return false;
	head_encode(&l, r, o);
	const struct str tail = publish_tail(m, r->version);
	out_bytes(o, tail.p, tail.n);
	return out_ok(o);
}

size_t publish_packet_id_at(const struct publish_shared *m, const struct publish_receiver *r)
{
	const struct publish_layout l = layout_of(m, r);
	return 1 + varint_size((uint32_t)l.remaining) + 2 + l.topic.n;
}
