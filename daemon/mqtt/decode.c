/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding: see decode.h. Each packet type has one function; they read all fields and judge once.
 * MQTT 3.1 is read as its text and its devices ask for: bits that it calls unused are ignored, and
 * a user name or password that is announced but missing is absent. Pure, any thread; owns nothing.
 */
#include "daemon/mqtt/decode.h"
#include "daemon/base/err.h"
#include "daemon/mqtt/topic.h"

struct input {
	struct cur c; /* what is left of the body */
	enum mqtt_version version;
	enum sender sender;
	enum packet_type type;
	uint8_t flags;
	struct arena *arena;
};

/* 0: both outputs are set; ERR_AGAIN: the header is not complete; ERR_MALFORMED. */
static int header_decode(const unsigned char *p, size_t n, size_t *header, size_t *size)
{
	size_t remaining = 0;
	for (size_t i = 1; i < n; i++) {
		remaining |= (size_t)(p[i] & 0x7f) << (7 * (i - 1));
		if (!(p[i] & 0x80)) {
			*header = i + 1;
			*size = i + 1 + remaining;
			return 0;
		}
		if (i + 1 == PACKET_HEADER_MAX)
			return ERR_MALFORMED;
	}
	return ERR_AGAIN;
}

int packet_frame(const void *p, size_t n, size_t max_packet, size_t *size)
{
	size_t header;
	size_t whole;
	const int err = header_decode(p, n, &header, &whole);
	if (err)
		return err;
	if (whole > max_packet)
		return ERR_LIMIT;
	if (whole > n)
		return ERR_AGAIN;
	*size = whole;
	return 0;
}

size_t packet_need(const void *p, size_t n)
{
	size_t header;
	size_t size;
	return header_decode(p, n, &header, &size) == 0 ? size : 0;
}

/* Every property field that the version does not have is as good as empty. */
static enum reason decode_props(struct input *in, unsigned place, struct props *out)
{
	if (in->version == MQTT_5)
		return props_decode(&in->c, place, in->arena, out);
	*out = props_none;
	return REASON_SUCCESS;
}

static enum mqtt_version version_of(struct str name, uint8_t level)
{
	if (str_is(name, "MQTT") && (level == MQTT_3_1_1 || level == MQTT_5))
		return (enum mqtt_version)level;
	if (str_is(name, "MQIsdp") && level == MQTT_3_1)
		return MQTT_3_1;
	return MQTT_UNKNOWN;
}

enum mqtt_version connect_version(const void *p, size_t n)
{
	const unsigned char *b = p;
	size_t header;
	size_t size;
	if (n == 0 || b[0] >> 4 != PACKET_CONNECT || header_decode(b, n, &header, &size))
		return MQTT_UNKNOWN;
	struct cur c = cur_make(b + header, MIN(n, size) - header);
	const struct str name = cur_str16(&c);
	const uint8_t level = cur_u8(&c);
	if (!cur_ok(&c))
		return MQTT_UNKNOWN;
	if (str_is(name, "MQIsdp"))
		return MQTT_3_1;
	if (!str_is(name, "MQTT"))
		return MQTT_UNKNOWN;
	return level == MQTT_5 ? MQTT_5 : MQTT_3_1_1;
}

enum {
	CONNECT_RESERVED = 0x01,
	CONNECT_CLEAN_START = 0x02,
	CONNECT_WILL = 0x04,
	CONNECT_WILL_RETAIN = 0x20,
	CONNECT_PASSWORD = 0x40,
	CONNECT_USER_NAME = 0x80,
};

static uint8_t will_qos(uint8_t flags)
{
	return flags >> 3 & 3;
}

static bool connect_flags_ok(enum mqtt_version version, uint8_t flags)
{
	if ((flags & CONNECT_RESERVED) && version != MQTT_3_1)
		return false; /* [MQTT-3.1.2-3] */
	if (will_qos(flags) == 3)
		return false; /* [MQTT-3.1.2-12] */
	if (!(flags & CONNECT_WILL) && (will_qos(flags) || (flags & CONNECT_WILL_RETAIN)))
		return false; /* [MQTT-3.1.2-11, 3.1.2-13] */
	const bool lone_password = (flags & CONNECT_PASSWORD) && !(flags & CONNECT_USER_NAME);
	return version == MQTT_5 || !lone_password; /* [3.1.1 MQTT-3.1.2-22] */
}

static enum reason decode_will(struct input *in, uint8_t flags, struct packet_will *out)
{
	const enum reason r = decode_props(in, PROPS_WILL, &out->props);
	if (r)
		return r;
	out->qos = will_qos(flags);
	out->retain = flags & CONNECT_WILL_RETAIN;
	out->topic = cur_str16(&in->c);
	out->payload = cur_str16(&in->c);
	if (!cur_ok(&in->c))
		return REASON_MALFORMED_PACKET;
	return topic_name_check(out->topic);
}

/* In MQTT 3.1 the end of the packet takes precedence over the flag (3.1, section 3.1). */
static bool field_present(const struct input *in, uint8_t flags, uint8_t flag)
{
	return (flags & flag) && (in->version != MQTT_3_1 || cur_left(&in->c) > 0);
}

static enum reason decode_credentials(struct input *in, uint8_t flags, struct packet_connect *out)
{
	out->user_name = out->password = (struct str){NULL, 0};
	out->has_user_name = field_present(in, flags, CONNECT_USER_NAME);
	if (out->has_user_name)
		out->user_name = cur_str16(&in->c);
	out->has_password = field_present(in, flags, CONNECT_PASSWORD);
	if (out->has_password)
		out->password = cur_str16(&in->c);
	if (!cur_done(&in->c) || !str_is_utf8(out->user_name))
		return REASON_MALFORMED_PACKET;
	return REASON_SUCCESS;
}

/* Whether a server may give this client an identifier of its own making. */
static bool may_be_empty(const struct packet_connect *p)
{
	if (p->version == MQTT_3_1_1)
		return p->clean_start; /* [3.1.1 MQTT-3.1.3-7, 3.1.3-8] */
	return p->version == MQTT_5;
}

static enum reason decode_connect_payload(struct input *in, uint8_t flags,
					  struct packet_connect *out)
{
	out->client_id = cur_str16(&in->c);
	if (!cur_ok(&in->c) || !str_is_utf8(out->client_id))
		return REASON_MALFORMED_PACKET;
	out->has_will = flags & CONNECT_WILL;
	if (out->has_will) {
		const enum reason r = decode_will(in, flags, &out->will);
		if (r)
			return r;
	}
	const enum reason r = decode_credentials(in, flags, out);
	if (r)
		return r;
	if (out->client_id.n == 0 && !may_be_empty(out))
		return REASON_CLIENT_IDENTIFIER_NOT_VALID;
	return REASON_SUCCESS;
}

static enum reason decode_connect(struct input *in, struct packet *out)
{
	const struct str name = cur_str16(&in->c);
	const uint8_t level = cur_u8(&in->c);
	if (!cur_ok(&in->c))
		return REASON_MALFORMED_PACKET;
	in->version = version_of(name, level);
	if (in->version == MQTT_UNKNOWN)
		return REASON_UNSUPPORTED_PROTOCOL_VERSION; /* [MQTT-3.1.2-1, 3.1.2-2] */
	const uint8_t flags = cur_u8(&in->c);
	const uint16_t keep_alive = cur_u16(&in->c);
	if (!cur_ok(&in->c) || !connect_flags_ok(in->version, flags))
		return REASON_MALFORMED_PACKET;
	const enum reason r = decode_props(in, PACKET_CONNECT, &out->props);
	if (r)
		return r;
	if (props_has(&out->props, PROPERTY_AUTHENTICATION_DATA) &&
	    !props_has(&out->props, PROPERTY_AUTHENTICATION_METHOD))
		return REASON_PROTOCOL_ERROR; /* section 3.1.2.11.10 */
	out->connect.version = in->version;
	out->connect.clean_start = flags & CONNECT_CLEAN_START;
	out->connect.keep_alive = keep_alive;
	return decode_connect_payload(in, flags, &out->connect);
}

static enum reason connack_reason(const struct input *in, uint8_t code, enum reason *out)
{
	if (in->version == MQTT_5) {
		if (!reason_allowed(code, in->type, in->sender))
			return REASON_PROTOCOL_ERROR; /* [MQTT-3.2.2-8] */
		*out = (enum reason)code;
		return REASON_SUCCESS;
	}
	return reason_from_connack_v3(code, out) ? REASON_PROTOCOL_ERROR : REASON_SUCCESS;
}

static enum reason decode_connack(struct input *in, struct packet *out)
{
	uint8_t flags = cur_u8(&in->c);
	const uint8_t code = cur_u8(&in->c);
	if (in->version == MQTT_3_1)
		flags = 0;
	if (!cur_ok(&in->c) || flags > 1)
		return REASON_MALFORMED_PACKET; /* [MQTT-3.2.2-1] */
	enum reason r = connack_reason(in, code, &out->connack.reason);
	if (!r)
		r = decode_props(in, PACKET_CONNACK, &out->props);
	if (r)
		return r;
	if (!cur_done(&in->c))
		return REASON_MALFORMED_PACKET;
	if (flags && code)
		return REASON_PROTOCOL_ERROR; /* [MQTT-3.2.2-6] */
	out->connack.session_present = flags;
	return REASON_SUCCESS;
}

static enum reason publish_topic_check(const struct input *in, const struct packet *p)
{
	if (p->publish.topic.n == 0 && in->version == MQTT_5)
		return p->props.topic_alias ? REASON_SUCCESS : REASON_PROTOCOL_ERROR;
	return topic_name_check(p->publish.topic);
}

static enum reason decode_publish(struct input *in, struct packet *out)
{
	struct packet_publish *p = &out->publish;
	p->dup = in->flags & 8;
	p->qos = in->flags >> 1 & 3;
	p->retain = in->flags & 1;
	p->topic = cur_str16(&in->c);
	p->packet_id = p->qos ? cur_u16(&in->c) : 0;
	if (!cur_ok(&in->c) || p->qos == 3 || (p->dup && p->qos == 0))
		return REASON_MALFORMED_PACKET; /* [MQTT-3.3.1-2, 3.3.1-4] */
	enum reason r = decode_props(in, PACKET_PUBLISH, &out->props);
	if (r)
		return r;
	p->payload = cur_bytes(&in->c, cur_left(&in->c));
	if (p->qos && p->packet_id == 0)
		return REASON_PROTOCOL_ERROR; /* [MQTT-2.2.1-3, 2.2.1-4] */
	r = publish_topic_check(in, out);
	if (r)
		return r;
	if (in->sender == SENDER_CLIENT && out->props.subscription_ids.n)
		return REASON_PROTOCOL_ERROR; /* [MQTT-3.3.4-6] */
	return REASON_SUCCESS;
}

/* Reason code and properties at the end of a packet. optional: either may be left out with all
 * behind it, and stands for success and no properties then. */
static enum reason decode_reason(struct input *in, bool optional, enum reason *reason,
				 struct props *props)
{
	*reason = REASON_SUCCESS;
	*props = props_none;
	if (in->version != MQTT_5 || cur_left(&in->c) == 0)
		return cur_done(&in->c) ? REASON_SUCCESS : REASON_MALFORMED_PACKET;
	const uint8_t code = cur_u8(&in->c);
	if (!reason_allowed(code, in->type, in->sender))
		return REASON_PROTOCOL_ERROR;
	*reason = (enum reason)code;
	if (optional && cur_left(&in->c) == 0)
		return REASON_SUCCESS;
	const enum reason r = props_decode(&in->c, in->type, in->arena, props);
	if (r)
		return r;
	return cur_done(&in->c) ? REASON_SUCCESS : REASON_MALFORMED_PACKET;
}

static enum reason decode_ack(struct input *in, struct packet *out)
{
	out->ack.packet_id = cur_u16(&in->c);
	const enum reason r = decode_reason(in, true, &out->ack.reason, &out->props);
	if (r)
		return r;
	return out->ack.packet_id ? REASON_SUCCESS : REASON_PROTOCOL_ERROR;
}

static enum reason subscription_options(const struct input *in, uint8_t options,
					struct packet_subscription *s)
{
	enum { QOS = 0x03, NO_LOCAL = 0x04, RETAIN_AS_PUBLISHED = 0x08, RESERVED = 0xc0 };
	if (in->version == MQTT_3_1)
		options &= QOS;
	s->qos = options & QOS;
	s->no_local = options & NO_LOCAL;
	s->retain_as_published = options & RETAIN_AS_PUBLISHED;
	s->retain_handling = options >> 4 & 3;
	if (in->version != MQTT_5) /* [3.1.1 MQTT-3.8.3-4] */
		return options < 3 ? REASON_SUCCESS : REASON_MALFORMED_PACKET;
	if (options & RESERVED)
		return REASON_MALFORMED_PACKET; /* [MQTT-3.8.3-5] */
	if (s->qos == 3 || s->retain_handling == 3)
		return REASON_PROTOCOL_ERROR; /* section 3.8.3.1 */
	if (s->no_local && topic_is_shared(s->filter))
		return REASON_PROTOCOL_ERROR; /* [MQTT-3.8.3-4] */
	return REASON_SUCCESS;
}

static enum reason decode_subscription(struct input *in, struct packet_subscription *out)
{
	out->filter = cur_str16(&in->c);
	const uint8_t options = cur_u8(&in->c);
	if (!cur_ok(&in->c))
		return REASON_MALFORMED_PACKET;
	const enum reason r = topic_filter_check(out->filter);
	return r ? r : subscription_options(in, options, out);
}

/* Packet identifier and properties of SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK. */
static enum reason decode_list_head(struct input *in, uint16_t *packet_id, struct props *props)
{
	*packet_id = cur_u16(&in->c);
	if (!cur_ok(&in->c))
		return REASON_MALFORMED_PACKET;
	const enum reason r = decode_props(in, in->type, props);
	if (r)
		return r;
	return *packet_id ? REASON_SUCCESS : REASON_PROTOCOL_ERROR; /* [MQTT-2.2.1-3] */
}

static enum reason decode_subscribe(struct input *in, struct packet *out)
{
	enum reason r = decode_list_head(in, &out->subscribe.packet_id, &out->props);
	struct packet_subscription *list = NULL;
	size_t n = 0;
	for (; !r && cur_left(&in->c); n++) {
		if (n == PACKET_FILTERS_MAX)
			return REASON_QUOTA_EXCEEDED;
		list = arena_list(in->arena, list, n, sizeof(*list));
		r = decode_subscription(in, &list[n]);
	}
	if (r)
		return r;
	out->subscribe.subscriptions = list;
	out->subscribe.n = n;
	return n ? REASON_SUCCESS : REASON_PROTOCOL_ERROR; /* [MQTT-3.8.3-2] */
}

static enum reason decode_unsubscribe(struct input *in, struct packet *out)
{
	enum reason r = decode_list_head(in, &out->unsubscribe.packet_id, &out->props);
	struct str *list = NULL;
	size_t n = 0;
	for (; !r && cur_left(&in->c); n++) {
		if (n == PACKET_FILTERS_MAX)
			return REASON_QUOTA_EXCEEDED;
		list = arena_list(in->arena, list, n, sizeof(*list));
		list[n] = cur_str16(&in->c);
		r = cur_ok(&in->c) ? topic_filter_check(list[n]) : REASON_MALFORMED_PACKET;
	}
	if (r)
		return r;
	out->unsubscribe.filters = list;
	out->unsubscribe.n = n;
	return n ? REASON_SUCCESS : REASON_PROTOCOL_ERROR; /* [MQTT-3.10.3-2] */
}

static bool suback_code_ok(const struct input *in, uint8_t code)
{
	if (in->version == MQTT_5)
		return reason_allowed(code, in->type, in->sender);
	return code <= REASON_GRANTED_QOS_2 || code == REASON_UNSPECIFIED_ERROR;
}

static enum reason decode_suback(struct input *in, struct packet *out)
{
	const enum reason r = decode_list_head(in, &out->suback.packet_id, &out->props);
	if (r)
		return r;
	const struct str codes = cur_bytes(&in->c, cur_left(&in->c));
	out->suback.codes = codes;
	if (in->type == PACKET_UNSUBACK && in->version != MQTT_5)
		return codes.n ? REASON_MALFORMED_PACKET : REASON_SUCCESS;
	for (size_t i = 0; i < codes.n; i++)
		if (!suback_code_ok(in, (uint8_t)codes.p[i]))
			return REASON_PROTOCOL_ERROR; /* [MQTT-3.9.3-2, 3.11.3-2] */
	return codes.n ? REASON_SUCCESS : REASON_PROTOCOL_ERROR;
}

static enum reason decode_ping(struct input *in, struct packet *out)
{
	out->props = props_none;
	return cur_done(&in->c) ? REASON_SUCCESS : REASON_MALFORMED_PACKET;
}

static enum reason decode_disconnect(struct input *in, struct packet *out)
{
	const enum reason r = decode_reason(in, true, &out->disconnect.reason, &out->props);
	if (r)
		return r;
	const enum property others =
		in->sender == SENDER_SERVER ? PROPERTY_SESSION_EXPIRY_INTERVAL /* [MQTT-3.14.2-2] */
					    : PROPERTY_SERVER_REFERENCE; /* section 3.14.2.2.5 */
	return props_has(&out->props, others) ? REASON_PROTOCOL_ERROR : REASON_SUCCESS;
}

static enum reason decode_auth(struct input *in, struct packet *out)
{
	return decode_reason(in, false, &out->auth.reason, &out->props);
}

enum { BY_CLIENT = 1 << SENDER_CLIENT, BY_SERVER = 1 << SENDER_SERVER, BY_BOTH = 3 };

struct kind {
	enum reason (*decode)(struct input *in, struct packet *out);
	uint8_t senders;
	uint8_t flags; /* required in the fixed header, for all but PUBLISH (section 2.1.3) */
};

static const struct kind kinds[16] = {
	[PACKET_CONNECT] = {decode_connect, BY_CLIENT, 0},
	[PACKET_CONNACK] = {decode_connack, BY_SERVER, 0},
	[PACKET_PUBLISH] = {decode_publish, BY_BOTH, 0},
	[PACKET_PUBACK] = {decode_ack, BY_BOTH, 0},
	[PACKET_PUBREC] = {decode_ack, BY_BOTH, 0},
	[PACKET_PUBREL] = {decode_ack, BY_BOTH, 2},
	[PACKET_PUBCOMP] = {decode_ack, BY_BOTH, 0},
	[PACKET_SUBSCRIBE] = {decode_subscribe, BY_CLIENT, 2},
	[PACKET_SUBACK] = {decode_suback, BY_SERVER, 0},
	[PACKET_UNSUBSCRIBE] = {decode_unsubscribe, BY_CLIENT, 2},
	[PACKET_UNSUBACK] = {decode_suback, BY_SERVER, 0},
	[PACKET_PINGREQ] = {decode_ping, BY_CLIENT, 0},
	[PACKET_PINGRESP] = {decode_ping, BY_SERVER, 0},
	[PACKET_DISCONNECT] = {decode_disconnect, BY_BOTH, 0},
	[PACKET_AUTH] = {decode_auth, BY_BOTH, 0},
};

/* Whether a packet of this type may come from this side at this time. */
static enum reason check_order(const struct input *in)
{
	if ((in->version == MQTT_UNKNOWN) != (in->type == PACKET_CONNECT))
		return REASON_PROTOCOL_ERROR; /* [MQTT-3.1.0-1, 3.1.0-2] */
	if (!(kinds[in->type].senders >> in->sender & 1))
		return REASON_PROTOCOL_ERROR;
	if (in->version == MQTT_5 || in->version == MQTT_UNKNOWN)
		return REASON_SUCCESS;
	if (in->type == PACKET_AUTH)
		return REASON_MALFORMED_PACKET; /* reserved: 3.1.1, section 2.2.1 */
	if (in->type == PACKET_DISCONNECT && in->sender == SENDER_SERVER)
		return REASON_PROTOCOL_ERROR;
	return REASON_SUCCESS;
}

/* What can be said only with the version, which a CONNECT brings itself. */
static enum reason check_header(const struct input *in, size_t header, size_t n)
{
	if (in->version == MQTT_3_1)
		return REASON_SUCCESS;
	if (in->type != PACKET_PUBLISH && in->flags != kinds[in->type].flags)
		return REASON_MALFORMED_PACKET; /* [MQTT-2.1.3-1, 3.1.1 MQTT-2.2.2-1] */
	if (in->version == MQTT_5 && header != 1 + varint_size((uint32_t)(n - header)))
		return REASON_MALFORMED_PACKET; /* [MQTT-1.5.5-1] */
	return REASON_SUCCESS;
}

enum reason packet_decode(enum mqtt_version version, enum sender sender, const void *p, size_t n,
			  struct arena *a, struct packet *out)
{
	const unsigned char *b = p;
	size_t header;
	size_t size;
	if (header_decode(b, n, &header, &size) || size != n)
		return REASON_MALFORMED_PACKET;
	struct input in = {
		.c = cur_make(b + header, n - header),
		.version = version,
		.sender = sender,
		.type = (enum packet_type)(b[0] >> 4),
		.flags = b[0] & 15,
		.arena = a,
	};
	if (!kinds[in.type].decode)
		return REASON_MALFORMED_PACKET;
	enum reason r = check_order(&in);
	if (!r && version != MQTT_UNKNOWN)
		r = check_header(&in, header, n);
	if (r)
		return r;
	out->type = in.type;
	r = kinds[in.type].decode(&in, out);
	if (!r && version == MQTT_UNKNOWN)
		r = check_header(&in, header, n);
	return r;
}
