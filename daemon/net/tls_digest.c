/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests: see tls_digest.h.
 */
#include "daemon/net/tls_digest.h"
#include "daemon/base/check.h"

#include <gnutls/crypto.h>

void tls_sha1(struct str data, unsigned char out[SHA1_SIZE])
{
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA1, data.p, data.n, out) == 0);
}

void tls_sha256(struct str data, unsigned char out[SHA256_SIZE])
{
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, data.p, data.n, out) == 0);
}
