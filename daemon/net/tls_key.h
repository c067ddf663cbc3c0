/* SPDX-License-Identifier: Apache-2.0
 *
 * A GnuTLS private key whose secret lives elsewhere (the vault): signing calls back, the public
 * half comes from the certificate. ECDSA P-256/P-384, RSA (PKCS#1 for TLS 1.2, PSS for 1.3),
 * Ed25519. One of the few headers that show GnuTLS types; the web process gives such a key to its
 * server.
 */
#pragma once

#include "daemon/base/str.h"

#include <gnutls/abstract.h>

/* Signs for key_id. scheme is a TLS SignatureScheme (RFC 8446 section 4.2.3). data is the digest of
 * the scheme's hash (32, 48 or 64 bytes; the signer adds the PKCS#1 DigestInfo, or PSS padding with
 * a salt as long as the hash), and for TLS_ED25519 the whole message. The signature (ECDSA: DER) is
 * appended to *signature. context is the key's own, or the calling thread's where the key has none.
 * May block for at most 2 s. 0 or a negative enum err: the handshake then fails. Any thread. */
typedef int tls_sign_fn(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
			struct buf *signature);

enum tls_scheme {
	TLS_RSA_PKCS1_SHA256 = 0x0401,
	TLS_RSA_PKCS1_SHA384 = 0x0501,
	TLS_RSA_PKCS1_SHA512 = 0x0601,
	TLS_ECDSA_P256_SHA256 = 0x0403,
	TLS_ECDSA_P384_SHA384 = 0x0503,
	TLS_RSA_PSS_SHA256 = 0x0804,
	TLS_RSA_PSS_SHA384 = 0x0805,
	TLS_RSA_PSS_SHA512 = 0x0806,
	TLS_ED25519 = 0x0807,
};

/* leaf: the certificate as DER. context NULL = the thread's, see tls_key_thread_context. The caller
 * owns the key (gnutls_privkey_deinit). 0, ERR_CRYPTO (no certificate), ERR_INVALID (key type). */
int tls_key_new(struct str leaf, uint32_t key_id, tls_sign_fn *sign, void *context,
		gnutls_privkey_t *out);
/* Whether a certificate (DER) is for this public key (SubjectPublicKeyInfo in DER). */
bool tls_key_fits(struct str leaf, struct str spki);
/* What sign gets as context in this thread for keys without one. */
void tls_key_thread_context(void *context);
/* Whether a signature in this thread failed since the last call; clears it. */
bool tls_key_failed(void);
