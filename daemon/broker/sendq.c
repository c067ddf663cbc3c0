/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues of bytes to write: see sendq.h.
 */
#include "daemon/broker/sendq.h"

#include <stdlib.h>

struct sendq_block {
	struct sendq_block *next;
	struct msg *msg;        /* set: p points into it, data is not there */
	const unsigned char *p; /* first byte not yet taken */
	size_t n;               /* bytes from p on */
	unsigned char data[];   /* SENDQ_BLOCK bytes unless msg is set */
};

void sendq_store_fini(struct sendq_store *store)
{
	while (store->free) {
		struct sendq_block *b = store->free;
		store->free = b->next;
		free(b);
	}
	store->n = 0;
}

static struct sendq_block *block_new(struct sendq_store *store)
{
	struct sendq_block *b = store->free;
	if (b) {
		store->free = b->next;
		store->n--;
	} else {
		b = mem_grow(NULL, sizeof(*b) + SENDQ_BLOCK);
	}
	b->next = NULL;
	b->msg = NULL;
	b->p = b->data;
	b->n = 0;
	return b;
}

static void block_free(struct sendq_block *b, struct sendq_store *store)
{
	if (b->msg) {
		msg_unref(b->msg);
		free(b);
	} else if (store->n < SENDQ_STORE_MAX) {
		b->next = store->free;
		store->free = b;
		store->n++;
	} else {
		free(b);
	}
}

static void append(struct sendq *q, struct sendq_block *b)
{
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
}

static size_t room_left(const struct sendq_block *b)
{
	return b && !b->msg ? SENDQ_BLOCK - (size_t)(b->p + b->n - b->data) : 0;
}

unsigned char *sendq_room(struct sendq *q, struct sendq_store *store, size_t n)
{
	CHECK(n <= SENDQ_BLOCK);
	if (room_left(q->tail) < n)
		append(q, block_new(store));
	struct sendq_block *b = q->tail;
	return b->data + (size_t)(b->p - b->data) + b->n;
}

void sendq_wrote(struct sendq *q, size_t n)
{
	q->tail->n += n;
	q->bytes += n;
}

void sendq_put(struct sendq *q, struct sendq_store *store, const void *p, size_t n)
{
	const unsigned char *from = p;
	while (n) {
		if (room_left(q->tail) == 0)
			append(q, block_new(store));
		const size_t part = MIN(n, room_left(q->tail));
		memcpy(sendq_room(q, store, part), from, part);
		sendq_wrote(q, part);
		from += part;
		n -= part;
	}
}

void sendq_refer(struct sendq *q, struct sendq_store *store, struct msg *m, struct str bytes)
{
	if (bytes.n < SENDQ_REFER) {
		sendq_put(q, store, bytes.p, bytes.n);
		return;
	}
	struct sendq_block *b = mem_new(struct sendq_block);
	b->msg = msg_ref(m);
	b->p = (const unsigned char *)bytes.p;
	b->n = bytes.n;
	append(q, b);
	q->bytes += bytes.n;
}

size_t sendq_iov(const struct sendq *q, struct iovec *iov, size_t max)
{
	size_t n = 0;
	for (const struct sendq_block *b = q->head; b && n < max; b = b->next)
		iov[n++] = (struct iovec){(void *)(uintptr_t)b->p, b->n};
	return n;
}

void sendq_taken(struct sendq *q, struct sendq_store *store, size_t n)
{
	CHECK(n <= q->bytes);
	q->bytes -= n;
	while (q->head && n >= q->head->n) {
		struct sendq_block *b = q->head;
		n -= b->n;
		q->head = b->next;
		block_free(b, store);
	}
	if (q->head) {
		q->head->p += n;
		q->head->n -= n;
	} else {
		q->tail = NULL;
	}
}

void sendq_clear(struct sendq *q, struct sendq_store *store)
{
	sendq_taken(q, store, q->bytes);
}
