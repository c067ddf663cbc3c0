/* SPDX-License-Identifier: Apache-2.0
 *
 * The sandbox of a child process: no new privileges, files by Landlock, system calls by seccomp.
 * Applied once by the child itself, after it received what it needs and before its own code runs.
 */
#pragma once

#include "daemon/base/defs.h"
#include "daemon/base/processes.h"

/* dir: the only directory with files, or NULL. kill_default: a call that is not allowed kills
 * instead of failing with ENOSYS. 0, or ERR_IO after one clear log line. */
int sandbox_apply(enum process process, const char *dir, bool kill_default);
/* False in builds with a sanitizer, whose run-time needs what the filter takes away. */
bool sandbox_available(void);
