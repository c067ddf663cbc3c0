/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of registry.db as the broker needs them: entries of deltas and the snapshot
 * (ipc/messages.def: entry), and the look-ups that several operations share. Main thread of the
 * store. It changes nothing: see change.h.
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "db/sql.h"

enum { NAME_SIZE = 65 }; /* a name of a device, group or role with its terminator */

/* 0 or ERR_NOT_FOUND. */
int registry_device(struct sql *db, struct str name, int64_t *id);
int registry_role(struct sql *db, struct str name, int64_t *id);
int registry_group(struct sql *db, struct str name, int64_t *id);
/* The name of a device: false and "" when it is gone. */
bool registry_device_name(struct sql *db, int64_t id, char out[NAME_SIZE]);

/* Append the present state of one object as an entry; nothing when there is no such object. */
void registry_put_device(struct sql *db, int64_t id, struct buf *entries);
void registry_put_cert(struct sql *db, int64_t id, struct buf *entries);
void registry_put_rule(struct sql *db, int64_t id, struct buf *entries);
void registry_put_ca(struct sql *db, int64_t id, struct buf *entries);
/* Append that it is gone. */
void registry_put_device_gone(int64_t id, struct buf *entries);
void registry_put_rule_gone(int64_t id, struct buf *entries);

/* Everything: active authorities, devices, rules, and the certificates of devices that end or ended
 * after this time, one object at each call. True: there are more. At the end, and after an error
 * (rows.error, of sql.h), false. A walk begins zeroed. */
enum registry_part {
	REGISTRY_AUTHORITIES,
	REGISTRY_DEVICES,
	REGISTRY_RULES,
	REGISTRY_CERTIFICATES,
	REGISTRY_PARTS
};
struct registry_walk {
	enum registry_part part;
	bool open;
	struct sql_query rows;
};
bool registry_walk(struct sql *db, struct registry_walk *w, int64_t ended_after,
		   struct buf *entries);
void registry_walk_end(struct registry_walk *w); /* before the connection is closed; zeroes it */
