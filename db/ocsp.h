/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers about single certificates (OCSP, RFC 6960): to questions that the enrol process has read,
 * and for the gateway's own server certificates, which its listeners staple (RFC 6066, 8). The
 * registry knows the status, the vault signs. Main thread of the store.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/ipc/link.h"
#include "db/lists.h"

enum {
	OCSP_VALID = 3600, /* seconds that an answer is good: a revocation is known then */
	OCSP_STAPLE_VALID = 4 * 24 * 3600,
	OCSP_STAPLE_EVERY = 24 * 3600,
	OCSP_ASKS_MAX = 256, /* at a time */
};

struct store;

struct staples {
	struct link_call call;
	struct loop_timer timer;
	struct buf ready; /* records of struct body_staple, as the listeners have them */
	struct buf next;  /* those that are being made */
	int64_t last_id;  /* of the certificate that is asked about */
	unsigned char fp[32];
	bool failed;       /* told */
	int64_t until;     /* that those that are ready are good, seconds since 1970; 0: none */
	uint32_t valid_s;  /* with fresh */
	lists_done *fresh; /* waits for all of them; NULL: nobody does */
	void *fresh_arg;
	struct list asks; /* struct ocsp_ask */
	unsigned asks_n;
};

void ocsp_init(struct store *s);
void ocsp_stop(struct store *s);
/* OCSP. Returns like a link_handler. */
int ocsp_asked(struct link *l, struct record *r);
/* The server certificates may be others now: makes all staples, and again every day. */
void staples_make(struct store *s);
/* The same, good for valid_s seconds, then calls done. False: somebody waits already. */
bool staples_fresh(struct store *s, uint32_t valid_s, lists_done *done, void *arg);
void staples_fresh_forget(struct store *s); /* done is not called any more */
/* A listener's process has a new link: tells it what there is. */
void staples_tell(struct store *s, enum process peer);
