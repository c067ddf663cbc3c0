/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking file descriptors: what several rooms do with one. Any thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Writes all bytes, over interruptions and short writes. 0 or ERR_IO (errno). */
int fd_write(int fd, struct str bytes);
