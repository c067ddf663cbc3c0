/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that a person names on the command line, read whole and bounded. One thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends the bytes of a file. 0; ERR_IO, ERR_LIMIT (more than max bytes) or ERR_INVALID (no
 * regular file) with a clause for people in *why, such as "No such file or directory" (static or
 * errno's). */
int file_read(const char *path, size_t max, struct buf *out, const char **why) MUST_CHECK;
