/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking requests over one end of a SEQPACKET pair, for threads that have nothing else to do
 * while they wait (TLS signatures in handshake threads) and for the threads that answer them. One
 * thread per descriptor at a time.
 */
#pragma once

#include "daemon/ipc/frame.h"

struct rpc {
	int sock; /* non-blocking; owned by the rpc */
	enum process self;
	enum process peer;
	uint64_t last_id;
	uint64_t rest_until_ms; /* monotonic; after a timeout, see rpc_ask */
	unsigned char *buf;     /* FRAME_MAX bytes */
};

void rpc_init(struct rpc *r, int sock, enum process self,
	      enum process peer); /* takes sock; says HELLO */
void rpc_fini(struct rpc *r);

enum { RPC_REST_MS = 3000 };

/* Asks and waits for the reply, at most timeout_ms in all: a peer that stopped reading costs no
 * more than one that does not answer. After a timeout requests fail at once until the peer has said
 * anything or RPC_REST_MS passed: a thread that serves many must not stand still for each of them.
 * *reply points into the rpc's buffer until the next call. Late replies of earlier requests are
 * dropped. 0, ERR_TIMEOUT, ERR_EOF, ERR_IO, ERR_MALFORMED, or ERR_DENIED when the peer sends
 * anything else than the reply that belongs to the request (the caller gives the link up). */
int rpc_ask(struct rpc *r, enum message type, struct str body, uint32_t timeout_ms,
	    struct record *reply);

/* Tells without waiting; any thread, as long as the rpc lives. 0, ERR_AGAIN (the peer does not
 * read), ERR_EOF or ERR_IO. */
int rpc_tell(const struct rpc *r, enum message type, struct str body);

/* The answering side: waits for the next permitted ASK (HELLO is handled inside). 0, ERR_EOF,
 * ERR_IO, or ERR_DENIED or ERR_MALFORMED when the peer broke the rules. */
int rpc_next(struct rpc *r, struct record *ask);
/* Waits until the asker takes it. 0, ERR_EOF or ERR_IO. */
int rpc_reply(struct rpc *r, enum message type, uint64_t id, struct str body);
