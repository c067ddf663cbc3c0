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
 *
 * client.list    items: list of clients in the order of connecting; next: str or null
 * client.show    a client
 * client.remove  client_id; sessions_closed: int
 */
#pragma once

#include "db/ops.h"

/* Appends the list "clients" of a device. */
void client_put_of_device(struct store *s, int64_t device_id, struct buf *out);
