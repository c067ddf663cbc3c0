/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures and verdicts for handshake threads: see vaultlink.h.
 */
#include "daemon/broker/vaultlink.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/client_policy.h"
#include "daemon/broker/control.h"

#include <unistd.h>

void vaultlink_init(struct vaultlink *s, struct broker *broker, unsigned index)
{
	s->broker = broker;
	s->index = index;
	s->given = -1;
	CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
}

void vaultlink_give(struct vaultlink *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	const int old = s->given;
	s->given = fd;
	pthread_mutex_unlock(&s->lock);
	if (old >= 0)
		close(old);
}

static void take_link(struct vaultlink *s)
{
	pthread_mutex_lock(&s->lock);
	const int fd = TAKE_FD(s->given);
	pthread_mutex_unlock(&s->lock);
	if (fd < 0)
		return;
	if (s->up)
		rpc_fini(&s->rpc);
	rpc_init(&s->rpc, fd, PROCESS_BROKER, PROCESS_VAULT);
	s->up = true;
}

int vaultlink_sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		   struct buf *signature)
{
	struct vaultlink *s = context;
	take_link(s);
	if (!s->up)
		return ERR_UNAVAILABLE;
	const int err = sign_ask(&s->rpc, key_id, scheme, str_make(data, n), signature);
	if (err && err != ERR_TIMEOUT && err != ERR_CRYPTO && err != ERR_LIMIT) {
		rpc_fini(&s->rpc);
		s->up = false;
		control_link_broken(s->broker->control, PROCESS_VAULT, s->index, err_text(err),
				    false);
	}
	return err;
}

enum handshake_verdict vaultlink_authorise(void *context, const struct handshake_peer *peer,
					   uint64_t *device)
{
	struct vaultlink *s = context;
	int64_t not_after;
	const struct client_certificate c = {
		.fingerprint = peer->fingerprint,
		.chain = peer->chain,
		.chain_n = peer->chain_n,
		.now = MAX(clock_wall(), build_time()),
	};
	return client_policy_judge(tls_credentials_attached(peer->credentials), s->broker->registry,
				   &c, device, &not_after, peer->detail);
}
