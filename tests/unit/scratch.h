/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory of a test's own under $TMPDIR: made empty, removed with everything in it.
 */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
	char path[256];
	char file[512];
};

static inline void scratch_make(struct scratch *s)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(s->path, sizeof(s->path), "%s/gatehouse-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(s->path)) {
		perror(s->path);
		abort();
	}
}

static inline int scratch_unlink_(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)st;
	(void)kind;
	(void)f;
	return remove(path);
}

static inline void scratch_remove(struct scratch *s)
{
	nftw(s->path, scratch_unlink_, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file inside; valid until the next call. */
static inline const char *scratch_file(struct scratch *s, const char *name)
{
	snprintf(s->file, sizeof(s->file), "%s/%s", s->path, name);
	return s->file;
}

static inline void scratch_write(struct scratch *s, const char *name, const void *p, size_t n,
				 mode_t mode)
{
	const int fd = open(scratch_file(s, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n || fchmod(fd, mode) || close(fd)) {
		perror(s->file);
		abort();
	}
}

static inline long scratch_size(struct scratch *s, const char *name)
{
	struct stat st;
	return stat(scratch_file(s, name), &st) ? -1 : (long)st.st_size;
}
