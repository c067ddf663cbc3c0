/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes of other processes: TLS_CHAIN (which keys and certificates are mine?) and TLS_SIGN.
 * One blocking thread per link, so a slow RSA signature of one handshake thread holds up no other.
 * Which process asks is known from the link, never from the message.
 */
#pragma once

#include "certs/server.h"
#include "certs/sign.h"
#include "daemon/net/loop.h"

struct tls_service {
	struct signer *signer;
	struct servers *servers;
	uint32_t id[SLOT_COUNT]; /* of the server keys in the signer */
	struct loop *loop;       /* of the main thread */
	struct list threads;     /* one per link */
	/* The peer of a link broke the rules; main thread. */
	void (*misbehaved)(struct tls_service *s, enum process peer, const char *what);
};

/* Gives the server keys of servers their numbers. All fields but id are set before. 0 or what
 * signer_add says. */
int tls_service_init(struct tls_service *s, struct why *why);
/* Serves one link in a thread of its own until it ends; takes fd. index counts the links to this
 * peer. s must live as long as the process. */
void tls_service_link(struct tls_service *s, enum process peer, unsigned index, int fd);
/* Chains are other ones than before: tells everyone who asks for chains (links of index 0). */
void tls_service_renewed(struct tls_service *s);
/* Ends all links and waits for their threads: none may be in GnuTLS while the process exits. */
void tls_service_stop(struct tls_service *s);
