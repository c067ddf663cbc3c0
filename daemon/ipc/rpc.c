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
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define FOREVER UINT64_MAX

/* Until the socket is ready for these events; a peer that is gone makes it ready too. */
static int wait_for(int sock, short events, uint64_t until_ms)
{
	for (;;) {
		const uint64_t now = clock_mono_ms();
		struct pollfd p = {sock, events, 0};
		const uint64_t left = until_ms > now ? until_ms - now : 0;
		const int n =
			poll(&p, 1, until_ms == FOREVER ? -1 : (int)MIN(left, (uint64_t)INT_MAX));
		if (n > 0)
			return 0;
		if (n == 0)
			return ERR_TIMEOUT;
		if (errno != EINTR)
			return ERR_IO;
	}
}

static int send_until(struct rpc *r, const struct record *record, uint64_t until_ms)
{
	CHECK(frame_permitted(record->type, r->self, r->peer));
	for (;;) {
		int err = frame_send(r->sock, record);
		if (err == ERR_AGAIN)
			err = wait_for(r->sock, POLLOUT, until_ms);
		else
			return err;
		if (err)
			return err;
	}
}

/* Descriptors are no part of blocking requests: one that came is closed. */
static int receive_until(struct rpc *r, struct record *got, uint64_t until_ms)
{
	for (;;) {
		int err = frame_receive(r->sock, r->buf, got);
		if (err == 0)
			frame_done(got);
		if (err != ERR_AGAIN)
			return err;
		err = wait_for(r->sock, POLLIN, until_ms);
		if (err)
			return err;
	}
}

void rpc_init(struct rpc *r, int sock, enum process self, enum process peer)
{
	unsigned char bytes[FRAME_HEADER];
	struct out o = out_make(bytes, sizeof(bytes));
	*r = (struct rpc){.sock = sock, .self = self, .peer = peer, .buf = mem_alloc(FRAME_MAX)};
	fcntl(sock, F_SETFL, O_NONBLOCK);
	body_hello_put(&o, &(struct body_hello){frame_table_hash(), (uint8_t)self});
	const struct record hello = {MSG_HELLO, 0, 0, str_make(bytes, o.need), -1};
	(void)send_until(r, &hello, 0); /* a dead peer shows at the first request */
}

void rpc_fini(struct rpc *r)
{
	if (r->buf)
		close(r->sock);
	free(r->buf);
	*r = (struct rpc){.sock = -1};
}

static int check_hello(const struct rpc *r, const struct record *got)
{
	struct body_hello hello;
	if (body_hello_get(got->body, &hello) || hello.table_hash != frame_table_hash() ||
	    hello.process != r->peer)
		return ERR_DENIED;
	return 0;
}

/* The peer let the last request time out and has not been heard since. */
static bool is_resting(const struct rpc *r)
{
	return clock_mono_ms() < r->rest_until_ms && wait_for(r->sock, POLLIN, 0) == ERR_TIMEOUT;
}

int rpc_ask(struct rpc *r, enum message type, struct str body, uint32_t timeout_ms,
	    struct record *reply)
{
	const uint64_t until = clock_mono_ms() + timeout_ms;
	if (is_resting(r))
		return ERR_TIMEOUT;
	r->rest_until_ms = 0;
	const struct record ask = {type, ++r->last_id, timeout_ms, body, -1};
	int err = send_until(r, &ask, until);
	while (err == 0) {
		struct record got;
		err = receive_until(r, &got, until);
		if (err)
			break;
		if (!frame_permitted(got.type, r->peer, r->self))
			return ERR_DENIED;
		if (got.type == MSG_HELLO) {
			err = check_hello(r, &got);
			continue;
		}
		if (frame_rule(got.type)->kind != REPLY)
			return ERR_DENIED;
		if (got.id != ask.id)
			continue;
		if (!frame_answers(got.type, type))
			return ERR_DENIED;
		*reply = got;
		return 0;
	}
	if (err == ERR_TIMEOUT)
		r->rest_until_ms = clock_mono_ms() + RPC_REST_MS;
	return err;
}

int rpc_next(struct rpc *r, struct record *ask)
{
	for (;;) {
		struct record got;
		int err = receive_until(r, &got, FOREVER);
		if (err)
			return err;
		if (!frame_permitted(got.type, r->peer, r->self))
			return ERR_DENIED;
		if (got.type == MSG_HELLO) {
			err = check_hello(r, &got);
			if (err)
				return err;
			continue;
		}
		if (frame_rule(got.type)->kind != ASK)
			return ERR_DENIED;
		*ask = got;
		return 0;
	}
}

int rpc_reply(struct rpc *r, enum message type, uint64_t id, struct str body)
{
	const struct record reply = {type, id, 0, body, -1};
	return send_until(r, &reply, FOREVER);
}

int rpc_tell(const struct rpc *r, enum message type, struct str body)
{
	const struct record record = {type, 0, 0, body, -1};
	CHECK(frame_permitted(type, r->self, r->peer) && frame_rule(type)->kind == TELL);
	return frame_send(r->sock, &record);
}
