/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory as one ZIP file (daemon/base/zip.h). One thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends a ZIP of the plain files in dir and in its directories, named top/...; at most
 * ZIP_FILES_MAX of ZIP_FILE_MAX. 0, ERR_IO or ERR_LIMIT. */
int zip_directory(const char *dir, const char *top, struct buf *out) MUST_CHECK;
