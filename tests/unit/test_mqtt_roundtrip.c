/* SPDX-License-Identifier: Apache-2.0
 *
 * Random packets of every type, version and direction, from a fixed seed: encoded, framed and
 * decoded they say the same, and none is missed by the generator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/encode.h"
#include "daemon/mqtt/topic.h"

struct random {
	uint64_t state;
	struct arena arena; /* of what a packet points to */
};

static uint32_t number(struct random *r, uint32_t below)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)(r->state >> 32) % below;
}

static bool coin(struct random *r)
{
	return number(r, 2);
}

static uint16_t id16(struct random *r)
{
	return (uint16_t)(1 + number(r, 65535));
}

static struct str text(struct random *r, size_t min)
{
	static const char *const parts[] = {
		"a", "b/", "plant/line-1", "\xc3\xa4", "\xf0\x9f\x98\x80",
		"$", " ",  "x-y_z",        "/",        "\x7f"};
	char *p = arena_alloc(&r->arena, 256);
	size_t n = 0;
	const size_t want = min + number(r, 9);
	for (size_t i = 0; i < want; i++) {
		const struct str part = str_of(parts[number(r, ARRAY_LEN(parts))]);
		memcpy(p + n, part.p, part.n);
		n += part.n;
	}
	return str_make(p, n);
}

static struct str binary(struct random *r)
{
	const size_t n = number(r, 300);
	char *p = arena_alloc(&r->arena, n);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)number(r, 256);
	return str_make(p, n);
}

static struct str filter(struct random *r)
{
	static const char *const filters[] = {"#", "+", "a/+/b/#", "$share/g/a/#", "/", "a b"};
	return coin(r) ? str_of(filters[number(r, ARRAY_LEN(filters))]) : text(r, 1);
}

static uint32_t subscription_id(struct random *r)
{
	static const uint32_t edges[] = {1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455};
	return edges[number(r, ARRAY_LEN(edges))];
}

static void add_lists(struct random *r, enum packet_type type, enum sender sender, struct props *p)
{
	struct user_property *users = arena_alloc(&r->arena, 5 * sizeof(*users));
	uint32_t *ids = arena_alloc(&r->arena, 5 * sizeof(*ids));
	for (size_t i = 0; i < 5; i++) {
		users[i] = (struct user_property){text(r, 0), text(r, 0)};
		ids[i] = subscription_id(r);
	}
	p->user_properties = (struct user_properties){users, number(r, 6)};
	if (type == PACKET_SUBSCRIBE)
		p->subscription_ids = (struct subscription_ids){ids, number(r, 2)};
	if (type == PACKET_PUBLISH && sender == SENDER_SERVER)
		p->subscription_ids = (struct subscription_ids){ids, number(r, 6)};
}

#define MAY(name, member, value)                        \
	do {                                            \
		if (coin(r)) {                          \
			p->member = (value);            \
			props_mark(p, PROPERTY_##name); \
		}                                       \
	} while (0)

static void message_props(struct random *r, struct props *p)
{
	MAY(PAYLOAD_FORMAT_INDICATOR, payload_format_indicator, (uint8_t)number(r, 2));
	MAY(MESSAGE_EXPIRY_INTERVAL, message_expiry_interval, number(r, UINT32_MAX));
	MAY(CONTENT_TYPE, content_type, text(r, 0));
	MAY(RESPONSE_TOPIC, response_topic, text(r, 1));
	MAY(CORRELATION_DATA, correlation_data, binary(r));
}

static void connection_props(struct random *r, struct props *p)
{
	MAY(SESSION_EXPIRY_INTERVAL, session_expiry_interval, number(r, UINT32_MAX));
	MAY(RECEIVE_MAXIMUM, receive_maximum, id16(r));
	MAY(MAXIMUM_PACKET_SIZE, maximum_packet_size, 1 + number(r, UINT32_MAX - 1));
	MAY(TOPIC_ALIAS_MAXIMUM, topic_alias_maximum, (uint16_t)number(r, 65536));
}

static void connect_props(struct random *r, struct props *p)
{
	connection_props(r, p);
	MAY(REQUEST_PROBLEM_INFORMATION, request_problem_information, (uint8_t)number(r, 2));
	MAY(REQUEST_RESPONSE_INFORMATION, request_response_information, (uint8_t)number(r, 2));
	MAY(AUTHENTICATION_METHOD, authentication_method, text(r, 1));
	if (props_has(p, PROPERTY_AUTHENTICATION_METHOD))
		MAY(AUTHENTICATION_DATA, authentication_data, binary(r));
}

static void connack_props(struct random *r, struct props *p)
{
	connection_props(r, p);
	MAY(ASSIGNED_CLIENT_IDENTIFIER, assigned_client_identifier, text(r, 1));
	MAY(SERVER_KEEP_ALIVE, server_keep_alive, (uint16_t)number(r, 65536));
	MAY(AUTHENTICATION_METHOD, authentication_method, text(r, 1));
	MAY(AUTHENTICATION_DATA, authentication_data, binary(r));
	MAY(RESPONSE_INFORMATION, response_information, text(r, 0));
	MAY(SERVER_REFERENCE, server_reference, text(r, 1));
	MAY(REASON_STRING, reason_string, text(r, 0));
	MAY(MAXIMUM_QOS, maximum_qos, (uint8_t)number(r, 2));
	MAY(RETAIN_AVAILABLE, retain_available, (uint8_t)number(r, 2));
	MAY(WILDCARD_SUBSCRIPTION_AVAILABLE, wildcard_subscription_available,
	    (uint8_t)number(r, 2));
	MAY(SUBSCRIPTION_IDENTIFIER_AVAILABLE, subscription_identifier_available,
	    (uint8_t)number(r, 2));
	MAY(SHARED_SUBSCRIPTION_AVAILABLE, shared_subscription_available, (uint8_t)number(r, 2));
}

static void end_props(struct random *r, enum packet_type type, enum sender sender, struct props *p)
{
	MAY(REASON_STRING, reason_string, text(r, 0));
	if (type == PACKET_AUTH) {
		MAY(AUTHENTICATION_METHOD, authentication_method, text(r, 1));
		MAY(AUTHENTICATION_DATA, authentication_data, binary(r));
	} else if (type == PACKET_DISCONNECT && sender == SENDER_CLIENT) {
		MAY(SESSION_EXPIRY_INTERVAL, session_expiry_interval, number(r, UINT32_MAX));
	} else if (type == PACKET_DISCONNECT) {
		MAY(SERVER_REFERENCE, server_reference, text(r, 1));
	}
}

static void make_props(struct random *r, enum packet_type type, enum sender sender, struct props *p)
{
	*p = props_none;
	switch (type) {
	case PACKET_CONNECT:
		connect_props(r, p);
		break;
	case PACKET_CONNACK:
		connack_props(r, p);
		break;
	case PACKET_PUBLISH:
		message_props(r, p);
		MAY(TOPIC_ALIAS, topic_alias, id16(r));
		break;
	case PACKET_SUBSCRIBE:
	case PACKET_UNSUBSCRIBE:
		break;
	case PACKET_PINGREQ:
	case PACKET_PINGRESP:
		return;
	default:
		end_props(r, type, sender, p);
	}
	add_lists(r, type, sender, p);
}

static void make_connect(struct random *r, enum mqtt_version version, struct packet_connect *c)
{
	*c = (struct packet_connect){
		.version = version,
		.clean_start = coin(r),
		.keep_alive = (uint16_t)number(r, 65536),
		.has_will = coin(r),
		.has_user_name = coin(r),
	};
	const bool may_be_empty = version == MQTT_5 || (version == MQTT_3_1_1 && c->clean_start);
	c->client_id = text(r, may_be_empty ? 0 : 1);
	c->has_password = coin(r) && (c->has_user_name || version == MQTT_5);
	if (c->has_user_name)
		c->user_name = text(r, 0);
	if (c->has_password)
		c->password = binary(r);
	if (!c->has_will)
		return;
	c->will.topic = text(r, 1);
	c->will.payload = binary(r);
	c->will.qos = (uint8_t)number(r, 3);
	c->will.retain = coin(r);
	struct props *p = &c->will.props;
	*p = props_none;
	if (version == MQTT_5) {
		message_props(r, p);
		MAY(WILL_DELAY_INTERVAL, will_delay_interval, number(r, UINT32_MAX));
		add_lists(r, PACKET_CONNECT, SENDER_CLIENT, p);
	}
}

static enum reason code_for(struct random *r, enum packet_type type, enum sender sender)
{
	for (;;) {
		const uint32_t code = number(r, 256);
		if (reason_allowed(code, type, sender))
			return (enum reason)code;
	}
}

static void make_publish(struct random *r, enum mqtt_version version, struct packet *p)
{
	const bool alias = version == MQTT_5 && p->props.topic_alias;
	p->publish = (struct packet_publish){
		.topic = text(r, alias ? 0 : 1),
		.payload = binary(r),
		.qos = (uint8_t)number(r, 3),
		.retain = coin(r),
	};
	if (p->publish.qos) {
		p->publish.packet_id = id16(r);
		p->publish.dup = coin(r);
	}
}

static void make_subscribe(struct random *r, enum mqtt_version version, struct packet_subscribe *p)
{
	const size_t n = 1 + number(r, 9);
	struct packet_subscription *list = arena_alloc(&r->arena, n * sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		list[i] = (struct packet_subscription){filter(r), (uint8_t)number(r, 3), 0, 0, 0};
		if (version != MQTT_5)
			continue;
		list[i].retain_handling = (uint8_t)number(r, 3);
		list[i].retain_as_published = coin(r);
		list[i].no_local = coin(r) && !topic_is_shared(list[i].filter);
	}
	*p = (struct packet_subscribe){id16(r), list, n};
}

static void make_unsubscribe(struct random *r, struct packet_unsubscribe *p)
{
	const size_t n = 1 + number(r, 9);
	struct str *list = arena_alloc(&r->arena, n * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = filter(r);
	*p = (struct packet_unsubscribe){id16(r), list, n};
}

static void make_suback(struct random *r, enum mqtt_version version, struct packet *p)
{
	const size_t n = 1 + number(r, 9);
	char *codes = arena_alloc(&r->arena, n);
	for (size_t i = 0; i < n; i++)
		codes[i] = version == MQTT_5 ? (char)code_for(r, p->type, SENDER_SERVER)
					     : "\0\1\2\x80"[number(r, 4)];
	p->suback = (struct packet_suback){id16(r), str_make(codes, n)};
	if (p->type == PACKET_UNSUBACK && version != MQTT_5)
		p->suback.codes.n = 0;
}

static void make_connack(struct random *r, enum mqtt_version version, struct packet_connack *p)
{
	if (version == MQTT_5)
		p->reason = code_for(r, PACKET_CONNACK, SENDER_SERVER);
	else
		(void)reason_from_connack_v3((uint8_t)number(r, 6), &p->reason);
	p->session_present = p->reason == REASON_SUCCESS && version != MQTT_3_1 && coin(r);
}

static void make_packet(struct random *r, enum mqtt_version version, enum sender sender,
			struct packet *p)
{
	make_props(r, p->type, sender, &p->props);
	if (version != MQTT_5)
		p->props = props_none;
	switch (p->type) {
	case PACKET_CONNECT:
		make_connect(r, version, &p->connect);
		break;
	case PACKET_CONNACK:
		make_connack(r, version, &p->connack);
		break;
	case PACKET_PUBLISH:
		make_publish(r, version, p);
		break;
	case PACKET_SUBSCRIBE:
		make_subscribe(r, version, &p->subscribe);
		break;
	case PACKET_UNSUBSCRIBE:
		make_unsubscribe(r, &p->unsubscribe);
		break;
	case PACKET_SUBACK:
	case PACKET_UNSUBACK:
		make_suback(r, version, p);
		break;
	case PACKET_DISCONNECT:
	case PACKET_AUTH:
		p->disconnect.reason =
			version == MQTT_5 ? code_for(r, p->type, sender) : REASON_SUCCESS;
		break;
	default:
		p->ack = (struct packet_ack){id16(r), REASON_SUCCESS};
		if (version == MQTT_5 && p->type <= PACKET_PUBCOMP)
			p->ack.reason = code_for(r, p->type, sender);
	}
}

static bool exists(enum packet_type type, enum mqtt_version version, enum sender sender)
{
	switch (type) {
	case PACKET_CONNECT:
	case PACKET_SUBSCRIBE:
	case PACKET_UNSUBSCRIBE:
	case PACKET_PINGREQ:
		return sender == SENDER_CLIENT;
	case PACKET_CONNACK:
	case PACKET_SUBACK:
	case PACKET_UNSUBACK:
	case PACKET_PINGRESP:
		return sender == SENDER_SERVER;
	case PACKET_DISCONNECT:
		return sender == SENDER_CLIENT || version == MQTT_5;
	case PACKET_AUTH:
		return version == MQTT_5;
	default:
		return true;
	}
}

static void round_trip(struct random *r, enum packet_type type, enum mqtt_version version,
		       enum sender sender)
{
	struct packet p = {.type = type};
	make_packet(r, version, sender, &p);
	const size_t size = packet_size(version, &p);
	unsigned char *bytes = arena_alloc(&r->arena, size);
	struct out o = out_make(bytes, size);
	assert_true(packet_encode(version, &p, &o));
	assert_ptr_equal(o.p, bytes + size);
	size_t framed = 0;
	assert_int_equal(packet_frame(bytes, size, size, &framed), 0);
	assert_int_equal(framed, size);
	struct packet again;
	const enum reason reason = packet_decode(type == PACKET_CONNECT ? MQTT_UNKNOWN : version,
						 sender, bytes, size, &r->arena, &again);
	if (reason)
		fail_msg("%s version %d: %s", packet_name(type), version, reason_text(reason));
	if (!packet_equal(&p, &again))
		fail_msg("%s version %d: says something else", packet_name(type), version);
	/* an equal packet is one that differs in nothing: change a byte of the payload */
	if (type == PACKET_PUBLISH && p.publish.payload.n) {
		bytes[size - 1] ^= 1;
		assert_false(packet_equal(&p, &again));
	}
}

static void test_all(void **state)
{
	(void)state;
	static const enum mqtt_version versions[] = {MQTT_3_1, MQTT_3_1_1, MQTT_5};
	struct random r = {.state = 0x9e3779b97f4a7c15u};
	size_t kinds = 0;
	for (unsigned type = PACKET_CONNECT; type <= PACKET_AUTH; type++) {
		for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
			for (unsigned s = SENDER_CLIENT; s <= SENDER_SERVER; s++) {
				if (!exists((enum packet_type)type, versions[v], (enum sender)s))
					continue;
				kinds++;
				for (int i = 0; i < 300; i++) {
					round_trip(&r, (enum packet_type)type, versions[v],
						   (enum sender)s);
					arena_reset(&r.arena);
				}
			}
		}
	}
	assert_int_equal(kinds, 8 * 3 + 5 * 6 + 4 + 2);
	arena_fini(&r.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
