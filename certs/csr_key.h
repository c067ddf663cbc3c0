/* SPDX-License-Identifier: Apache-2.0
 *
 * The two halves of the key policy, for csr.c alone: what a SubjectPublicKeyInfo claims to be,
 * read without GnuTLS, and whether the key that GnuTLS read from it is acceptable.
 */
#pragma once

#include "certs/csr.h"

#include <gnutls/abstract.h>

/* The kind ("P-256" ...) that the bytes claim. 0, ERR_MALFORMED, or ERR_CRYPTO when the kind is not
 * accepted. */
int key_shape(struct str spki, const char **name, struct why *why);
/* RSA size and exponent, points on their curve. 0 or ERR_CRYPTO. */
int key_judge(gnutls_pubkey_t key, unsigned *bits, struct why *why);
