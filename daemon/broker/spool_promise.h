/* SPDX-License-Identifier: Apache-2.0
 *
 * What a publisher is told, and when: an acknowledgement waits until every durable receiver's row,
 * on whatever worker, is on disk or is not needed any more because that receiver has acknowledged.
 * Acknowledgements leave a connection in the order of what they answer [MQTT-4.6.0-2,
 * MQTT-4.6.0-3], so one that owes nothing waits behind one that does. A publisher that owes nothing
 * is answered at once, at the cost of one look at an empty list.
 *
 * QoS 2 stays exactly once over an end of ours, with receivers on several workers: each stores
 * beside its rows that it has the message, and one that comes again goes to the others. Two things
 * can not be told then. Which member of a shared subscription had it: another one may get it, too,
 * when one worker had stored it and the publisher's had not. And which workers had it, when their
 * number was changed meanwhile: it counts as stored by all. A relaxed receiver stores no such
 * thing, and may get it twice.
 *
 * The end of a session waits in the same way for the messages that others get from it, its will and
 * those of shared subscriptions: its own rows stay until theirs are on disk.
 *
 * A promise belongs to the worker of its publisher and ends there. It has one part for each worker
 * that stores something for it; a part belongs to that worker until it goes home as a note.
 * Section 4.3.
 */
#pragma once

#include "daemon/broker/conn.h"
#include "daemon/broker/spool.h"

struct promise {
	struct list node; /* of the connection's, or in none when that is gone */
	struct worker *home;
	uint64_t conn;
	uint64_t session;
	uint64_t sid;      /* of a durable publisher of QoS 2; 0: another */
	atomic_uint parts; /* outstanding; ends at home */
	enum packet_type type;
	uint16_t packet_id;
	bool ready;
	bool parts_failed;
	bool follows;      /* the publisher sent it again while the first one is still owed */
	uint64_t ends;     /* number of a session that ends; 0: of a publisher */
	struct list waits; /* for that end: struct spool_wait */
	enum reason reason;
	const char *why; /* or NULL; not freed */
};

/* A worker's share. */
struct promise_part {
	struct spool_wait wait;
	struct loop_note note;
	struct promise *promise;
	struct worker *worker;
	uint32_t rows; /* in the open batch, and one while more may come */
	enum spool_status status;
};

/* One message is routed now: rows that its receivers need are for this publisher. sid: of a durable
 * publisher of QoS 2, else 0; each worker then stores beside its rows that it has that one. */
void promise_begin(struct worker *w, uint64_t sid, uint16_t packet_id);
/* Routing is over. The promise that was made, which the caller hands to promise_owe; NULL: nothing
 * is owed. */
struct promise *promise_end(struct worker *w);
/* A row in the open batch: whose, or NULL when nobody waits. promise_undone() when it is undone
 * before the batch is sent. */
struct promise_part *promise_row(struct worker *w);
void promise_undone(struct promise_part *part);
/* Another worker has durable receivers: a part for it to take. NULL: nobody waits. */
struct promise_part *promise_consign(struct worker *w);
/* That worker has the message from before the broker's last end. */
static inline bool promise_has(const struct worker *w, unsigned worker)
{
	return w->promising.skip >> worker & 1;
}
/* Over there: around the routing of what came with the part. */
void promise_resume(struct worker *w, struct promise_part *part);
void promise_suspend(struct worker *w);

/* A session with this number in the spool ends, and what is routed until promise_ended() comes from
 * it: that is stored whatever becomes of the batch, and then SESSION_GONE. outer: what was routed
 * before, to be handed back. */
void promise_ends(struct worker *w, uint64_t sid, struct promising *outer);
void promise_ended(struct worker *w, const struct promising *outer);
/* spool_wait(), but behind the session's end that came last on this worker. */
void promise_wait_ended(struct worker *w, struct spool_wait *wait,
			void (*done)(struct spool_wait *wait, enum spool_status status));

/* Answers, or puts the answer behind what is owed. p: from promise_end or NULL. */
void promise_owe(struct conn *c, struct promise *p, enum packet_type type, uint16_t packet_id,
		 enum reason reason, const char *why);
/* The same for a PUBREC that is owed already, to an earlier connection or this one. */
void promise_follow(struct conn *c, uint16_t packet_id);
/* The connection ends: what is owed is told to nobody. */
void promise_orphan(struct conn *c);
