/* SPDX-License-Identifier: Apache-2.0
 *
 * Certification requests (PKCS#10, RFC 2986) as strangers send them, and the rules for the names of
 * devices.
 *
 * The web processes and the command line use this; the vault never does: it sees only the public
 * key that passed here. Nothing of a request is used but its public key and, where the caller
 * allows, its name: attributes and requested extensions are not even read here (EST reads some, see
 * csr_attributes.h). Pure apart from GnuTLS's arithmetic: no clock, no I/O, any thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum {
	CSR_MAX = 16 * KiB,   /* bytes of a request, DER or PEM (HTTP answers 413 above) */
	SPKI_MAX = 1100,      /* bytes of a SubjectPublicKeyInfo: RSA 8192 takes 1,062 */
	DEVICE_NAME_MAX = 64, /* ub-common-name of RFC 5280 */
};

struct spki_facts {
	const char *kind; /* "P-256", "P-384", "Ed25519" or "RSA"; static */
	unsigned bits;
};

struct csr {
	uint8_t spki[SPKI_MAX]; /* SubjectPublicKeyInfo, DER, in the one form GnuTLS writes, */
	size_t spki_len;        /* so that the same key always gives the same bytes */
	char name[DEVICE_NAME_MAX + 1]; /* the subject's only common name, judged */
	struct spki_facts key;
};

static inline struct str csr_spki(const struct csr *csr)
{
	return str_make(csr->spki, csr->spki_len);
}

/* Parses and judges a request in DER or PEM: one well-formed request and nothing behind it; key
 * P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits with an odd exponent from 65537; signed by that
 * key (proof of possession) with SHA-256 or better; exactly one common name that
 * device_name_check accepts.
 * 0, ERR_LIMIT (too large), ERR_MALFORMED (no request), ERR_CRYPTO (key or signature refused) or
 * ERR_INVALID (name refused); why says which rule and what was found. */
int csr_parse(struct str input, struct csr *out, struct why *why);

/* Appends the DER of a request that came in any of the forms that clients send: DER, PEM, or base64
 * in lines of any length or none, padded or not. Not judged further than that it begins like DER.
 * 0 or ERR_MALFORMED. */
int csr_der(struct str input, struct buf *der);

/* A device's name: 1 to 64 of A-Z a-z 0-9 . _ : @ - , the first a letter or digit. It becomes a
 * common name, an MQTT user name and a level of a topic, so no blank, / + # $ or control can be in
 * it. 0, or ERR_INVALID with why. */
int device_name_check(struct str name, struct why *why);

/* Judges a SubjectPublicKeyInfo in DER under the same key rules; it must be in the one form that
 * csr_parse gives out, so its bytes can be compared and hashed. Linear in the bytes before GnuTLS
 * sees them. 0, ERR_MALFORMED or ERR_CRYPTO (not an accepted key) with why. */
int spki_check(struct str spki, struct spki_facts *out, struct why *why);
