/* SPDX-License-Identifier: Apache-2.0
 *
 * Reporting events to the store: collected and sent in batches at the end of the loop turn.
 * Bounded: while the store is away or behind at most REPORT_MAX bytes wait, the rest is counted and
 * told as soon as there is room again (limit.reached, reason "events dropped"). One thread, that of
 * the loop; other threads hand their events over to it.
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/ipc/link.h"

enum { REPORT_MAX = 1 * MiB };

struct report {
	struct loop *loop;
	struct link *store; /* NULL while the store is away */
	struct buf pending; /* encoded events */
	uint64_t dropped;
	struct loop_task task;
	struct loop_timer retry; /* the link's queue is full */
};

void report_init(struct report *r, struct loop *loop);
void report_fini(struct report *r);
void report_set_link(struct report *r, struct link *store); /* NULL: away; what is pending waits */

/* Fields that do not apply stay empty. Strings over their limit in messages.def are cut, between
 * characters. time_ms 0 = now. */
void report_event(struct report *r, enum event event, const struct body_event *fields);
