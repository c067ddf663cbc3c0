/* SPDX-License-Identifier: Apache-2.0
 *
 * An MQTT packet as a person reads it: its fields as values of a rec (ipc/rec.h), long ones cut.
 * What proves an identity is never in it: of passwords and authentication data only their length.
 * Pure, any thread.
 *
 * packet       str, "PUBLISH"
 * packet_id    int, where the packet has one
 * qos          int, PUBLISH
 * flags        str, where some are set: "dup retain", "clean-start", "session-present"
 * topic        str, PUBLISH
 * reason       str, of acknowledgements, CONNACK, DISCONNECT and AUTH; of SUBACK one for each
 * filter about        str, what else it says: filters with their options, the fields of CONNECT
 * properties   str, MQTT 5
 * payload      str, PUBLISH, when it is asked for: text, or hexadecimal digits
 * payload_size int, PUBLISH
 */
#pragma once

#include "daemon/mqtt/packet.h"

enum { TRACE_STRING = 256, TRACE_TEXT = 1024 }; /* bytes shown of one string, of one field */

void trace_text(struct buf *rec, const struct packet *p, bool payload);
