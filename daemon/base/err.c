/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of the error codes, and the cleanup of descriptors declared with AUTO_FD. Any thread.
 */
#include "daemon/base/err.h"
#include "daemon/base/defs.h"

#include <errno.h>
#include <unistd.h>

const char *err_text(int err)
{
	static const char *const text[] = {
		[-ERR_NOMEM] = "out of memory",
		[-ERR_AGAIN] = "not ready yet",
		[-ERR_EOF] = "closed by the peer",
		[-ERR_IO] = "input/output error",
		[-ERR_MALFORMED] = "malformed",
		[-ERR_LIMIT] = "over the limit",
		[-ERR_NOT_FOUND] = "not found",
		[-ERR_EXISTS] = "already exists",
		[-ERR_DENIED] = "not permitted",
		[-ERR_INVALID] = "not acceptable",
		[-ERR_TIMEOUT] = "timed out",
		[-ERR_UNAVAILABLE] = "unavailable",
		[-ERR_CONFLICT] = "changed in between",
		[-ERR_CRYPTO] = "cryptographic check failed",
	};
	if (err == 0)
		return "success";
	if (err > 0 || (size_t)-err >= ARRAY_LEN(text))
		return "unknown error";
	return text[-err];
}

void fd_auto(int *fd)
{
	const int saved = errno;
	if (*fd >= 0)
		close(*fd);
	errno = saved;
}
