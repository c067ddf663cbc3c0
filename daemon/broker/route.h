/* SPDX-License-Identifier: Apache-2.0
 *
 * From a published message to its receivers: one match against the index of subscriptions, one
 * entry for each worker that has some of them, one delivery per session whatever the number of its
 * subscriptions that match. Order is kept per publisher: notes to a worker arrive as they were
 * sent. No lock, and nothing allocated for receivers on the same worker. Sections 3.3.4 and 4.6.
 */
#pragma once

#include "daemon/broker/msg.h"
#include "daemon/broker/worker.h"

/* Returns how many subscriptions matched; a group that shares one counts once. */
size_t route_publish(struct worker *w, struct msg *m);
/* Something small goes to another worker with the messages of this turn. */
void route_note(struct worker *w, unsigned to, struct loop_note *note,
		void (*run)(struct loop_note *));
/* A delivery to a member of a shared subscription (share.h); key 0: it is none. */
struct route_share {
	uint64_t key;
	unsigned hops;
};
/* Sends the message to n subscribers on another worker, to one when it is a shared delivery. */
void route_consign(struct worker *w, unsigned to, struct msg *m, const struct trie_sub *target,
		   size_t n, struct route_share share);
/* Whether publishers should not be read now, because some worker has too much on its way. */
bool route_congested(const struct worker *w);
