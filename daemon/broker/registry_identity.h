/* SPDX-License-Identifier: Apache-2.0
 *
 * Who somebody is, as of one generation of the registry: what a session keeps of its device.
 *
 * Immutable and counted: any thread may hold one and read it without a lock. Made by the registry
 * alone (registry.h), which hands out the same one as long as nothing of the device has changed.
 */
#pragma once

#include "daemon/acl/acl.h"
#include "daemon/base/ref.h"
#include "daemon/base/str.h"

struct identity {
	struct ref ref;
	uint64_t device_id; /* 0: anonymous */
	char *name;         /* of the device; "" for anonymous */
	struct str *group;
	size_t group_n;
	struct acl_set *acl;
	bool uses_certificate; /* some rule holds ${cn} or ${san}: the names are needed */
	bool learns;           /* some rule is of the learn mode (learn.h) */
};

struct identity *identity_ref(struct identity *id);
void identity_unref(struct identity *id);
DEFINE_AUTO(identity, identity_unref)

/* The registry's: a new one, of which the caller owns the one reference. groups: a list of strings
 * that strs_valid holds for (daemon/ipc/frame.h), copied like the name; a reference to acl of its
 * own is taken. Both flags are false until the caller sets them, before anybody else sees it. */
struct identity *identity_new(uint64_t device_id, const char *name, struct str groups,
			      struct acl_set *acl);
