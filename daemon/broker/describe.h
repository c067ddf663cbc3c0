/* SPDX-License-Identifier: Apache-2.0
 *
 * What the events of a connection say of it beside who and where from: how it came, what it spoke,
 * what it cost. The event of its end holds all of it and is the line of the access log. The
 * worker's thread.
 */
#pragma once

#include "daemon/broker/conn.h"

/* "MQTT 5.0"; NULL before CONNECT was understood. */
const char *describe_protocol(const struct conn *c);
/* Appends protocol, transport, tls, cipher, resumed and proxy, as far as they are known. Needs its
 * stream. */
void describe_way(const struct conn *c, struct buf *detail);
/* Appends duration_ms (since CONNECT, or since it was accepted), bytes_received, bytes_sent and, of
 * one that was connected, messages_received and messages_sent. */
void describe_traffic(const struct conn *c, struct buf *detail);
