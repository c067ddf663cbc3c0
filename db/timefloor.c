/* SPDX-License-Identifier: Apache-2.0
 *
 * Floor of the clock: see timefloor.h.
 */
#include "db/timefloor.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"

enum { HOUR_MS = 3600 * 1000, DRIFT = 60 };

int64_t timefloor_get(const struct timefloor *f)
{
	return MAX(build_time(), f->stored - TIMEFLOOR_SLACK);
}

bool timefloor_ok(const struct timefloor *f)
{
	return clock_wall() >= timefloor_get(f);
}

int64_t timefloor_now(const struct timefloor *f)
{
	return MAX(clock_wall(), timefloor_get(f));
}

static void hour_passed(struct loop_timer *t)
{
	struct timefloor *f = container_of(t, struct timefloor, timer);
	const int64_t wall = clock_wall();
	const uint64_t mono_ms = clock_mono_ms();
	const int64_t moved = wall - f->last_wall;
	const int64_t passed = (int64_t)((mono_ms - f->last_mono_ms) / 1000);
	const bool steady = moved >= passed - DRIFT && moved <= passed + DRIFT;
	if (steady && wall > f->stored &&
	    SQL_RUN(f->registry, "UPDATE meta SET value = ? WHERE name = 'time-floor'",
		    sql_int(wall)) == 0)
		f->stored = wall;
	f->last_wall = wall;
	f->last_mono_ms = mono_ms;
	loop_timer_start(f->loop, &f->timer, "time floor", HOUR_MS, hour_passed);
}

void timefloor_init(struct timefloor *f, struct loop *loop, struct sql *registry)
{
	*f = (struct timefloor){.loop = loop, .registry = registry};
	SQL_GET_INT(registry, &f->stored, "SELECT value FROM meta WHERE name = 'time-floor'");
	f->last_wall = clock_wall();
	f->last_mono_ms = clock_mono_ms();
	loop_timer_start(loop, &f->timer, "time floor", HOUR_MS, hour_passed);
}

void timefloor_fini(struct timefloor *f)
{
	loop_timer_stop(f->loop, &f->timer);
}
