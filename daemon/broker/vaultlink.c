/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures and verdicts for handshake threads: see vaultlink.h.
 */
#include "daemon/broker/vaultlink.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/client_policy.h"

#include <unistd.h>

void vaultlink_init(struct vaultlink *s, struct broker *broker)
{
	s->broker = broker;
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

static int ask(struct vaultlink *s, const struct body_tls_sign *b, struct record *reply)
{
	unsigned char bytes[2048];
	struct out o = out_make(bytes, sizeof(bytes));
	body_tls_sign_put(&o, b);
	if (!out_ok(&o))
		return ERR_LIMIT;
	const int err = rpc_ask(&s->rpc, MSG_TLS_SIGN, str_make(bytes, o.need),
				VAULTLINK_TIMEOUT_MS, reply);
	if (err && err != ERR_TIMEOUT) {
		rpc_fini(&s->rpc);
		s->up = false;
	}
	return err;
}

int vaultlink_sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		   struct buf *signature)
{
	struct vaultlink *s = context;
	const struct body_tls_sign b = {key_id, (uint16_t)scheme, str_make(data, n)};
	struct body_tls_sign_done done;
	struct record reply;
	take_link(s);
	if (!s->up)
		return ERR_UNAVAILABLE;
	if (n > 1024)
		return ERR_LIMIT;
	const int err = ask(s, &b, &reply);
	if (err)
		return err;
	if (reply.type != MSG_TLS_SIGN_DONE || body_tls_sign_done_get(reply.body, &done) ||
	    !done.ok)
		return ERR_CRYPTO;
	buf_str(signature, done.signature);
	return 0;
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
