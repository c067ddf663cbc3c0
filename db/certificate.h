/* SPDX-License-Identifier: Apache-2.0
 *
 * What the registry must know of a certificate that the vault made, read from its DER (RFC 5280,
 * 4.1), and its form for people (PEM, RFC 7468). Not a verifier: the vault is trusted, the
 * certificates of strangers never come here. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum { CERTIFICATE_NAME = 65 };

struct certificate {
	struct str serial; /* magnitude without leading zero, points into the DER like the others */
	struct str issuer; /* Name, DER */
	struct str subject; /* Name, DER */
	struct str spki;    /* SubjectPublicKeyInfo, DER */
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	char name[CERTIFICATE_NAME]; /* first common name of the subject, "" when there is none */
};

/* 0 or ERR_MALFORMED. */
int certificate_read(struct str der, struct certificate *out);
/* "-----BEGIN CERTIFICATE-----" ..., lines of 64, appended. */
void certificate_pem(struct str der, struct buf *out);
