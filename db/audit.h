/* SPDX-License-Identifier: Apache-2.0
 *
 * How long the audit log and the revisions that hang on it are kept: [audit] keep, and at most
 * [audit] max-rows. Once an hour what is beyond goes, a few rows at a time so that nobody waits for
 * it, and never while the clock is not to be trusted. Rows are written by authorise.h and change.h.
 * Main thread of the store.
 */
#pragma once

#include "daemon/net/loop.h"

struct store;

struct audit_settings {
	int64_t keep_s;   /* 0: for ever */
	int64_t max_rows; /* 0: any number */
};

struct audit {
	struct audit_settings settings;
	struct loop_timer timer;
};

/* Takes new bounds, and begins to act on them. */
void audit_set(struct store *s, const struct audit_settings *settings);
void audit_stop(struct store *s);
/* Removes one portion of what is beyond the bounds. True: there is more. */
bool audit_purge(struct store *s);
