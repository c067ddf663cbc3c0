/* SPDX-License-Identifier: Apache-2.0
 *
 * SUBSCRIBE and UNSUBSCRIBE: every filter is judged by itself and answered by itself; a filter that
 * the rules do not grant as a whole is refused, never silently narrowed, unless a deny rule takes
 * topics out of it: then each delivery is judged. Runs in the connection's worker. Sections 3.8 to
 * 3.11.
 */
#pragma once

#include "daemon/broker/conn.h"
#include "daemon/broker/session.h"

/* Each returns REASON_SUCCESS, or why the connection has to be closed. */
enum reason subscribe_received(struct conn *c, const struct packet *p);
enum reason unsubscribe_received(struct conn *c, const struct packet *p);

/* What the rules of now make of a subscription: its options with SUB_JUDGE and SUB_PARTIAL set or
 * clear. False: not granted. verdict may be NULL. */
bool subscription_judge(const struct session *s, struct str filter, uint8_t *options,
			struct acl_verdict *verdict);
/* Whether a message may be delivered through a subscription with SUB_JUDGE; retain: with that flag.
 */
bool subscription_may_receive(const struct session *s, const struct subscription *sub,
			      const struct msg *m, bool retain);
