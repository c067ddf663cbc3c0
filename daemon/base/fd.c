/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking file descriptors: see fd.h.
 */
#include "daemon/base/fd.h"
#include "daemon/base/err.h"

#include <errno.h>
#include <unistd.h>

int fd_write(int fd, struct str bytes)
{
	while (bytes.n) {
		const ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		bytes.p += n;
		bytes.n -= (size_t)n;
	}
	return 0;
}
