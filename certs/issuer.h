/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the issuer, for issue.c (opening, certificates) and succession.c (changes of the
 * authority itself) alone; everyone else sees issue.h and succession.h. Used by the issuer thread.
 */
#pragma once

#include "certs/generation.h"
#include "certs/issue.h"

struct issuer {
	struct keystore *ks;
	struct journal *journal;
	struct generations all;
	struct generation *active;
	struct journal_report report;
	bool is_new;       /* the authority was made by issuer_open */
	bool issued;       /* the journal knows certificates below the authorities */
	int64_t floor;     /* the clock is wrong below this */
	int64_t newest_at; /* of all that was issued but server certificates */
	uint64_t tokens;   /* thousandths of a certificate that may be issued now */
	uint64_t filled_ms;
};

/* 0 or ERR_DENIED: the clock cannot be right. */
int issuer_check_clock(const struct issuer *i, int64_t now, struct why *why);
/* Into the journal, not yet synced. */
int issuer_record(struct issuer *i, enum journal_kind kind, int64_t now,
		  const struct certificate *c, struct why *why);
/* Root and issuing certificate of a generation whose two keys are there: those that are missing are
 * made, recorded, synced and saved. */
int issuer_complete(struct issuer *i, struct generation *g, int64_t now, struct why *why);
