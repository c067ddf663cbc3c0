/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that wait to be written to one connection. Small packets are copied into blocks, which come
 * from a store of the worker's, so that an idle connection owns none; large payloads stay in their
 * message and are referred to. A worker's flush hands everything to one stream_write. One thread.
 */
#pragma once

#include "daemon/broker/msg.h"

#include <sys/uio.h>

enum {
	SENDQ_BLOCK = 8 * KiB - 64, /* bytes in a block */
	SENDQ_REFER = 4 * KiB,      /* payloads from this size on are not copied */
	SENDQ_STORE_MAX = 256,      /* free blocks that a store keeps */
};

struct sendq_block;

struct sendq_store {
	struct sendq_block *free;
	size_t n;
};
void sendq_store_fini(struct sendq_store *store);

struct sendq {
	struct sendq_block *head;
	struct sendq_block *tail;
	size_t bytes; /* not yet taken by the stream */
};

/* Appends n bytes. */
void sendq_put(struct sendq *q, struct sendq_store *store, const void *p, size_t n);
/* Room for n <= SENDQ_BLOCK bytes in one piece; after writing them call sendq_wrote(n). */
unsigned char *sendq_room(struct sendq *q, struct sendq_store *store, size_t n);
void sendq_wrote(struct sendq *q, size_t n);
/* Appends bytes that lie inside the message, by reference. */
void sendq_refer(struct sendq *q, struct sendq_store *store, struct msg *m, struct str bytes);
/* The bytes from the front, at most max pieces; returns how many pieces. */
size_t sendq_iov(const struct sendq *q, struct iovec *iov, size_t max);
void sendq_taken(struct sendq *q, struct sendq_store *store, size_t n);
void sendq_clear(struct sendq *q, struct sendq_store *store);
