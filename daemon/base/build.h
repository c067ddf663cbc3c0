/* SPDX-License-Identifier: Apache-2.0
 *
 * When this program was built, in seconds since 1970-01-01 UTC: SOURCE_DATE_EPOCH of the build, or
 * the date of the release as configure.ac states it. Both are the same for everyone who builds the
 * same source, so builds stay reproducible. A clock that shows less is wrong: below this floor
 * nothing is issued, expires or is purged.
 */
#pragma once

#include "config.h"

#include <stdint.h>

static inline int64_t build_time(void)
{
	return BUILD_TIME;
}
