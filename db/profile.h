/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles: how long certificates live and how they renew themselves (table profile). Main thread
 * of the store.
 */
#pragma once

#include "db/registry.h"

#define PROFILE_SELF_RENEWING "device"
#define PROFILE_BY_HAND       "manual"

struct profile_row {
	int64_t lifetime; /* seconds; 0: as long as the issuer */
	int64_t grace;    /* seconds after the end in which it still renews itself */
	int64_t overlap;  /* seconds in which old and new both hold */
};

/* 0 or ERR_NOT_FOUND. */
int profile_find(struct sql *db, struct str name, struct profile_row *out);
/* Appends the names as a list of strings (strs_put). */
void profile_names(struct sql *db, struct buf *out);
