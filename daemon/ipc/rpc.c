/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking requests: see rpc.h.
 */
#include "daemon/ipc/rpc.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static int send_now(struct rpc *r, enum message type, uint64_t id, uint32_t deadline_ms,
		    struct str body)
{
	CHECK(frame_permitted(type, r->self, r->peer));
	const struct record record = {type, id, deadline_ms, body, -1};
	return frame_send(r->sock, &record);
}

void rpc_init(struct rpc *r, int sock, enum process self, enum process peer)
{
	unsigned char bytes[FRAME_HEADER];
	struct out o = out_make(bytes, sizeof(bytes));
	*r = (struct rpc){.sock = sock, .self = self, .peer = peer, .buf = mem_alloc(FRAME_MAX)};
	fcntl(sock, F_SETFL, 0);
	body_hello_put(&o, &(struct body_hello){frame_table_hash(), (uint8_t)self});
	send_now(r, MSG_HELLO, 0, 0,
		 str_make(bytes, o.need)); /* a dead peer shows at the first request */
}

void rpc_fini(struct rpc *r)
{
	if (r->buf)
		close(r->sock);
	free(r->buf);
	*r = (struct rpc){.sock = -1};
}

static int wait_readable(int sock, uint64_t until_ms)
{
	for (;;) {
		const uint64_t now = clock_mono_ms();
		struct pollfd p = {sock, POLLIN, 0};
		const int n = poll(&p, 1, now < until_ms ? (int)(until_ms - now) : 0);
		if (n > 0)
			return 0;
		if (n == 0)
			return ERR_TIMEOUT;
		if (errno != EINTR)
			return ERR_IO;
	}
}

/* Judges what came besides the expected: a HELLO is fine, anything that is not permitted is not. */
static int check_hello(const struct rpc *r, const struct record *got)
{
	struct body_hello hello;
	if (body_hello_get(got->body, &hello) || hello.table_hash != frame_table_hash() ||
	    hello.process != r->peer)
		return ERR_DENIED;
	return 0;
}

int rpc_ask(struct rpc *r, enum message type, struct str body, uint32_t timeout_ms,
	    struct record *reply)
{
	const uint64_t until = clock_mono_ms() + timeout_ms;
	const uint64_t id = ++r->last_id;
	int err = send_now(r, type, id, timeout_ms, body);
	while (err == 0) {
		struct record got;
		err = wait_readable(r->sock, until);
		if (err == 0)
			err = frame_receive(r->sock, r->buf, &got);
		if (err)
			break;
		frame_done(&got);
		if (!frame_permitted(got.type, r->peer, r->self))
			return ERR_DENIED;
		if (got.type == MSG_HELLO) {
			err = check_hello(r, &got);
			continue;
		}
		if (frame_rule(got.type)->kind != REPLY)
			return ERR_DENIED;
		if (got.id != id)
			continue;
		*reply = got;
		return 0;
	}
	return err;
}

int rpc_next(struct rpc *r, struct record *ask)
{
	for (;;) {
		struct record got;
		int err = frame_receive(r->sock, r->buf, &got);
		if (err)
			return err;
		frame_done(&got);
		if (!frame_permitted(got.type, r->peer, r->self))
			return ERR_DENIED;
		if (got.type == MSG_HELLO) {
			err = check_hello(r, &got);
			if (err)
				return err;
			continue;
		}
		*ask = got;
		return 0;
	}
}

int rpc_reply(struct rpc *r, enum message type, uint64_t id, struct str body)
{
	return send_now(r, type, id, 0, body);
}
