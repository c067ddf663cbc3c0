/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of certificates that clients show to a web process, against the authorities that it was
 * told (RFC 5280, 6). libmicrohttpd asks for a certificate but judges none. Whether a certificate
 * is registered, revoked or on hold is not decided here: the store looks its fingerprint up.
 *
 * A trust is filled by one thread and may then be used by any; GnuTLS's clock is the machine's.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum { CHAIN_MAX = 8 /* certificates in a chain */ };

struct chain_trust;

struct chain_trust *chain_trust_new(void); /* trusts nobody yet */
void chain_trust_free(struct chain_trust *t);
DEFINE_AUTO(chain_trust, chain_trust_free)
/* An authority, DER. 0 or ERR_MALFORMED (GnuTLS cannot read it). */
int chain_trust_add(struct chain_trust *t, struct str der);

enum chain_verdict {
	CHAIN_GOOD,
	CHAIN_EXPIRED, /* good but for its time: it is over */
	CHAIN_REFUSED,
};

/* Judges a chain (DER, leaf first) as that of a client: signatures, times, 112 bits, and the leaf
 * under LEAF_STRICT (leaf.h), so that no authority and no server's certificate passes. Whoever
 * looks the issuer of a good leaf up by its name finds the one that signed it: an authority that
 * came along under the name of one that is trusted, and is another, is refused. why says what is
 * wrong when it is not CHAIN_GOOD. */
enum chain_verdict chain_verify_client(const struct chain_trust *t, const struct str *chain,
				       size_t n, struct why *why);
