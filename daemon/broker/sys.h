/* SPDX-License-Identifier: Apache-2.0
 *
 * The topics below $SYS/broker under the names that Mosquitto's users know: figures of the broker,
 * published every sys-interval while somebody subscribes to some of them, retained, and taken away
 * when nobody does any more. Who may subscribe is for the access rules to say, which reach "$"
 * topics only by name. The control thread computes them once a second; the first worker publishes.
 */
#pragma once

#include "daemon/broker/stats.h"

struct control;

/* Averages over 1, 5 and 15 minutes. */
enum { SYS_LOADS = 11, SYS_SPANS = 3 };

struct sys {
	struct stats before; /* figures of the last second */
	double load[SYS_LOADS][SYS_SPANS];
	uint64_t started_s;  /* monotonic, as the next two */
	uint64_t computed_s; /* 0: never */
	uint64_t published_s;
	uint64_t maximum; /* most clients at the same time */
	bool present;     /* published and not taken away */
};

/* wanted: somebody subscribes to a topic below $SYS. */
void sys_second(struct control *k, const struct stats *now, bool wanted);
