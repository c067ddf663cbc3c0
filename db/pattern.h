/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns for names of devices: a name in which each * stands for any letters, also none. Pure.
 */
#pragma once

#include "daemon/base/str.h"

enum { PATTERN_STARS = 4 };

/* 1 to 64 of what a name may have, and 1 to PATTERN_STARS stars. */
bool pattern_check(struct str pattern);
bool pattern_match(struct str pattern, struct str name);
