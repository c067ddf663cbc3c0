/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificate revocation lists (RFC 5280, 5) of other authorities, read in linear time: GnuTLS
 * would take a minute and a half for a list of 100,000. Whole lists only: no delta, no indirect
 * ones.
 *
 * A struct crl_set is immutable and shared by reference count; looking up is a binary search in the
 * bytes of the file, which the set keeps. Any thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum {
	CRL_FILE_MAX = 32 * MiB, /* bytes of a file; a list of 100,000 takes about 4 MiB */
	CRL_LISTS_MAX = 16,      /* lists in a file */
};

struct crl_set;

/* Reads a file with lists in PEM, or one in DER, and verifies the signature of each with the
 * authority of that name among the certificates of trust (each behind a 32-bit little-endian
 * length). 0, ERR_LIMIT, ERR_MALFORMED, ERR_INVALID (a list of a kind that is not supported),
 * ERR_NOT_FOUND (no such authority) or ERR_CRYPTO with why. */
int crl_set_read(struct str file, struct str trust, struct crl_set **out, struct why *why);
struct crl_set *crl_set_ref(struct crl_set *s);
void crl_set_unref(struct crl_set *s);
DEFINE_AUTO(crl_set, crl_set_unref)

size_t crl_set_entries(const struct crl_set *s);
/* When the first of the lists should have been replaced, seconds since 1970; INT64_MAX: never. */
int64_t crl_set_next_update(const struct crl_set *s);
/* Is the certificate of this issuer (Name, DER) and serial number (bytes of the INTEGER) on a list?
 */
bool crl_set_has(const struct crl_set *s, struct str issuer, struct str serial);
