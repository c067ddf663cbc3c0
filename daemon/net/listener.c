/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding and accepting: see listener.h. listener_bind runs in the parent, the rest in a worker's
 * loop.
 */
#include "daemon/net/listener.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
	ACCEPT_BUDGET = 64, /* per loop turn: others in the loop want their turn */
	PAUSE_MS = 100,
	LOG_EVERY_MS = 60 * 1000,
};

static int bind_error(const struct listener_bind *b, const char *doing, char **error)
{
	char where[ADDR_TEXT];
	const int e = errno;
	addr_format(&b->address, where);
	switch (e) {
	case EADDRINUSE:
		*error = mem_printf("listener \"%s\": the address %s is in use by another program; "
				    "stop that one (ss -ltnp shows it) or choose another port",
				    b->name, where);
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		*error = mem_printf("listener \"%s\": not permitted to listen on %s; ports below "
				    "1024 need to be opened as root",
				    b->name, where);
		return ERR_DENIED;
	case EADDRNOTAVAIL:
		*error = mem_printf(
			"listener \"%s\": this machine has no address %s; use one of its "
			"own, or * for all",
			b->name, where);
		return ERR_NOT_FOUND;
	default:
		*error = mem_printf("listener \"%s\": %s: cannot %s: %s", b->name, where, doing,
				    strerror(e));
		return ERR_IO;
	}
}

static bool set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* Socket with its options, bound. On failure *doing says at what. */
static int bound_socket(const struct listener_bind *b, bool reuse_port, const char **doing)
{
	const int family = b->address.any.sa_family;
	AUTO_FD fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*doing = "open a socket";
	if (fd < 0)
		return -1;
	*doing = "set the socket's options";
	if (family != AF_UNIX && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return -1;
	if (family == AF_INET6 &&
	    !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !b->address.dual_stack))
		return -1;
	if (reuse_port && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return -1;
	*doing = "bind";
	if (bind(fd, &b->address.any, b->address.len) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* Where the kernel has no IPv6, "*" means IPv4. */
static struct listener_bind without_ipv6(const struct listener_bind *b)
{
	struct listener_bind v4 = *b;
	v4.address = (struct addr){.len = sizeof(v4.address.v4)};
	v4.address.v4.sin_family = AF_INET;
	v4.address.v4.sin_port = htons(addr_port(&b->address));
	return v4;
}

int listener_bind(const struct listener_bind *b, char **error, int *out)
{
	const char *doing = "";
	const struct listener_bind v4 = without_ipv6(b);
	const bool share = b->reuse_port && b->address.any.sa_family != AF_UNIX;
	if (share && b->first) {
		/* Another program of the same user that also shares the port would go unnoticed. */
		const int probe = bound_socket(b, false, &doing);
		if (probe < 0 && b->address.dual_stack && errno == EAFNOSUPPORT)
			return listener_bind(&v4, error, out);
		if (probe < 0)
			return bind_error(b, doing, error);
		close(probe);
	}
	AUTO_FD fd = bound_socket(b, share, &doing);
	if (fd < 0 && b->address.dual_stack && errno == EAFNOSUPPORT)
		return listener_bind(&v4, error, out);
	if (fd < 0)
		return bind_error(b, doing, error);
	if (listen(fd, b->backlog ? b->backlog : SOMAXCONN) < 0)
		return bind_error(b, "listen", error);
	*out = TAKE_FD(fd);
	return 0;
}

/* Accepting. */

static void reset(int fd)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static void resume(struct loop_timer *t)
{
	struct listener *l = container_of(t, struct listener, pause);
	loop_set_events(l->loop, &l->io, EPOLLIN);
}

/* Out of descriptors or memory: the connection stays in the backlog, so polling on would spin. */
static void pause_accepting(struct listener *l, int error_number)
{
	const uint64_t now = loop_now_ms(l->loop);
	l->stats.paused++;
	loop_set_events(l->loop, &l->io, 0);
	loop_timer_start(l->loop, &l->pause, "listener pause", PAUSE_MS, resume);
	if (l->logged_ms && now - l->logged_ms < LOG_EVERY_MS)
		return;
	l->logged_ms = MAX(now, (uint64_t)1);
	log_warning("listener \"%s\": no new connections for now: %s; %llu pauses so far; raise "
		    "LimitNOFILE or lower the number of connections",
		    l->name, strerror(error_number), (unsigned long long)l->stats.paused);
}

static void take_peer(struct listener *l, int fd, const struct addr *peer)
{
	if (l->allow_n && !cidr_match_any(l->allow, l->allow_n, peer)) {
		l->stats.not_allowed++;
		reset(fd);
		if (l->not_allowed)
			l->not_allowed(l, peer);
		return;
	}
	l->stats.accepted++;
	if (peer->any.sa_family != AF_UNIX)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	l->accepted(l, fd, peer);
}

static bool is_shortage(int error_number)
{
	return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
	       error_number == ENOMEM;
}

/* False when there is no more to accept in this turn. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	struct addr peer;
	const int fd =
		accept4(l->io.fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && is_shortage(errno)) {
		pause_accepting(l, errno);
		return false;
	}
	if (fd < 0) /* the others concern one peer that is already gone */
		return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINVAL && errno != EBADF;
	if (addr_from_sockaddr((struct sockaddr *)&from, n, &peer) < 0)
		close(fd);
	else
		take_peer(l, fd, &peer);
	return true;
}

static void listener_ready(struct loop_io *io, uint32_t events)
{
	struct listener *l = container_of(io, struct listener, io);
	(void)events;
	/* A callback may stop the listener. */
	for (int i = 0; i < ACCEPT_BUDGET && io->fd >= 0 && accept_one(l); i++)
		;
}

int listener_start(struct listener *l, struct loop *loop, int fd)
{
	l->loop = loop;
	l->io.fd = -1;
	l->pause = (struct loop_timer){.name = NULL};
	const int e = loop_add(loop, &l->io, "listener", fd, EPOLLIN, listener_ready);
	if (e < 0)
		close(fd);
	return e;
}

void listener_stop(struct listener *l)
{
	if (!l->loop || l->io.fd < 0)
		return;
	const int fd = l->io.fd;
	loop_timer_stop(l->loop, &l->pause);
	loop_remove(l->loop, &l->io);
	close(fd);
}
