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

/* Fills why (longer text is cut; NULL is allowed) and returns err:
 *   return why_set(why, ERR_INVALID, "..."); */
int why_set(struct why *why, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
