/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of MQTT that every header of this folder shares: protocol versions, packet types, who
 * sent a packet, the sizes that the wire format allows. Pure values, any thread.
 *
 * Where a comment names a section or a statement without more, it is of MQTT 5.0; "3.1.1" and "3.1"
 * stand before those of the older standards.
 */
#pragma once

#include "daemon/base/defs.h"

/* The value is the protocol level on the wire (section 3.1.2.2). */
enum mqtt_version {
	MQTT_UNKNOWN = 0, /* before a CONNECT, or a protocol that is none of these */
	MQTT_3_1 = 3,
	MQTT_3_1_1 = 4,
	MQTT_5 = 5,
};

/* Section 2.1.2. */
enum packet_type {
	PACKET_CONNECT = 1,
	PACKET_CONNACK = 2,
	PACKET_PUBLISH = 3,
	PACKET_PUBACK = 4,
	PACKET_PUBREC = 5,
	PACKET_PUBREL = 6,
	PACKET_PUBCOMP = 7,
	PACKET_SUBSCRIBE = 8,
	PACKET_SUBACK = 9,
	PACKET_UNSUBSCRIBE = 10,
	PACKET_UNSUBACK = 11,
	PACKET_PINGREQ = 12,
	PACKET_PINGRESP = 13,
	PACKET_DISCONNECT = 14,
	PACKET_AUTH = 15, /* MQTT 5 only */
};

enum sender { SENDER_CLIENT, SENDER_SERVER };

enum {
	PACKET_HEADER_MAX = 5,            /* fixed header: type, flags and remaining length */
	PACKET_REMAINING_MAX = 268435455, /* largest remaining length (section 1.5.5) */
	PACKET_SIZE_MAX = PACKET_REMAINING_MAX + PACKET_HEADER_MAX,
	PACKET_STRING_MAX = 65535, /* largest string or binary field (section 1.5.4) */
	/* Our own bounds: what one packet may make the decoder take from the arena. */
	PACKET_USER_PROPERTIES_MAX = 4096, /* in one properties field: 256 KiB */
	PACKET_SUBSCRIPTION_IDS_MAX = 4096,
	PACKET_FILTERS_MAX = 16384, /* in one SUBSCRIBE or UNSUBSCRIBE: 768 KiB */
};
