/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishers beyond their rate (daemon/net/limit.h: messages and bytes per second of a device, over
 * all its connections and workers) are not read for a while: what they send stays in their sockets,
 * TCP slows them down, and nothing is lost or refused. Packets that were read already wait in the
 * connection, at most what one read gives. While it waits a client cannot be heard, so its silence
 * does not count against its keep alive. The worker's thread.
 */
#pragma once

#include "daemon/broker/conn.h"

/* A PUBLISH of n bytes in all is next. True: it has to wait, and the connection is paused; its
 * input goes on by itself (conn_resume). */
bool throttle_publish(struct conn *c, size_t n);

static inline bool throttle_active(const struct conn *c)
{
	return loop_timer_running(&c->throttle);
}
