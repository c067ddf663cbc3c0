/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory as one ZIP file (PKWARE APPNOTE 6.3), not compressed: what is in a bundle is small,
 * and keys do not compress. Modes are kept for those who read them. One thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends a ZIP of the plain files in dir and in its directories, named top/...; at most 100 files
 * of 1 MiB. 0, ERR_IO or ERR_LIMIT. */
int zip_directory(const char *dir, const char *top, struct buf *out) MUST_CHECK;
