/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of certificates that were renewed: old and new both hold until the new one is seen, at
 * the latest until the overlap of the profile is over; then the old one is superseded, and sessions
 * that still use it are closed. Main thread of the store.
 */
#pragma once

#include "db/store.h"

enum { RENEWAL_CHECK_MS = 60 * 1000 };

/* Someone showed this certificate (SHA-256 of its DER) and its key. */
void renewal_seen(struct store *s, struct str fingerprint);
/* Looks for overlaps that are over, now and then by itself. For the start of the store. */
void renewal_start(struct store *s);
void renewal_stop(struct store *s);
