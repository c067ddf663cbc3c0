/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists: one per issuing authority, made anew by the vault when a certificate was
 * revoked, held, released or superseded, and every LISTS_EVERY; kept in the table crl. A
 * certificate that ended leaves with the second list after its end (RFC 5280, 3.3). Several
 * revocations within a second, or more while lists are long, share one list. Main thread of the
 * store.
 */
#pragma once

#include "daemon/ipc/link.h"

enum { LISTS_EVERY = 24 * 3600 };

struct store;

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
	uint64_t took_ms; /* the last one */
};

void lists_start(struct store *s); /* looks at once, then every minute; also for new authorities */
void lists_changed(struct store *s);
void lists_stop(struct store *s);
/* CRL_GET. Returns like a link_handler. */
int lists_get(struct link *l, struct record *r);
