/* SPDX-License-Identifier: Apache-2.0
 *
 * The properties of an MQTT 5 packet (section 2.2.2): one struct for all packets, described by the
 * table props.def, which also says which packet may carry which property, how often and with which
 * values. Strings point into the packet or to what the caller set; lists into an arena or to what
 * the caller set; nothing is owned. Pure, any thread.
 *
 * To send a property, set its member and call props_mark; lists are sent when their count is not 0.
 * To read one, take the member: a property that is absent has the value that the standard gives to
 * absence (props_has tells the difference where it matters).
 */
#pragma once

#include "daemon/base/cursor.h"
#include "daemon/base/mem.h"
#include "daemon/mqtt/reason.h"

enum property {
#define PROPERTY(name, id, ...) PROPERTY_##name = (id),
#include "daemon/mqtt/props.def"
#undef PROPERTY
};

struct user_property {
	struct str name;
	struct str value;
};

struct user_properties {
	const struct user_property *p; /* in the order of the packet [MQTT-3.1.3-10, 3.3.2-18] */
	size_t n;
};

struct subscription_ids {
	const uint32_t *p; /* each 1..268435455 */
	size_t n;          /* at most 1 in SUBSCRIBE */
};

struct props {
	uint64_t present; /* bit i: the property with identifier i; for props_has and props_mark */

	uint32_t message_expiry_interval; /* seconds */
	uint32_t session_expiry_interval; /* seconds; UINT32_MAX = never */
	uint32_t will_delay_interval;     /* seconds */
	uint32_t maximum_packet_size;     /* bytes; absent: UINT32_MAX, no limit */
	uint16_t server_keep_alive;       /* seconds */
	uint16_t receive_maximum;         /* absent: 65535 */
	uint16_t topic_alias_maximum;
	uint16_t topic_alias; /* 0 = none */
	uint8_t payload_format_indicator;
	uint8_t request_problem_information; /* absent: 1 */
	uint8_t request_response_information;
	uint8_t maximum_qos;      /* 0 or 1; absent: 2 */
	uint8_t retain_available; /* absent: 1, as the three below */
	uint8_t wildcard_subscription_available;
	uint8_t subscription_identifier_available;
	uint8_t shared_subscription_available;

	struct str content_type;
	struct str response_topic;
	struct str correlation_data; /* binary */
	struct str assigned_client_identifier;
	struct str authentication_method;
	struct str authentication_data; /* binary */
	struct str response_information;
	struct str server_reference;
	struct str reason_string;

	struct subscription_ids subscription_ids;
	struct user_properties user_properties;
};

/* Where a properties field stands: the packet type, or the will of a CONNECT. */
enum props_place { PROPS_WILL = 0 /* otherwise an enum packet_type */ };

/* No property present, every member at the standard's value for absence. */
extern const struct props props_none;

static inline bool props_has(const struct props *p, enum property id)
{
	return p->present >> id & 1;
}

static inline void props_mark(struct props *p, enum property id)
{
	p->present |= (uint64_t)1 << id;
}

/* Takes a property out again; its member gets the value for absence. */
void props_drop(struct props *p, enum property id);

/* The name of a property in the standard's words ("Receive Maximum"), for messages; "unknown
 * property" for other numbers. */
const char *props_name(unsigned id);

/* Reads a properties field, from its length on. place: an enum packet_type or PROPS_WILL. *out is
 * valid only on REASON_SUCCESS. REASON_MALFORMED_PACKET: ill-formed, or a property that this packet
 * may not carry. REASON_PROTOCOL_ERROR: twice, or a value that is not allowed.
 * REASON_TOPIC_ALIAS_INVALID: topic alias 0 [MQTT-3.3.2-8]. REASON_QUOTA_EXCEEDED: more user
 * properties or subscription identifiers than PACKET_*_MAX. */
enum reason props_decode(struct cur *c, unsigned place, struct arena *a,
			 struct props *out) MUST_CHECK;

/* The same for bytes that are the properties alone, without their length: what publish_shared keeps
 * of a message. */
enum reason props_decode_body(struct str body, unsigned place, struct arena *a,
			      struct props *out) MUST_CHECK;

#define PROPS_ALL UINT64_MAX

/* Writes the properties whose bits are set in `which` (bit i: identifier i), without the length in
 * front of them, in the order of their identifiers. */
void props_encode_body(const struct props *p, uint64_t which, struct out *o);

/* Bytes that props_encode_body writes. */
size_t props_body_size(const struct props *p, uint64_t which);

/* Writes the length and the properties. */
void props_encode(const struct props *p, struct out *o);

/* Whether two say the same, strings and lists by content. */
bool props_equal(const struct props *a, const struct props *b);

/* Bytes of v as a variable byte integer (section 1.5.5): 1..4. */
static inline size_t varint_size(uint32_t v)
{
	return v < 128 ? 1 : v < 16384 ? 2 : v < 2097152 ? 3 : 4;
}

/* Writes v, at most PACKET_REMAINING_MAX. */
void varint_encode(uint32_t v, struct out *o);

/* Reads a variable byte integer; one that is longer than 4 bytes or longer than needed fails the
 * cursor [MQTT-1.5.5-1]. */
uint32_t varint_decode(struct cur *c);

/* Writes a 16-bit length and the bytes. A string above PACKET_STRING_MAX cannot be sent: o->need
 * then exceeds PACKET_SIZE_MAX, so that every size computed from it says so. */
void string_encode(struct str s, struct out *o);
