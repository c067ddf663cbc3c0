/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is connected, as the broker told it last: at most a second old, in memory only, forgotten
 * when the broker is restarted. Main thread of the store.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/ipc/frame.h"

enum { PRESENCE_MAX = 1000000 }; /* more than any broker can hold: a broken one told them */

struct presence_client {
	struct body_client body; /* strings point behind it */
	char text[];
};

struct presence {
	struct map clients;  /* handle -> struct presence_client */
	struct map devices;  /* device id -> number of its connections, as a pointer */
	struct buf counters; /* a rec of name -> int */
};

void presence_reset(struct presence *p);
/* PRESENCE and COUNTERS of the broker. 0 or ERR_MALFORMED. */
int presence_take(struct presence *p, const struct body_presence *body);
int presence_take_counters(struct presence *p, const struct body_counters *body);

size_t presence_count(const struct presence *p);
size_t presence_of_device(const struct presence *p, uint64_t device_id);
size_t presence_of_listener(const struct presence *p, struct str listener);
const struct presence_client *presence_by_client_id(const struct presence *p, struct str client_id);
/* Connections with a handle above `after` (and of this device unless 0), ascending, at most max of
 * them. Returns how many were written to out. */
size_t presence_page(const struct presence *p, uint64_t after, uint64_t device_id, size_t max,
		     const struct presence_client **out);
