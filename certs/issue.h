/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate authority: root and issuing certificate, and the only ways to a new certificate.
 *
 * The first start makes both. Every certificate is in the journal before anyone gets it: a caller
 * may make several, and hands them out after issuer_commit. Refused for every kind: a journal whose
 * chain does not hold, and a clock that cannot be right (before the program was built, or more than
 * a day before the newest certificate). Refused for devices: more than ISSUE_BURST at once and
 * ISSUE_PER_SECOND for long. Used by the issuer thread alone.
 */
#pragma once

#include "certs/journal.h"
#include "certs/profile.h"

enum {
	/* A taken-over store could ask for a certificate of any name. It cannot ask for more than
	 * this, so the flood is seen before it is large; an honest enrolment of a whole fleet from
	 * a list is 1000 at once and then 180,000 an hour, more than the devices can take. */
	ISSUE_BURST = 1000,
	ISSUE_PER_SECOND = 50,
	ISSUE_JUMP_BACK_MAX = DAY, /* seconds that the clock may be behind the newest certificate */
};

struct issuer;

struct issue_time {
	int64_t wall;     /* seconds since 1970 UTC */
	uint64_t mono_ms; /* for the rate */
};

/* Loads or makes root and issuing certificate and opens the journal. keystore must outlive it.
 * floor: the least plausible time, build_time(). What is odd but not fatal is logged (a torn or
 * broken journal). 0, or what prevents the start: ERR_DENIED, ERR_IO, ERR_MALFORMED, ERR_CRYPTO, or
 * ERR_INVALID (the first start needs a clock). */
int issuer_open(struct keystore *ks, int64_t floor, struct issue_time now, struct issuer **out,
		struct why *why);
void issuer_free(struct issuer *i);
DEFINE_AUTO(issuer, issuer_free)

const struct certificate *issuer_root(const struct issuer *i);
const struct certificate *issuer_issuing(const struct issuer *i);
/* Does the issuing key wait for a passphrase? Then nothing is issued: ERR_AGAIN. */
bool issuer_is_locked(const struct issuer *i);
/* Did an authority of this gateway make that server certificate, one that is not compromised? */
bool issuer_vouches(const struct issuer *i, const struct certificate *server);
/* What completes the chain of a leaf: issuing certificate, and while an older root retires the
 * cross certificate to it. Appended, each behind a 32-bit length. */
void issuer_chain(const struct issuer *i, const struct certificate *leaf, struct buf *list);
void issuer_put_certificate(struct buf *list, struct str der);
/* "Gatehouse CA 3f9a01": a title with digits of a key. The caller frees it. */
char *issuer_name(const char *title, struct str spki);
/* Reads the journal from the disk again: journal_walk. */
int issuer_walk(const struct issuer *i, struct journal_place *at, size_t max,
		void (*each)(void *arg, const struct journal_entry *entry), void *arg, bool *end,
		struct why *why);
/* Is an entry of the journal what its kind says, signed by an authority of ours? *known: false for
 * an authority that never came into use. 0, or what is wrong with it. */
int issuer_judge(const struct issuer *i, const struct journal_entry *entry, bool *known,
		 struct why *why);
/* Did issuer_open make the authority (a first start)? */
bool issuer_is_new(const struct issuer *i);
/* What issuer_open found in the journal. */
const struct journal_report *issuer_journal(const struct issuer *i);
/* Is this public key one of the authority's own? */
bool issuer_owns(const struct issuer *i, struct str spki);

struct device_order {
	struct str name;   /* judged here again */
	struct str uuid;   /* 36 characters, lower case */
	struct str spki;   /* judged here again */
	int64_t not_after; /* wish in seconds since 1970; 0: as long as the issuer */
};
/* A device's certificate: CN the name, SAN urn:uuid:UUID, clientAuth. The caller calls
 * certificate_fini, and hands it out only after issuer_commit.
 * 0; ERR_INVALID (name, uuid, end), ERR_MALFORMED or ERR_CRYPTO (key), ERR_LIMIT (rate), ERR_DENIED
 * (clock), ERR_AGAIN (locked), ERR_UNAVAILABLE (journal), ERR_IO (disk full ...). */
int issuer_device(struct issuer *i, const struct device_order *order, struct issue_time now,
		  struct certificate *out, struct why *why);
/* The key for what an authority says about its certificates (statement.h), and nothing else: of the
 * issuing authority whose certificate has this SHA-256 fingerprint. Both live as long as the
 * issuer. 0; ERR_NOT_FOUND (no such authority, or its key is not here), ERR_DENIED (clock). */
int issuer_status_key(struct issuer *i, struct str fingerprint, int64_t now,
		      const struct certificate **authority, struct key **key, struct why *why);
/* A server's certificate for a key of ours. common_name is cut away when it is longer than 64. */
int issuer_server(struct issuer *i, const struct key *key, const char *common_name,
		  const struct san_set *names, struct issue_time now, struct certificate *out,
		  struct why *why);
/* Makes everything since the last commit durable. When it fails, none of it may be handed out. */
int issuer_commit(struct issuer *i, struct why *why);
