/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker and the store: the registry as a snapshot and its changes, logins, orders to close
 * connections; and the other way the client list and the figures, once a second. Control thread.
 * While the store is away everything else goes on; logins are answered with "server unavailable".
 */
#pragma once

#include "daemon/broker/control.h"

/* A link to the store, the first one or after it was restarted; takes fd. */
void storelink_use(struct control *k, int fd);
/* Once a second, while serving. */
void storelink_second(struct control *k);
/* Asks again for a snapshot that did not come; nothing when none is wanted. */
void storelink_retry(struct control *k);
