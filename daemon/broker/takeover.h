/* SPDX-License-Identifier: Apache-2.0
 *
 * A client whose session lives on another worker: its connection, not the session, moves there,
 * with the CONNECT that it brought. Moving one socket is cheaper than moving subscriptions and
 * queues, and no message can miss a session that stays where it is.
 */
#pragma once

#include "daemon/broker/conn.h"

/* Sends the connection, in state CONN_MOVING with its CONNECT in `in`, to that worker. */
void takeover_move(struct conn *c, unsigned to);
