/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS handshakes, away from the workers: a pool of threads, each with its own loop in which it
 * drives many nonblocking handshakes, so that a slow client costs no thread. A signature may block
 * its thread for up to 2 s.
 *
 * Per handshake: first bytes are looked at before any GnuTLS session exists; the certificate is
 * checked against the listener's trust (or found in the cache of verified certificates); then, on
 * every handshake and also on a resumed one, the owner's authorise() decides. RFC 8446, RFC 5246.
 */
#pragma once

#include "daemon/net/loop.h"
#include "daemon/net/stream.h"
#include "daemon/net/tls_credentials.h"

struct handshake_pool;

enum handshake_outcome {
	HANDSHAKE_DONE,
	/* the peer's certificate; the leaf is described in the result */
	HANDSHAKE_NO_CERTIFICATE,
	HANDSHAKE_UNKNOWN_CA,
	HANDSHAKE_EXPIRED,
	HANDSHAKE_NOT_YET_VALID,
	HANDSHAKE_BAD_PURPOSE,     /* extended key usage without clientAuth */
	HANDSHAKE_BAD_CERTIFICATE, /* broken, weak algorithm, wrong signature, chain too long */
	HANDSHAKE_REVOKED,         /* the verdicts of authorise */
	HANDSHAKE_DISABLED,
	HANDSHAKE_UNKNOWN_DEVICE,
	/* the connection */
	HANDSHAKE_NOT_TLS, /* detail says what it looks like */
	HANDSHAKE_UNSUPPORTED_VERSION,
	HANDSHAKE_NO_COMMON_CIPHER,
	HANDSHAKE_PROTOCOL_ERROR,
	HANDSHAKE_ABORTED, /* closed, reset, or ended by an alert of the peer's: in detail */
	HANDSHAKE_TIMEOUT,
	/* ours */
	HANDSHAKE_SIGNATURE_FAILED, /* the vault is away */
	HANDSHAKE_STOPPED,          /* the pool is being freed */
	HANDSHAKE_OUTCOMES,
};
/* "unknown-ca", "expired", ...: stable words for events. */
const char *handshake_outcome_name(enum handshake_outcome o);

enum handshake_verdict {
	VERDICT_ALLOW,
	VERDICT_REVOKED,        /* alert certificate_revoked */
	VERDICT_DISABLED,       /* alert access_denied */
	VERDICT_UNKNOWN_DEVICE, /* alert certificate_unknown */
	VERDICT_EXPIRED,        /* alert certificate_expired */
	VERDICT_REFUSED,        /* alert bad_certificate */
};

/* A certificate in words, for events. Texts are cut to fit and are valid UTF-8. */
struct tls_description {
	char subject[192];    /* RFC 4514 */
	char common_name[65]; /* "" unless the subject has exactly one, of 1 to 64 bytes */
	char issuer[192];
	char serial[48]; /* lower-case hexadecimal */
	char fingerprint[65];
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
};
int tls_describe(struct str der, struct tls_description *out); /* 0 or ERR_CRYPTO; any thread */

enum { HANDSHAKE_DETAIL = 128 };

/* What authorise() sees. Everything is borrowed for the call. */
struct handshake_peer {
	const struct tls_credentials *credentials; /* of the listener that was reached */
	const struct addr *address;
	const unsigned char *fingerprint; /* STREAM_FINGERPRINT bytes, SHA-256 of the leaf */
	const struct str *chain;          /* DER, leaf first; verified under the listener's trust */
	size_t chain_n;
	bool resumed;
	void *context; /* of the request */
	char *detail;  /* HANDSHAKE_DETAIL bytes: one phrase when it is not allowed, for events */
};

struct handshake_pool_settings {
	size_t threads;      /* 1..64 */
	size_t verified_max; /* entries of the cache of verified certificates; 0 = 4096 */
	void *arg;           /* handed to the next three */
	/* In the new thread, before its first handshake; returns its thread context, which sign and
	 * authorise get. May be NULL: the context is then arg. */
	void *(*thread_start)(void *arg, size_t index, struct loop *l);
	void (*thread_stop)(void *thread_context);
	/* Status, expiry, device enabled: asked once per handshake that brings a certificate, after
	 * it was verified, also on resumption. *device goes into the result. Must not block. */
	enum handshake_verdict (*authorise)(void *thread_context, const struct handshake_peer *peer,
					    uint64_t *device);
};

/* 0 or ERR_IO (a thread could not be started). */
int handshake_pool_new(const struct handshake_pool_settings *set, struct handshake_pool **out);
/* Ends all threads; unfinished handshakes are answered HANDSHAKE_STOPPED. The loops that wait for
 * results must still exist. */
void handshake_pool_free(struct handshake_pool *p);
DEFINE_AUTO(handshake_pool, handshake_pool_free)

struct handshake_result {
	enum handshake_outcome outcome;
	struct stream *stream; /* HANDSHAKE_DONE: TLS is up; the receiver takes it (TAKE) */
	struct addr address;
	void *context;   /* of the request */
	uint64_t device; /* what authorise wrote; 0 without certificate */
	bool resumed;
	bool has_certificate;
	struct tls_description certificate; /* filled on failure only, when has_certificate */
	struct buf unknown; /* HANDSHAKE_UNKNOWN_DEVICE: its DER; nobody has seen its key yet */
	char detail[HANDSHAKE_DETAIL]; /* for events and people; "" when nothing to add */
	uint64_t bytes_in;             /* spent by a failed handshake */
	uint64_t bytes_out;
	struct loop_note note; /* this and the next: the pool's */
	void (*done)(struct handshake_result *r);
};

struct handshake_request {
	int fd; /* connected, nonblocking; the pool takes it */
	struct addr address;
	struct tls_credentials *credentials; /* the pool takes a reference of its own */
	uint32_t timeout_ms;
	struct loop *reply_to;
	/* Runs in reply_to's thread exactly once, and then owns the result: handshake_result_free.
	 * On DONE call stream_read once at once: bytes may have arrived before. */
	void (*done)(struct handshake_result *r);
	void *context; /* a handle rather than a pointer: the asker may be gone by then */
};
void handshake_submit(struct handshake_pool *p, const struct handshake_request *r); /* any thread */
void handshake_result_free(struct handshake_result *r); /* a stream not taken is aborted */
DEFINE_AUTO(handshake_result, handshake_result_free)

struct handshake_stats {
	uint64_t running;
	uint64_t full;    /* finished, not resumed */
	uint64_t resumed; /* finished */
	uint64_t cache_hits;
	uint64_t cache_misses;
	uint64_t outcome[HANDSHAKE_OUTCOMES];
};
void handshake_pool_stats(struct handshake_pool *p, struct handshake_stats *out); /* any thread */
