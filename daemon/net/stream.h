/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte stream to one peer: TCP, TLS, or WebSocket over either, behind one vtable that is chosen
 * at accept. Nonblocking. An idle stream owns no buffer; all working memory is the thread's
 * (struct stream_scratch). A stream belongs to one thread at a time and is not locked: handing it
 * to another thread is the caller's hand-over (loop_post).
 *
 * The caller registers stream_fd() in its loop, level-triggered, with stream_events(), and calls
 * loop_set_events() again after any call here that may have changed them. It removes its loop_io
 * before stream_close, stream_abort or stream_free, each of which takes the stream.
 *
 * Deadlines are the caller's: a stream keeps no timer. The time to CONNECT (5 s) covers the TLS
 * handshake and the WebSocket upgrade as well.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/net/addr.h"

#include <sys/uio.h>

struct loop;
struct stream;
struct stream_scratch;

enum {
	STREAM_READ_MAX = 96 * KiB,  /* most bytes one stream_read hands out */
	STREAM_WRITE_MAX = 64 * KiB, /* most bytes one stream_write takes */
	STREAM_LINGER_MS = 2000,     /* most time an orderly close may take */
	STREAM_LINGERING_MAX = 256,  /* orderly closes at a time per scratch; more close at once */
	STREAM_FINGERPRINT = 32,     /* SHA-256 of a certificate's DER */
};

/* Working memory of one thread, about 320 KiB. Freeing it ends the orderly closes that still run,
 * so do it before loop_free. */
struct stream_scratch *stream_scratch_new(void);
void stream_scratch_free(struct stream_scratch *scratch);
DEFINE_AUTO(stream_scratch, stream_scratch_free)

/* Takes the connected, nonblocking socket. */
struct stream *stream_tcp_new(int fd, const struct addr *peer);
/* The other way round: frees a TCP stream that has nothing unsent and gives its socket back. */
int stream_tcp_release(struct stream *s);
/* Server side of RFC 6455 over inner (TCP or TLS), which it takes: answers the HTTP upgrade, then
 * carries MQTT [MQTT-6.0.0-2]: it reads one byte stream, and writes each packet as one frame, so
 * what is written must be packets from their first byte on, with their length right (2.1.4).
 * Subprotocols mqtt and mqttv3.1. path: the only one that is served ("/mqtt"; it outlives the
 * stream), NULL for any. */
struct stream *stream_ws_new(struct stream *inner, const char *path);
/* What stream_read(inner) gave before the WebSocket was put around it: the same as a stream_read
 * that reads these bytes. They must be the scratch's, as they were handed out. */
int stream_ws_take(struct stream *ws, struct stream_scratch *scratch, struct str data,
		   struct str *out);

int stream_fd(const struct stream *s);
const struct addr *stream_peer(const struct stream *s);
/* EPOLLIN, with EPOLLOUT while something is unsent. */
uint32_t stream_events(const struct stream *s);

/* Reads with at most one recv and gives all that can be had from it: 1..STREAM_READ_MAX bytes that
 * stay valid until the next stream_read with the same scratch (the caller may overwrite them).
 * ERR_AGAIN: nothing now (also half a record, or control frames only). ERR_EOF: the peer ended it
 * in order. ERR_IO, ERR_MALFORMED, ERR_LIMIT: broken, stream_error() tells why; close it (an alert,
 * close frame or HTTP error may still be unsent: stream_close sends it). It may queue output. */
int stream_read(struct stream *s, struct stream_scratch *scratch, struct str *out);

/* Takes bytes from the front of iov[0..n), STREAM_WRITE_MAX at most, and sends them with one send;
 * TLS cuts them into records of the largest size that the peer and the listener allow. *taken tells
 * how many; what of them the socket refused is copied and kept. The caller offers everything it has
 * queued once per loop turn, and the rest again while stream_pending() is 0. 0; ERR_AGAIN when
 * nothing was taken, because earlier bytes are still unsent or a WebSocket is not yet upgraded;
 * ERR_IO when the connection is dead. */
int stream_write(struct stream *s, struct stream_scratch *scratch, const struct iovec *iov,
		 size_t n, size_t *taken);
/* Call when writable: 0 all sent, ERR_AGAIN, ERR_IO. */
int stream_flush(struct stream *s, struct stream_scratch *scratch);
size_t stream_pending(const struct stream *s); /* bytes taken or queued and not yet sent */

/* Orderly end: sends what is pending, the WebSocket close frame with websocket_code (RFC 6455
 * section 7.4.1; ignored by the others), close_notify and FIN, then discards input until the peer
 * closes or STREAM_LINGER_MS passed. Runs by itself in the loop; the FIN leaves in this call unless
 * the socket is full. */
void stream_close(struct stream *s, struct loop *l, struct stream_scratch *scratch,
		  unsigned websocket_code);
void stream_abort(struct stream *s); /* TCP reset, nothing flushed: for abusers and revocation */
void stream_free(struct stream *s);  /* closes the socket without ceremony */
DEFINE_AUTO(stream, stream_free)

/* Why the last call failed, for events: a constant English phrase; "" when it did not. */
const char *stream_error(const struct stream *s);

struct stream_info {
	const char *transport; /* "tcp", "tls", "ws", "wss" */
	const char *version;   /* "TLS1.3"; NULL without TLS, as the next two */
	const char *cipher;    /* "AES-128-GCM" */
	const char *group;     /* "X25519" */
	struct str alpn;       /* borrowed until the stream ends; empty when none */
	bool resumed;
	bool has_certificate;
	unsigned char fingerprint[STREAM_FINGERPRINT]; /* of the peer's leaf */
};
void stream_info(const struct stream *s, struct stream_info *out);
/* The peer's certificates, leaf first, as DER borrowed until the stream ends; at most max. Also
 * there on a resumed session. Returns how many. */
size_t stream_peer_chain(const struct stream *s, struct str *chain, size_t max);

/* TLS 1.3 on a listener with tickets: sends one session ticket, after the peer was authorised
 * (RFC 8446 section 4.6.1). valid_s: seconds that the peer's certificate is still valid; below
 * TICKET_MIN_S nothing is sent. Does nothing on TLS 1.2 (its ticket is part of the handshake), and
 * without TLS. The ticket leaves with the next write or flush. A ticket's life is the listener's:
 * expiry and status are judged anew at each resumption, by the handshake pool. */
void tls_send_ticket(struct stream *s, int64_t valid_s);
enum { TICKET_MIN_S = 60 };
