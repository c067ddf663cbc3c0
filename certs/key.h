/* SPDX-License-Identifier: Apache-2.0
 *
 * A private key in the vault's memory, with its public half. Immutable and counted, so signer
 * threads share it while the issuer thread replaces tables. Nothing here leaves the vault: the only
 * writer of private bytes is key_write, for the key store. Any thread.
 */
#pragma once

#include "daemon/base/secret.h"
#include "daemon/base/why.h"

#include <gnutls/abstract.h>

enum key_algorithm { KEY_P256, KEY_RSA2048 }; /* what the vault generates */

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

struct key *key_ref(struct key *k);
void key_unref(struct key *k);
DEFINE_AUTO(key, key_unref)

struct str key_spki(const struct key *k);   /* SubjectPublicKeyInfo, DER; lives as long as k */
const char *key_kind(const struct key *k);  /* "P-256", "P-384", "Ed25519", "RSA" */
gnutls_privkey_t key_handle(struct key *k); /* for signing only; owned by k */
