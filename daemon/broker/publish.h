/* SPDX-License-Identifier: Apache-2.0
 *
 * PUBLISH from clients, and the packets that acknowledge: judged by limits and access rules, then
 * made into a message and routed. Runs in the connection's worker. Sections 3.3 to 3.7, 4.3.
 */
#pragma once

#include "daemon/broker/conn.h"

/* Topics of the gateway's own: no rule lets a client publish there. */
bool publish_reserved(struct str topic);

/* Each returns REASON_SUCCESS, or why the connection has to be closed. */
enum reason publish_received(struct conn *c, const struct packet *p);
enum reason acknowledge_received(struct conn *c, const struct packet *p);
enum reason release_received(struct conn *c, const struct packet *p);
