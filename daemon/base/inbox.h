/* SPDX-License-Identifier: Apache-2.0
 *
 * Queue into one thread from any other: many senders, one receiver. The receiver sleeps on the
 * eventfd; a batch of posts wakes it once. Nodes are intrusive and belong to the queue until
 * drained.
 */
#pragma once

#include "daemon/base/defs.h"

#include <stdatomic.h>

struct inbox_node {
	struct inbox_node *next;
};

struct inbox {
	_Atomic(struct inbox_node *) head; /* newest first */
	int fd;                            /* eventfd, readable when something was posted */
};

int inbox_init(struct inbox *in);                           /* 0 or ERR_IO */
void inbox_fini(struct inbox *in);                          /* must be drained before */
void inbox_post(struct inbox *in, struct inbox_node *node); /* any thread */
/* Posts several at once: newest leads by next to the older ones, oldest is the last of them. */
void inbox_post_chain(struct inbox *in, struct inbox_node *newest, struct inbox_node *oldest);
/* All nodes posted so far, oldest first, linked by next; NULL when none. Receiver only. */
struct inbox_node *inbox_drain(struct inbox *in);
