/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS_SIGN: signatures for TLS handshakes with the listener keys, for the process that each key
 * belongs to and for nobody else.
 *
 * The table holds listener keys only; an authority's key cannot get in (signer_add refuses it), so
 * a broker that is taken over can pose as itself while the vault lives, and can never make a
 * certificate. Signer threads read while the issuer thread adds: the table has a lock, held for a
 * look-up, never during a signature. Keys keep their number for the life of the process.
 */
#pragma once

#include "certs/issue.h"

enum {
	SIGN_KEYS_MAX = 1024,
	SIGN_MAX = 1024,       /* bytes of a signature: RSA 8192 */
	SIGN_LISTENER_MAX = 64 /* bytes of a listener's name */
};

struct signer;

/* authority: whose keys are refused; must outlive the signer. */
struct signer *signer_new(const struct issuer *authority);
void signer_free(struct signer *s); /* no thread may use it any more */
DEFINE_AUTO(signer, signer_free)

/* Gives a key to a process, for a listener with files of its own ("" = the gateway's own keys).
 * listener: at most SIGN_LISTENER_MAX bytes. Takes its own reference. The same key of the same
 * listener keeps its number; another key of a listener that has one replaces it for
 * signer_listener_key, while the old number goes on signing for handshakes under way.
 * 0, ERR_DENIED (a key of the authority) or ERR_LIMIT (SIGN_KEYS_MAX). Issuer thread. */
int signer_add(struct signer *s, enum process owner, struct str listener, struct key *key,
	       uint32_t *id, struct why *why);
/* The newest key of a listener with files of its own. 0 or ERR_NOT_FOUND. The caller owns the
 * reference in *key. Any thread. */
int signer_listener_key(struct signer *s, enum process owner, struct str listener, uint32_t *id,
			struct key **key);

/* Signs for asker. scheme is a TLS SignatureScheme (RFC 8446 4.2.3): RSA PKCS#1 and PSS with
 * SHA-256, 384, 512, ECDSA with the same, Ed25519. data is the hash, of exactly the scheme's
 * length, for Ed25519 the whole message of at most 1024 bytes. Appends the signature. 0; ERR_DENIED
 * (not the asker's key), ERR_INVALID (scheme or length does not fit the key), ERR_CRYPTO. Any
 * thread. */
int signer_tls_sign(struct signer *s, enum process asker, uint32_t id, uint16_t scheme,
		    struct str data, struct buf *signature, struct why *why);
