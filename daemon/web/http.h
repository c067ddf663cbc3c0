/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 server: all of libmicrohttpd (http.c, http_stream.c). A thread of the library per
 * listening socket reads requests, with limits on head, body, connections and idleness, then
 * suspends the connection and hands the request to the main loop, where the handler answers at once
 * or later. RFC 9110, RFC 9112.
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/base/str.h"
#include "daemon/net/addr.h"
#include "daemon/net/loop.h"

enum {
	HTTP_BODY_MAX = 64 * KiB,  /* larger ones get 413; a server may allow less */
	HTTP_LARGE_MAX = 16 * MiB, /* where large_path allows it */
	HTTP_LARGE_AT_ONCE = 3,    /* on one server; nobody takes the last place from others */
	/* After HTTP_LARGE_MS a large body is to have come at this many bytes per second: it has a
	 * place and memory that others wait for. */
	HTTP_LARGE_MS = 10000,
	HTTP_LARGE_PER_SEC = 64 * KiB,
	/* Up to here a body that is too large is read to its end, because a client that still
	 * writes would not see the answer; then the connection just ends. */
	HTTP_DRAIN_MAX = 1 * MiB,
	HTTP_CONNECTIONS_MAX = 256, /* per listening socket */
	HTTP_PER_ADDRESS_MAX = 32,  /* IPv6: per /64 */
	HTTP_IDLE_S = 60,
	/* From the end of one answer to the end of the next request, and from there to the end of
	 * the answer: idleness alone would let one byte a minute go on for ever. An answer without
	 * an end has HTTP_STREAM_WAITING_MAX instead. */
	HTTP_REQUEST_MS = 120000,
	HTTP_HEADERS_MAX = 8, /* that http_add_header adds to one answer */
};

struct http_server;
struct http_request;
struct http_tls_peer; /* http_tls.h */

/* Who may connect. */
struct http_access {
	const struct cidr *allow;
	size_t allow_n; /* 0: everyone */
	/* Reverse proxies: they may connect as well, and for the request that one forwards the
	 * address counts that it states (forwarded.h), for allow too. */
	const struct cidr *proxy;
	size_t proxy_n;
};

struct http_config {
	struct loop *loop;         /* where the handler runs */
	struct http_access access; /* copied */
	bool tls;                  /* with the credentials of http_tls.h */
	/* Clients are asked for a certificate and may have none; http_tls_peer says which. Nobody
	 * has verified it. */
	bool client_certificates;
	size_t body_max;     /* bytes; 0: HTTP_BODY_MAX, which is also the most */
	uint32_t request_ms; /* 0: HTTP_REQUEST_MS */
	/* Paths that begin so may have a body of HTTP_LARGE_MAX; NULL: none. Before it is read
	 * `large` is asked, in the loop, of a request that has only its head: it answers, or
	 * lets it come (http_go_on). */
	const char *large_path;
	void (*large)(void *owner, struct http_request *r);
	uint32_t large_ms; /* 0: HTTP_LARGE_MS */
	bool plain_text;   /* what the server refuses by itself is explained as text, not as JSON */
	/* A body was too large and was refused with 413; in the loop. NULL: nobody wants to know.
	 */
	void (*too_large)(void *owner, const char *source);
	/* A connection ended before its first request: its TLS handshake failed
	 * (EVENT_HANDSHAKE_REFUSED), or its address had too many (EVENT_LIMIT_REACHED); or it, or a
	 * request that a proxy forwarded, came from where nobody may (EVENT_LOGIN_REFUSED); in the
	 * loop. NULL: nobody wants to know. */
	void (*refused)(void *owner, enum event event, const char *source, const char *why);
	void (*handle)(void *owner, struct http_request *r);
	void *owner;
};

/* Serves on a bound listening socket, which it takes. NULL after logging why. */
struct http_server *http_start(const struct http_config *config, int fd);
/* Copied. Connections that may not be any more end as http_retire says. */
void http_set_access(struct http_server *s, const struct http_access *access);
/* Whether answers over TLS tell browsers to come by HTTPS alone for a year (RFC 6797). It holds for
 * every port of this host name, so only with a certificate that they know. All servers. */
void http_strict(bool on);
/* From now on the server answers 503 by itself and hands nothing over any more. */
void http_refuse(struct http_server *s);
/* Accepts nothing any more. Requests under way are answered, then their connections end; idle ones
 * and answers without an end are ended at once. When none is left ended(owner) runs once, in the
 * loop; it calls http_stop. Not for one that has been told http_refuse. */
void http_retire(struct http_server *s, void (*ended)(void *owner, struct http_server *s));
/* Ends the server, after http_refuse or http_retire and after all that was handed over has been
 * answered. */
void http_stop(struct http_server *s);

/* What was asked; valid until http_reply. */
const char *http_method(const struct http_request *r);
struct str http_path(
	const struct http_request *r); /* as sent: not percent-decoded, without query */
struct str http_body(const struct http_request *r);
/* A field of the request's head; empty when it is not there. The first, if there are several. */
struct str http_header(const struct http_request *r, const char *name);
/* The TLS session that it came over, where the server asks for certificates; NULL elsewhere. */
const struct http_tls_peer *http_tls_peer(const struct http_request *r);
/* Calls fn for each query parameter (decoded; value empty when there is none) until it returns
 * false. */
void http_each_query(const struct http_request *r,
		     bool (*fn)(void *arg, struct str name, struct str value), void *arg);
/* The body may come, and the request is handed over when it is there. False: there is no place for
 * it now, nothing was done. Gives the request back. */
bool http_go_on(struct http_request *r);
/* Address without port that the request comes from: the peer's, or the one that a proxy states;
 * "control socket" for a local one. */
const char *http_source(const struct http_request *r);
/* Of a local peer, as the kernel states it (SO_PEERCRED). False otherwise. */
bool http_peer(const struct http_request *r, uint32_t *uid, uint32_t *gid);

/* Adds a field to the head of the answer that http_reply will give. name: a literal. */
void http_add_header(struct http_request *r, const char *name, const char *value);
/* Says that the answer is a file to be kept under this name: plain characters, no quotes. */
void http_add_file_name(struct http_request *r, const char *name);
/* Answers and gives the request back; it must not be used afterwards. The body is copied, and
 * the copy wiped when it is sent. allow: methods for a 405, else NULL. */
void http_reply(struct http_request *r, unsigned status, const char *content_type, struct str body,
		const char *allow);

/* The same with a sealed memfd, which it takes, as a file to be kept under that name. It may take
 * as long as 32 KiB a second do. */
void http_reply_file(struct http_request *r, int fd, const char *name);

/* The same with bytes that live as long as the program, and what caches may do with them. */
void http_reply_static(struct http_request *r, unsigned status, const char *content_type,
		       struct str body, const char *cache_control);

/* An answer without an end, written piece by piece (text/event-stream). */
struct http_stream;
enum { HTTP_STREAM_WAITING_MAX = 256 * KiB };
/* Begins it and gives the request back. gone runs in the loop when the client has left; the caller
 * still owns the stream then. */
struct http_stream *http_stream_begin(struct http_request *r, const char *content_type,
				      void (*gone)(void *arg), void *arg);
/* False: the client reads too slowly, HTTP_STREAM_WAITING_MAX bytes wait; nothing was taken. */
bool http_stream_write(struct http_stream *s, struct str bytes);
/* The end after what was written; gone does not run any more. Takes the stream. */
void http_stream_end(struct http_stream *s);

/* Percent-decoding of a path segment or query part; plus: '+' is a blank. 0 or ERR_MALFORMED. */
int http_decode(struct str s, bool plus, struct buf *out);
