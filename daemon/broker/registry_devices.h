/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices of the registry view, by number and by name: who may be connected at all, and of
 * which groups and roles somebody is. Which certificate opens a device is registry_certs.h, what
 * it may do registry_rules.h.
 *
 * A part of registry.h, which locks: one writer alone, or readers together. The identity that a
 * device carries is under the registry's cache mutex.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/broker/registry_identity.h"

struct device {
	uint64_t id;
	char *name;
	bool enabled;
	struct str groups; /* lists of strings as they came, owned */
	struct str roles;
	struct identity *identity; /* the last one made; NULL at first */
	uint64_t checked;          /* generation in which it was last found right */
};

/* All zero: none. */
struct devices {
	struct map by_id; /* owns the struct device */
	struct map by_name;
};

void devices_fini(struct devices *s);
/* Takes in one reg_device record (daemon/ipc/messages.def). gone: the device of this number is
 * removed. *rights_lost and *access are set, never cleared, when a device that could connect no
 * longer can, and when name, groups or roles are others. 0 or ERR_MALFORMED (nothing changed). */
int devices_take(struct devices *s, bool gone, struct str body, bool *rights_lost, bool *access);
/* NULL when there is none. Valid until the next devices_take. */
struct device *devices_find(const struct devices *s, uint64_t id);
const struct device *devices_named(const struct devices *s, struct str name);
