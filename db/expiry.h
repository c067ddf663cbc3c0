/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of devices that end: an event when 66, 80 and 95 percent of a life have passed, and
 * every day after its end while the setting broker.on-expiry lets it count; a notice to the
 * device's own sessions (NOTICE) with each, and every day. A certificate with a newer good one
 * beside it is not spoken of. What was told is in the table notice. Nothing ends while the clock is
 * below the time floor. Main thread of the store.
 */
#pragma once

#include "daemon/net/loop.h"

enum { EXPIRY_LOOK_S = 3600, EXPIRY_AT_ONCE = 1000 /* certificates in one look */ };

/* Topic of the notices; the payload is a JSON object {fingerprint, expires, percent}. */
#define EXPIRY_TOPIC "$gw/pki/renew"

struct store;

struct expiry {
	struct loop_timer timer;
	int64_t grace; /* seconds that a certificate counts after its end; INT64_MAX: for ever */
};

void expiry_start(struct store *s); /* looks soon, then every hour */
void expiry_stop(struct store *s);
/* Certificates that ended before this time are of no interest to the broker any more: it knows
 * revoked and ended ones for a month, that they are no strangers to it, and those that count. */
int64_t expiry_forgotten(const struct store *s);
/* Certificates that ended at this time or before do not count. */
int64_t expiry_cutoff(const struct store *s);
/* The setting is another one: the broker has to know more, or need not. */
void expiry_set(struct store *s, int64_t grace);
/* One look. */
void expiry_look(struct store *s);
