/* SPDX-License-Identifier: Apache-2.0
 *
 * From a published message to its receivers: one match against the index of subscriptions, one
 * entry for each worker that has some of them, one delivery per session whatever the number of its
 * subscriptions that match. Order is kept per publisher: notes to a worker arrive as they were
 * sent. No lock, and nothing allocated for receivers on the same worker. Sections 3.3.4 and 4.6.
 */
#pragma once

#include "daemon/broker/msg.h"
#include "daemon/broker/worker.h"

/* Returns how many subscriptions matched. */
size_t route_publish(struct worker *w, struct msg *m);
/* Whether publishers should not be read now, because some worker has too much on its way. */
bool route_congested(const struct worker *w);
