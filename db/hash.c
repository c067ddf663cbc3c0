/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes: see hash.h.
 */
#include "db/hash.h"
#include "daemon/base/check.h"

#include <gnutls/crypto.h>

void hash_sha256(struct str data, unsigned char out[SHA256_SIZE])
{
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, data.p, data.n, out) == 0);
}

void hash_hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_SIZE])
{
	CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.p, key.n, data.p, data.n, out) == 0);
}
