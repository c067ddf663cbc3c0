/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and their text form: see clock.h. Any thread; opens no file (sandboxed processes call it).
 */
#include "daemon/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000u;
}

int64_t clock_wall(void)
{
	return (int64_t)(read_ns(CLOCK_REALTIME) / 1000000000u);
}

const char *clock_format(int64_t seconds, char out[CLOCK_TEXT])
{
	struct tm tm;
	const time_t t = (time_t)seconds;
	if (!gmtime_r(&t, &tm) || strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, CLOCK_TEXT, "out of range");
	return out;
}

const char *clock_format_ms(uint64_t ms, char out[CLOCK_TEXT])
{
	struct tm tm;
	char date[CLOCK_TEXT];
	const time_t t = (time_t)(ms / 1000);
	if (!gmtime_r(&t, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(out, CLOCK_TEXT, "out of range");
	else
		snprintf(out, CLOCK_TEXT, "%.19s.%03uZ", date, (unsigned)(ms % 1000));
	return out;
}
