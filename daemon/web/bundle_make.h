/* SPDX-License-Identifier: Apache-2.0
 *
 * What a bundle is made of: a key, and with its certificate the ZIP file or the PKCS#12 that has
 * both. Nothing is kept, and the caller wipes what it gets. Pure apart from the clock; any thread.
 */
#pragma once

#include "certs/csr.h"
#include "daemon/base/secret.h"
#include "daemon/base/why.h"

enum bundle_form {
	BUNDLE_ZIP,
	BUNDLE_P12,        /* AES-256, PBKDF2 and a MAC with SHA-256 */
	BUNDLE_P12_LEGACY, /* 3DES, SHA-1: what old Windows, Android and Java read */
};

struct bundle_key {
	const char *kind; /* "P-256", or "RSA" of 2048 bits */
	struct buf pem;   /* PKCS#8, not encrypted */
	uint8_t spki[SPKI_MAX];
	size_t spki_n;
};

/* Fills all but kind. 0 or ERR_CRYPTO. RSA takes 0.03 s and more. */
int bundle_make_key(struct bundle_key *k);

struct bundle_parts {
	const char *device; /* device_name_check */
	const char *host;   /* of the gateway */
	const char *mqtts;  /* ports */
	const char *enrol;
	const char *not_after; /* RFC 3339 */
	struct str chain;      /* PEM */
	struct str roots;      /* PEM */
	struct str key;        /* PEM */
	struct str passphrase; /* of PKCS#12, else empty */
};

/* Appends the file. PKCS#12 takes 0.2 s. 0, ERR_LIMIT or ERR_CRYPTO with why. */
int bundle_make(const struct bundle_parts *p, enum bundle_form form, struct buf *out,
		struct why *why);
/* What a person calls it: "pump-1.zip", without what file systems refuse. */
void bundle_file_name(const char *device, enum bundle_form form, struct buf *out);
const char *bundle_type(enum bundle_form form); /* of its content, for HTTP */
