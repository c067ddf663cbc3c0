/* SPDX-License-Identifier: Apache-2.0
 *
 * Patience with wrong passwords of people: after BACKOFF_FREE failures of one account from one
 * source, or of any accounts from one source or (IPv6) its network of 48 bits, each further try has
 * to wait, twice as long every time. Other sources are not kept waiting: nobody can lock an
 * administrator out from elsewhere. When there is no room the mildest entry goes, never a stricter.
 * Main thread of the store; forgotten when it restarts.
 */
#pragma once

#include "daemon/base/map.h"

enum {
	BACKOFF_FREE = 4,
	BACKOFF_MAX_S = 300,
	BACKOFF_FORGET_S = 3600, /* after the last failure */
	BACKOFF_ENTRIES_MAX = 65536,
};

struct backoff {
	struct map failed; /* account and source -> struct patience */
};

void backoff_fini(struct backoff *b);
/* Seconds until this account may be tried again from this source; 0: now. now in seconds. */
unsigned backoff_wait(const struct backoff *b, struct str account, struct str source, int64_t now);
void backoff_failed(struct backoff *b, struct str account, struct str source, int64_t now);
/* The right password: the account's failures from this source are forgotten. */
void backoff_worked(struct backoff *b, struct str account, struct str source);

/* One that has to wait now. */
struct backoff_entry {
	struct str source;  /* of the last failure: one of its network */
	struct str account; /* empty: any */
	unsigned failures;
	int64_t last;
	int64_t until;
};
/* Those that have to wait, in no order. */
void backoff_each(const struct backoff *b, int64_t now,
		  void (*f)(void *arg, const struct backoff_entry *e), void *arg);
/* Forgets the failures from this source and its network; how many entries had to wait. */
size_t backoff_lift(struct backoff *b, struct str source, int64_t now);
