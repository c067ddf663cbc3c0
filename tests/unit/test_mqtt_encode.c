/* SPDX-License-Identifier: Apache-2.0
 *
 * The MQTT encoder where it is more than the reverse of the decoder: what cannot be sent, what is
 * left out for a peer that takes little, older versions, and PUBLISH for many receivers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "daemon/mqtt/encode.h"
#include "tests/unit/mqtt_vector.h"

#define BIT(name) ((uint64_t)1 << PROPERTY_##name)

static const struct user_property users[] = {{STR("k"), STR("v")}};

static void assert_encodes(enum mqtt_version version, const struct packet *p, const char *vector)
{
	unsigned char want[512];
	unsigned char have[512];
	const size_t n = vector_bytes(vector, want, sizeof(want));
	struct out o = out_make(have, sizeof(have));
	assert_int_equal(packet_size(version, p), n);
	assert_true(packet_encode(version, p, &o));
	assert_int_equal(o.need, n);
	assert_memory_equal(want, have, n);
}

static void test_no_room(void **state)
{
	(void)state;
	const struct packet p = {.type = PACKET_PUBREL, .ack = {.packet_id = 1}};
	unsigned char b[4] = {0};
	struct out o = out_make(b, 3);
	assert_false(packet_encode(MQTT_3_1_1, &p, &o));
	assert_int_equal(b[0], 0);
	o = out_make(b, 4);
	assert_true(packet_encode(MQTT_3_1_1, &p, &o));
	assert_memory_equal(b, "\x62\x02\x00\x01", 4);
}

static void assert_cannot(enum mqtt_version version, const struct packet *p)
{
	unsigned char b[64];
	struct out o = out_make(b, sizeof(b));
	assert_int_equal(packet_size(version, p), 0);
	assert_false(packet_encode(version, p, &o));
	assert_ptr_equal(o.p, b);
	struct packet copy = *p;
	assert_int_equal(packet_fit(version, &copy, SIZE_MAX), 0);
}

static void test_cannot_be_sent(void **state)
{
	(void)state;
	static char big[PACKET_STRING_MAX + 1];
	struct packet p = {.type = PACKET_PUBLISH,
			   .publish = {.topic = str_make(big, sizeof(big))}};
	assert_cannot(MQTT_5, &p);
	p.publish.topic.n--;
	assert_int_equal(packet_size(MQTT_3_1_1, &p), 1 + 3 + 2 + PACKET_STRING_MAX);
	p.publish.payload = str_make(big, PACKET_REMAINING_MAX); /* counted, not read */
	assert_cannot(MQTT_3_1_1, &p);
	p.publish.payload.n = PACKET_REMAINING_MAX - 2 - PACKET_STRING_MAX;
	assert_int_equal(packet_size(MQTT_3_1_1, &p), PACKET_SIZE_MAX);
	p.publish.payload.n++;
	assert_int_equal(packet_size(MQTT_3_1_1, &p), 0);

	/* Properties that are too long together, in a packet and as a message's own. */
	enum { MANY = 2049 };
	struct user_property *list = mem_array(struct user_property, MANY);
	for (size_t i = 0; i < MANY; i++)
		list[i].name = list[i].value = str_make(big, PACKET_STRING_MAX);
	p = (struct packet){.type = PACKET_PUBACK, .props.user_properties = {list, MANY}};
	assert_int_equal(packet_size(MQTT_5, &p), 0);
	assert_int_equal(packet_fit(MQTT_5, &p, 100), 4);
	free(list);

	const struct packet auth = {.type = PACKET_AUTH};
	assert_cannot(MQTT_3_1_1, &auth);
	const struct packet connack = {.type = PACKET_CONNACK,
				       .connack = {.reason = REASON_MALFORMED_PACKET}};
	assert_cannot(MQTT_3_1_1, &connack);
	const struct packet lone_password = {
		.type = PACKET_CONNECT,
		.connect = {.version = MQTT_3_1_1, .client_id = STR("d"), .has_password = true},
	};
	assert_cannot(MQTT_3_1_1, &lone_password);
}

/* What MQTT 5 has and the older versions have not stays out of their packets. */
static void test_older_versions(void **state)
{
	(void)state;
	struct packet p = {
		.type = PACKET_PUBACK,
		.props = {.present = BIT(REASON_STRING),
			  .reason_string = STR("no"),
			  .user_properties = {users, 1}},
		.ack = {7, REASON_NOT_AUTHORIZED},
	};
	assert_encodes(MQTT_3_1_1, &p, "40 { 0007 }");
	p.type = PACKET_DISCONNECT;
	p.disconnect.reason = REASON_SERVER_SHUTTING_DOWN;
	assert_encodes(MQTT_3_1, &p, "e0 00");
	p.type = PACKET_CONNACK;
	p.connack = (struct packet_connack){.session_present = true, .reason = REASON_SUCCESS};
	assert_encodes(MQTT_3_1, &p, "20 { 00 00 }");
	p.connack = (struct packet_connack){.reason = REASON_SERVER_BUSY};
	assert_encodes(MQTT_3_1_1, &p, "20 { 00 03 }");
	p.type = PACKET_SUBACK;
	p.suback = (struct packet_suback){7, STR("\x01\x87\x8f\x02")};
	assert_encodes(MQTT_3_1_1, &p, "90 { 0007 01 80 80 02 }"); /* [3.1.1 MQTT-3.9.3-2] */
	p.type = PACKET_UNSUBACK;
	assert_encodes(MQTT_3_1_1, &p, "b0 { 0007 }");
	const struct packet_subscription s = {STR("a"), 1, 2, true, true};
	p.type = PACKET_SUBSCRIBE;
	p.subscribe = (struct packet_subscribe){7, &s, 1};
	assert_encodes(MQTT_3_1_1, &p, "82 { 0007 <a> 01 }");
}

static void test_ack(void **state)
{
	(void)state;
	unsigned char b[2 * ACK_SIZE];
	struct out o = out_make(b, sizeof(b));
	ack_encode(PACKET_PUBREL, 0x1234, &o);
	ack_encode(PACKET_PUBCOMP, 1, &o);
	assert_true(out_ok(&o));
	assert_memory_equal(b, "\x62\x02\x12\x34\x70\x02\x00\x01", sizeof(b));
	ack_encode(PACKET_PUBACK, 1, &o);
	assert_false(out_ok(&o));
}

/* [MQTT-3.4.2-2, 3.4.2-3] and their like: user properties go first, then the reason string. */
static void test_fit(void **state)
{
	(void)state;
	const struct packet whole = {
		.type = PACKET_PUBACK,
		.props = {.present = BIT(REASON_STRING),
			  .reason_string = STR("no"),
			  .user_properties = {users, 1}},
		.ack = {7, REASON_NOT_AUTHORIZED},
	};
	struct packet p = whole;
	assert_int_equal(packet_fit(MQTT_5, &p, 18), 18);
	assert_encodes(MQTT_5, &p, "40 { 0007 87 { 1f <no> 26 <k> <v> } }");
	assert_int_equal(packet_fit(MQTT_5, &p, 17), 11);
	assert_encodes(MQTT_5, &p, "40 { 0007 87 { 1f <no> } }");
	p = whole;
	assert_int_equal(packet_fit(MQTT_5, &p, 10), 5);
	assert_encodes(MQTT_5, &p, "40 { 0007 87 }");
	p = whole;
	assert_int_equal(packet_fit(MQTT_5, &p, 4), 0);

	/* A PUBLISH keeps its user properties or is not sent [MQTT-3.3.2-17]. */
	struct packet publish = {
		.type = PACKET_PUBLISH,
		.props = {.user_properties = {users, 1}},
		.publish = {.topic = STR("t")},
	};
	assert_int_equal(packet_fit(MQTT_5, &publish, 13), 13);
	assert_int_equal(packet_fit(MQTT_5, &publish, 12), 0);
	assert_int_equal(publish.props.user_properties.n, 1);

	/* Even a string that is too long for a string goes. */
	static char big[PACKET_STRING_MAX + 1];
	p = whole;
	p.props.reason_string = str_make(big, sizeof(big));
	assert_int_equal(packet_fit(MQTT_5, &p, SIZE_MAX), 5);
}

/* [MQTT-3.1.2-29] */
static void test_problem_information(void **state)
{
	(void)state;
	for (unsigned type = PACKET_CONNECT; type <= PACKET_AUTH; type++) {
		struct packet p = {
			.type = (enum packet_type)type,
			.props = {.present = BIT(REASON_STRING),
				  .reason_string = STR("no"),
				  .user_properties = {users, 1}},
		};
		packet_drop_problem_information(&p);
		const bool kept = type == PACKET_CONNECT || type == PACKET_CONNACK ||
				  type == PACKET_PUBLISH || type == PACKET_SUBSCRIBE ||
				  type == PACKET_UNSUBSCRIBE || type == PACKET_PINGREQ ||
				  type == PACKET_PINGRESP || type == PACKET_DISCONNECT;
		assert_int_equal(props_has(&p.props, PROPERTY_REASON_STRING), kept);
		assert_int_equal(p.props.user_properties.n, kept);
		assert_int_equal(p.props.reason_string.n, kept ? 2 : 0);
	}
}

static const uint32_t ids[] = {5, 128};

struct forward {
	struct publish_receiver receiver;
	const char *bytes;
};

/* The message: topic a/b, content type t, user property k = v, payload xyz. */
static const struct forward forwards[] = {
	{{.version = MQTT_3_1_1}, "30 { <a/b> 'xyz' }"},
	{{.version = MQTT_3_1, .qos = 2, .packet_id = 0x1234, .dup = true, .retain = true},
	 "3d { <a/b> 1234 'xyz' }"},
	{{.version = MQTT_3_1_1,
	  .has_message_expiry = true,
	  .message_expiry = 5,
	  .topic_alias = 7,
	  .topic_omitted = true,
	  .ids = {ids, 2}},
	 "30 { <a/b> 'xyz' }"},
	{{.version = MQTT_5}, "30 { <a/b> { 03 <t> 26 <k> <v> } 'xyz' }"},
	{{.version = MQTT_5,
	  .qos = 1,
	  .packet_id = 1,
	  .has_message_expiry = true,
	  .message_expiry = 16,
	  .topic_alias = 7,
	  .ids = {ids, 2}},
	 "32 { <a/b> 0001 { 02 00000010 0b 05 0b 8001 23 0007 03 <t> 26 <k> <v> } 'xyz' }"},
	{{.version = MQTT_5, .topic_alias = 7, .topic_omitted = true},
	 "30 { <> { 23 0007 03 <t> 26 <k> <v> } 'xyz' }"},
	{{.version = MQTT_5, .has_message_expiry = true}, /* expired to 0: still said */
	 "30 { <a/b> { 02 00000000 03 <t> 26 <k> <v> } 'xyz' }"},
};

static const struct props message_props = {
	.present = BIT(CONTENT_TYPE) | BIT(MESSAGE_EXPIRY_INTERVAL) | BIT(TOPIC_ALIAS),
	.content_type = STR("t"),
	.message_expiry_interval = 99,
	.topic_alias = 3,
	.user_properties = {users, 1},
	.subscription_ids = {ids, 2},
};

static struct publish_shared shared_of(char *block, size_t n)
{
	struct out o = out_make(block, n);
	const size_t size = publish_shared_size(&message_props);
	publish_shared_encode(&message_props, &o);
	assert_int_equal(o.need, size);
	out_bytes(&o, "xyz", 3);
	assert_true(out_ok(&o));
	return (struct publish_shared){
		.topic = STR("a/b"),
		.properties = str_make(block, size),
		.payload = str_make(block + size, 3),
	};
}

static void test_publish(void **state)
{
	(void)state;
	char block[64];
	const struct publish_shared m = shared_of(block, sizeof(block));
	for (size_t i = 0; i < ARRAY_LEN(forwards); i++) {
		const struct publish_receiver *r = &forwards[i].receiver;
		unsigned char want[256];
		const size_t n = vector_bytes(forwards[i].bytes, want, sizeof(want));
		unsigned char have[256];
		struct out o = out_make(have, sizeof(have));
		assert_int_equal(publish_size(&m, r), n);
		assert_true(publish_encode(&m, r, &o));
		assert_int_equal(o.need, n);
		assert_memory_equal(have, want, n);
		/* head and tail apart */
		const struct str tail = publish_tail(&m, r->version);
		o = out_make(have, publish_head_size(&m, r));
		assert_true(publish_head_encode(&m, r, &o));
		assert_int_equal(o.need + tail.n, n);
		assert_memory_equal(have, want, o.need);
		assert_memory_equal(tail.p, want + o.need, tail.n);
		o = out_make(have, publish_head_size(&m, r) - 1);
		assert_false(publish_head_encode(&m, r, &o));
		o = out_make(have, n - 1);
		assert_false(publish_encode(&m, r, &o));
	}
}

static void test_publish_plain(void **state)
{
	(void)state;
	const struct publish_shared m = {.topic = STR("a"), .payload = STR("xyz")};
	const struct publish_receiver r = {.version = MQTT_5};
	unsigned char b[64];
	unsigned char want[64];
	struct out o = out_make(b, sizeof(b));
	assert_int_equal(publish_shared_size(&props_none), 0);
	assert_true(publish_encode(&m, &r, &o));
	assert_int_equal(o.need, vector_bytes("30 { <a> {} 'xyz' }", want, sizeof(want)));
	assert_memory_equal(b, want, o.need);
}

static void test_publish_patch(void **state)
{
	(void)state;
	char block[64];
	const struct publish_shared m = shared_of(block, sizeof(block));
	struct publish_receiver r = {.version = MQTT_5, .qos = 1, .packet_id = 1, .ids = {ids, 2}};
	unsigned char first[128];
	unsigned char second[128];
	struct out o = out_make(first, sizeof(first));
	assert_true(publish_encode(&m, &r, &o));
	const size_t n = o.need;
	publish_patch(first, publish_packet_id_at(&m, &r), 0xabcd, true);
	r.packet_id = 0xabcd;
	r.dup = true;
	o = out_make(second, sizeof(second));
	assert_true(publish_encode(&m, &r, &o));
	assert_memory_equal(first, second, n);
	publish_patch(first, publish_packet_id_at(&m, &r), 1, false);
	assert_int_equal(first[0], 0x32);
}

static void test_publish_too_large(void **state)
{
	(void)state;
	static char big[PACKET_STRING_MAX + 1];
	struct publish_shared m = {.topic = str_make(big, sizeof(big))};
	const struct publish_receiver r = {.version = MQTT_5, .qos = 1};
	assert_int_equal(publish_size(&m, &r), 0);
	assert_int_equal(publish_head_size(&m, &r), 0);
	m.topic.n = 1;
	m.payload = str_make(big, PACKET_REMAINING_MAX - 6);
	assert_int_equal(publish_size(&m, &r), PACKET_SIZE_MAX);
	m.payload.n++;
	assert_int_equal(publish_size(&m, &r), 0);
	unsigned char b[64];
	struct out o = out_make(b, sizeof(b));
	assert_false(publish_head_encode(&m, &r, &o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_cannot_be_sent),
		cmocka_unit_test(test_older_versions),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_problem_information),
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_publish_plain),
		cmocka_unit_test(test_publish_patch),
		cmocka_unit_test(test_publish_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
