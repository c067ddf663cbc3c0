/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets: see secret.h. Any thread.
 */
#include "daemon/base/secret.h"
#include "daemon/base/check.h"

#include <sys/random.h>

void secret_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

bool secret_equal(struct str a, struct str b)
{
	unsigned diff = a.n != b.n;
	for (size_t i = 0; i < MIN(a.n, b.n); i++)
		diff |= (unsigned)(a.p[i] ^ b.p[i]);
	return diff == 0;
}

void secret_random(void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		const ssize_t got = getrandom((char *)p + done, n - done, 0);
		CHECK(got > 0);
		done += (size_t)got;
	}
}

void secret_buf_fini(struct buf *b)
{
	secret_wipe(b->p, b->cap);
	buf_fini(b);
}
