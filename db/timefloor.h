/* SPDX-License-Identifier: Apache-2.0
 *
 * Can the clock be trusted? A gateway without a battery clock may start in 1970, and then every
 * certificate would look fresh and every code valid for ever. The floor is the later of the build
 * date and the last time that was stored (meta: time-floor); while the clock is below it nothing
 * expires, is purged or is issued.
 *
 * A time is stored once an hour, and only when the clock moved as much as the monotonic clock did
 * in that hour: a clock that was wrong for a moment leaves no trace. Smaller steps back than
 * TIMEFLOOR_SLACK seconds are the business of NTP. Main thread of the store. Judges the clock,
 * never sets it.
 */
#pragma once

#include "daemon/net/loop.h"
#include "db/sql.h"

enum { TIMEFLOOR_SLACK = 24 * 3600 };

struct timefloor {
	struct loop *loop;
	struct sql *registry;
	int64_t stored; /* seconds since 1970, 0: none */
	int64_t last_wall;
	uint64_t last_mono_ms;
	struct loop_timer timer;
};

void timefloor_init(struct timefloor *f, struct loop *loop, struct sql *registry);
void timefloor_fini(struct timefloor *f);
int64_t timefloor_get(const struct timefloor *f); /* seconds since 1970 */
bool timefloor_ok(const struct timefloor *f);     /* the clock is not below it */
int64_t timefloor_now(const struct timefloor *f); /* the clock, but never below the floor */
