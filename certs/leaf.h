/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of devices that another authority issued: what is in them, and whether a gateway may
 * take them (RFC 5280, 4.1 and 4.2).
 *
 * GnuTLS verifies signatures, times and the chain, but takes certificates that no device should
 * have: of version 1, without an extended key usage, with the right to sign others, with a serial
 * number of zero. leaf_lint is the second opinion. The reader is our own, linear, and allocates
 * nothing. Pure apart from GnuTLS's arithmetic in the key check; any thread.
 */
#pragma once

#include "daemon/base/cursor.h"
#include "daemon/base/why.h"

enum { LEAF_MAX = 16 * KiB /* bytes of a certificate, DER or PEM */ };

struct leaf {
	unsigned version;  /* 1 to 3 */
	struct str serial; /* of the INTEGER, as it is written; points into the DER like the rest */
	struct str issuer; /* Name, DER */
	struct str subject; /* Name, DER */
	struct str spki;    /* SubjectPublicKeyInfo, DER */
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	struct str cn;    /* common name of the subject, the first one */
	unsigned cn_n;    /* how many there are */
	struct str names; /* inside of the subject alternative name's GeneralNames */
	bool ca;          /* basicConstraints CA:TRUE */
	bool key_cert_sign;
	bool has_purpose; /* an extended key usage */
	bool client_auth; /* that names clientAuth */
};

/* 0 or ERR_MALFORMED: not the DER of one certificate. */
int leaf_read(struct str der, struct leaf *out);
/* The next subject alternative name that is text: DNS name, mail address or URI. Start with a
 * cursor over leaf.names. False at the end; then c->failed when it is malformed. */
bool leaf_next_name(struct cur *c, struct str *name);
/* The serial number without leading zero bytes. */
struct str leaf_serial(const struct leaf *leaf);

enum leaf_lint {
	LEAF_STRICT, /* version 3, clientAuth named, a positive serial number of at most 20 bytes */
	LEAF_LEGACY, /* an older certificate may be of version 1 and may name no purpose */
};
/* Judges it as the certificate of a device: no authority, no right to sign certificates, a purpose
 * (where there is one) that includes clientAuth, and for STRICT what is said there. Not the key,
 * not the time. 0, or ERR_INVALID with why. */
int leaf_lint(const struct leaf *leaf, enum leaf_lint lint, struct why *why);

/* One certificate in PEM or DER from a person: its DER replaces *der, *out points into it. Judged
 * under LEAF_LEGACY and the rules for keys (spki_check in csr.h). 0, ERR_LIMIT, ERR_MALFORMED,
 * ERR_INVALID or ERR_CRYPTO with why. */
int leaf_parse(struct str input, struct buf *der, struct leaf *out, struct why *why);
