/* SPDX-License-Identifier: Apache-2.0
 *
 * The hashes of the store: SHA-256 for fingerprints and codes, HMAC-SHA-256 for remembered
 * passwords, those of another broker for imported ones. The only calls of GnuTLS here. Any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32, SHA512_SIZE = 64 };

/* Not for security: OCSP names authorities by it (RFC 6960, 4.1.1). */
void hash_sha1(struct str data, unsigned char out[SHA1_SIZE]);
void hash_sha256(struct str data, unsigned char out[SHA256_SIZE]);
/* SHA-512 of one text behind the other. */
void hash_sha512_of_two(struct str first, struct str second, unsigned char out[SHA512_SIZE]);
/* PBKDF2 with HMAC-SHA-512 (RFC 8018, 5.2). False: GnuTLS refuses such parameters. */
bool hash_pbkdf2_sha512(struct str password, struct str salt, unsigned iterations,
			unsigned char *out, size_t n);
/* The same with HMAC-SHA-256. */
bool hash_pbkdf2_sha256(struct str password, struct str salt, unsigned iterations,
			unsigned char *out, size_t n);
void hash_hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_SIZE]);
/* For one-time passwords of authenticator apps, which know nothing else. */
void hash_hmac_sha1(struct str key, struct str data, unsigned char out[SHA1_SIZE]);
