/* SPDX-License-Identifier: Apache-2.0
 *
 * What an authority says about its certificates: revocation lists (RFC 5280, 5) and OCSP responses
 * (RFC 6960), assembled and signed. Both are written in one pass, linear in their entries: a list
 * of 100,000 takes less than a tenth of a second. What may be said is fixed here and typed: nobody
 * who talks to the vault can have other bytes signed with the authority's key.
 *
 * Pure apart from the signature. Used by the issuer thread alone.
 */
#pragma once

#include "certs/key.h"
#include "certs/profile.h"
#include "daemon/base/cursor.h"

enum {
	STATEMENT_LIFE = 31 * DAY, /* the longest that one is good for */
	OCSP_NONCE_MAX = 136, /* bytes of the extension's value: a nonce of 128 in its wrapping */
	OCSP_ANSWERS_MAX = 16,
};

struct statement {
	const struct certificate *authority; /* whose certificates it is about, and who signs */
	struct key *key;
	int64_t this_update; /* seconds since 1970 */
	int64_t next_update;
};

/* A whole list. entries: records of struct body_crl_entry. Appended as DER. 0, ERR_MALFORMED
 * (entries, or the authority's certificate) or ERR_CRYPTO. */
int statement_list(const struct statement *s, uint64_t number, struct str entries, struct buf *out,
		   struct why *why);
/* A successful response. answers: records of struct body_ocsp_answer, at most OCSP_ANSWERS_MAX;
 * nonce: the value of the request's extension, empty for none. As above; ERR_LIMIT. */
int statement_ocsp(const struct statement *s, struct str answers, struct str nonce, struct buf *out,
		   struct why *why);
