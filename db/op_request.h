/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on the queue of keys that wait for a person (enrol_request.c fills it). Main thread of
 * the store.
 *
 * Fields of a request:
 *   id                            int
 *   name, profile, via, source    str: as the device asked
 *   claim                         str or null: the claim that it came by
 *   key                           bytes: SHA-256 of its public key (SubjectPublicKeyInfo, DER)
 *   words                         str: the first digits of the key, in groups, to read aloud
 *   device_exists                 bool: there is a device of this name
 *   state                         str: pending, approved (not collected yet), denied, issued
 *   created, expires, decided     time;  decided_by, why: str or null
 *   groups, roles                 list of str, that the new device joins and gets
 *
 * request.list     items: list of requests, oldest first; next: str or null
 * request.show     a request
 * request.approve  a request
 * request.deny     a request
 */
#pragma once

#include "db/ops.h"

enum {
	REQUEST_LIFETIME_S = 7 * 86400,  /* to be decided, and to be collected */
	REQUEST_REMEMBER_S = 30 * 86400, /* how it went, for the device that asks again */
};
