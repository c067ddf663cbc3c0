/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of SCRAM-SHA-256 (RFC 5802, RFC 7677) as a server reads and writes them: no keys, which
 * are the store's. No channel binding is offered and no identity beside the user's name. Pure; the
 * worker of the connection.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	SCRAM_TEXT_MAX = 1024, /* bytes of a client's message */
	SCRAM_PROOF = 32,
	SCRAM_NONCE = 18, /* random bytes of ours */
};

struct scram {
	struct buf name;    /* of the user */
	struct buf nonce;   /* the client's and ours */
	struct buf header;  /* GS2 header of the first message */
	struct buf message; /* AuthMessage, as far as it is known */
};

void scram_fini(struct scram *s); /* usable again */
/* client-first-message. False: it is none, or it asks for what is not offered. */
bool scram_client_first(struct scram *s, struct str text) MUST_CHECK;
/* server-first-message, appended; the nonce becomes whole. random: SCRAM_NONCE bytes. */
void scram_server_first(struct scram *s, const unsigned char *random, struct str salt,
			uint32_t iterations, struct buf *out);
/* client-final-message: gives the proof, and the AuthMessage is whole. False: it is none, or not
 * the one that belongs to this exchange. */
bool scram_client_final(struct scram *s, struct str text,
			unsigned char proof[SCRAM_PROOF]) MUST_CHECK;
/* server-final-message, appended. */
void scram_server_final(struct str signature, struct buf *out);
