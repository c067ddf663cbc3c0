/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 server: all of libmicrohttpd. A thread of the library per listening socket reads
 * requests, with limits on head, body, connections and idleness, then suspends the connection and
 * hands the request to the main loop, where the handler answers at once or later. RFC 9110, RFC
 * 9112.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/net/loop.h"

enum {
	HTTP_BODY_MAX = 64 * KiB,   /* larger ones get 413 */
	HTTP_CONNECTIONS_MAX = 256, /* per listening socket */
	HTTP_PER_ADDRESS_MAX = 32,
	HTTP_IDLE_S = 60,
};

struct http_server;
struct http_request;

struct http_config {
	struct loop *loop; /* where the handler runs */
	bool tls;          /* with the credentials of http_tls.h */
	void (*handle)(void *owner, struct http_request *r);
	void *owner;
};

/* Serves on a bound listening socket, which it takes. NULL after logging why. */
struct http_server *http_start(const struct http_config *config, int fd);
/* From now on the server answers 503 by itself and hands nothing over any more. */
void http_refuse(struct http_server *s);
/* Ends the server, after http_refuse and after all that was handed over has been answered. */
void http_stop(struct http_server *s);

/* What was asked; valid until http_reply. */
const char *http_method(const struct http_request *r);
struct str http_path(
	const struct http_request *r); /* as sent: not percent-decoded, without query */
struct str http_body(const struct http_request *r);
/* Calls fn for each query parameter (decoded; value empty when there is none) until it returns
 * false. */
void http_each_query(const struct http_request *r,
		     bool (*fn)(void *arg, struct str name, struct str value), void *arg);
/* Address of the peer without port; "control socket" for a local one. */
const char *http_source(const struct http_request *r);
/* Of a local peer, as the kernel states it (SO_PEERCRED). False otherwise. */
bool http_peer(const struct http_request *r, uint32_t *uid, uint32_t *gid);

/* Answers and gives the request back; it must not be used afterwards. The body is copied. allow:
 * methods for a 405, else NULL. */
void http_reply(struct http_request *r, unsigned status, const char *content_type, struct str body,
		const char *allow);

/* Percent-decoding of a path segment or query part; plus: '+' is a blank. 0 or ERR_MALFORMED. */
int http_decode(struct str s, bool plus, struct buf *out);
