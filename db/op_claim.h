/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on claims: authorities outside of this gateway whose certificates may enrol (those
 * that a factory put into its devices, or an older PKI). Main thread of the store.
 *
 * Fields of a claim:
 *   name                          str
 *   subject                       str: common name of the authority
 *   fingerprint                   bytes, SHA-256 of its certificate
 *   not_after                     time: its end
 *   name_from                     str: csr, cn or serial: what says the name of the device
 *   pattern                       str: that name must be like this
 *   approval                      bool: a person decides each time
 *   quota, used                   int: devices an hour, and in the last one
 *   allowed                       int: names on its allow-list; 0: every name
 *   profile, kind                 str;  groups, roles: list of str, of the devices
 *   created                       time;  created_by: str
 *
 * claim.add      a claim
 * claim.list     items: list of claims
 * claim.allow    name; allowed: int, names on the list now
 * claim.remove   name
 */
#pragma once

#include "db/ops.h"

enum {
	CLAIMS_MAX = 16, /* each one is told to the enrolment process */
	CLAIM_QUOTA = 100,
	CLAIM_ALLOWED_MAX = 1000000,
	CLAIM_HOUR_S = 3600,
};
