/* SPDX-License-Identifier: Apache-2.0
 *
 * Reason codes: see reason.h. The table is reason.def, indexed here by code. Pure, any thread.
 */
#include "daemon/mqtt/reason.h"
#include "daemon/base/err.h"

enum {
	CONNACK = 1 << PACKET_CONNACK,
	RECEIVED = 1 << PACKET_PUBACK | 1 << PACKET_PUBREC,
	RELEASED = 1 << PACKET_PUBREL | 1 << PACKET_PUBCOMP,
	ACKS = RECEIVED | RELEASED,
	SUBACK = 1 << PACKET_SUBACK,
	UNSUBACK = 1 << PACKET_UNSUBACK,
	DISCONNECT = 1 << PACKET_DISCONNECT,
	AUTH = 1 << PACKET_AUTH,
	NONE = -1,
};

struct row {
	const char *text;
	uint16_t packets[2]; /* by enum sender: bit i, packet type i */
	int8_t connack;
};

static const struct row rows[] = {
#define REASON(name, code, text, server, client, connack) \
	[code] = {text, {[SENDER_SERVER] = (server), [SENDER_CLIENT] = (client)}, connack},
#include "daemon/mqtt/reason.def"
#undef REASON
};

static const struct row *row_of(unsigned r)
{
	return r < ARRAY_LEN(rows) && rows[r].text ? &rows[r] : NULL;
}

const char *reason_text(enum reason r)
{
	const struct row *row = row_of(r);
	return row ? row->text : "unknown reason code";
}

bool reason_allowed(unsigned r, enum packet_type type, enum sender sender)
{
	const struct row *row = row_of(r);
	return row && (row->packets[sender] >> type & 1);
}

int reason_to_connack_v3(enum reason r)
{
	const struct row *row = row_of(r);
	return row && row->connack != NONE ? row->connack : ERR_INVALID;
}

int reason_from_connack_v3(uint8_t code, enum reason *out)
{
	static const enum reason reasons[] = {
		REASON_SUCCESS,
		REASON_UNSUPPORTED_PROTOCOL_VERSION,
		REASON_CLIENT_IDENTIFIER_NOT_VALID,
		REASON_SERVER_UNAVAILABLE,
		REASON_BAD_USER_NAME_OR_PASSWORD,
		REASON_NOT_AUTHORIZED,
	};
	if (code >= ARRAY_LEN(reasons))
		return ERR_MALFORMED;
	*out = reasons[code];
	return 0;
}
