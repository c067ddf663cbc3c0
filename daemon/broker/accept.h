/* SPDX-License-Identifier: Apache-2.0
 *
 * How a connection begins: counted in by the limits, its TLS handshake by the pool, then the stream
 * with what is spoken on it. The connection's worker. From CONN_WAITING on it is conn.c's; what a
 * proxy states before that is proxied.h's.
 */
#pragma once

#include "daemon/broker/conn.h"

/* A socket from a listener; takes it. Nothing comes back: the connection was refused, or is there.
 */
void accept_socket(struct worker *w, const struct endpoint *e, int fd, const struct addr *peer);
/* Goes on with a connection that was counted in as a proxy's and whose peer is known now: limits,
 * then the handshake or CONNECT. Takes fd. */
void accept_stated(struct conn *c, int fd);
/* An empty connection of this worker in state CONN_WAITING with its stream (takes it), for
 * takeover. NULL: no place. */
struct conn *accept_moved(struct worker *w, struct stream *stream);
