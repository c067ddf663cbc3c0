/* SPDX-License-Identifier: Apache-2.0
 *
 * Time. Deadlines and intervals use the monotonic clock; wall time is for records and certificates.
 * Libraries that judge time (mqtt, acl, watch) take it as a parameter and never call these.
 */
#pragma once

#include "daemon/base/defs.h"

uint64_t clock_mono_ms(void); /* milliseconds since some moment before the process started */
uint64_t clock_mono_ns(void);
uint64_t clock_wall_ms(void); /* milliseconds since 1970-01-01 UTC */
int64_t clock_wall(void);     /* seconds since 1970-01-01 UTC */

enum { CLOCK_TEXT = 32 };
/* "2026-11-25T17:50:34Z", or with milliseconds "…34.123Z". Proleptic Gregorian, UTC, no tz files.
 */
const char *clock_format(int64_t seconds, char out[CLOCK_TEXT]);
const char *clock_format_ms(uint64_t ms, char out[CLOCK_TEXT]);
