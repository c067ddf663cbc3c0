/* SPDX-License-Identifier: Apache-2.0
 *
 * A TLS connection to a gateway, as a device with a certificate makes it: for commands that test
 * the way of a device. Blocking, with a time limit for each call. The server is always verified, by
 * its name or address. One thread; all of GnuTLS that the command line uses for connections.
 */
#pragma once

#include "daemon/base/str.h"

struct tls_client;

struct tls_client_settings {
	const char *host; /* name or address, also for the verification */
	const char *port;
	struct str ca; /* these three in PEM */
	struct str certificate;
	struct str key;
	int timeout_ms; /* of connecting and of each send */
};

/* 0; ERR_IO (not reached), ERR_CRYPTO (handshake, files) with a sentence in *why. */
int tls_client_connect(const struct tls_client_settings *set, struct tls_client **out,
		       struct buf *why) MUST_CHECK;
void tls_client_free(struct tls_client *c); /* closes in order */
DEFINE_AUTO(tls_client, tls_client_free)

int tls_client_send(struct tls_client *c, struct str bytes, struct buf *why) MUST_CHECK;
/* Some bytes, at least one. 0; ERR_TIMEOUT; ERR_EOF or ERR_IO with a sentence in *why, which names
 * the alert of a gateway that refuses the certificate. */
int tls_client_receive(struct tls_client *c, void *p, size_t size, int timeout_ms, size_t *n,
		       struct buf *why) MUST_CHECK;
/* "TLS1.3 AES-128-GCM", appended. */
void tls_client_describe(const struct tls_client *c, struct buf *out);
