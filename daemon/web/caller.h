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

enum { CALLER_CREDENTIAL_MAX = 256 };

/* The kind (enum credential_kind); appends the credential, a secret. */
uint8_t caller_credential(const struct http_request *r, bool local, struct buf *credential);
/* A browser says that a page of another origin makes it ask. */
bool caller_is_passive(
	const struct http_request *r); /* a page asks by itself: X-Gatehouse-Passive */
bool caller_is_foreign(const struct http_request *r);
/* The browser, as it calls itself: bounded, valid UTF-8. */
struct str caller_agent(const struct http_request *r);

/* Puts the cookie of a session into the answer, or takes it away. */
void caller_begin(struct http_request *r, struct str secret);
void caller_end(struct http_request *r);
