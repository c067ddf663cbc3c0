/* SPDX-License-Identifier: Apache-2.0
 *
 * Behind a proxy: see proxied.h. A byte behind the header belongs to TLS or MQTT and must stay in
 * the socket: what has come is looked at first, and only the header's part of it is taken out.
 */
#include "daemon/broker/proxied.h"
#include "daemon/base/err.h"
#include "daemon/broker/accept.h"
#include "daemon/broker/bound.h"
#include "daemon/ipc/rec.h"
#include "daemon/net/proxyproto.h"

#include <errno.h>
#include <unistd.h>

static void refuse(struct conn *c, enum event event, const char *why)
{
	c->worker->stats.refused++;
	conn_event(c, event, why, NULL);
	conn_close(c, REASON_NORMAL_DISCONNECTION, why);
}

/* The header is there: from here on the peer is whoever it names. */
static void stated(struct conn *c, const struct proxy_header *h)
{
	const struct config_listener *l = c->endpoint->config;
	const int fd = stream_tcp_release(TAKE(c->stream));
	buf_fini(&c->in);
	loop_remove(c->worker->loop, &c->io);
	if (h->has_source) {
		char text[ADDR_TEXT];
		c->proxy = mem_strdup(addr_format_ip(&c->peer, text));
		c->peer = h->source;
	}
	if (l->allow_from.n && !cidr_match_any(l->allow_from.p, l->allow_from.n, &c->peer)) {
		close(fd);
		refuse(c, EVENT_LOGIN_REFUSED, "the address is not in allow-from");
		return;
	}
	accept_stated(c, fd);
}

/* What the header took is kept until it is complete; 8 MiB bound that of all connections. */
static bool take(struct conn *c, size_t n)
{
	char bytes[PROXY_MAX];
	const enum limit_refusal r = limit_pre_connect(c->worker->broker->limit, &c->hold, n);
	if (r != LIMIT_OK) {
		c->worker->stats.refused++;
		bound_limited(c, c->worker->broker->limit, r);
		conn_close(c, REASON_NORMAL_DISCONNECTION, limit_refusal_name(r));
		return false;
	}
	if (recv(c->io.fd, bytes, n, 0) != (ssize_t)n) {
		conn_close(c, REASON_NORMAL_DISCONNECTION, "the socket failed");
		return false;
	}
	buf_put(&c->in, bytes, n);
	return true;
}

static unsigned versions_of(const struct conn *c)
{
	_Static_assert((int)CONFIG_PROXY_V1 == PROXY_V1 && (int)CONFIG_PROXY_V2 == PROXY_V2 &&
			       (int)CONFIG_PROXY_ANY == (PROXY_V1 | PROXY_V2),
		       "the setting is the set of versions");
	return c->endpoint->config->proxy_protocol;
}

/* seen[0..n): kept bytes, and behind them what is still in the socket. */
static void judge(struct conn *c, const char *seen, size_t n)
{
	struct proxy_header h;
	const char *why = "";
	const size_t kept = c->in.n;
	const int err = proxy_parse(str_make(seen, n), versions_of(c), &h, &why);
	if (err && err != ERR_AGAIN)
		refuse(c, EVENT_PROXY_REFUSED, why);
	else if (take(c, (err ? n : h.size) - kept) && err == 0)
		stated(c, &h);
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct conn *c = container_of(io, struct conn, io);
	char seen[PROXY_MAX];
	(void)events;
	/* A header that is not complete is always shorter. */
	if (c->in.n)
		memcpy(seen, c->in.p, c->in.n);
	const ssize_t n = recv(io->fd, seen + c->in.n, sizeof(seen) - c->in.n, MSG_PEEK);
	if (n > 0)
		judge(c, seen, c->in.n + (size_t)n);
	else if (n == 0)
		refuse(c, EVENT_PROXY_REFUSED, "the peer closed the connection before its header");
	else if (errno != EAGAIN && errno != EINTR)
		conn_close(c, REASON_NORMAL_DISCONNECTION, "the socket failed");
}

void proxied_accept(struct conn *c, int fd)
{
	c->state = CONN_PROXY;
	c->stream = stream_tcp_new(fd, &c->peer);
	if (loop_add(c->worker->loop, &c->io, "proxied", fd, EPOLLIN, ready))
		conn_close(c, REASON_NORMAL_DISCONNECTION, "out of memory");
	else
		conn_watch(c);
}

void proxied_late(struct conn *c)
{
	refuse(c, EVENT_PROXY_REFUSED, "no PROXY header in time");
}
