/* SPDX-License-Identifier: Apache-2.0
 *
 * What EST needs of a certification request beside its key and name (csr.h): who it says it is,
 * what it proves with, and what it asks for that we do not do. None of it comes into a certificate.
 * Also the attributes that we ask for. RFC 2985, RFC 7030 3.5, 4.2.2, 4.4.1 and 4.5, RFC 8951.
 *
 * Linear in the bytes; allocates nothing. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

/* All of it points into the DER. */
struct csr_attributes {
	struct str subject;       /* Name, DER */
	struct str challenge;     /* text of challengePassword; empty: none */
	bool has_names;           /* asks for a subject alternative name */
	struct str names;         /* inside of its GeneralNames */
	bool change_name;         /* wants another subject or name than the certificate has */
	bool wants_encrypted_key; /* of the key that the server makes */
};

/* 0, or ERR_MALFORMED with why: no request, damaged attributes, or one of those above twice. */
int csr_attributes_read(struct str der, struct csr_attributes *out, struct why *why);

/* Whether two Names are the same by value: types and texts, whichever string type spells a text.
 * Clients write UTF8String where certificates have PrintableString. False when one is malformed. */
bool csr_same_subject(struct str a, struct str b);

/* Whether a request is for the same subject as a certificate, both DER (RFC 7030, 4.2.2). A name
 * that the request leaves out is not changed by it: ours come from the registry in any case. 0,
 * ERR_INVALID or ERR_MALFORMED with why. */
int csr_renews(const struct csr_attributes *request, struct str certificate, struct why *why);

/* Appends the DER of CsrAttrs (RFC 7030, 4.5.2): a P-256 key, signed with SHA-256, and with binding
 * a challengePassword that carries the channel binding (3.5). */
void csr_attributes_wanted(bool binding, struct buf *out);
