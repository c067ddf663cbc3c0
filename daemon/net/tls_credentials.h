/* SPDX-License-Identifier: Apache-2.0
 *
 * What one listener is in TLS: its certificate chains, the anchors it trusts for clients, versions,
 * tickets, ALPN. An immutable snapshot with a reference count: a reload builds a new one and swaps
 * it whole; live connections keep theirs. Shared by all threads; no secret key is inside.
 */
#pragma once

#include "daemon/base/secret.h"
#include "daemon/net/tls_key.h"

struct tls_credentials;

enum tls_client_certificate {
	TLS_CLIENT_NONE,    /* not asked for */
	TLS_CLIENT_REQUEST, /* asked for; without one the handshake goes on; a bad one fails it */
	TLS_CLIENT_REQUIRE,
};

enum {
	TLS_IDENTITIES_MAX = 4,
	TLS_CHAIN_MAX = 8, /* certificates in a chain, ours or a peer's */
	TLS_TRUST_MAX = 256,
	TLS_TICKET_MASTER = 32,
	TLS_TICKET_LIFE_MAX = 6 * 60 * 60,
	TLS_RECORD_MIN = 512,
	TLS_RECORD_MAX = 16 * KiB,
};

struct tls_identity {
	const struct str *chain; /* DER, leaf first, without the root */
	size_t chain_n;
	uint32_t key_id; /* handed to sign */
};

struct tls_settings {
	const char *name; /* the listener's; part of its ticket key */
	struct tls_identity identity[TLS_IDENTITIES_MAX]; /* P-256 first, then RSA */
	size_t identity_n;
	tls_sign_fn *sign;
	const struct str *trust; /* DER of roots and intermediates that may issue clients */
	size_t trust_n;
	enum tls_client_certificate client_certificate;
	int64_t grace; /* seconds that a client's own certificate counts beyond its end */
	bool no_tls12; /* at most one of the two */
	bool no_tls13;
	uint32_t record_max;      /* bytes per record we send; 0 = TLS_RECORD_MAX */
	uint32_t ticket_life;     /* seconds, 0 = no tickets, at most TLS_TICKET_LIFE_MAX */
	struct str ticket_master; /* TLS_TICKET_MASTER bytes; the same for all listeners */
	struct str policy;        /* whatever else must separate the tickets of two listeners */
	bool alpn_http;           /* offer http/1.1 (WebSocket) beside mqtt */
	/* Something of the owner's that lives as long as the credentials, for authorise(): given
	 * away when they are made; attached_unref(attached) at their end. May be NULL. */
	void *attached;
	void (*attached_unref)(void *attached);
};

/* Copies everything. The ticket key is HKDF-SHA256(master, name || SHA-256 of the trust ||
 * versions, client certificate, policy), so a session never resumes where other clients are
 * trusted. 0; else ERR_CRYPTO, ERR_INVALID or ERR_LIMIT with *error = a sentence for the operator
 * that names the listener and what is wrong (the caller frees it). */
int tls_credentials_new(const struct tls_settings *set, char **error, struct tls_credentials **out);
struct tls_credentials *tls_credentials_ref(struct tls_credentials *c); /* any thread */
void tls_credentials_unref(struct tls_credentials *c);
DEFINE_AUTO(tls_credentials, tls_credentials_unref)

void *tls_credentials_attached(const struct tls_credentials *c); /* NULL: nothing */

/* Call once per process before any other tls_ function: from then on certificates and tickets are
 * judged at max(clock, time_floor), seconds since 1970 (a clock before the build date expires
 * nothing it must not). While the clock is below the floor no certificate is too young. */
void tls_global_init(int64_t time_floor);
