/* SPDX-License-Identifier: Apache-2.0
 *
 * A token bucket: so many per second, and as many at once after a pause. {0} is a full one. Pure;
 * the clock is passed in.
 */
#pragma once

#include "daemon/base/map.h"

struct rate {
	uint64_t full_us; /* the time at which it is full again */
};

/* Takes one token; false when there is none. One comes every so many microseconds; burst tokens fit
 * the bucket. */
static inline bool rate_take_every(struct rate *r, uint64_t cost, uint32_t burst, uint64_t now_us)
{
	const uint64_t from = MAX(r->full_us, now_us);
	if (from - now_us + cost > cost * burst)
		return false;
	r->full_us = from + cost;
	return true;
}

/* The same; per_second >= 1. */
static inline bool rate_take(struct rate *r, uint32_t per_second, uint32_t burst, uint64_t now_us)
{
	return rate_take_every(r, 1000000 / per_second, burst, now_us);
}

/* Puts one back. */
static inline void rate_give(struct rate *r, uint32_t per_second)
{
	const uint64_t cost = 1000000 / per_second;
	r->full_us -= MIN(r->full_us, cost);
}

/* Full: nothing is remembered of it any more. */
static inline bool rate_idle(const struct rate *r, uint64_t now_us)
{
	return r->full_us <= now_us;
}

/* A bucket for each of many callers, so that none empties another's. By name: with this many two of
 * them rarely share one. */
enum { RATE_CALLERS = 64 };
struct rates {
	struct rate of[RATE_CALLERS];
};

static inline struct rate *rates_of(struct rates *r, const char *caller)
{
	return &r->of[hash_bytes(caller, strlen(caller)) % RATE_CALLERS];
}
