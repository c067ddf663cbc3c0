/* SPDX-License-Identifier: Apache-2.0
 *
 * The reason codes of MQTT 5.0 (section 2.4), as REASON_<NAME IN THE STANDARD>, and what each means
 * elsewhere: its text, the packets that may carry it, the CONNACK return code of MQTT 3.1
 * and 3.1.1. Packet handlers return enum reason whatever the client's version is: below 0x80 is
 * success, from 0x80 on it is what an MQTT 5 client is told. Pure values, any thread.
 */
#pragma once

#include "daemon/mqtt/protocol.h"

enum reason {
#define REASON(name, code, ...) REASON_##name = (code),
#include "daemon/mqtt/reason.def"
#undef REASON
	REASON_NORMAL_DISCONNECTION = 0x00, /* the name of 0x00 in DISCONNECT */
	REASON_GRANTED_QOS_0 = 0x00,        /* and in SUBACK */
};

static inline bool reason_is_error(enum reason r)
{
	return r >= REASON_UNSPECIFIED_ERROR;
}

/* The name in the standard ("Malformed Packet"); "unknown reason code" for anything else. Never
 * NULL. */
const char *reason_text(enum reason r);

/* Whether `sender` may send code r in an MQTT 5 packet of this type [MQTT-3.2.2-8, 3.4.2-1,
 * 3.5.2-1, 3.6.2-1, 3.7.2-1, 3.9.3-2, 3.11.3-2, 3.14.2-1, 3.15.2-1]. r may be any byte. */
bool reason_allowed(unsigned r, enum packet_type type, enum sender sender);

/* The CONNACK return code of MQTT 3.1 and 3.1.1 for r: 0..5, or ERR_INVALID when none applies; then
 * the server closes the connection without a CONNACK [3.1.1 MQTT-3.2.2-6, 3.1.4-1]. */
int reason_to_connack_v3(enum reason r);

/* The reverse, for a client: 0 and *out for the codes 0..5, ERR_MALFORMED for others. */
int reason_from_connack_v3(uint8_t code, enum reason *out);
