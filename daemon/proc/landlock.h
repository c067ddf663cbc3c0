/* SPDX-License-Identifier: Apache-2.0
 *
 * File access by Landlock, through its three system calls. landlock(7).
 */
#pragma once

/* From now on this process (and nothing else) may touch files only below dir (NULL: no file at
 * all). Descriptors that are open stay usable. 0; ERR_UNAVAILABLE where the kernel has no Landlock;
 * ERR_IO. */
int landlock_confine(const char *dir);
