/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared subscriptions: one member of each group gets a message. The worker of the publisher
 * chooses, in turn, among the members that are connected, on whichever worker they are; those that
 * are away only when nobody is there (the index of subscriptions says so). The member's worker
 * hands the message on when the member has gone meanwhile, may not receive it, or has no room. A
 * group is named by the key that the index gives it. Runs in workers. Section 4.8.2.
 */
#pragma once

#include "daemon/broker/worker.h"

/* As struct trie_visitor wants it, with the worker as ctx: chooses. */
void share_matched(void *ctx, const struct trie_group *group);
/* Sends the message to those chosen since the last call. */
void share_publish(struct worker *w, struct msg *m);
/* On the member's worker; hops: how many members did not take it before. */
void share_deliver(struct worker *w, struct msg *m, const struct trie_sub *member, uint64_t key,
		   unsigned hops);
/* To any member of the group but one. False: there is none. */
bool share_again(struct worker *w, struct msg *m, uint64_t key, uint64_t except, unsigned hops);
