/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists: one per issuing authority, made anew by the vault when a certificate was
 * revoked, held, released or superseded, and every LISTS_EVERY; kept in the table crl. A
 * certificate that ended leaves with the second list after its end (RFC 5280, 3.3). Several
 * revocations within a second, or more while lists are long, share one list. A locked authority
 * signs none: what is there goes on, and that it ends is told. Main thread of the store.
 */
#pragma once

#include "daemon/ipc/link.h"

enum {
	LISTS_EVERY = 24 * 3600,
	LISTS_VALID = 7 * 24 * 3600,  /* seconds that a list is good */
	LISTS_ENDING = 5 * 24 * 3600, /* less than that left: told once a day */
};

struct store;

/* failed: NULL or why it could not be done. */
typedef void lists_done(void *arg, const char *failed);

struct lists {
	struct link_call call;
	struct loop_timer timer;
	bool asking;
	bool soon;   /* the timer runs for a change, not for the next look */
	bool failed; /* told */
	/* of the list that is asked for */
	int64_t ca_id;
	int64_t number;
	int64_t entries;
	int64_t stale;
	uint64_t began_ms;
	uint64_t took_ms;  /* the last one */
	int64_t told_at;   /* that they end, seconds since 1970 */
	uint32_t valid_s;  /* with fresh */
	lists_done *fresh; /* waits for all of them; NULL: nobody does */
	void *fresh_arg;
};

void lists_start(struct store *s); /* looks at once, then every minute; also for new authorities */
void lists_changed(struct store *s);
/* Makes all of them anew, good for valid_s seconds, then calls done. False: somebody waits already.
 */
bool lists_fresh(struct store *s, uint32_t valid_s, lists_done *done, void *arg);
void lists_fresh_forget(struct store *s); /* done is not called any more */
/* When the first of them ends, seconds since 1970; 0: there is none. */
int64_t lists_until(struct store *s);
void lists_stop(struct store *s);
/* CRL_GET. Returns like a link_handler. */
int lists_get(struct link *l, struct record *r);
