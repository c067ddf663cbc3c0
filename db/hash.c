/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes: see hash.h.
 */
#include "db/hash.h"
#include "daemon/base/check.h"

#include <gnutls/crypto.h>

void hash_sha1(struct str data, unsigned char out[SHA1_SIZE])
{
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA1, data.p, data.n, out) == 0);
}

void hash_sha256(struct str data, unsigned char out[SHA256_SIZE])
{
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, data.p, data.n, out) == 0);
}

void hash_hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_SIZE])
{
	CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.p, key.n, data.p, data.n, out) == 0);
}

void hash_hmac_sha1(struct str key, struct str data, unsigned char out[SHA1_SIZE])
{
	CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA1, key.p, key.n, data.p, data.n, out) == 0);
}

void hash_sha512_of_two(struct str first, struct str second, unsigned char out[SHA512_SIZE])
{
	gnutls_hash_hd_t h;
	CHECK(gnutls_hash_init(&h, GNUTLS_DIG_SHA512) == 0);
	CHECK(gnutls_hash(h, first.p, first.n) == 0 && gnutls_hash(h, second.p, second.n) == 0);
	gnutls_hash_deinit(h, out);
}

static bool pbkdf2(gnutls_mac_algorithm_t mac, struct str password, struct str salt,
		   unsigned iterations, unsigned char *out, size_t n)
{
	const gnutls_datum_t key = {(unsigned char *)(uintptr_t)password.p, (unsigned)password.n};
	const gnutls_datum_t with = {(unsigned char *)(uintptr_t)salt.p, (unsigned)salt.n};
	return gnutls_pbkdf2(mac, &key, &with, iterations, out, n) == 0;
}

bool hash_pbkdf2_sha512(struct str password, struct str salt, unsigned iterations,
			unsigned char *out, size_t n)
{
	return pbkdf2(GNUTLS_MAC_SHA512, password, salt, iterations, out, n);
}

bool hash_pbkdf2_sha256(struct str password, struct str salt, unsigned iterations,
			unsigned char *out, size_t n)
{
	return pbkdf2(GNUTLS_MAC_SHA256, password, salt, iterations, out, n);
}
