/* SPDX-License-Identifier: Apache-2.0
 *
 * What the spool keeps of sessions, and how it is told: the session with its will, subscriptions,
 * the messages that wait or are under way, identifiers of QoS 2 messages from the client; and
 * retained messages. A session is durable when it outlives its connection and its listener's
 * durability is not none; it then has a number (sid). Nothing here waits but for this: with full
 * durability a PUBLISH of QoS 2 leaves when its identifier is on disk, and PUBREL when it is that
 * PUBREC came, so that a broker that was killed never sends as new what it had sent. Messages
 * behind such a one wait with it, to keep their order.
 *
 * Of a session that ends with its connection only the will is kept, as a session without anything
 * else: whoever is connected at a power cut is disconnected by it [MQTT-3.1.2-8]. Nobody waits for
 * that.
 *
 * A QoS 1 message leaves before it is on disk that it did. What a session that was connected at a
 * sudden end had in its queue may therefore have been sent: it goes out with DUP, which says just
 * that (section 3.3.1.1).
 *
 * Messages that nobody waits for (of relaxed listeners, wills) may be owed: when the disk is full,
 * or the store is so far behind that others have to wait. They are in memory only then, where
 * max-queued-messages and max-queued-bytes bound them. The session's worker. Section 4.1.
 */
#pragma once

#include "daemon/broker/spool_promise.h"

struct session;
struct subscription;
struct delivery;
struct inflight;
struct retain_change;

/* Of a delivery, in the same block of memory. */
struct spool_row {
	uint64_t place; /* in the order of the session */
	uint64_t batch; /* that QUEUE was put into; 0: not yet */
	uint64_t held;  /* the batch that has to be done before it leaves, 0: none */
	uint32_t entry; /* as long as that batch is open: of QUEUE */
	uint32_t message;
	uint32_t sent;             /* of SENT, and one more; 0: none */
	bool has_id;               /* SENT was put */
	bool owed;                 /* in memory only, until there is room for it */
	struct promise_part *part; /* who waits for it, while the batch is open; or NULL */
};

/* The batch that rows of an earlier life came in. */
enum { SPOOL_RESTORED = 1 };

/* Whether and how it is stored from now on; its session expiry interval is known. */
/* Whoever is answered for it waits for the open batch: full durability, or the store is so far
 * behind that relaxed has to wait, too. */
bool spool_must_wait(const struct session *s);
void spool_session_begin(struct session *s, enum config_durability durability);
void spool_session(struct session *s); /* as it is now */
/* Restored, and connected at the end before: what waits may have been sent. */
void spool_doubt(struct session *s);
/* It is not durable any more; what waits is in memory only from now on. */
void spool_session_end(struct session *s);
/* The same, but for the record of its end: that is spool_gone(), with the number that it had. */
uint64_t spool_session_leave(struct session *s);
void spool_gone(struct worker *w, uint64_t sid);
void spool_subscription(struct session *s, const struct subscription *sub);
void spool_subscription_end(struct session *s, struct str filter);

/* A delivery that was pushed: its row. */
void spool_row(struct session *s, struct delivery *d);
/* It goes out now (again). True: not yet, it is held; session_unhold comes. */
bool spool_row_leaves(struct session *s, struct delivery *d);
/* The same for PUBREL: PUBREC came. */
bool spool_row_received(struct session *s, struct delivery *d);
void spool_row_gone(struct inflight *f, struct delivery *d); /* inflight.gone */

/* The worker has what QoS 2 message packet_id of that session is to bring here. kept: see struct
 * spool_entry. */
void spool_received(struct worker *w, uint64_t sid, uint16_t packet_id, bool kept);
void spool_received_end(struct worker *w, uint64_t sid, uint16_t packet_id);

/* What changed in the retained messages; m has a payload, or was taken away, too. */
void spool_retain(struct worker *w, struct msg *m, const struct retain_change *change,
		  enum config_durability durability);

/* The answer of retain_take_expired. */
void spool_retain_expired(struct worker *w, struct str expired);

/* spool.c: this record of a refused batch is given up; or owed, when nobody waits for it. */
void spool_refuse(struct worker *w, const struct spool_entry *e, struct str record);
/* spool.c: puts a piece of what is owed into the open batch; true: nothing is owed any more. */
bool spool_pay(struct worker *w);
/* Everything anew: the store has lost what it had. Sessions at once, messages are owed. */
void spool_store_all(struct worker *w);

/* What SESSION has beside its own fields, and its will: see spool_restore.c. */
enum { SPOOL_MORE_MADE = 0x80 /* beside the durability: made stands there */ };
struct spool_more {
	enum config_durability durability;
	unsigned workers;
	uint64_t made;
	struct str address;
	struct str cn;
	struct str sans; /* each behind a 16-bit length */
};
