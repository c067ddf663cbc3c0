/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the TLS files of this folder: what credentials hold, the TLS stream while the handshake
 * drives it, checking a peer's chain. Everyone else uses tls_credentials.h, tls_handshake.h,
 * stream.h.
 */
#pragma once

#include "daemon/base/ref.h"
#include "daemon/net/stream_ops.h"
#include "daemon/net/tls_credentials.h"
#include "daemon/net/tls_digest.h"
#include "daemon/net/tls_handshake.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

enum {
	TICKET_KEY = 64, /* what GnuTLS wants: name, cipher key, MAC key */
	HANDSHAKE_MESSAGE_MAX = 32 * KiB,
	/* All that a peer may send until the handshake is done: GnuTLS bounds only what it has
	 * hashed, and would collect a message of up to 16 MiB before. */
	HANDSHAKE_BYTES_MAX = 64 * KiB,
};

struct tls_credentials {
	struct ref ref;
	char *name;
	gnutls_certificate_credentials_t own;
	gnutls_priority_t priority;
	gnutls_x509_trust_list_t trust;
	unsigned char trust_id[SHA256_SIZE]; /* of the anchors: equal sets are equal trust */
	int64_t trust_until;                 /* first expiry among the anchors that are valid now */
	enum tls_client_certificate client_certificate;
	int64_t grace; /* of expired leaves */
	uint32_t record_max;
	uint32_t ticket_life;
	unsigned char ticket_key[TICKET_KEY];
	bool alpn_http;
	void *attached;
	void (*attached_unref)(void *attached);
};

struct tls {
	struct stream base;
	gnutls_session_t session;
	struct tls_credentials *credentials;
	struct stream_scratch *sink; /* where records are collected while writing; NULL = unsent */
	const unsigned char *in;     /* what one recv brought and GnuTLS has not taken yet */
	size_t in_n;
	size_t record_max;
	int end; /* what stream_read gives from now on; 0 = nothing special */
	const char *end_text;
	bool handshaking; /* GnuTLS reads the socket itself; no byte is read too many */
	bool broken;      /* no close_notify any more */
	bool has_certificate;
	bool ciphers_changed; /* TLS 1.2: what is sent is encrypted from here on */
	unsigned char fingerprint[STREAM_FINGERPRINT];
	void *owner;       /* the handshake that drives it; NULL afterwards */
	uint64_t bytes_in; /* during the handshake */
	uint64_t bytes_out;
};

/* Takes fd, references credentials. NULL when GnuTLS has no memory; fd is not closed then. */
struct tls *tls_stream_new(int fd, const struct addr *peer, struct tls_credentials *credentials);
void tls_stream_established(struct tls *t); /* the handshake is over: own buffers from now on */
void tls_alert(struct tls *t, gnutls_alert_description_t alert); /* queued */

/* The clock of certificates and tickets, see tls_global_init. */
int64_t tls_now(void);
bool tls_clock_is_low(void); /* the clock stands before its floor: it is known to be wrong */

/* Full verification for clientAuth under the trust. HANDSHAKE_DONE with *until = the second up to
 * which this holds; else why not, with a sentence in detail (may stay empty). */
enum handshake_outcome tls_verify_chain(const struct tls_credentials *c, const struct str *chain,
					size_t n, int64_t *until, char detail[128]);

/* Certificates that were verified lately, by fingerprint and trust. Any thread. */
struct tls_verified;
struct tls_verified *tls_verified_new(size_t entries);
void tls_verified_free(struct tls_verified *v);
bool tls_verified_has(struct tls_verified *v, const struct tls_credentials *c,
		      const unsigned char *fingerprint, int64_t now);
void tls_verified_add(struct tls_verified *v, const struct tls_credentials *c,
		      const unsigned char *fingerprint, int64_t until);
