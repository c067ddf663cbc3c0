/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of QoS 1 and 2 on their way to one client: those that wait, in order, and those under
 * way, by packet identifier. The client's receive maximum bounds what is under way; the session
 * bounds what waits. An identifier belongs to its message until the client has answered to the end,
 * also across a reconnect, when everything under way goes out again, in the same order and with
 * DUP. One that the spool keeps has a row (spool_session.h), and may be held until a commit. Owns
 * the messages in it. One thread: that of its session's worker. Sections 4.3, 4.4, 4.9.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/broker/msg.h"

enum delivery_state {
	DELIVERY_WAITING,
	DELIVERY_HELD,     /* has its identifier; leaves when the spool has committed */
	DELIVERY_SENT,     /* PUBLISH went out; PUBACK or PUBREC is to come */
	DELIVERY_RELEASED, /* PUBREL went out; PUBCOMP is to come */
};

struct spool_row;

struct delivery {
	struct list node;
	struct msg *msg;
	enum delivery_state state;
	uint16_t packet_id; /* 0 until it first goes out */
	uint8_t qos;
	bool retain;
	bool dup;
	bool received;         /* PUBREC came: the message itself is never sent again */
	uint32_t queued_s;     /* when it was put here: monotonic, modulo 2^32 */
	uint64_t share;        /* key of the group that it was delivered for, 0 = none */
	struct spool_row *row; /* NULL: in memory only */
	uint32_t ids_n;
	uint32_t ids[]; /* subscription identifiers */
};

struct inflight {
	struct list waiting;
	struct list under_way;
	struct delivery **slot; /* by packet identifier modulo size */
	uint32_t size;          /* power of two, 0 = none yet */
	uint32_t taken;         /* slots in use */
	uint32_t under_way_n;
	uint32_t waiting_n;
	size_t waiting_bytes;
	uint16_t last_id;
	/* What the spool keeps of a delivery is no longer needed; NULL: nobody wants to know. */
	void (*gone)(struct inflight *f, struct delivery *d);
};

void inflight_init(struct inflight *f);
void inflight_fini(struct inflight *f);

/* Puts a message behind those that wait; keeps a reference of its own. with_row: it gets an empty
 * row. */
struct delivery *inflight_push(struct inflight *f, struct msg *m, uint8_t qos, bool retain,
			       struct subscription_ids ids, bool with_row);
/* One of an earlier life, behind those that wait: it has this identifier and goes out with DUP.
 * False: it is another one's, or 0. */
bool inflight_resume(struct inflight *f, struct delivery *d, uint16_t packet_id);
/* The next one to send while fewer than receive_maximum are under way: it is under way from now on
 * and has an identifier; the caller sends PUBLISH (with dup as it says), or PUBREL when received is
 * set. NULL: nothing waits, or the window is full. Messages that expired waiting are dropped and
 * counted in *expired. */
struct delivery *inflight_next(struct inflight *f, uint32_t receive_maximum, uint64_t now_ms,
			       uint64_t *expired);
/* The first one that waits and was never sent; NULL: none. */
struct delivery *inflight_oldest(const struct inflight *f);
struct delivery *inflight_find(const struct inflight *f,
			       uint16_t packet_id);         /* under way, or NULL */
void inflight_done(struct inflight *f, struct delivery *d); /* answered: frees it */
/* Frees one that was never sent, wherever it is. */
void inflight_drop(struct inflight *f, struct delivery *d);
/* The connection ended: all that was under way waits again, in front, with DUP. */
void inflight_restart(struct inflight *f);
/* Drops those that were never sent and that keep() refuses; returns how many. */
size_t inflight_filter(struct inflight *f, bool (*keep)(void *arg, const struct delivery *d),
		       void *arg);
