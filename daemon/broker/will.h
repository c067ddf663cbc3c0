/* SPDX-License-Identifier: Apache-2.0
 *
 * The will of a client: kept by its session, published when the connection ends in any other way
 * than by DISCONNECT with reason 0, after its delay, at the latest when the session ends. It is
 * published if the rules that held while the client was connected allowed it. Sections 3.1.2.5 and
 * 3.1.3.2.2.
 */
#pragma once

#include "daemon/broker/session.h"
#include "daemon/mqtt/packet.h"

/* From a CONNECT; replaces an older one. */
void will_set(struct session *s, const struct packet_will *will);
void will_drop(struct session *s);
/* The connection ended: publishes it now or starts its delay. Nothing when there is none. */
void will_due(struct session *s);
/* As the spool keeps it; nothing when there is none. */
void will_save(const struct session *s, struct buf *out);
void will_load(struct session *s, struct str saved, uint64_t due_ms);
/* When its delay is over (wall clock, milliseconds); 0: it is not running. */
uint64_t will_due_at(const struct session *s);
/* Restored together with its delay: goes on, or publishes it. */
void will_wake(struct session *s);
/* The session ends: publishes one that waits for its delay. */
void will_publish(struct session *s);
