/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's side of the spool, in which the store keeps what has to outlive the broker: durable
 * sessions, their queues, retained messages. What the worker changes is collected as records in one
 * open batch; at the end of a turn the batch goes to the store, unless the one before has no answer
 * yet: then it goes on growing until that comes. So one commit serves all that happened during the
 * last one, and a record that is undone before it left is never written.
 *
 * Whoever must not go on before something is on disk leaves a spool_wait with the open batch. A
 * batch that the store refuses is taken apart: what nobody waits for (a session, an end, an
 * acknowledgement) goes before the next one; messages that a publisher waits for are given up, and
 * the publisher is told. Messages that nobody waits for are owed: they are in memory only until
 * there is room (spool_session.h), and stand before nothing. A store that comes back gets the batch
 * without an answer again.
 *
 * Everything here is bounded: beyond SPOOL_UNANSWERED_MAX whoever adds to it waits, or what it adds
 * is owed; what was undone gives its bytes back.
 *
 * Owns the batches and the link. One thread: the worker's. What the records mean is the affair of
 * spool_session.h, what a publisher waits for that of spool_promise.h.
 */
#pragma once

#include "daemon/broker/msg.h"
#include "daemon/ipc/link.h"
#include "daemon/ipc/spool.h"

struct broker;
struct worker;

struct spool_wait {
	struct list node; /* of the batch's */
	/* The batch is on disk, or it is not; the wait is the callee's again. */
	void (*done)(struct spool_wait *wait, enum spool_status status);
};

/* What is known of a record in a batch beside its bytes. */
struct spool_entry {
	size_t at;             /* its end is the next one's beginning */
	uint32_t refs;         /* MESSAGE: records of this batch that refer to it */
	uint8_t kind;          /* enum spool_kind */
	bool undone;           /* not to be written */
	bool kept;             /* a refusal does not end it */
	uint64_t session;      /* QUEUE: its handle */
	uint64_t place;        /* QUEUE */
	struct spool_row *row; /* QUEUE, as long as the batch is open; NULL: forgotten */
};

struct spool_batch {
	uint64_t number; /* from 1; not that of the message, which a batch without records needs
			    none of */
	struct buf bytes;
	struct spool_entry *entry;
	uint32_t n;
	uint32_t cap;
	size_t undone; /* bytes */
	struct list waits;
};

struct spool {
	struct worker *worker;
	struct link *link; /* NULL: the store is away */
	struct loop_task task;
	struct loop_timer again;
	struct spool_batch open;
	struct spool_batch sent; /* without an answer, when is_sent */
	struct buf message;      /* as it was sent; its beginning was in first */
	size_t message_first;
	struct buf first; /* records that go before the open batch's: of refused ones, and
			     sessions that the store has lost */
	bool is_sent;
	bool is_alone;          /* the next message has only what makes room */
	bool is_removals;       /* so has the one that is sent */
	bool has_rows;          /* first has messages for sessions */
	bool is_lost;           /* what is sent went to a store that knows no session of it */
	bool is_unsent;         /* there was no descriptor for it */
	bool owes;              /* sessions owe rows, or retained messages are owed */
	size_t piece;           /* how much of it goes with the next batch */
	uint64_t owed_retained; /* versions from this one may not be stored; 0: none */
	struct buf retained;    /* struct spool_retained that are to be stored, each a reference */
	uint64_t seq;           /* of the last message */
	uint64_t committed;     /* number of the last batch that is on disk, and all before it */
	uint64_t next_id;
	size_t told;  /* bytes as counted in broker.spooled */
	uint64_t mid; /* the message put last into the open batch, and its entry; 0 = none */
	uint32_t mid_entry;
	struct link_call state; /* see spool_restore.h */
	bool is_asked;
};

struct spool_retained {
	struct msg *msg;
	uint64_t version;
};

enum {
	SPOOL_AGAIN_MS = 1000,
	SPOOL_PIECE = 4 * MiB, /* of what is owed, in one batch */
	SPOOL_PIECE_FULL =
		64 * KiB, /* that a publisher's messages may fail with, at the first try */
};

void spool_init(struct spool *s, struct worker *w);
/* A link to the store, the first one or its replacement; takes fd. What has no answer is sent
 * again. Any thread. */
void spool_give(struct worker *w, int fd);
/* Numbers of this worker are above base from now on. */
void spool_number_from(struct spool *s, uint64_t base);
/* The next number for a session or message: unique among all workers. */
uint64_t spool_number(struct spool *s);

/* SPOOL_ADD(spool, SESSION, session, &body): a record into the open batch; its entry's index, valid
 * until the batch is sent. */
#define SPOOL_ADD(s, NAME, name, body)                              \
	__extension__({                                             \
		struct spool *spool_ = (s);                         \
		const size_t at_ = spool_->open.bytes.n;            \
		SPOOL_PUT(&spool_->open.bytes, NAME, name, (body)); \
		spool_added_(spool_, SPOOL_KIND_##NAME, at_);       \
	})
uint32_t spool_added_(struct spool *s, enum spool_kind kind, size_t at);
static inline struct spool_entry *spool_entry(struct spool *s, uint32_t index)
{
	return &s->open.entry[index];
}
/* That record is not to be written. */
void spool_undo(struct spool *s, uint32_t index);
/* A session, a row or a retained message is owed: spool_pay() is called when there may be room. */
void spool_owe(struct spool *s);
/* The message stands in the open batch, for one more record that refers to it; its entry. kept: see
 * there. */
uint32_t spool_add_message(struct spool *s, struct msg *m, bool kept);
/* A record that refers to the message of that entry was undone. */
void spool_release_message(struct spool *s, uint32_t entry);

/* done() is called when the open batch, as it will be, is answered; never at once. */
void spool_wait(struct spool *s, struct spool_wait *wait,
		void (*done)(struct spool_wait *wait, enum spool_status status));

/* The store has so much to do that whoever can wait has to. Any thread. */
bool spool_is_full(const struct broker *b);
/* Nothing is without an answer, in any worker. Any thread. */
bool spool_is_idle(const struct broker *b);
