/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of people: see file.h.
 */
#include "ctl/file.h"
#include "daemon/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(int err, const char *text, const char **why)
{
	*why = text;
	return err;
}

int file_read(const char *path, size_t max, struct buf *out, const char **why)
{
	struct stat st;
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(ERR_IO, strerror(errno), why);
	if (S_ISDIR(st.st_mode))
		return fail(ERR_INVALID, "a directory", why);
	const size_t before = out->n;
	for (;;) {
		const ssize_t n = read(fd, buf_reserve(out, 16 * KiB), 16 * KiB);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(ERR_IO, strerror(errno), why);
		if (n == 0)
			return 0;
		out->n += (size_t)n;
		if (out->n - before > max)
			return fail(ERR_LIMIT, "too large to be such a file", why);
	}
}
