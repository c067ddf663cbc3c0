/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on enrolment codes and profiles. Main thread of the store.
 *
 * Fields of a code:
 *   id                            int
 *   name                          str or null: the device, or the one that it will add
 *   pattern                       str or null: new names that it may add instead
 *   device_exists                 bool
 *   state                         str: valid, used, replaced (by a newer one), expired
 *   uses, uses_left               int
 *   network                       str or null: CIDR it must be used from
 *   profile, kind, note           str;  groups, roles: list of str, of devices that it adds
 *   created, expires, last_used   time or null;  created_by: str;  last_source: str or null
 *
 * code.add      a code, and code: str, which is told this once; root_fingerprint: bytes, SHA-256 of
 *               the root certificate (DER); roots_pem: str; replaced: int, how many older codes for
 *               this name count no longer, which is all of them without the argument keep
 * code.list     items: list of codes, the newest first; next: str or null
 * code.remove   id
 *
 * Fields of a profile:
 *   name, note                    str
 *   lifetime, grace, overlap      int, seconds; lifetime 0: as long as the issuer
 *
 * profile.list  items: list of profiles
 * profile.set   a profile
 */
#pragma once

#include "db/ops.h"

enum {
	CODE_TTL_S = 24 * 3600,
	CODE_TTL_MAX_S = 366 * 86400,
	CODE_REMEMBER_S = 30 * 86400, /* used and expired ones, to tell that from a wrong one */
	CODES_MAX = 100000,
};

/* The arguments groups and roles as the rec that an authority keeps for the devices it adds. */
void members_take(const struct op_call *c, struct buf *out);
/* Its lists, also when it is empty; appended. */
void members_put(struct str members, struct buf *out);
/* Judges the argument profile, device when absent. False: refused. */
bool profile_take(struct op_call *c, struct str *name);
