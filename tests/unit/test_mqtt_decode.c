/* SPDX-License-Identifier: Apache-2.0
 *
 * The MQTT codec by vectors: for each packet type and version the bytes and what they say, both
 * ways; other forms of the same; and what is refused, each with the statement that refuses it and
 * the reason code that it is answered with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/err.h"
#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/encode.h"
#include "tests/unit/mqtt_vector.h"

#define C         SENDER_CLIENT
#define S         SENDER_SERVER
#define BIT(name) ((uint64_t)1 << PROPERTY_##name)

static const struct user_property one_user[] = {{STR("k"), STR("v")}};
static const struct user_property two_users[] = {{STR("k"), STR("v")}, {STR("k"), STR("")}};
static const uint32_t one_id[] = {16383};
static const uint32_t two_ids[] = {1, 268435455};
static const struct packet_subscription plain_list[] = {
	{.filter = STR("a/#"), .qos = 1},
	{.filter = STR("+/b")},
};
static const struct packet_subscription options_list[] = {
	{.filter = STR("$share/g/a/#"),
	 .qos = 1,
	 .retain_handling = 2,
	 .retain_as_published = true},
	{.filter = STR("b"), .qos = 2, .retain_handling = 1, .no_local = true},
};
static const struct str filters[] = {STR("a/#"), STR("$share/g/+")};

struct good {
	enum mqtt_version version; /* 0 for CONNECT */
	enum sender sender;
	const char *bytes;
	struct packet packet;
};

#define ONE_USER .user_properties = {one_user, 1}

static const struct good good[] = {
	/* CONNECT */
	{0,
	 C,
	 "10 { <MQIsdp> 03 02 000a <dev> }",
	 {.type = PACKET_CONNECT,
	  .connect = {.version = MQTT_3_1,
		      .clean_start = true,
		      .keep_alive = 10,
		      .client_id = STR("dev")}}},
	{0,
	 C,
	 "10 { <MQTT> 04 00 0000 <dev> }",
	 {.type = PACKET_CONNECT, .connect = {.version = MQTT_3_1_1, .client_id = STR("dev")}}},
	{0,
	 C,
	 "10 { <MQTT> 04 f6 ffff <> <w> <bye> <u> <p> }",
	 {.type = PACKET_CONNECT,
	  .connect =
		  {.version = MQTT_3_1_1,
		   .clean_start = true,
		   .keep_alive = 65535,
		   .client_id = STR(""),
		   .has_user_name = true,
		   .user_name = STR("u"),
		   .has_password = true,
		   .password = STR("p"),
		   .has_will = true,
		   .will = {.topic = STR("w"), .payload = STR("bye"), .qos = 2, .retain = true}}}},
	{0,
	 C,
	 "10 { <MQTT> 05 40 0001 {} <> <p> }", /* password without user name is for 5 */
	 {.type = PACKET_CONNECT,
	  .connect = {.version = MQTT_5,
		      .keep_alive = 1,
		      .client_id = STR(""),
		      .has_password = true,
		      .password = STR("p")}}},
	{0,
	 C,
	 "10 { <MQTT> 05 0c 0000 { 11 0000000a 15 <M> 16 <d> 17 00 19 01 21 0014 22 0005 26 <k> <v>"
	 " 27 00001000 } <dev> { 01 01 02 00000010 03 <t> 08 <r> 09 <c> 18 00000005 26 <k> <v>"
	 " 26 <k> <> } <w> <> }",
	 {.type = PACKET_CONNECT,
	  .props = {.present = BIT(SESSION_EXPIRY_INTERVAL) | BIT(AUTHENTICATION_METHOD) |
			       BIT(AUTHENTICATION_DATA) | BIT(REQUEST_PROBLEM_INFORMATION) |
			       BIT(REQUEST_RESPONSE_INFORMATION) | BIT(RECEIVE_MAXIMUM) |
			       BIT(TOPIC_ALIAS_MAXIMUM) | BIT(MAXIMUM_PACKET_SIZE),
		    .session_expiry_interval = 10,
		    .authentication_method = STR("M"),
		    .authentication_data = STR("d"),
		    .request_response_information = 1,
		    .receive_maximum = 20,
		    .topic_alias_maximum = 5,
		    .maximum_packet_size = 4096,
		    ONE_USER},
	  .connect = {.version = MQTT_5,
		      .client_id = STR("dev"),
		      .has_will = true,
		      .will = {.topic = STR("w"),
			       .payload = STR(""),
			       .qos = 1,
			       .props = {.present = BIT(PAYLOAD_FORMAT_INDICATOR) |
						    BIT(MESSAGE_EXPIRY_INTERVAL) |
						    BIT(CONTENT_TYPE) | BIT(RESPONSE_TOPIC) |
						    BIT(CORRELATION_DATA) |
						    BIT(WILL_DELAY_INTERVAL),
					 .payload_format_indicator = 1,
					 .message_expiry_interval = 16,
					 .content_type = STR("t"),
					 .response_topic = STR("r"),
					 .correlation_data = STR("c"),
					 .will_delay_interval = 5,
					 .user_properties = {two_users, 2}}}}}},
	/* CONNACK */
	{MQTT_3_1,
	 S,
	 "20 02 00 05",
	 {.type = PACKET_CONNACK, .connack = {.reason = REASON_NOT_AUTHORIZED}}},
	{MQTT_3_1_1,
	 S,
	 "20 02 01 00",
	 {.type = PACKET_CONNACK, .connack = {.session_present = true}}},
	{MQTT_3_1_1,
	 S,
	 "20 02 00 01",
	 {.type = PACKET_CONNACK, .connack = {.reason = REASON_UNSUPPORTED_PROTOCOL_VERSION}}},
	{MQTT_5,
	 S,
	 "20 { 00 87 {} }",
	 {.type = PACKET_CONNACK, .connack = {.reason = REASON_NOT_AUTHORIZED}}},
	{MQTT_5,
	 S,
	 "20 { 01 00 { 11 00000001 12 <id> 13 003c 15 <m> 16 <d> 1a <ri> 1c <sr> 1f <rs> 21 0001"
	 " 22 0002 24 01 25 00 26 <k> <v> 27 00000100 28 00 29 00 2a 00 } }",
	 {.type = PACKET_CONNACK,
	  .props = {.present = BIT(SESSION_EXPIRY_INTERVAL) | BIT(ASSIGNED_CLIENT_IDENTIFIER) |
			       BIT(SERVER_KEEP_ALIVE) | BIT(AUTHENTICATION_METHOD) |
			       BIT(AUTHENTICATION_DATA) | BIT(RESPONSE_INFORMATION) |
			       BIT(SERVER_REFERENCE) | BIT(REASON_STRING) | BIT(RECEIVE_MAXIMUM) |
			       BIT(TOPIC_ALIAS_MAXIMUM) | BIT(MAXIMUM_QOS) | BIT(RETAIN_AVAILABLE) |
			       BIT(MAXIMUM_PACKET_SIZE) | BIT(WILDCARD_SUBSCRIPTION_AVAILABLE) |
			       BIT(SUBSCRIPTION_IDENTIFIER_AVAILABLE) |
			       BIT(SHARED_SUBSCRIPTION_AVAILABLE),
		    .session_expiry_interval = 1,
		    .assigned_client_identifier = STR("id"),
		    .server_keep_alive = 60,
		    .authentication_method = STR("m"),
		    .authentication_data = STR("d"),
		    .response_information = STR("ri"),
		    .server_reference = STR("sr"),
		    .reason_string = STR("rs"),
		    .receive_maximum = 1,
		    .topic_alias_maximum = 2,
		    .maximum_qos = 1,
		    .maximum_packet_size = 256,
		    ONE_USER},
	  .connack = {.session_present = true}}},
	/* PUBLISH */
	{MQTT_3_1_1,
	 C,
	 "30 { <a/b> 'x' }",
	 {.type = PACKET_PUBLISH, .publish = {.topic = STR("a/b"), .payload = STR("x")}}},
	{MQTT_3_1,
	 S,
	 "3d { <a/b> ffff }",
	 {.type = PACKET_PUBLISH,
	  .publish = {.topic = STR("a/b"),
		      .payload = STR(""),
		      .packet_id = 65535,
		      .qos = 2,
		      .retain = true,
		      .dup = true}}},
	{MQTT_5,
	 C,
	 "33 { <a/b> 0001 {} 'x' }",
	 {.type = PACKET_PUBLISH,
	  .publish = {.topic = STR("a/b"),
		      .payload = STR("x"),
		      .packet_id = 1,
		      .qos = 1,
		      .retain = true}}},
	{MQTT_5,
	 C,
	 "30 { <> { 01 01 02 00000e10 03 <t> 08 <r> 09 <c> 23 ffff 26 <k> <v> } 'x' }",
	 {.type = PACKET_PUBLISH,
	  .props = {.present = BIT(PAYLOAD_FORMAT_INDICATOR) | BIT(MESSAGE_EXPIRY_INTERVAL) |
			       BIT(CONTENT_TYPE) | BIT(RESPONSE_TOPIC) | BIT(CORRELATION_DATA) |
			       BIT(TOPIC_ALIAS),
		    .payload_format_indicator = 1,
		    .message_expiry_interval = 3600,
		    .content_type = STR("t"),
		    .response_topic = STR("r"),
		    .correlation_data = STR("c"),
		    .topic_alias = 65535,
		    ONE_USER},
	  .publish = {.topic = STR(""), .payload = STR("x")}}},
	{MQTT_5,
	 S,
	 "32 { <t> 0005 { 0b 01 0b ffffff7f } 'x' }",
	 {.type = PACKET_PUBLISH,
	  .props = {.subscription_ids = {two_ids, 2}},
	  .publish = {.topic = STR("t"), .payload = STR("x"), .packet_id = 5, .qos = 1}}},
	/* PUBACK, PUBREC, PUBREL, PUBCOMP */
	{MQTT_3_1_1, C, "40 02 0001", {.type = PACKET_PUBACK, .ack = {.packet_id = 1}}},
	{MQTT_5, S, "40 02 0001", {.type = PACKET_PUBACK, .ack = {.packet_id = 1}}},
	{MQTT_5,
	 S,
	 "40 03 0001 10",
	 {.type = PACKET_PUBACK, .ack = {1, REASON_NO_MATCHING_SUBSCRIBERS}}},
	{MQTT_5,
	 C,
	 "50 { 0002 87 { 1f <no> 26 <k> <v> } }",
	 {.type = PACKET_PUBREC,
	  .props = {.present = BIT(REASON_STRING), .reason_string = STR("no"), ONE_USER},
	  .ack = {2, REASON_NOT_AUTHORIZED}}},
	{MQTT_3_1, C, "62 02 0001", {.type = PACKET_PUBREL, .ack = {.packet_id = 1}}},
	{MQTT_5,
	 C,
	 "62 03 0001 92",
	 {.type = PACKET_PUBREL, .ack = {1, REASON_PACKET_IDENTIFIER_NOT_FOUND}}},
	{MQTT_5,
	 S,
	 "70 { 0001 00 { 26 <k> <v> } }",
	 {.type = PACKET_PUBCOMP, .props = {ONE_USER}, .ack = {.packet_id = 1}}},
	/* SUBSCRIBE, SUBACK */
	{MQTT_3_1_1,
	 C,
	 "82 { 0001 <a/#> 01 <+/b> 00 }",
	 {.type = PACKET_SUBSCRIBE, .subscribe = {1, plain_list, 2}}},
	{MQTT_5,
	 C,
	 "82 { 0001 { 0b ff7f 26 <k> <v> } <$share/g/a/#> 29 <b> 16 }",
	 {.type = PACKET_SUBSCRIBE,
	  .props = {.subscription_ids = {one_id, 1}, ONE_USER},
	  .subscribe = {1, options_list, 2}}},
	{MQTT_3_1_1,
	 S,
	 "90 { 0001 00 01 02 80 }",
	 {.type = PACKET_SUBACK, .suback = {1, STR("\0\1\2\x80")}}},
	{MQTT_5,
	 S,
	 "90 { 0001 { 1f <r> } 02 8f a2 }",
	 {.type = PACKET_SUBACK,
	  .props = {.present = BIT(REASON_STRING), .reason_string = STR("r")},
	  .suback = {1, STR("\x02\x8f\xa2")}}},
	/* UNSUBSCRIBE, UNSUBACK */
	{MQTT_3_1_1,
	 C,
	 "a2 { 0001 <a/#> <$share/g/+> }",
	 {.type = PACKET_UNSUBSCRIBE, .unsubscribe = {1, filters, 2}}},
	{MQTT_5,
	 C,
	 "a2 { 0001 { 26 <k> <v> } <a/#> }",
	 {.type = PACKET_UNSUBSCRIBE, .props = {ONE_USER}, .unsubscribe = {1, filters, 1}}},
	{MQTT_3_1_1, S, "b0 02 0001", {.type = PACKET_UNSUBACK, .suback = {.packet_id = 1}}},
	{MQTT_5,
	 S,
	 "b0 { 0001 {} 00 11 }",
	 {.type = PACKET_UNSUBACK, .suback = {1, STR("\x00\x11")}}},
	/* PINGREQ, PINGRESP, DISCONNECT, AUTH */
	{MQTT_3_1_1, C, "c0 00", {.type = PACKET_PINGREQ}},
	{MQTT_5, S, "d0 00", {.type = PACKET_PINGRESP}},
	{MQTT_3_1_1, C, "e0 00", {.type = PACKET_DISCONNECT}},
	{MQTT_5, C, "e0 00", {.type = PACKET_DISCONNECT}},
	{MQTT_5,
	 S,
	 "e0 01 8e",
	 {.type = PACKET_DISCONNECT, .disconnect = {REASON_SESSION_TAKEN_OVER}}},
	{MQTT_5,
	 C,
	 "e0 { 04 { 11 ffffffff } }",
	 {.type = PACKET_DISCONNECT,
	  .props = {.present = BIT(SESSION_EXPIRY_INTERVAL), .session_expiry_interval = UINT32_MAX},
	  .disconnect = {REASON_DISCONNECT_WITH_WILL_MESSAGE}}},
	{MQTT_5,
	 S,
	 "e0 { 9c { 1c <other> 1f <bye> } }",
	 {.type = PACKET_DISCONNECT,
	  .props = {.present = BIT(SERVER_REFERENCE) | BIT(REASON_STRING),
		    .server_reference = STR("other"),
		    .reason_string = STR("bye")},
	  .disconnect = {REASON_USE_ANOTHER_SERVER}}},
	{MQTT_5, S, "f0 00", {.type = PACKET_AUTH}},
	{MQTT_5,
	 C,
	 "f0 { 18 { 15 <M> 16 <d> } }",
	 {.type = PACKET_AUTH,
	  .props = {.present = BIT(AUTHENTICATION_METHOD) | BIT(AUTHENTICATION_DATA),
		    .authentication_method = STR("M"),
		    .authentication_data = STR("d")},
	  .auth = {REASON_CONTINUE_AUTHENTICATION}}},
	{MQTT_5, C, "f0 { 19 {} }", {.type = PACKET_AUTH, .auth = {REASON_RE_AUTHENTICATE}}},
};

/* Other bytes that say the same as another vector. */
struct alike {
	const char *why;
	enum mqtt_version version;
	enum sender sender;
	const char *bytes;
	const char *canonical;
};

static const struct alike alike[] = {
	{"3.1: what is announced may be missing", 0, C, "10 { <MQIsdp> 03 c2 0000 <d> }",
	 "10 { <MQIsdp> 03 02 0000 <d> }"},
	{"3.1: only the password is missing", 0, C, "10 { <MQIsdp> 03 c2 0000 <d> <u> }",
	 "10 { <MQIsdp> 03 82 0000 <d> <u> }"},
	{"3.1: reserved connect flag is unused", 0, C, "10 { <MQIsdp> 03 03 0000 <d> }",
	 "10 { <MQIsdp> 03 02 0000 <d> }"},
	{"3.1: SUBSCRIBE sent again", MQTT_3_1, C, "8a { 0001 <a> 01 }", "82 { 0001 <a> 01 }"},
	{"3.1: unused bits beside the QoS", MQTT_3_1, C, "82 { 0001 <a> fd }",
	 "82 { 0001 <a> 01 }"},
	{"3.1: reserved byte of CONNACK", MQTT_3_1, S, "20 02 01 00", "20 02 00 00"},
	{"3.1.1 does not ask for the shortest length", MQTT_3_1_1, C, "c0 80 00", "c0 00"},
	{"reason code of success", MQTT_5, C, "40 03 0001 00", "40 02 0001"},
	{"properties that are empty", MQTT_5, C, "40 04 0001 10 00", "40 03 0001 10"},
	{"DISCONNECT with all of it", MQTT_5, C, "e0 02 00 00", "e0 00"},
	{"AUTH with all of it", MQTT_5, S, "f0 02 00 00", "f0 00"},
	{"properties in another order", MQTT_5, C, "30 { <t> { 26 <k> <v> 01 01 } }",
	 "30 { <t> { 01 01 26 <k> <v> } }"},
};

struct bad {
	const char *statement; /* of MQTT 5.0, of 3.1.1 behind "3.1.1", or a section of 5.0 */
	enum mqtt_version version;
	enum sender sender;
	const char *bytes;
	enum reason reason;
};

#define MALFORMED REASON_MALFORMED_PACKET
#define PROTOCOL  REASON_PROTOCOL_ERROR

static const struct bad bad[] = {
	/* strings */
	{"MQTT-1.5.4-1 surrogate", 5, C, "30 { 0003 eda080 00 }", MALFORMED},
	{"MQTT-1.5.4-1 overlong", 5, C, "30 { 0002 c0af 00 }", MALFORMED},
	{"MQTT-1.5.4-1 above U+10FFFF", 5, C, "30 { 0004 f4908080 00 }", MALFORMED},
	{"MQTT-1.5.4-1 cut", 5, C, "30 { 0001 c3 00 }", MALFORMED},
	{"MQTT-1.5.4-2 in topic name", 5, C, "30 { 0003 610062 00 }", MALFORMED},
	{"3.1.1 MQTT-1.5.3-1", 4, C, "30 { 0001 ff }", MALFORMED},
	{"3.1.1 MQTT-1.5.3-2", 4, C, "30 { 0001 00 }", MALFORMED},
	{"MQTT-1.5.4-2 in client id", 0, C, "10 { <MQTT> 05 02 0000 {} 0001 00 }", MALFORMED},
	{"MQTT-3.1.3-4", 0, C, "10 { <MQTT> 04 02 0000 0001 ff }", MALFORMED},
	{"MQTT-3.1.3-11", 0, C, "10 { <MQTT> 04 06 0000 <d> 0001 ff <> }", MALFORMED},
	{"MQTT-3.1.3-12", 0, C, "10 { <MQTT> 05 82 0000 {} <d> 0001 ff }", MALFORMED},
	{"MQTT-1.5.7-1 name", 5, C, "30 { <t> { 26 0001 ff <v> } }", MALFORMED},
	{"MQTT-1.5.7-1 value", 5, C, "30 { <t> { 26 <k> 0001 00 } }", MALFORMED},
	{"MQTT-3.3.2-19", 5, C, "30 { <t> { 03 0001 ff } }", MALFORMED},
	{"MQTT-3.3.2-13", 5, C, "30 { <t> { 08 0001 ff } }", MALFORMED},
	{"MQTT-3.8.3-1", 5, C, "82 { 0001 {} 0001 ff 00 }", MALFORMED},
	{"MQTT-3.10.3-1", 5, C, "a2 { 0001 {} 0001 ff }", MALFORMED},
	/* lengths and fixed header */
	{"MQTT-1.5.5-1 remaining length", 5, C, "c0 80 00", MALFORMED},
	{"MQTT-1.5.5-1 remaining length of CONNECT", 0, C, "10 90 00 <MQTT> 05 02 0000 {} <dev>",
	 MALFORMED},
	{"MQTT-1.5.5-1 property length", 5, C, "30 { <t> 8000 }", MALFORMED},
	{"MQTT-1.5.5-1 subscription identifier", 5, C, "82 { 0001 { 0b 8100 } <a> 00 }", MALFORMED},
	{"1.5.5 five bytes", 5, C, "82 { 0001 { 0b ffffffff01 } <a> 00 }", MALFORMED},
	{"2.1.2 type 0", 5, C, "00 00", MALFORMED},
	{"3.1.1 section 2.2.1 type 15", 4, C, "f0 00", MALFORMED},
	{"MQTT-2.1.3-1 CONNECT", 0, C, "11 { <MQTT> 05 02 0000 {} <d> }", MALFORMED},
	{"MQTT-2.1.3-1 CONNACK", 5, S, "21 { 00 00 {} }", MALFORMED},
	{"MQTT-2.1.3-1 PUBACK", 5, C, "42 02 0001", MALFORMED},
	{"MQTT-2.1.3-1 PUBREC", 5, C, "51 02 0001", MALFORMED},
	{"MQTT-3.6.1-1", 5, C, "60 02 0001", MALFORMED},
	{"3.1.1 MQTT-3.6.1-1", 4, C, "63 02 0001", MALFORMED},
	{"MQTT-2.1.3-1 PUBCOMP", 5, C, "78 02 0001", MALFORMED},
	{"MQTT-3.8.1-1", 5, C, "80 { 0001 {} <a> 00 }", MALFORMED},
	{"3.1.1 MQTT-3.8.1-1", 4, C, "8a { 0001 <a> 00 }", MALFORMED},
	{"MQTT-2.1.3-1 SUBACK", 5, S, "92 { 0001 {} 00 }", MALFORMED},
	{"MQTT-3.10.1-1", 5, C, "a0 { 0001 {} <a> }", MALFORMED},
	{"3.1.1 MQTT-3.10.1-1", 4, C, "a6 { 0001 <a> }", MALFORMED},
	{"MQTT-2.1.3-1 UNSUBACK", 5, S, "b4 { 0001 {} 00 }", MALFORMED},
	{"MQTT-2.1.3-1 PINGREQ", 5, C, "c1 00", MALFORMED},
	{"3.1.1 MQTT-2.2.2-2 PINGREQ", 4, C, "c8 00", MALFORMED},
	{"MQTT-2.1.3-1 PINGRESP", 5, S, "d2 00", MALFORMED},
	{"MQTT-3.14.1-1", 5, C, "e1 00", MALFORMED},
	{"3.1.1 MQTT-3.14.1-1", 4, C, "e8 00", MALFORMED},
	{"MQTT-3.15.1-1", 5, C, "f2 { 18 {} }", MALFORMED},
	/* order and direction */
	{"MQTT-3.1.0-1", 0, C, "c0 00", PROTOCOL},
	{"MQTT-3.1.0-2", 5, C, "10 { <MQTT> 05 02 0000 {} <d> }", PROTOCOL},
	{"3.1.1 MQTT-3.1.0-2", 4, C, "10 { <MQTT> 04 02 0000 <d> }", PROTOCOL},
	{"2.1.2 CONNECT from a server", 0, S, "10 { <MQTT> 05 02 0000 {} <d> }", PROTOCOL},
	{"2.1.2 CONNACK from a client", 5, C, "20 { 00 00 {} }", PROTOCOL},
	{"2.1.2 SUBACK from a client", 5, C, "90 { 0001 {} 00 }", PROTOCOL},
	{"2.1.2 UNSUBACK from a client", 4, C, "b0 02 0001", PROTOCOL},
	{"2.1.2 PINGRESP from a client", 4, C, "d0 00", PROTOCOL},
	{"2.1.2 SUBSCRIBE from a server", 5, S, "82 { 0001 {} <a> 00 }", PROTOCOL},
	{"2.1.2 UNSUBSCRIBE from a server", 5, S, "a2 { 0001 {} <a> }", PROTOCOL},
	{"2.1.2 PINGREQ from a server", 5, S, "c0 00", PROTOCOL},
	{"3.1.1 section 2.2.1 DISCONNECT from a server", 4, S, "e0 00", PROTOCOL},
	/* CONNECT */
	{"MQTT-3.1.2-1", 0, C, "10 { <MQXX> 05 02 0000 {} <d> }",
	 REASON_UNSUPPORTED_PROTOCOL_VERSION},
	{"MQTT-3.1.2-1 case", 0, C, "10 { <mqtt> 04 02 0000 <d> }",
	 REASON_UNSUPPORTED_PROTOCOL_VERSION},
	{"MQTT-3.1.2-2", 0, C, "10 { <MQTT> 06 02 0000 {} <d> }",
	 REASON_UNSUPPORTED_PROTOCOL_VERSION},
	{"3.1.1 MQTT-3.1.2-2", 0, C, "10 { <MQTT> 03 02 0000 <d> }",
	 REASON_UNSUPPORTED_PROTOCOL_VERSION},
	{"3.1.1 MQTT-3.1.2-2 bridge bit", 0, C, "10 { <MQTT> 84 02 0000 <d> }",
	 REASON_UNSUPPORTED_PROTOCOL_VERSION},
	{"3.1 level 4", 0, C, "10 { <MQIsdp> 04 02 0000 <d> }",
	 REASON_UNSUPPORTED_PROTOCOL_VERSION},
	{"MQTT-3.1.2-3", 0, C, "10 { <MQTT> 05 03 0000 {} <d> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-3", 0, C, "10 { <MQTT> 04 03 0000 <d> }", MALFORMED},
	{"MQTT-3.1.2-9 no will topic", 0, C, "10 { <MQTT> 05 06 0000 {} <d> {} }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-9 no will message", 0, C, "10 { <MQTT> 04 06 0000 <d> <w> }", MALFORMED},
	{"MQTT-3.1.2-11", 0, C, "10 { <MQTT> 05 0a 0000 {} <d> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-13", 0, C, "10 { <MQTT> 04 12 0000 <d> }", MALFORMED},
	{"MQTT-3.1.2-12", 0, C, "10 { <MQTT> 05 1e 0000 {} <d> {} <w> <> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-14", 0, C, "10 { <MQTT> 04 1e 0000 <d> <w> <> }", MALFORMED},
	{"MQTT-3.1.2-13", 0, C, "10 { <MQTT> 05 22 0000 {} <d> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-15", 0, C, "10 { <MQTT> 04 22 0000 <d> }", MALFORMED},
	{"MQTT-3.1.2-16", 0, C, "10 { <MQTT> 05 02 0000 {} <d> <u> }", MALFORMED},
	{"MQTT-3.1.2-17", 0, C, "10 { <MQTT> 05 82 0000 {} <d> }", MALFORMED},
	{"MQTT-3.1.2-18", 0, C, "10 { <MQTT> 05 82 0000 {} <d> <u> <p> }", MALFORMED},
	{"MQTT-3.1.2-19", 0, C, "10 { <MQTT> 05 c2 0000 {} <d> <u> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-18", 0, C, "10 { <MQTT> 04 02 0000 <d> <u> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-19", 0, C, "10 { <MQTT> 04 82 0000 <d> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-20", 0, C, "10 { <MQTT> 04 82 0000 <d> <u> <p> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-21", 0, C, "10 { <MQTT> 04 c2 0000 <d> <u> }", MALFORMED},
	{"3.1.1 MQTT-3.1.2-22", 0, C, "10 { <MQTT> 04 42 0000 <d> <p> }", MALFORMED},
	{"MQTT-3.1.3-3", 0, C, "10 { <MQTT> 05 02 0000 {} }", MALFORMED},
	{"3.1.1 MQTT-3.1.3-3", 0, C, "10 { <MQTT> 04 02 0000 }", MALFORMED},
	{"3.1.1 MQTT-3.1.3-8", 0, C, "10 { <MQTT> 04 00 0000 <> }",
	 REASON_CLIENT_IDENTIFIER_NOT_VALID},
	{"3.1 section 3.1 empty client id", 0, C, "10 { <MQIsdp> 03 02 0000 <> }",
	 REASON_CLIENT_IDENTIFIER_NOT_VALID},
	{"MQTT-4.7.0-1 will topic", 0, C, "10 { <MQTT> 05 06 0000 {} <d> {} <a/#> <> }",
	 REASON_TOPIC_NAME_INVALID},
	{"MQTT-4.7.3-1 will topic", 0, C, "10 { <MQTT> 04 06 0000 <d> <> <> }",
	 REASON_TOPIC_NAME_INVALID},
	{"3.1.2.11.10", 0, C, "10 { <MQTT> 05 02 0000 { 16 <d> } <d> }", PROTOCOL},
	{"3.1.2 cut", 0, C, "10 { <MQTT> 05 02 00 }", MALFORMED},
	{"3.1.2 nothing", 0, C, "10 00", MALFORMED},
	/* properties */
	{"2.2.2.2 unknown identifier", 5, C, "30 { <t> { 04 00 } }", MALFORMED},
	{"2.2.2.2 identifier above all", 5, C, "30 { <t> { 7f } }", MALFORMED},
	{"2.2.2.2 identifier of two bytes", 5, C, "30 { <t> { 8101 01 } }", MALFORMED},
	{"2.2.2.2 not for this packet", 5, C, "30 { <t> { 11 00000001 } }", MALFORMED},
	{"2.2.2.2 will property in CONNECT", 0, C, "10 { <MQTT> 05 02 0000 { 18 00000001 } <d> }",
	 MALFORMED},
	{"2.2.2.2 CONNECT property in will", 0, C,
	 "10 { <MQTT> 05 06 0000 {} <d> { 21 0001 } <w> <> }", MALFORMED},
	{"MQTT-2.2.2-1", 5, C, "30 { <t> }", MALFORMED},
	{"2.2.2.1 longer than the packet", 5, C, "30 { <t> 02 01 }", MALFORMED},
	{"2.2.2.2 cut byte", 5, C, "30 { <t> { 01 } }", MALFORMED},
	{"2.2.2.2 cut number", 5, C, "30 { <t> { 02 000000 } }", MALFORMED},
	{"2.2.2.2 cut string", 5, C, "30 { <t> { 03 0002 61 } }", MALFORMED},
	{"2.2.2.2 cut pair", 5, C, "30 { <t> { 26 <k> } }", MALFORMED},
	{"3.3.2.3.2 twice", 5, C, "30 { <t> { 01 00 01 00 } }", PROTOCOL},
	{"3.3.2.3.3 twice", 5, C, "30 { <t> { 02 00000001 02 00000001 } }", PROTOCOL},
	{"3.3.2.3.4 twice", 5, C, "30 { <t> { 23 0001 23 0001 } }", PROTOCOL},
	{"3.8.2.1.2 twice", 5, C, "82 { 0001 { 0b 01 0b 02 } <a> 00 }", PROTOCOL},
	{"3.4.2.2.2 twice", 5, C, "40 { 0001 00 { 1f <> 1f <> } }", PROTOCOL},
	{"3.1.2.11.3 receive maximum 0", 0, C, "10 { <MQTT> 05 02 0000 { 21 0000 } <d> }",
	 PROTOCOL},
	{"3.1.2.11.4 maximum packet size 0", 0, C, "10 { <MQTT> 05 02 0000 { 27 00000000 } <d> }",
	 PROTOCOL},
	{"3.1.2.11.6 request response information 2", 0, C,
	 "10 { <MQTT> 05 02 0000 { 19 02 } <d> }", PROTOCOL},
	{"3.1.2.11.7 request problem information 2", 0, C, "10 { <MQTT> 05 02 0000 { 17 02 } <d> }",
	 PROTOCOL},
	{"3.1.3.2.3 payload format indicator 2", 0, C,
	 "10 { <MQTT> 05 06 0000 {} <d> { 01 02 } <w> <> }", PROTOCOL},
	{"3.2.2.3.4 maximum QoS 2", 5, S, "20 { 00 00 { 24 02 } }", PROTOCOL},
	{"3.2.2.3.5 retain available 2", 5, S, "20 { 00 00 { 25 02 } }", PROTOCOL},
	{"3.8.2.1.2 subscription identifier 0", 5, C, "82 { 0001 { 0b 00 } <a> 00 }", PROTOCOL},
	{"MQTT-3.3.2-8", 5, C, "30 { <t> { 23 0000 } }", REASON_TOPIC_ALIAS_INVALID},
	{"MQTT-3.3.2-14", 5, C, "30 { <t> { 08 <a/+> } }", PROTOCOL},
	{"MQTT-4.7.3-1 response topic", 5, C, "30 { <t> { 08 <> } }", PROTOCOL},
	{"MQTT-3.3.4-6", 5, C, "30 { <t> { 0b 01 } }", PROTOCOL},
	{"MQTT-3.14.2-2", 5, S, "e0 { 00 { 11 00000001 } }", PROTOCOL},
	{"3.14.2.2.5 server reference from a client", 5, C, "e0 { 00 { 1c <a> } }", PROTOCOL},
	/* CONNACK */
	{"MQTT-3.2.2-1", 5, S, "20 { 02 00 {} }", MALFORMED},
	{"3.1.1 section 3.2.2.1", 4, S, "20 { 80 00 }", MALFORMED},
	{"MQTT-3.2.2-6", 5, S, "20 { 01 87 {} }", PROTOCOL},
	{"3.1.1 MQTT-3.2.2-4", 4, S, "20 { 01 05 }", PROTOCOL},
	{"MQTT-3.2.2-8", 5, S, "20 { 00 8e {} }", PROTOCOL},
	{"3.1.1 section 3.2.2.3 code 6", 4, S, "20 { 00 06 }", PROTOCOL},
	{"3.2.2 trailing", 5, S, "20 { 00 00 {} 00 }", MALFORMED},
	{"3.2.2 no properties", 5, S, "20 { 00 00 }", MALFORMED},
	/* PUBLISH */
	{"MQTT-3.3.1-2", 5, C, "38 { <t> {} }", MALFORMED},
	{"3.1.1 MQTT-3.3.1-2", 4, C, "38 { <t> }", MALFORMED},
	{"MQTT-3.3.1-4", 5, C, "36 { <t> 0001 {} }", MALFORMED},
	{"3.1.1 MQTT-3.3.1-4", 4, C, "36 { <t> 0001 }", MALFORMED},
	{"MQTT-2.2.1-3 PUBLISH", 5, C, "32 { <t> 0000 {} }", PROTOCOL},
	{"3.1.1 MQTT-2.3.1-1 PUBLISH", 4, C, "34 { <t> 0000 }", PROTOCOL},
	{"MQTT-2.2.1-4", 5, S, "32 { <t> 0000 {} }", PROTOCOL},
	{"MQTT-3.3.2-1", 5, C, "30 { }", MALFORMED},
	{"MQTT-3.3.2-1 cut", 5, C, "30 { 0002 61 }", MALFORMED},
	{"3.3.2.2 no packet identifier", 4, C, "32 { <t> 00 }", MALFORMED},
	{"MQTT-3.3.2-2 #", 5, C, "30 { <a/#> {} }", REASON_TOPIC_NAME_INVALID},
	{"MQTT-3.3.2-2 +", 5, S, "30 { <a/+/b> {} }", REASON_TOPIC_NAME_INVALID},
	{"3.1.1 MQTT-3.3.2-2", 4, C, "30 { <a+> }", REASON_TOPIC_NAME_INVALID},
	{"3.1.1 MQTT-4.7.3-1", 4, C, "30 { <> }", REASON_TOPIC_NAME_INVALID},
	{"3.3.2.1 no topic and no alias", 5, C, "30 { <> {} }", PROTOCOL},
	/* acknowledgements */
	{"3.4.2 no packet identifier", 5, C, "40 00", MALFORMED},
	{"3.4.2 half of one", 4, C, "40 01 00", MALFORMED},
	{"MQTT-2.2.1-5 packet identifier 0", 5, C, "40 02 0000", PROTOCOL},
	{"3.1.1 MQTT-2.3.1-6 packet identifier 0", 4, C, "62 02 0000", PROTOCOL},
	{"3.1.1 section 3.4 trailing", 4, C, "40 03 0001 00", MALFORMED},
	{"3.4.2 trailing", 5, C, "40 05 0001 00 00 00", MALFORMED},
	{"MQTT-3.4.2-1", 5, C, "40 03 0001 92", PROTOCOL},
	{"MQTT-3.5.2-1", 5, C, "50 03 0001 81", PROTOCOL},
	{"MQTT-3.6.2-1", 5, C, "62 03 0001 10", PROTOCOL},
	{"MQTT-3.7.2-1", 5, C, "70 03 0001 ff", PROTOCOL},
	/* SUBSCRIBE */
	{"MQTT-3.8.3-2", 5, C, "82 { 0001 {} }", PROTOCOL},
	{"3.1.1 MQTT-3.8.3-3", 4, C, "82 { 0001 }", PROTOCOL},
	{"MQTT-2.2.1-3 SUBSCRIBE", 5, C, "82 { 0000 {} <a> 00 }", PROTOCOL},
	{"3.1.1 MQTT-2.3.1-1 SUBSCRIBE", 4, C, "82 { 0000 <a> 00 }", PROTOCOL},
	{"MQTT-3.8.3-5 bit 6", 5, C, "82 { 0001 {} <a> 40 }", MALFORMED},
	{"MQTT-3.8.3-5 bit 7", 5, C, "82 { 0001 {} <a> 80 }", MALFORMED},
	{"3.1.1 MQTT-3.8.3-4 reserved", 4, C, "82 { 0001 <a> 04 }", MALFORMED},
	{"3.1.1 MQTT-3.8.3-4 QoS 3", 4, C, "82 { 0001 <a> 03 }", MALFORMED},
	{"3.8.3.1 QoS 3", 5, C, "82 { 0001 {} <a> 03 }", PROTOCOL},
	{"3.8.3.1 retain handling 3", 5, C, "82 { 0001 {} <a> 30 }", PROTOCOL},
	{"MQTT-3.8.3-4", 5, C, "82 { 0001 {} <$share/g/a> 04 }", PROTOCOL},
	{"3.8.3 no options", 5, C, "82 { 0001 {} <a> }", MALFORMED},
	{"3.8.2 no packet identifier", 5, C, "82 00", MALFORMED},
	{"3.1.1 section 3.8.2 half a packet identifier", 4, C, "82 01 00", MALFORMED},
	{"3.8.3 the second is cut", 5, C, "82 { 0001 {} <a> 00 0002 62 }", MALFORMED},
	{"MQTT-4.7.1-1", 5, C, "82 { 0001 {} <a/#/b> 00 }", REASON_TOPIC_FILTER_INVALID},
	{"MQTT-4.7.1-2", 4, C, "82 { 0001 <a+/b> 00 }", REASON_TOPIC_FILTER_INVALID},
	{"MQTT-4.7.3-1", 5, C, "82 { 0001 {} <> 00 }", REASON_TOPIC_FILTER_INVALID},
	{"MQTT-4.8.2-1", 5, C, "82 { 0001 {} <$share//a> 00 }", REASON_TOPIC_FILTER_INVALID},
	{"MQTT-4.8.2-2", 5, C, "82 { 0001 {} <$share/g> 00 }", REASON_TOPIC_FILTER_INVALID},
	/* SUBACK, UNSUBSCRIBE, UNSUBACK */
	{"MQTT-3.9.3-2", 5, S, "90 { 0001 {} 03 }", PROTOCOL},
	{"3.1.1 MQTT-3.9.3-2", 4, S, "90 { 0001 87 }", PROTOCOL},
	{"MQTT-3.8.4-6", 5, S, "90 { 0001 {} }", PROTOCOL},
	{"MQTT-2.2.1-6", 5, S, "90 { 0000 {} 00 }", PROTOCOL},
	{"MQTT-3.10.3-2", 5, C, "a2 { 0001 {} }", PROTOCOL},
	{"3.1.1 MQTT-3.10.3-2", 4, C, "a2 { 0001 }", PROTOCOL},
	{"MQTT-2.2.1-3 UNSUBSCRIBE", 5, C, "a2 { 0000 {} <a> }", PROTOCOL},
	{"MQTT-4.7.1-1 UNSUBSCRIBE", 5, C, "a2 { 0001 {} <a#> }", REASON_TOPIC_FILTER_INVALID},
	{"3.10.3 cut", 5, C, "a2 { 0001 {} 0002 61 }", MALFORMED},
	{"MQTT-3.11.3-2", 5, S, "b0 { 0001 {} 02 }", PROTOCOL},
	{"3.1.1 section 3.11 trailing", 4, S, "b0 { 0001 00 }", MALFORMED},
	/* PINGREQ, DISCONNECT, AUTH */
	{"3.12 trailing", 5, C, "c0 01 00", MALFORMED},
	{"3.13 trailing", 4, S, "d0 01 00", MALFORMED},
	{"3.1.1 section 3.14 trailing", 4, C, "e0 01 00", MALFORMED},
	{"MQTT-3.14.2-1", 5, C, "e0 01 01", PROTOCOL},
	{"MQTT-3.14.2-1 code of the server", 5, C, "e0 01 8e", PROTOCOL},
	{"MQTT-3.14.2-1 code of the client", 5, S, "e0 01 04", PROTOCOL},
	{"3.14.2 trailing", 5, C, "e0 03 00 00 00", MALFORMED},
	{"MQTT-3.15.2-1", 5, C, "f0 { 87 {} }", PROTOCOL},
	{"MQTT-3.15.2-1 code of the client", 5, S, "f0 { 19 {} }", PROTOCOL},
	{"3.15.2 no properties", 5, C, "f0 01 18", MALFORMED},
};

struct bytes {
	unsigned char p[4096];
	size_t n;
};

/* Memory of exactly the packet's size, so that a sanitizer sees a read behind it. */
static enum reason decode(enum mqtt_version version, enum sender sender, const struct bytes *b,
			  struct arena *a, struct packet *out, unsigned char **copy)
{
	*copy = mem_copy(b->p, b->n);
	size_t size = 0;
	assert_int_equal(packet_frame(*copy, b->n, b->n, &size), 0);
	assert_int_equal(size, b->n);
	return packet_decode(version, sender, *copy, b->n, a, out);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct good *g = &good[i];
		struct bytes b;
		b.n = vector_bytes(g->bytes, b.p, sizeof(b.p));
		struct arena a = {0};
		struct packet p;
		unsigned char *copy;
		const enum reason r = decode(g->version, g->sender, &b, &a, &p, &copy);
		if (r || !packet_equal(&p, &g->packet))
			fail_msg("%s: %s", g->bytes, reason_text(r));
		struct bytes again;
		struct out o = out_make(again.p, sizeof(again.p));
		assert_int_equal(packet_size(g->version, &g->packet), b.n);
		assert_true(packet_encode(g->version, &g->packet, &o));
		assert_int_equal(o.need, b.n);
		assert_memory_equal(again.p, b.p, b.n);
		free(copy);
		arena_fini(&a);
	}
}

static void test_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(alike); i++) {
		const struct alike *v = &alike[i];
		struct bytes b;
		struct bytes want;
		b.n = vector_bytes(v->bytes, b.p, sizeof(b.p));
		want.n = vector_bytes(v->canonical, want.p, sizeof(want.p));
		struct arena a = {0};
		struct packet p;
		struct packet q;
		unsigned char *copy;
		unsigned char *copy_of_want;
		const enum reason r = decode(v->version, v->sender, &b, &a, &p, &copy);
		if (r)
			fail_msg("%s: %s", v->why, reason_text(r));
		assert_int_equal(decode(v->version, v->sender, &want, &a, &q, &copy_of_want),
				 REASON_SUCCESS);
		struct out o = out_make(b.p, sizeof(b.p));
		assert_true(packet_encode(v->version, &p, &o));
		if (!packet_equal(&p, &q) || o.need != want.n || memcmp(want.p, b.p, want.n) != 0)
			fail_msg("%s: says something else", v->why);
		free(copy);
		free(copy_of_want);
		arena_fini(&a);
	}
}

/* Vectors of one version and type differ from each other; packet_equal sees it. */
static void test_different(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		for (size_t j = 0; j < ARRAY_LEN(good); j++)
			if (good[i].version == good[j].version && good[i].sender == good[j].sender)
				assert_int_equal(packet_equal(&good[i].packet, &good[j].packet),
						 i == j);
}

static void test_props_equal(void **state)
{
	(void)state;
	const struct props a = {
		.present = BIT(CONTENT_TYPE) | BIT(PAYLOAD_FORMAT_INDICATOR),
		.content_type = STR("t"),
		.user_properties = {one_user, 1},
		.subscription_ids = {two_ids, 1},
	};
	struct props b = a;
	assert_true(props_equal(&a, &b));
	b.content_type = STR("u");
	assert_false(props_equal(&a, &b));
	b = a;
	b.payload_format_indicator = 1;
	assert_false(props_equal(&a, &b));
	b = a;
	b.user_properties.p = two_users + 1; /* another value */
	assert_false(props_equal(&a, &b));
	const struct user_property other = {STR("l"), STR("v")};
	b.user_properties.p = &other;
	assert_false(props_equal(&a, &b));
	b.user_properties = (struct user_properties){two_users, 2};
	assert_false(props_equal(&a, &b));
	b = a;
	b.subscription_ids.n = 2;
	assert_false(props_equal(&a, &b));
	b.subscription_ids = (struct subscription_ids){one_id, 1};
	assert_false(props_equal(&a, &b));
	b = a;
	props_drop(&b, PROPERTY_CONTENT_TYPE);
	assert_false(props_equal(&a, &b));
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct bad *v = &bad[i];
		struct bytes b;
		b.n = vector_bytes(v->bytes, b.p, sizeof(b.p));
		struct arena a = {0};
		struct packet p;
		unsigned char *copy;
		const enum reason r = decode(v->version, v->sender, &b, &a, &p, &copy);
		if (r != v->reason)
			fail_msg("%s: %s instead of %s", v->statement, reason_text(r),
				 reason_text(v->reason));
		free(copy);
		arena_fini(&a);
	}
}

/* Each good packet, cut short anywhere with its length made right again, is refused, or says
 * something else. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct good *g = &good[i];
		struct bytes whole;
		whole.n = vector_bytes(g->bytes, whole.p, sizeof(whole.p));
		const size_t header = whole.p[1] & 0x80 ? 3 : 2;
		for (size_t n = 0; header + n < whole.n; n++) {
			struct bytes b;
			struct out o = out_make(b.p, sizeof(b.p));
			out_u8(&o, whole.p[0]);
			varint_encode((uint32_t)n, &o);
			out_bytes(&o, whole.p + header, n);
			b.n = o.need;
			struct arena a = {0};
			struct packet p;
			unsigned char *copy;
			const enum reason r = decode(g->version, g->sender, &b, &a, &p, &copy);
			if (!r && packet_equal(&p, &g->packet))
				fail_msg("%s: says the same with %zu bytes", g->bytes, n);
			free(copy);
			arena_fini(&a);
		}
	}
}

static void test_values_for_absence(void **state)
{
	(void)state;
	struct bytes b;
	b.n = vector_bytes("10 { <MQTT> 05 02 0000 { 19 01 22 0007 } <d> }", b.p, sizeof(b.p));
	struct arena a = {0};
	struct packet p;
	unsigned char *copy;
	assert_int_equal(decode(MQTT_UNKNOWN, C, &b, &a, &p, &copy), REASON_SUCCESS);
	assert_false(props_has(&p.props, PROPERTY_RECEIVE_MAXIMUM));
	assert_int_equal(p.props.receive_maximum, 65535);
	assert_int_equal(p.props.maximum_packet_size, UINT32_MAX);
	assert_int_equal(p.props.session_expiry_interval, 0);
	assert_int_equal(p.props.request_problem_information, 1);
	assert_int_equal(p.props.request_response_information, 1);
	assert_int_equal(p.props.topic_alias_maximum, 7);
	assert_int_equal(p.props.topic_alias, 0);
	assert_int_equal(p.props.maximum_qos, 2);
	assert_int_equal(p.props.retain_available, 1);
	assert_int_equal(p.props.shared_subscription_available, 1);
	free(copy);
	arena_fini(&a);
}

static void test_frame(void **state)
{
	(void)state;
	size_t size = 77;
	assert_int_equal(packet_frame("", 0, 100, &size), ERR_AGAIN);
	assert_int_equal(packet_frame("\xc0", 1, 100, &size), ERR_AGAIN);
	assert_int_equal(packet_frame("\x30\x80", 2, 100, &size), ERR_AGAIN);
	assert_int_equal(packet_frame("\x30\x05\0\1t", 5, 100, &size), ERR_AGAIN);
	assert_int_equal(size, 77);
	assert_int_equal(packet_need("\x30\x05\0\1t", 5), 7);
	assert_int_equal(packet_need("\x30", 1), 0);
	assert_int_equal(packet_frame("\xc0\0\xc0\0", 4, 100, &size), 0);
	assert_int_equal(size, 2);
	/* the limit counts the whole packet and is judged before the body is there */
	assert_int_equal(packet_frame("\x30\x05\0\1txy", 7, 7, &size), 0);
	assert_int_equal(size, 7);
	assert_int_equal(packet_frame("\x30\x05\0\1txy", 7, 6, &size), ERR_LIMIT);
	assert_int_equal(packet_frame("\x30\xff\xff\xff\x7f", 5, 1 * MiB, &size), ERR_LIMIT);
	assert_int_equal(packet_need("\x30\xff\xff\xff\x7f", 5), PACKET_SIZE_MAX);
	/* a fifth byte of remaining length, whatever it is [MQTT-1.5.5-1] */
	assert_int_equal(packet_frame("\x30\xff\xff\xff\xff", 5, 100, &size), ERR_MALFORMED);
	assert_int_equal(packet_frame("\x30\x80\x80\x80\x80\1", 6, 100, &size), ERR_MALFORMED);
}

static void test_not_a_frame(void **state)
{
	(void)state;
	struct arena a = {0};
	struct packet p;
	assert_int_equal(packet_decode(MQTT_5, C, "\xc0\0", 0, &a, &p), REASON_MALFORMED_PACKET);
	assert_int_equal(packet_decode(MQTT_5, C, "\xc0\0", 1, &a, &p), REASON_MALFORMED_PACKET);
	assert_int_equal(packet_decode(MQTT_5, C, "\xc0\0\0", 3, &a, &p), REASON_MALFORMED_PACKET);
	assert_int_equal(packet_decode(MQTT_5, C, "\xe0\0\4", 3, &a, &p), REASON_MALFORMED_PACKET);
	assert_int_equal(packet_decode(MQTT_5, C, "\x30\x05\0", 3, &a, &p),
			 REASON_MALFORMED_PACKET);
}

static enum mqtt_version answer(const char *vector)
{
	unsigned char b[256];
	return connect_version(b, vector_bytes(vector, b, sizeof(b)));
}

static void test_connect_version(void **state)
{
	(void)state;
	assert_int_equal(answer("10 { <MQTT> 05 03 0000 {} <d> }"), MQTT_5);
	assert_int_equal(answer("10 7f <MQTT> 05"), MQTT_5);
	assert_int_equal(answer("10 { <MQTT> 04 ff }"), MQTT_3_1_1);
	assert_int_equal(answer("10 { <MQIsdp> 03 ff }"), MQTT_3_1);
	assert_int_equal(answer("10 { <MQTT> 06 02 }"), MQTT_3_1_1);
	assert_int_equal(answer("10 { <MQTT> 84 02 }"), MQTT_3_1_1);
	assert_int_equal(answer("10 { <MQTX> 04 02 }"), MQTT_UNKNOWN);
	assert_int_equal(answer("10 { <MQTT> } 05"), MQTT_UNKNOWN);
	assert_int_equal(answer("10 7f <MQTT>"), MQTT_UNKNOWN);
	assert_int_equal(answer("30 { <MQTT> 05 02 }"), MQTT_UNKNOWN);
	assert_int_equal(answer("10"), MQTT_UNKNOWN);
	assert_int_equal(connect_version("", 0), MQTT_UNKNOWN);
}

/* n times the bytes of `item` behind a SUBSCRIBE's or a PUBLISH's beginning. */
static enum reason decode_many(uint8_t type, const char *item, size_t n, struct packet *out,
			       struct arena *a, struct buf *b)
{
	unsigned char unit[64];
	const size_t size = vector_bytes(item, unit, sizeof(unit));
	const size_t list = n * size;
	unsigned char head[32];
	struct out o = out_make(head, sizeof(head));
	out_u8(&o, type);
	if (type == 0x30) {
		varint_encode((uint32_t)(3 + varint_size((uint32_t)list) + list), &o);
		out_str16(&o, STR("t"));
		varint_encode((uint32_t)list, &o);
	} else {
		varint_encode((uint32_t)(3 + list), &o);
		out_u16(&o, 1);
		out_u8(&o, 0);
	}
	buf_put(b, head, o.need);
	for (size_t i = 0; i < n; i++)
		buf_put(b, unit, size);
	return packet_decode(MQTT_5, type == 0x30 && unit[0] == 0x0b ? S : C, b->p, b->n, a, out);
}

static void test_list_limits(void **state)
{
	(void)state;
	static const struct {
		uint8_t type;
		const char *item;
		size_t max;
	} lists[] = {
		{0x30, "26 <k> <v>", PACKET_USER_PROPERTIES_MAX},
		{0x30, "0b 07", PACKET_SUBSCRIPTION_IDS_MAX},
		{0x82, "<a/+> 01", PACKET_FILTERS_MAX},
		{0xa2, "<a/+>", PACKET_FILTERS_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct arena a = {0};
		AUTO_BUF b = {0};
		AUTO_BUF more = {0};
		struct packet p;
		assert_int_equal(
			decode_many(lists[i].type, lists[i].item, lists[i].max, &p, &a, &b),
			REASON_SUCCESS);
		struct packet q;
		assert_int_equal(
			decode_many(lists[i].type, lists[i].item, lists[i].max + 1, &q, &a, &more),
			REASON_QUOTA_EXCEEDED);
		AUTO_BUF again = {0};
		struct out o = out_make(buf_reserve(&again, b.n), b.n);
		assert_true(packet_encode(MQTT_5, &p, &o));
		assert_memory_equal(again.p, b.p, b.n);
		arena_fini(&a);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(packet_name(PACKET_CONNECT), "CONNECT");
	assert_string_equal(packet_name(PACKET_AUTH), "AUTH");
	assert_string_equal(packet_name((enum packet_type)0), "reserved");
	assert_string_equal(packet_name((enum packet_type)16), "reserved");
	assert_string_equal(props_name(PROPERTY_RECEIVE_MAXIMUM), "Receive Maximum");
	assert_string_equal(props_name(0x04), "unknown property");
	assert_string_equal(props_name(200), "unknown property");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_different),
		cmocka_unit_test(test_props_equal),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_values_for_absence),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_not_a_frame),
		cmocka_unit_test(test_connect_version),
		cmocka_unit_test(test_list_limits),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
