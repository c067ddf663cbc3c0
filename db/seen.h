/* SPDX-License-Identifier: Apache-2.0
 *
 * When each device was last connected, from where and how: columns of its row in the registry.
 * Presence (presence.h) tells who came and who went; that is gathered here and written some seconds
 * later, many devices in one transaction and each at most once in it, however often it came. It is
 * no change of the device: no revision, no audit row, no other version.
 *
 * Nobody says good-bye in a crash. When the broker's link ends all its devices went now; when the
 * store starts and finds devices that are connected in its file, they were last seen when it wrote
 * last that it lives, which it does once a minute while somebody is connected.
 *
 * The column state is kept by triggers (0016_registry.sql). What no trigger can see, that a
 * certificate ends, is made good before a list is read. Main thread of the store.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/ipc/frame.h"
#include "daemon/net/loop.h"
#include "db/sql.h"

enum {
	SEEN_WRITE_MS = 2000,      /* from the first change until it is written */
	SEEN_AGAIN_MS = 250,       /* between transactions while more waits */
	SEEN_AT_ONCE = 500,        /* devices in a transaction */
	SEEN_ALIVE_MS = 60 * 1000, /* so late a crash can be found */
	SEEN_PLACE_MAX = 64        /* bytes of address, listener, protocol and TLS, each */
};

#define SEEN_NOW INT64_MAX /* in the column seen: it is connected */

/* In the column state, the order of lists. */
enum seen_state { SEEN_CONNECTED, SEEN_AWAY, SEEN_NEVER, SEEN_BARRED, SEEN_DISABLED, SEEN_STATES };
const char *seen_state_name(enum seen_state state);
/* False: there is no such state. */
bool seen_state_parse(struct str name, enum seen_state *out);

struct store;

struct seen {
	struct map waiting; /* device id -> struct seen_change */
	struct loop_timer timer;
	bool soon; /* the timer is for what waits */
};

/* After the registry was opened: nobody is connected any more. */
void seen_start(struct store *s);
/* Writes what waits; nobody is connected from now on. Nothing when it was not started. */
void seen_stop(struct store *s);

/* A connection of a device began; the last one of a device ended. */
void seen_came(struct store *s, const struct body_client *client);
void seen_went(struct store *s, uint64_t device_id);

/* Writes what waits, at most SEEN_AT_ONCE devices of it. False: nothing was written and all of it
 * waits on; the reason was logged. */
bool seen_write(struct store *s);

/* The states are those of now, as far as certificates that ended change them. */
void seen_settle(struct store *s);

/* Columns of a device that seen_put reads. */
#define SEEN_COLUMNS "seen, seen_address, seen_listener, seen_protocol, seen_tls"
/* Appends the fields state, last_seen, last_address, last_listener, last_protocol, last_tls, as
 * they are at this moment; column: number of the first of SEEN_COLUMNS in the row. */
void seen_put(struct store *s, int64_t device_id, bool enabled, bool barred,
	      const struct sql_query *q, int column, struct buf *out);
