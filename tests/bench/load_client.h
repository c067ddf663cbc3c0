/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of the load generator: one connection, plain or TLS 1.3 with a certificate, nonblocking,
 * and just enough of MQTT 3.1.1 to publish, subscribe and acknowledge. It reads with one recv and
 * writes with one send per turn, as a client does that wants to be fast. Single-threaded; whatever
 * goes wrong ends the program with a message, because a benchmark with a broken client is none.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_MAX_BYTES = 32, CLIENT_OUT = 128 * 1024 };

/* How all clients reach the broker. */
struct target {
	uint16_t port; /* on 127.0.0.1 */
	bool tls;
	const char *user; /* NULL = none */
	const char *password;
	int epoll;
};

enum client_state {
	CLIENT_CLOSED,
	CLIENT_CONNECTING, /* TCP, TLS, then CONNECT */
	CLIENT_CONNECTED,  /* CONNACK came */
	CLIENT_SUBSCRIBED, /* SUBACK came */
};

struct client {
	enum client_state state;
	unsigned number;
	const struct target *target;
	gnutls_certificate_credentials_t credentials;
	char name[NAME_MAX_BYTES];
	int fd;
	gnutls_session_t tls;
	gnutls_datum_t resumption; /* of the last connection, for the next one; owned */
	bool persistent;           /* its session outlives the connection */
	bool resumes;              /* wants to resume, and keeps what it needs for that */
	bool handshaking;
	bool readable;
	bool wants_write;
	unsigned char *kept; /* an incomplete packet */
	size_t kept_n;
	unsigned char *out; /* what the socket has not taken */
	size_t out_n;
};

struct publish {
	bool dup;
	unsigned qos;
	uint16_t packet_id;
	const unsigned char *payload;
	size_t payload_n;
};

/* What the scenario is told. */
struct client_events {
	void (*connected)(struct client *c);
	void (*subscribed)(struct client *c);
	void (*published)(struct client *c, const struct publish *p);
	void (*acknowledged)(struct client *c, uint16_t packet_id); /* to the end, by its QoS */
	void (*turn_over)(struct client *c); /* all that one recv brought was told; not yet sent */
};

/* Starts to connect; number and the name, which is the client identifier, are set. */
void client_connect(struct client *c);
/* epoll reported it. */
void client_ready(struct client *c, uint32_t events, const struct client_events *tell);
/* Whether the last handshake resumed an earlier session. */
bool client_resumed(const struct client *c);
/* Whether a session ticket came, and the next connection can resume. */
bool client_can_resume(const struct client *c);
/* These queue a packet; client_flush sends what is queued, in one piece. */
void client_subscribe(struct client *c, const char *filter, unsigned qos);
void client_publish(struct client *c, const char *topic, unsigned qos, uint16_t packet_id,
		    const unsigned char *payload, size_t n);
/* Answers a PUBLISH of this QoS; the client itself goes through the rest of QoS 2. */
void client_acknowledge(struct client *c, unsigned qos, uint16_t packet_id);
void client_flush(struct client *c);
void client_close(struct client *c); /* DISCONNECT and FIN */

gnutls_certificate_credentials_t client_credentials(const char *certificate, const char *key);
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
