/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on connections, and what the other operations need of them. Main thread of the store.
 * The figures are at most a second old.
 *
 * Fields of a client (one connection):
 *   client_id                     str
 *   device                        str or null: anonymous
 *   address, listener, protocol   str
 *   tls                           str or null
 *   fingerprint                   bytes or null, of its certificate
 *   connected                     time
 *   keep_alive                    int, seconds
 *   subscriptions, queued         int
 *   messages_in, messages_out, bytes_in, bytes_out      int
 *   messages_in_per_minute, messages_out_per_minute     int, of late
 *
 * client.list    items: list of clients in the order of connecting; next: str or null
 * client.show    a client, and of its session, as the broker has it now:
 *   is_connected                  bool; when false there is nothing of the above but client_id
 *   session_expiry                int, seconds, or null: never
 *   queued_now, queued_bytes      int, what waits
 *   in_flight, received           int: sent and not acknowledged; QoS 2 that wait for PUBREL
 *   dropped                       int, messages that found no room
 *   will                          bool
 *   transport                     str: tcp, tls, ws, wss; this and the next while it is connected
 *   tls_version, cipher, group, alpn    str or null;  resumed: bool
 *   receive_maximum               int;  packet_max: int or null, what the client stated
 *   unsent_bytes                  int, encoded and not taken by the network
 *   heard                         time of its last packet
 *   subscription_list             list of {filter: str, qos: int, no_local, retain_as_published:
 *                                 bool, identifier: int, active: bool, false when the rules no
 *                                 longer allow it, partial: bool}; subscriptions_left_out: int
 * client.remove  client_id; sessions_closed: int
 */
#pragma once

#include "db/ops.h"

/* Appends the list "clients" of a device. */
void client_put_of_device(struct store *s, int64_t device_id, struct buf *out);
