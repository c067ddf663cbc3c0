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
	uint64_t at_ms;          /* when it came, monotonic */
	uint64_t before_ms;      /* the same of the one before, or when it connected */
	uint64_t before_in;      /* messages in that one */
	uint64_t before_out;
	char text[];
};

/* Messages per minute, from the last two times that the broker told of it until now: a client that
 * falls silent comes down to 0 by and by. */
uint64_t presence_rate_in(const struct presence_client *c);
uint64_t presence_rate_out(const struct presence_client *c);

struct presence {
	struct map clients;  /* handle -> struct presence_client */
	struct map devices;  /* device id -> number of its connections, as a pointer */
	struct buf counters; /* a rec of name -> int */
	/* A connection began; the last one of a device ended. Both or none. */
	void (*appeared)(struct presence *p, const struct body_client *client);
	void (*went)(struct presence *p, uint64_t device_id);
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
