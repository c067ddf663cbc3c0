/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a ZIP file (PKWARE APPNOTE 6.3), not compressed: what is in a bundle is small, and keys do
 * not compress. Modes are kept for those who read them. Nothing is read here, so nothing of a
 * stranger's is parsed; a library for archives would bring five for compression along, into
 * processes that open no files. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

#include <sys/types.h>

enum { ZIP_FILES_MAX = 100, ZIP_FILE_MAX = 1 * MiB, ZIP_NAME_MAX = 512 };

struct zip {
	struct buf *out;
	struct buf central;
	unsigned files;
	uint16_t time;
	uint16_t date;
};

/* The archive is appended to out, which must be empty. now: seconds since 1970, UTC, at which all
 * of it was made. */
void zip_begin(struct zip *z, struct buf *out, int64_t now);
/* name: UTF-8, "dir/file". 0, or ERR_LIMIT: it is too long or too large, or there are too many. */
int zip_add(struct zip *z, const char *name, mode_t mode, struct str bytes) MUST_CHECK;
/* Writes the directory of it: the archive is whole. zip_fini is done by it. */
void zip_end(struct zip *z);
/* Drops what was begun; out stays with its owner. */
void zip_fini(struct zip *z);
