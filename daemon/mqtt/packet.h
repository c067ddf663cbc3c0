/* SPDX-License-Identifier: Apache-2.0
 *
 * The packets of MQTT 3.1, 3.1.1 and 5.0 as values: one struct for each type and struct packet, the
 * tagged union of them. decode.h makes them from bytes, encode.h makes bytes from them; both do
 * every type, so a packet can be read as server or as client.
 *
 * Nothing is owned. After decoding, strings point into the bytes that were decoded and lists into
 * the caller's arena: both must live as long as the packet is used. A packet to send is a plain
 * initialiser: struct packet p = {.type = PACKET_PUBACK, .props = props_none, .ack = {.packet_id =
 * 7}}. One difference of the versions shows: properties exist in MQTT 5 only, so nothing is present
 * in props otherwise, and is not sent otherwise. Reason codes are those of MQTT 5 for all versions;
 * older ones get what they know of it, or nothing. Pure values, any thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/mqtt/props.h"
#include "daemon/mqtt/protocol.h"
#include "daemon/mqtt/reason.h"

struct packet_will {
	struct str topic;
	struct str payload; /* at most 65535 bytes */
	uint8_t qos;
	bool retain;
	struct props props;
};

/* Section 3.1. */
struct packet_connect {
	enum mqtt_version version;
	bool clean_start;    /* clean session before MQTT 5 */
	uint16_t keep_alive; /* seconds, 0 = none */
	struct str client_id;
	bool has_will;
	bool has_user_name;
	bool has_password;
	struct str user_name;
	struct str password;     /* binary */
	struct packet_will will; /* undefined unless has_will */
};

/* Section 3.2. In MQTT 3.1 and 3.1.1 the reason travels as return code: see reason_to_connack_v3.
 */
struct packet_connack {
	bool session_present; /* not in MQTT 3.1 */
	enum reason reason;
};

/* Section 3.3. */
struct packet_publish {
	struct str topic; /* empty only with props.topic_alias (MQTT 5) */
	struct str payload;
	uint16_t packet_id; /* 0 with QoS 0 */
	uint8_t qos;
	bool retain;
	bool dup;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP (3.4 to 3.7). The reason is not sent before MQTT 5. */
struct packet_ack {
	uint16_t packet_id;
	enum reason reason;
};

struct packet_subscription {
	struct str filter; /* valid; topic_share_split takes a "$share/group/" off */
	uint8_t qos;
	uint8_t retain_handling; /* 0, 1, 2: send retained messages always, if new, never */
	bool no_local;
	bool retain_as_published;
};

/* Section 3.8. */
struct packet_subscribe {
	uint16_t packet_id;
	const struct packet_subscription *subscriptions;
	size_t n; /* at least 1 */
};

/* SUBACK and UNSUBACK (3.9, 3.11). */
struct packet_suback {
	uint16_t packet_id;
	struct str codes; /* one byte, an enum reason, for each filter; none in UNSUBACK before 5 */
};

/* Section 3.10. */
struct packet_unsubscribe {
	uint16_t packet_id;
	const struct str *filters;
	size_t n; /* at least 1 */
};

/* DISCONNECT and AUTH (3.14, 3.15). */
struct packet_end {
	enum reason reason;
};

struct packet {
	enum packet_type type; /* says which member below; PINGREQ and PINGRESP have none */
	struct props props;
	union {
		struct packet_connect connect;
		struct packet_connack connack;
		struct packet_publish publish;
		struct packet_ack ack;
		struct packet_subscribe subscribe;
		struct packet_suback suback;
		struct packet_unsubscribe unsubscribe;
		struct packet_end disconnect;
		struct packet_end auth;
	};
};

/* "CONNECT" ... "AUTH"; "reserved" for anything else. Never NULL. */
const char *packet_name(enum packet_type type);

/* Whether two packets of one version say the same (strings and lists by content). For tests and
 * fuzzing. */
bool packet_equal(const struct packet *a, const struct packet *b);
