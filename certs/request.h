/* SPDX-License-Identifier: Apache-2.0
 *
 * A fresh device key and its certification request, for the command line: the key is made where it
 * is used and never travels. And a fresh key alone, for devices that cannot make one. PKCS#8
 * (RFC 5958), PKCS#10 (RFC 2986).
 */
#pragma once

#include "daemon/base/str.h"

/* A new P-256 key as PKCS#8 PEM (unencrypted: wipe it) and a request with CN = name as PEM,
 * appended. 0 or ERR_CRYPTO. */
int request_make(const char *name, struct buf *key_pem, struct buf *csr_pem);

/* A new key of a kind of csr.h ("P-256", "P-384", "Ed25519"; "RSA" has 2048 bits and takes some 30
 * ms): PKCS#8 in DER, appended (unencrypted: wipe it), and SubjectPublicKeyInfo in the form of
 * csr.h into the *spki_n bytes at spki. 0 or ERR_CRYPTO. */
int request_key(const char *kind, struct buf *pkcs8, uint8_t *spki, size_t *spki_n);
