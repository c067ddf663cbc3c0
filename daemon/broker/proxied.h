/* SPDX-License-Identifier: Apache-2.0
 *
 * The beginning of a connection that a trusted proxy forwards: the header of the PROXY protocol,
 * before TLS and before anything else. Until it is complete the connection is in CONN_PROXY and
 * counts as the proxy's; then its peer is the address that was stated, which allow-from and the
 * limits judge. LOCAL and UNKNOWN: it stays the proxy's own, and is judged as such. The
 * connection's worker.
 *
 * Does not judge who may speak for others: the acceptor has compared the peer with proxy-from.
 */
#pragma once

#include "daemon/broker/conn.h"

/* The connection has its endpoint; takes fd. Ends in accept_stated(), or in conn_close() with an
 * event. */
void proxied_accept(struct conn *c, int fd);
/* The time to CONNECT is over. */
void proxied_late(struct conn *c);
