/* SPDX-License-Identifier: Apache-2.0
 *
 * From bytes to struct packet: framing of a stream, then strict decoding in place.
 *
 * Strict means: every rule of the three standards that can be judged from the bytes of one packet
 * and the sender's side is judged here. What needs state (is the packet identifier in use, is the
 * topic alias known and not above the maximum, is this the first packet) is the caller's to judge.
 * No I/O, no clock, no globals; any thread. Nothing is allocated but lists (user properties,
 * subscription identifiers, topic filters), from the caller's arena. A PUBLISH without user
 * properties allocates nothing.
 */
#pragma once

#include "daemon/base/mem.h"
#include "daemon/mqtt/packet.h"

/* Looks at the beginning of a stream of packets.
 * 0: *size is the size of the first packet, and it is complete in the n bytes.
 * ERR_AGAIN: it is not complete yet; read on (packet_need says how far).
 * ERR_MALFORMED: the remaining length has more than 4 bytes (answer REASON_MALFORMED_PACKET).
 * ERR_LIMIT: it is, or will be, larger than max_packet bytes (answer REASON_PACKET_TOO_LARGE); said
 * as soon as its length is known, before its body arrives. */
int packet_frame(const void *p, size_t n, size_t max_packet, size_t *size) MUST_CHECK;

/* Size of the packet that begins at p, as soon as n bytes show it; 0 while they do not. */
size_t packet_need(const void *p, size_t n);

/* Decodes one packet of exactly n bytes, as packet_frame gave it.
 * version: what the CONNECT said (decoded or sent), MQTT_UNKNOWN before it: then only a CONNECT is
 * accepted, and afterwards a CONNECT is a protocol error [MQTT-3.1.0-1, 3.1.0-2].
 * REASON_SUCCESS: *out is the packet. Otherwise *out is undefined and the value is the code that an
 * MQTT 5 peer is told (in CONNACK as answer to CONNECT, else in DISCONNECT):
 * MALFORMED_PACKET, PROTOCOL_ERROR, UNSUPPORTED_PROTOCOL_VERSION, CLIENT_IDENTIFIER_NOT_VALID
 * (empty where it may not be), TOPIC_NAME_INVALID, TOPIC_FILTER_INVALID, TOPIC_ALIAS_INVALID,
 * QUOTA_EXCEEDED (a list above PACKET_*_MAX). The connection is to be closed in every case. */
enum reason packet_decode(enum mqtt_version version, enum sender sender, const void *p, size_t n,
			  struct arena *a, struct packet *out) MUST_CHECK;

/* The version in which a CONNECT that was refused is to be answered. p, n: the packet or as much of
 * it as is there, from its first byte. Level 5 gives MQTT_5, level 4 and every unknown level of the
 * protocol name "MQTT" MQTT_3_1_1, "MQIsdp" MQTT_3_1: an unacceptable level is answered with return
 * code 1 in the form of MQTT 3 [3.1.1 MQTT-3.1.2-2]. MQTT_UNKNOWN: not an MQTT CONNECT, close
 * without an answer. */
enum mqtt_version connect_version(const void *p, size_t n);
