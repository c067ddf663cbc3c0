/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks that administrators have banned (table ban), on their way to the broker and the faces of
 * HTTPS, which enforce them (daemon/net/ban.h). Each of these gets the whole list when it comes and
 * when the list changes, and answers with what it has refused. Main thread of the store.
 */
#pragma once

#include "daemon/ipc/link.h"

struct op_call;
struct store;

enum { BANS_PEERS = 3, BANS_ANSWER_MS = 2000 };

struct bans_ask {
	struct link_call call;
	struct store *s;
	enum process peer;
};

struct bans_asks {
	struct bans_ask ask[BANS_PEERS];
	struct list waiting;         /* struct bans_waiter */
	struct buf hits[BANS_PEERS]; /* records ban_hits, as last answered */
	uint32_t closed;             /* by the broker, the last time */
	bool away;                   /* the broker did not answer */
};

/* Who waits until all have answered. woken() is called once, out of the list. */
struct bans_waiter {
	struct list node;
	void (*woken)(struct bans_waiter *w);
};

void bans_tell(struct store *s, enum process peer); /* one of the three; nothing when it is away */
/* All of them. */
void bans_tell_all(struct store *s, struct bans_waiter *w);
void bans_unwait(struct bans_waiter *w); /* nothing when not waiting */
/* What all have refused from this network, and when last (ms since 1970, 0: never). */
uint64_t bans_refused(const struct store *s, struct str network, uint64_t *last_ms);
void bans_stop(struct store *s);
