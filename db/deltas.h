/* SPDX-License-Identifier: Apache-2.0
 *
 * What the broker is told of changes of the registry: deltas, numbered without a gap (ipc/
 * messages.def, DELTA). Some are under way, the others wait for their turn: as many as a large
 * change makes would fill the link, and keep the broker from everything else. What cannot be told
 * it learns from a snapshot (snapshot.h). Main thread of the store.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/base/str.h"
#include "daemon/net/loop.h"

enum { DELTAS_MS = 2000 /* the broker has this long for each */, DELTAS_AT_ONCE = 4 };

struct op_call;
struct store;

struct deltas {
	struct list waiting; /* struct delta_ask, the oldest first */
	unsigned under_way;
	struct loop_timer nudge_timer; /* one did not get through */
};

void deltas_init(struct deltas *d);
/* Those that wait are not sent: the broker is away, or a snapshot has what they say. */
void deltas_drop(struct store *s);
void deltas_fini(struct store *s); /* after the broker's link is gone */

/* Deltas that these entries take: the registry's number grows by it in the same transaction. */
int64_t deltas_count(struct str entries);
/* Sends them. change_told follows for each that the call waits for, which are in its change.asks;
 * with no call nobody waits. */
void deltas_send(struct store *s, struct op_call *c, struct str entries);
void deltas_forget(struct list *asks); /* they are sent, but not waited for */
/* The broker's picture of the registry is not whole: it asks for a new one. */
void deltas_missed(struct store *s);
