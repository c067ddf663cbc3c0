/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of the web processes: the certificate chains of this process, whose keys are in the vault.
 * One set per process, because the library's callback has no context. Set by the main loop, used by
 * the library's threads.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/net/tls_key.h"

#include <gnutls/abstract.h>

/* The link on which signatures are asked for; takes the descriptor. Again after the vault was
 * restarted. */
void http_tls_set_vault(int fd, unsigned self);
/* Called once for each link that turns out to be dead, by whichever thread finds out. */
void http_tls_on_lost(void (*lost)(void *arg), void *arg);
/* Chains as TLS_CHAIN_DONE gives them (records of body_chain); the same ones again change nothing.
 * 0, or an error after logging why; the old ones stay then. New handshakes use the new ones. */
int http_tls_set_chains(struct str chains);

const char *http_tls_priority(void);
/* How far a handshake came. */
struct http_tls_progress {
	bool hello;       /* a ClientHello arrived: the client speaks TLS */
	bool established; /* it ended well */
};

/* Before its handshake: the session shows the chains of now. GnuTLS then chooses between them by
 * what the client knows, which a retrieve function is not told. ask: the client is asked for a
 * certificate, of any authority, and may have none. *progress is zero; it must outlive the session.
 */
void http_tls_use(gnutls_session_t session, bool ask, struct http_tls_progress *progress);

enum { HTTP_TLS_CHAIN_MAX = 8, HTTP_TLS_BINDING_MAX = 64 };

/* What an established session knows of the other end. */
struct http_tls_peer {
	struct str chain[HTTP_TLS_CHAIN_MAX]; /* DER, leaf first; not verified */
	size_t chain_n;                       /* 0: it showed none */
	bool chain_too_long;                  /* it showed more, or larger ones, than are kept */
	/* Channel binding: tls-exporter of TLS 1.3 (RFC 9266), tls-unique of 1.2 (RFC 5929). */
	unsigned char binding[HTTP_TLS_BINDING_MAX];
	size_t binding_n;
	struct buf bytes; /* behind chain */
};

/* Into a zeroed one. */
void http_tls_peer_read(gnutls_session_t session, struct http_tls_peer *out);
void http_tls_peer_fini(struct http_tls_peer *peer);
/* The library wants to be given one; it is never asked, as http_tls_use replaces it. */
int http_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_n,
		      const gnutls_pk_algorithm_t *algorithms, int algorithms_n,
		      gnutls_pcert_st **chain, unsigned *chain_n, gnutls_privkey_t *key);
