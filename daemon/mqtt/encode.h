/* SPDX-License-Identifier: Apache-2.0
 *
 * From struct packet to bytes, for every packet type and version, and the fast way for PUBLISH to
 * many receivers. Sizes are exact beforehand: ask for the size, reserve, encode. The encoder trusts
 * its caller with the meaning of a packet (a packet identifier that is not 0, a valid topic); it
 * never sends properties or reason codes to a version that does not have them. No I/O, no clock, no
 * globals; any thread; no allocation.
 */
#pragma once

#include "daemon/base/cursor.h"
#include "daemon/mqtt/packet.h"

/* Bytes of the encoded packet; a CONNECT is in its own version, whatever version says. 0: it cannot
 * be sent in this version: a string above 65535 bytes, a remaining length above 268435455, AUTH
 * before MQTT 5, or a CONNACK whose reason has no return code in MQTT 3 (then close without one).
 */
size_t packet_size(enum mqtt_version version, const struct packet *p);

/* Writes packet_size bytes. False, with nothing usable written, when that is 0 or o has no room. */
bool packet_encode(enum mqtt_version version, const struct packet *p, struct out *o) MUST_CHECK;

/* PUBACK, PUBREC, PUBREL or PUBCOMP of success, in 4 bytes that are the same in every version. */
enum { ACK_SIZE = 4 };
void ack_encode(enum packet_type type, uint16_t packet_id, struct out *o);

/* Makes p fit a peer's maximum packet size: where it is larger than limit, user properties go
 * first, then the reason string [MQTT-3.2.2-19, 3.2.2-20, 3.4.2-2, ...]. Only packets that answer
 * (CONNACK, PUBACK ... PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH) lose properties; a PUBLISH must
 * keep them [MQTT-3.3.2-17]. Returns the size; 0: it cannot be sent within the limit. */
size_t packet_fit(enum mqtt_version version, struct packet *p, size_t limit);

/* Takes reason string and user properties out of a packet that must not carry them because the
 * client asked for no problem information: all but PUBLISH, CONNACK, DISCONNECT [MQTT-3.1.2-29]. */
void packet_drop_problem_information(struct packet *p);

/*
 * PUBLISH: encode once, send to many.
 *
 * On the wire a PUBLISH is
 *
 *   flags | remaining length | topic | packet id | property length | own properties || shared
 *   properties | payload
 *
 * Left of || is the head: it differs from receiver to receiver and takes some 20 ns to write. Right
 * of it is the tail: the same bytes for all receivers. Own properties are message expiry interval
 * (it shrinks while the message waits [MQTT-3.3.2-6]), topic alias and subscription identifiers;
 * shared properties are all others. An MQTT 3 receiver gets the tail without its properties, which
 * stand first: so one block of bytes per message, made once, serves all versions:
 *
 *   block = shared properties | payload          MQTT 5 tail = all, MQTT 3 tail = from payload on
 *
 * When a message is taken in: reserve publish_shared_size(props) + payload bytes, write
 * publish_shared_encode and copy the payload behind; keep the topic, the expiry, the sizes.
 * For each receiver: publish_head_size, publish_head_encode, then the bytes of publish_tail (a copy
 * into the coalesced output, or by reference). Receivers for which qos, retain, alias, ids and
 * expiry are equal get equal packets but for the packet identifier and DUP: encode the first one
 * and publish_patch copies of it.
 */
struct publish_shared {
	struct str topic;
	struct str properties; /* as publish_shared_encode wrote them, in front of payload */
	struct str payload;    /* payload.p == properties.p + properties.n */
};

struct publish_receiver {
	enum mqtt_version version;
	uint8_t qos;
	bool retain;
	bool dup;
	bool has_message_expiry;
	bool topic_omitted;          /* send an empty topic: the alias is known to the receiver */
	uint16_t packet_id;          /* ignored with QoS 0 */
	uint16_t topic_alias;        /* 0 = none */
	uint32_t message_expiry;     /* what is left of the interval, seconds */
	struct subscription_ids ids; /* of all matching subscriptions */
};

/* Bytes of the shared properties of p; 0 where there are none. */
size_t publish_shared_size(const struct props *p);

/* Writes them. */
void publish_shared_encode(const struct props *p, struct out *o);

/* Bytes of the head, and of the whole packet with its tail. 0: larger than MQTT can say. */
size_t publish_head_size(const struct publish_shared *m, const struct publish_receiver *r);
size_t publish_size(const struct publish_shared *m, const struct publish_receiver *r);

/* Writes the head. False when o has no room or publish_size is 0. */
bool publish_head_encode(const struct publish_shared *m, const struct publish_receiver *r,
			 struct out *o) MUST_CHECK;

/* The bytes behind the head. */
static inline struct str publish_tail(const struct publish_shared *m, enum mqtt_version version)
{
	if (version != MQTT_5 || m->properties.n == 0)
		return m->payload;
	return str_make(m->properties.p, m->properties.n + m->payload.n);
}

/* Writes head and tail. */
bool publish_encode(const struct publish_shared *m, const struct publish_receiver *r,
		    struct out *o) MUST_CHECK;

/* Offset of the packet identifier in an encoded PUBLISH (or its head) of QoS 1 or 2. */
size_t publish_packet_id_at(const struct publish_shared *m, const struct publish_receiver *r);

/* Gives a copy of an encoded PUBLISH of QoS 1 or 2 to another receiver, or marks it as sent again.
 */
static inline void publish_patch(unsigned char *packet, size_t packet_id_at, uint16_t packet_id,
				 bool dup)
{
	packet[0] = (unsigned char)((packet[0] & ~0x08) | (dup ? 0x08 : 0));
	packet[packet_id_at] = (unsigned char)(packet_id >> 8);
	packet[packet_id_at + 1] = (unsigned char)packet_id;
}
