/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks: what a request says of its caller, as the store judges it. On the control socket the
 * peer as the kernel states it; on the admin port an API token ("Authorization: Bearer ..."), or
 * the cookie of a session with the word that only a page of ours can repeat (X-Gatehouse-Page).
 * Nothing is judged or kept here. Main thread. RFC 6265, RFC 6750.
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "daemon/web/http.h"

enum {
	CALLER_CREDENTIAL_MAX = 256,
	CALLER_STREAMS_PER_ADDRESS = 24 /* of HTTP_PER_ADDRESS_MAX connections */
};

/* Who asks again and again, for as long as an answer without an end goes on. */
struct caller {
	uint8_t kind;
	struct buf credential; /* a secret */
	char source[64];
};

/* Into a zeroed one; local: over the control socket. */
void caller_take(const struct http_request *r, bool local, struct caller *out);
void caller_fini(struct caller *c);
/* The same credential. */
bool caller_same(const struct caller *a, const struct caller *b);
/* The same address; local ones have none. */
bool caller_same_address(const struct caller *a, const struct caller *b);
/* May c have another one of `all` places, if he has `mine` of the `taken` ones, and his address
 * `near`? NULL: yes; else why not. Connections of one address have a bound (HTTP_PER_ADDRESS_MAX),
 * and streams must leave some of them to other requests. */
const char *caller_refused(size_t mine, size_t near, size_t taken, size_t all);

/* The kind (enum credential_kind); appends the credential, a secret. */
uint8_t caller_credential(const struct http_request *r, bool local, struct buf *credential);
/* The session in a field Cookie, the token in a field Authorization; empty: there is none. */
struct str caller_session(struct str cookie);
struct str caller_token(struct str authorization);
/* A page asks by itself: X-Gatehouse-Passive. */
bool caller_is_passive(const struct http_request *r);
/* A browser says that a page of another origin makes it ask. */
bool caller_is_foreign(const struct http_request *r);
/* The browser, as it calls itself: bounded, valid UTF-8. */
struct str caller_agent(const struct http_request *r);

/* Puts the cookie of a session into the answer, or takes it away. */
void caller_begin(struct http_request *r, struct str secret);
void caller_end(struct http_request *r);
