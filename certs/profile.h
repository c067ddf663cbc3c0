/* SPDX-License-Identifier: Apache-2.0
 *
 * The five kinds of certificate that the gateway makes, and the only code that assembles one. What
 * a certificate may be is in this table, not in a request: nobody who talks to the vault can ask
 * for a CA, a longer life or another purpose. RFC 5280. Pure apart from random serial numbers.
 */
#pragma once

#include "certs/csr.h"
#include "certs/key.h"
#include "certs/san.h"

enum profile_id {
	PROFILE_ROOT,
	PROFILE_ISSUING,
	PROFILE_SERVER,
	PROFILE_DEVICE,
	PROFILE_CROSS, /* a root, certified by the root before it: for those who know only that one
			*/
};

enum {
	SERIAL_LEN = 16,      /* bytes, random, the top bits 01: positive and of constant length */
	FINGERPRINT_LEN = 32, /* SHA-256 of the DER */
	KEY_ID_LEN = 20,
	DAY = 24 * 60 * 60,
	YEAR = 365 * DAY + DAY / 4,
	BACKDATE = 5 * 60, /* seconds, for devices whose clock is a little behind */
};

struct profile {
	const char *name; /* "root", "device" ... */
	bool ca;
	int path_len;        /* with ca */
	unsigned key_usage;  /* GNUTLS_KEY_* */
	const char *purpose; /* extended key usage, the only one; NULL with ca */
	int64_t lifetime;    /* seconds; 0: as long as the issuer */
};
const struct profile *profile_get(enum profile_id id);

/* What is read back from a certificate of our own. */
struct certificate {
	struct buf der; /* owned */
	uint8_t serial[SERIAL_LEN + 4];
	size_t serial_len;
	uint8_t fingerprint[FINGERPRINT_LEN];
	uint8_t key_id[KEY_ID_LEN]; /* subject key identifier */
	int64_t not_before;
	int64_t not_after;
	uint8_t spki[SPKI_MAX];
	size_t spki_len;
};
/* Reads one; takes a copy of der. 0 or ERR_MALFORMED. name is for the message. */
int profile_read(struct str der, const char *name, struct certificate *out, struct why *why);
void certificate_fini(struct certificate *c);
static inline struct str certificate_spki(const struct certificate *c)
{
	return str_make(c->spki, c->spki_len);
}
/* Is c signed by issuer's key? False for an empty one. A certificate is always by itself: GnuTLS
 * asks no more of one that it is told to trust. */
bool certificate_is_by(const struct certificate *c, const struct certificate *issuer);
/* The names and addresses in its subjectAltName. 0 or ERR_MALFORMED. */
int certificate_names(const struct certificate *c, struct san_set *out);

struct certificate_order {
	enum profile_id profile;
	struct str spki;             /* of the subject, judged by spki_check before */
	const char *common_name;     /* NULL: none */
	const char *uri;             /* subjectAltName of a device; NULL: none */
	const struct san_set *names; /* subjectAltName of a server; NULL: none */
	int64_t now;
	int64_t not_after; /* wish, seconds since 1970; 0: what the profile says */
};

/* Builds and signs. issuer NULL: self-signed by issuer_key. The life starts BACKDATE before now,
 * ends as the profile says or earlier by the wish, and never reaches outside the issuer's. 0,
 * ERR_INVALID (it would have ended already) or ERR_CRYPTO. */
int certificate_make(const struct certificate_order *order, const struct certificate *issuer,
		     struct key *issuer_key, struct certificate *out, struct why *why);

/* A certificate for root's name and key by another root: a chain that ends in root goes on to
 * issuer. 0, ERR_CRYPTO, or ERR_INVALID (root is over, or its name is not of the form that the
 * gateway gives: bring a cross certificate that its owner made). */
int certificate_cross(const struct certificate *root, const struct certificate *issuer,
		      struct key *issuer_key, int64_t now, struct certificate *out,
		      struct why *why);
/* An issuing certificate by a root for a signing request (PEM) of ca csr, with its name and key. 0,
 * ERR_MALFORMED (the request), ERR_INVALID (the root has ended, or allows none below it) or
 * ERR_CRYPTO. */
int certificate_answer(struct str request_pem, const struct certificate *root, struct key *root_key,
		       int64_t now, struct certificate *out, struct why *why);
/* Is c the root's name and key, signed by issuer? */
bool certificate_is_cross(const struct certificate *c, const struct certificate *root,
			  const struct certificate *issuer);
/* Does it name itself as its issuer? */
bool certificate_is_root(const struct certificate *c);
/* May c sign certificates: CA:TRUE, keyCertSign, and a key that is accepted? 0 or ERR_INVALID. */
int certificate_judge_authority(const struct certificate *c, struct why *why);
