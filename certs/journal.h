/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's journal: every certificate that was ever issued, appended and synced before the
 * answer leaves, each record bound to all before it by SHA-256. It is the authority on what was
 * issued; the table in the registry is its index.
 *
 * File `journal` in the vault's directory, a sequence of
 *   length   u32 little-endian, of the body
 *   body     version u8 (1), kind u8, sequence u64, time u64 (seconds), certificate DER
 *   chain    32 bytes: SHA-256(chain of the record before || length || body)
 * The chain before the first record is SHA-256("gatehouse journal 1").
 *
 * A record cut short at the end of the file (power failed while it was written, its certificate was
 * never handed out) is set aside as journal.torn and removed. Anything else that does not fit
 * breaks the chain: the journal then opens, but refuses every append. Used by the issuer thread.
 */
#pragma once

#include "certs/keystore.h"

enum journal_kind {
	JOURNAL_ROOT = 1,
	JOURNAL_ISSUING,
	JOURNAL_SERVER,
	JOURNAL_DEVICE,
	JOURNAL_CROSS,
	JOURNAL_IMPORTED, /* an authority's certificate that someone else made */
};

enum { JOURNAL_DER_MAX = 16 * KiB };

struct journal_entry {
	enum journal_kind kind;
	uint64_t sequence; /* counts from 1 */
	int64_t at;        /* seconds since 1970 UTC */
	struct str der;
};

struct journal_report {
	uint64_t entries;
	size_t torn;    /* bytes of an unfinished record that were set aside */
	bool broken;    /* the chain does not hold: appends are refused */
	struct why why; /* of torn or broken: what was found, where, what to do */
};

struct journal;

/* Opens and verifies the whole journal; each (may be NULL) sees every entry in order. With create
 * a missing file is made, else it is ERR_NOT_FOUND. 0 also for a broken chain (see the report);
 * ERR_DENIED (owner, mode) or ERR_IO. */
int journal_open(struct keystore *ks, bool create,
		 void (*each)(void *arg, const struct journal_entry *entry), void *arg,
		 struct journal **out, struct journal_report *report, struct why *why);
void journal_free(struct journal *j);
DEFINE_AUTO(journal, journal_free)

/* Writes one record; it counts only after journal_sync. When it fails, nothing of it stays.
 * 0, ERR_IO (disk full ...) or ERR_UNAVAILABLE (the chain is broken, or an earlier failure could
 * not be undone). */
int journal_append(struct journal *j, enum journal_kind kind, int64_t at, struct str der,
		   struct why *why);
/* Makes all appended records durable. When it fails, none of those since the last sync stays:
 * whatever was issued with them must not be handed out. 0, ERR_IO or ERR_UNAVAILABLE. */
int journal_sync(struct journal *j, struct why *why);
uint64_t journal_entries(const struct journal *j); /* including those not yet synced */

/* A place between two records. */
struct journal_place {
	uint64_t size;     /* of the file up to here */
	uint64_t sequence; /* of the record before it */
	uint8_t chain[32]; /* of the record before it */
};
struct journal_place journal_beginning(void);
/* Reads what is on the disk again, at most max records from *at on, verifies the chain and moves
 * *at behind what was read; *end: nothing follows. 0; ERR_CRYPTO: the chain does not hold behind
 * *at; ERR_IO. */
int journal_walk(const struct journal *j, struct journal_place *at, size_t max,
		 void (*each)(void *arg, const struct journal_entry *entry), void *arg, bool *end,
		 struct why *why);
