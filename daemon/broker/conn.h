/* SPDX-License-Identifier: Apache-2.0
 *
 * One network connection of a client: states, deadlines, input, output, end. Its beginning is
 * accept.h.
 *
 * A connection belongs to the worker that accepted it (or that took it over, takeover.h) and ends
 * only in conn_close(); its memory goes at the end of the loop turn, so a caller may look at its
 * state afterwards. Who waits for something holds its handle and asks conn_find() later. Input is
 * parsed in the worker's buffer; what is left of a packet is kept in `in`. Output gathers in `out`
 * and leaves in one write at the end of the turn. An idle connection owns no buffer.
 */
#pragma once

#include "daemon/broker/sendq.h"
#include "daemon/broker/worker.h"
#include "daemon/mqtt/packet.h"

enum conn_state {
	CONN_HANDSHAKE, /* the handshake pool has the socket */
	CONN_PROXY,     /* for the header in which a proxy states its peer */
	CONN_WAITING,   /* for CONNECT */
	CONN_LOGIN,     /* CONNECT came; the store judges the password */
	CONN_AUTH,      /* CONNECT came; the client is to answer an AUTH */
	CONN_MOVING,    /* CONNECT came; its session is on another worker */
	CONN_STORING,   /* CONNECT came; CONNACK is encoded and waits for the store */
	CONN_OPEN,
	CONN_CLOSED,
};

enum { CONN_ALIASES = 16 /* topic aliases that a client may use; 3.3.2.3.4 */ };

struct conn {
	uint64_t handle;
	struct worker *worker;
	struct stream *stream;
	struct loop_io io;
	struct loop_timer timer;
	struct loop_timer
		throttle; /* runs while the client is not read for its rate (throttle.h) */
	struct list dirty;
	struct list blocked;
	struct list paused;
	struct list owed; /* acknowledgements that wait, see spool_promise.h */
	uint32_t owed_n;
	uint32_t answers_n;        /* SUBACK and UNSUBACK that wait, see subscribe.c */
	struct settings *settings; /* under which it was accepted */
	const struct endpoint *endpoint;
	struct session *session;
	struct buf in; /* bytes of a packet that is not complete, or of a CONNECT that waits */
	struct sendq out;
	struct limit_hold hold;
	struct limit_hold listener_hold;
	struct addr peer;
	uint64_t accepted_ms;  /* monotonic */
	uint64_t connected_ms; /* wall clock */
	uint64_t heard_ms;     /* last whole packet */
	uint64_t blocked_ms;   /* since when nothing could be written */
	uint32_t silence_ms;   /* 1.5 times the keep alive; 0 = none [MQTT-3.1.2-22] */
	uint16_t keep_alive;
	uint16_t receive_maximum; /* the client's */
	uint32_t packet_max;      /* largest that the client takes */
	uint8_t state;            /* enum conn_state */
	uint8_t version;          /* enum mqtt_version */
	uint8_t move_to;          /* worker, in CONN_MOVING */
	bool has_certificate;
	uint8_t login_result; /* enum login_result: of the password in the CONNECT that waits */
	bool problem_information;
	bool undecided;     /* the first byte tells whether it is MQTT or WebSocket */
	bool announced;     /* to the store */
	bool explained;     /* an event told of it */
	uint64_t device_id; /* of the certificate, then of who it is */
	uint64_t proved_device;
	int64_t certificate_until; /* seconds since 1970; 0 = no certificate */
	unsigned char fingerprint[STREAM_FINGERPRINT];
	char *proxy;                   /* address of the proxy in front, or NULL */
	struct auth *auth;             /* of a client that chose a method for it (auth.h) */
	char **alias;                  /* CONN_ALIASES topics, or NULL */
	struct alias_topic *alias_out; /* aliases_out of them, or NULL (alias.h) */
	uint16_t aliases_out;          /* 0: the client takes none */
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t told;        /* messages that the store knows of */
	uint64_t renewal_ms;  /* when it last asked for a new certificate (renew.h), 0 = never */
	uint32_t trace_key;   /* for which trace_mask holds (trace.c) */
	uint32_t trace_mask;  /* the traces that may want something of it */
	bool trace_connected; /* its CONNECT was told */
};

static inline struct conn *conn_find(const struct worker *w, uint64_t handle)
{
	return slab_find(&w->conns, handle);
}

/* The end. An error reason is told to an MQTT 5 client that is connected (DISCONNECT); why is one
 * phrase for the event. Publishes the will unless the session was told otherwise. Does nothing when
 * it has ended already. */
void conn_close(struct conn *c, enum reason reason, const char *why);
/* After the stream was taken out: frees the place without a word. */
void conn_vanish(struct conn *c);

/* Encodes a packet behind the output; false when it does not fit the client's maximum packet size
 * even without its reason string and user properties. */
bool conn_send(struct conn *c, struct packet *p);
void conn_send_ack(struct conn *c, enum packet_type type, uint16_t packet_id, enum reason reason);
/* The same with a reason string for clients of MQTT 5 that want one; NULL: none. */
void conn_send_ack_why(struct conn *c, enum packet_type type, uint16_t packet_id,
		       enum reason reason, const char *why);
/* Adds a reason string. */
void packet_explain(struct packet *p, const char *why);
/* What is owed to it has become less, or too much: whether it is read. */
void conn_paid(struct conn *c);
/* Something was appended to c->out: it will be written at the end of the turn. */
void conn_wrote(struct conn *c);
/* accept.c: from now on it reads from this stream, which it takes, and waits for CONNECT. False:
 * the loop cannot watch it. */
bool conn_use_stream(struct conn *c, struct stream *stream);
/* Reads what the stream has; it may have read ahead of its socket. */
void conn_read(struct conn *c);
/* Bytes that wait for the client. */
size_t conn_backlog(const struct conn *c);
/* Goes on with input that was kept, and reads again: after a login. */
void conn_resume(struct conn *c);
/* The worker's end of turn. */
void conn_flush(struct conn *c);

/* Whether its certificate opens a device now, by the listener's rules of today, and which; see
 * client_policy.h. */
enum handshake_verdict conn_judge_certificate(const struct conn *c, uint64_t *device_id,
					      int64_t *not_after);

/* Starts the timer for whichever deadline comes next. */
void conn_watch(struct conn *c);

/* An event about this connection: who, where from, by which listener. source is its device, or its
 * address while that is not known. detail is a rec or NULL. */
void conn_event(struct conn *c, enum event event, const char *reason, struct buf *detail);
/* The same, with a name that the client claims (user name, client identifier). */
void conn_event_claimed(struct conn *c, enum event event, const char *reason, struct str actor,
			struct str client_id, struct buf *detail);
