/* SPDX-License-Identifier: Apache-2.0
 *
 * A private key with its public half: of the vault, and in the command line the root that an
 * administrator takes off the machine. Immutable and counted, so signer threads share it while the
 * issuer thread replaces tables. The only writers of private bytes are key_write, for the key
 * store, and key_write_encrypted. Any thread.
 */
#pragma once

#include "daemon/base/secret.h"
#include "daemon/base/why.h"

#include <gnutls/abstract.h>

enum key_algorithm { KEY_P256, KEY_P384, KEY_RSA2048 }; /* what the vault generates */

enum { KEY_FILE_MAX = 32 * KiB }; /* bytes of a key file, ours or a person's */

struct key;

/* Never NULL. P-256 takes 0.1 ms, RSA-2048 30 ms and more. */
struct key *key_generate(enum key_algorithm algorithm);
/* Reads a private key: PEM or DER, PKCS#8 or traditional, not encrypted, P-256, P-384, Ed25519 or
 * RSA of 2048 to 8192 bits. name ("/etc/ssl/gw.key") is for the messages.
 * 0, ERR_MALFORMED, or ERR_CRYPTO (encrypted, or a kind that is refused). */
int key_parse(struct str bytes, const char *name, struct key **out, struct why *why);
/* Appends the key as unencrypted PKCS#8 in PEM. */
void key_write(const struct key *k, struct buf *out);

enum { PASSPHRASE_MIN = 8, PASSPHRASE_MAX = 511 }; /* bytes */

/* Is this PEM of PKCS#8 that a passphrase opens? */
bool key_is_encrypted(struct str bytes);
/* As key_parse, of such a file. ERR_DENIED: the passphrase is another one. Takes 0.3 s. */
int key_parse_encrypted(struct str bytes, const char *name, struct str passphrase, struct key **out,
			struct why *why);
/* Appends the key as PKCS#8 in PEM, encrypted with PBES2 (PBKDF2-HMAC-SHA-256, 600,000 rounds;
 * AES-256-CBC), which openssl reads. Takes 0.3 s. ERR_INVALID: the passphrase has characters that
 * nobody can type alike everywhere, such as controls (RFC 8265, 4.2). */
int key_write_encrypted(const struct key *k, struct str passphrase, struct buf *out);

/* A key in a token (smart card, HSM), by its PKCS#11 URL (RFC 7512): it signs, and can not be
 * written. The module is loaded as p11-kit is configured, so never in a process that is confined.
 * ask: gives the PIN of the token with this label, UTF-8; false: nobody knows it. 0, ERR_DENIED
 * (the PIN), ERR_NOT_FOUND, or ERR_CRYPTO (a kind that is refused). */
typedef bool key_ask_pin(const char *token, struct buf *pin);
bool key_is_url(const char *name);
int key_open_token(const char *url, key_ask_pin *ask, struct key **out, struct why *why);

struct key *key_ref(struct key *k);
void key_unref(struct key *k);
DEFINE_AUTO(key, key_unref)

struct str key_spki(const struct key *k);   /* SubjectPublicKeyInfo, DER; lives as long as k */
const char *key_kind(const struct key *k);  /* "P-256", "P-384", "Ed25519", "RSA" */
gnutls_privkey_t key_handle(struct key *k); /* for signing only; owned by k */
