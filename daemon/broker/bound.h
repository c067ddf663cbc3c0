/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens when a client or a session reaches one of the bounds of bound.def, or of
 * daemon/net/limit.h: it is counted, and told in an event (limit.reached) whose reason is the name
 * of the setting and whose details hold its value. Runs in the worker's thread. What becomes of the
 * message or the connection is the caller's business.
 */
#pragma once

#include "daemon/broker/worker.h"

struct conn;
struct session;

enum bound {
#define BOUND(ID, field, name, value) BOUND_##ID,
#include "daemon/broker/bound.def"
	BOUNDS
};
const char *bound_name(enum bound b); /* "max-payload" */

/* As configured, of all listeners together. */
uint64_t bound_value(const struct settings *s, enum bound b);

/* Counts only: where another event tells of it. */
void bound_count(struct worker *w, enum bound b);
/* By a connection; every time. */
void bound_reached(struct conn *c, enum bound b);
/* A message for this session was dropped, its client connected or not. Told once a minute, with how
 * many were dropped in the session's life. */
void bound_dropped(struct session *s, enum bound b);
/* A refusal or pause by limit.h, which has counted it. */
void bound_limited(struct conn *c, struct limit *by, enum limit_refusal r);
