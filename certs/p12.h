/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#12 (RFC 7292): key, certificate and chain in one file under a passphrase, for programs that
 * take nothing else. The command line makes it, beside the key that it made. Any thread; takes
 * 0.2 s.
 */
#pragma once

#include "daemon/base/why.h"

#include "daemon/base/str.h"

enum p12_form {
	P12_MODERN, /* PBES2 with AES-256, MAC with SHA-256 */
	P12_LEGACY, /* 3DES and SHA-1: old Windows, Android and Java read nothing else */
};

struct p12_parts {
	struct str key;   /* PKCS#8 in PEM, not encrypted */
	struct str chain; /* PEM: the certificate, then its issuers */
	struct str roots; /* PEM */
	struct str name;  /* friendly name */
};

/* Appends DER. 0; ERR_MALFORMED: a part cannot be read; ERR_INVALID: the passphrase; ERR_CRYPTO. */
int p12_make(const struct p12_parts *parts, struct str passphrase, enum p12_form form,
	     struct buf *der, struct why *why);
