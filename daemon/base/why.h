/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentence that tells a person why something was refused: the field, the value, the allowed
 * range and what to do. It travels beside an error code, from the place that judged to the place
 * that answers or logs. Control characters are replaced, so it is safe in a log line.
 */
#pragma once

#include "daemon/base/defs.h"

enum { WHY_MAX = 256 };

struct why {
	char text[WHY_MAX];
};

/* Fills why (longer text is cut; NULL is allowed). */
void why_text(struct why *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline int why_code(int err)
{
	return err;
}

/* The same, and its value is err:
 *   return why_set(why, ERR_INVALID, "...");
 * A macro, so that a reader of one file (an analyser too) sees which code comes back. */
#define why_set(why, err, ...) (why_text(why, __VA_ARGS__), why_code(err))
