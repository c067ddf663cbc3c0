/* SPDX-License-Identifier: Apache-2.0
 *
 * What a handshake thread needs from outside: signatures, which the vault makes with keys that the
 * broker never sees (one link per thread, one request at a time, 2 s at most), and the verdict on
 * the certificate of a peer, which the registry view gives.
 *
 * The control thread gives a thread its link, anew after the vault was restarted; the handshake
 * thread takes it before its next signature.
 */
#pragma once

#include "daemon/broker/worker.h"
#include "daemon/ipc/sign.h"

struct vaultlink {
	struct broker *broker;
	unsigned index; /* of the link between broker and vault */
	pthread_mutex_t lock;
	int given; /* a link that the thread has not taken yet, -1 = none */
	bool up;   /* the thread's from here on */
	struct rpc rpc;
};

void vaultlink_init(struct vaultlink *s, struct broker *broker, unsigned index);
void vaultlink_give(struct vaultlink *s, int fd); /* control thread; takes fd */

/* The handshake thread's; context is its struct vaultlink. */
int vaultlink_sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		   struct buf *signature);
enum handshake_verdict vaultlink_authorise(void *context, const struct handshake_peer *peer,
					   uint64_t *device);
