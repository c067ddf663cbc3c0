/* SPDX-License-Identifier: Apache-2.0
 *
 * A session: subscriptions, messages that wait or are under way, and the will of one client,
 * whether it is connected or not. It belongs to the identity that made it and to one worker; the
 * store keeps what is needed of a durable one (spool_session.h). What it may do is judged by the
 * identity's rules of now: the control thread has every worker look again when they change.
 * Section 4.1.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/broker/certnames.h"
#include "daemon/broker/inflight.h"
#include "daemon/broker/worker.h"

struct conn;
struct replay;
struct will;

/* Options of a subscription. Those of SUBSCRIBE are in the index of subscriptions as they are;
 * SUB_LOOK stands there for everything else, and the identifier there is the subscription's place
 * in its session, so most deliveries need not look at the subscription. */
enum {
	SUB_QOS = 0x03,
	SUB_NO_LOCAL = 0x04,
	SUB_RETAIN_AS_PUBLISHED = 0x08,
	SUB_LOOK = 0x10,    /* in the index: it has an identifier, or deliveries are judged */
	SUB_AWAY = 0x20,    /* in the index, of shared ones: the client is not connected */
	SUB_JUDGE = 0x40,   /* ask the rules for every delivery */
	SUB_PARTIAL = 0x80, /* the grant was partial */
	SUB_DURABLE = 0x80, /* in the index: publishers wait for what the session stores */
};

struct subscription {
	uint32_t place;      /* in the session */
	uint32_t identifier; /* of the client, 0 = none */
	uint8_t options;
	uint64_t key; /* of its group when it is shared (share.h), else 0 */
	bool active;  /* false: the rules no longer allow it; it is kept, but brings nothing */
	size_t filter_n;
	char filter[];
};

/* A QoS 2 message that waits for PUBREL. */
struct received {
	uint16_t packet_id;
	bool pending;     /* PUBREC waits for the store */
	uint64_t workers; /* of an earlier life: those that have stored it, as bits; 0: all */
};

struct session {
	uint64_t handle;
	struct worker *worker;
	struct conn *conn; /* NULL while the client is away */
	char *client_id;
	size_t client_id_n;
	struct identity *identity;
	struct certnames names; /* in the certificate, when a rule asks for them */
	bool names_known;       /* of this connection's certificate */
	struct addr address;
	struct map subscriptions; /* filter -> struct subscription */
	struct subscription **place;
	uint32_t places;
	uint32_t shared; /* how many of the subscriptions are */
	struct inflight out;
	struct received *received;
	size_t received_n;
	struct replay *replay; /* retained messages for new subscriptions, NULL = none */
	struct list replaying;
	struct will *will;
	struct loop_timer expiry;
	uint32_t expiry_s; /* session expiry interval; UINT32_MAX = never */
	uint64_t stamp;    /* see worker.publication */
	uint32_t pick;
	uint64_t dropped;
	uint64_t dropped_told_ms;
	struct conn *joining;     /* its CONNACK waits for the store; conn is NULL so long */
	uint64_t sid;             /* number in the spool; 0: in memory only */
	uint64_t will_sid;        /* number there of the will alone, 0: none */
	uint64_t made;            /* when, among all that the spool keeps: the highest is newest */
	uint64_t disconnected_ms; /* wall clock; 0 = connected */
	uint64_t place_last;      /* of its rows */
	uint64_t hold_batch;      /* the last one that deliveries are held for */
	struct delivery *fresh;   /* pushed just now, and without its row */
	bool same_workers;        /* as before the broker's last end */
	bool is_new;              /* its first CONNACK was not sent yet */
	uint32_t held;            /* how many of the deliveries are */
	uint32_t owed;            /* how many of their rows are */
	uint8_t durability;       /* enum config_durability */
};

static inline struct str session_client_id(const struct session *s)
{
	return str_make(s->client_id, s->client_id_n);
}

/* The directory's entry for client_id is this worker's. NULL: no place. Takes a reference to the
 * identity. */
struct session *session_new(struct worker *w, struct str client_id, struct identity *identity);
static inline struct session *session_find(const struct worker *w, uint64_t handle)
{
	return slab_find(&w->sessions, handle);
}
/* The end: subscriptions, messages and the directory's entry go; a will that waits is published. */
void session_end(struct session *s);

/* The client is here: sends again what was under way. */
void session_attach(struct session *s, struct conn *c);
/* A delivery from the spool, behind the others. */
struct delivery *session_restore_delivery(struct session *s, struct msg *m,
					  const struct body_spool_queue *b,
					  struct subscription_ids ids);
/* Restored after a broker's end: what was due meanwhile happens now. */
void session_wake(struct session *s);
/* The connection is gone. The session ends, now or after its expiry interval. */
void session_detach(struct session *s);

/* Whose questions the rules answer; borrowed from the session. */
struct acl_who session_who(const struct session *s);
/* One phrase why its rules denied this; rule is what the verdict named, 0: none matched. */
const char *session_denied(const struct session *s, enum acl_action action, struct str topic,
			   struct acl_how how, uint64_t rule);
/* Takes the identity as it is now. When it is another one than before, subscriptions are judged
 * anew and what waits and may no longer be received is dropped. */
void session_use_identity(struct session *s, struct identity *now);

static inline struct str subscription_filter(const struct subscription *sub)
{
	return str_make(sub->filter, sub->filter_n);
}
/* A subscription to this filter, the old one or a new one with a place. */
struct subscription *session_subscription(struct session *s, struct str filter);
void session_unsubscribed(struct session *s, struct subscription *sub); /* frees it */
/* How it stands in the index. */
struct trie_sub session_index_entry(const struct session *s, const struct subscription *sub);
/* Puts all of them there anew: whether it is durable has changed. */
void session_reindex(struct session *s);

/* One message for this session, its options merged from all matching subscriptions. */
void session_deliver(struct session *s, struct msg *m, uint8_t qos, bool retain,
		     struct subscription_ids ids);
/* The same as a member of the group with this key (share.h). */
void session_deliver_shared(struct session *s, struct msg *m, uint8_t qos, bool retain,
			    struct subscription_ids ids, uint64_t share);
/* What was held until a commit leaves. */
void session_unhold(struct session *s);
/* Takes back one that was never sent: it cannot be stored. */
void session_drop(struct session *s, struct delivery *d);
/* Drops what waits for longer than max-queued-age. */
void session_drop_aged(struct session *s);
/* Whether a message of this QoS would be sent or queued, not dropped. */
bool session_takes(const struct session *s, const struct msg *m, uint8_t qos);
/* Sends what waits, as far as the window and the client's reading allow. */
void session_pump(struct session *s);
/* PUBACK, PUBREC, PUBCOMP of the client. */
enum reason session_acknowledged(struct session *s, enum packet_type type, uint16_t packet_id,
				 enum reason reason);

/* QoS 2 from the client: the identifier in use or NULL, taking it, giving it back. */
struct received *session_received(const struct session *s, uint16_t packet_id);
struct received *session_receive(struct session *s, uint16_t packet_id);
bool session_release(struct session *s, uint16_t packet_id);
/* PUBREC leaves now; not stored: the message counts as never received. */
void session_received_done(struct session *s, uint16_t packet_id, bool stored);
