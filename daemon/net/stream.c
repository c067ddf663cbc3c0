/* SPDX-License-Identifier: Apache-2.0
 *
 * What all streams share: see stream.h. Socket calls, the kept rest of an output, the orderly close
 * that goes on after its owner has let go. A lingering stream belongs to the loop and the scratch
 * of the thread that closed it; it is counted there and cut after STREAM_LINGER_MS or
 * CLOSING_DISCARD.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/net/loop.h"
#include "daemon/net/stream_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLOSING_DISCARD = 1 * MiB };

struct closing {
	struct list node;
	struct loop *loop;
	struct loop_io io;
	struct loop_timer timer;
	struct stream *stream;
	struct stream_scratch *scratch;
	size_t discarded;
	unsigned code;
	bool finished;
	bool fin_sent;
};

int stream_fd(const struct stream *s)
{
	return s->fd;
}

const struct addr *stream_peer(const struct stream *s)
{
	return &s->peer;
}

uint32_t stream_events(const struct stream *s)
{
	return stream_pending(s) ? EPOLLIN | EPOLLOUT : EPOLLIN;
}

int stream_read(struct stream *s, struct stream_scratch *scratch, struct str *out)
{
	s->error = "";
	return s->ops->read(s, scratch, out);
}

int stream_write(struct stream *s, struct stream_scratch *scratch, const struct iovec *iov,
		 size_t n, size_t *taken)
{
	s->error = "";
	return s->ops->write(s, scratch, iov, n, taken);
}

int stream_flush(struct stream *s, struct stream_scratch *scratch)
{
	s->error = "";
	return s->ops->flush(s, scratch);
}

size_t stream_pending(const struct stream *s)
{
	return s->ops->pending(s);
}

const char *stream_error(const struct stream *s)
{
	return s->error;
}

void stream_info(const struct stream *s, struct stream_info *out)
{
	*out = (struct stream_info){.transport = "tcp"};
	if (s->ops->info)
		s->ops->info(s, out);
}

size_t stream_peer_chain(const struct stream *s, struct str *chain, size_t max)
{
	return s->ops->chain ? s->ops->chain(s, chain, max) : 0;
}

void tls_send_ticket(struct stream *s, int64_t valid_s)
{
	if (s->ops->ticket)
		s->ops->ticket(s, valid_s);
}

void stream_free(struct stream *s)
{
	const int fd = s->fd;
	buf_fini(&s->unsent);
	s->ops->free(s);
	close(fd);
}

void stream_abort(struct stream *s)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};
	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	stream_free(s);
}

/* Socket calls. */

static const char *error_phrase(int error_number)
{
	switch (error_number) {
	case ECONNRESET:
		return "connection reset by the peer";
	case EPIPE:
		return "the peer no longer reads";
	case ETIMEDOUT:
		return "connection timed out";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "the peer's network is unreachable";
	default:
		return "the socket failed";
	}
}

int stream_io_error(struct stream *s, int error_number)
{
	s->error = error_phrase(error_number);
	return ERR_IO;
}

int stream_recv(struct stream *s, void *p, size_t size, size_t *n)
{
	ssize_t got;
	do
		got = recv(s->fd, p, size, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*n = (size_t)got;
		return 0;
	}
	if (got == 0)
		return ERR_EOF;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return ERR_AGAIN;
	return stream_io_error(s, errno);
}

/* Bytes that went out, 0 when the socket is full, ERR_IO. */
static ssize_t send_some(struct stream *s, const void *p, size_t n)
{
	ssize_t sent;
	do
		sent = send(s->fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return sent;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return 0;
	return stream_io_error(s, errno);
}

int stream_send_or_keep(struct stream *s, const void *p, size_t n)
{
	ssize_t sent = 0;
	if (s->unsent.n == 0 && n)
		sent = send_some(s, p, n);
	if (sent < 0)
		return ERR_IO;
	buf_put(&s->unsent, (const char *)p + sent, n - (size_t)sent);
	return 0;
}

int stream_flush_unsent(struct stream *s, struct stream_scratch *scratch)
{
	(void)scratch;
	if (s->unsent.n == 0)
		return 0;
	const ssize_t sent = send_some(s, s->unsent.p, s->unsent.n);
	if (sent < 0)
		return ERR_IO;
	buf_consume(&s->unsent, (size_t)sent);
	if (s->unsent.n)
		return ERR_AGAIN;
	buf_fini(&s->unsent);
	return 0;
}

size_t stream_unsent(const struct stream *s)
{
	return s->unsent.n;
}

void stream_wake_reader(struct stream *s)
{
	shutdown(s->fd, SHUT_RD);
}

/* The orderly close. */

static void closing_end(struct closing *g)
{
	list_remove(&g->node);
	g->scratch->lingering_n--;
	loop_remove(g->loop, &g->io);
	loop_timer_stop(g->loop, &g->timer);
	stream_free(g->stream);
	free(g);
}

/* Sends what is left, then what ends the stream, then the FIN. False when the connection is dead.
 */
static bool closing_send(struct closing *g)
{
	struct stream *s = g->stream;
	int e = stream_flush(s, g->scratch);
	if (e == 0 && !g->finished) {
		g->finished = true;
		if (s->ops->finish)
			s->ops->finish(s, g->scratch, g->code);
		e = stream_flush(s, g->scratch);
	}
	if (e == 0 && !g->fin_sent) {
		g->fin_sent = true;
		return shutdown(s->fd, SHUT_WR) == 0;
	}
	return e == 0 || e == ERR_AGAIN;
}

static bool closing_discard(struct closing *g)
{
	size_t n = 0;
	const int e = stream_recv(g->stream, g->scratch->wire, SCRATCH_WIRE, &n);
	g->discarded += n;
	return (e == 0 || e == ERR_AGAIN) && g->discarded <= CLOSING_DISCARD;
}

static void closing_ready(struct loop_io *io, uint32_t events)
{
	struct closing *g = container_of(io, struct closing, io);
	const bool readable = events & (EPOLLIN | EPOLLHUP | EPOLLERR);
	if (!closing_send(g) || (readable && !closing_discard(g))) {
		closing_end(g);
		return;
	}
	loop_set_events(g->loop, io, stream_events(g->stream));
}

static void closing_expired(struct loop_timer *t)
{
	closing_end(container_of(t, struct closing, timer));
}

void stream_close(struct stream *s, struct loop *l, struct stream_scratch *scratch,
		  unsigned websocket_code)
{
	struct closing now = {.loop = l, .stream = s, .scratch = scratch, .code = websocket_code};
	if (!closing_send(&now) || scratch->lingering_n >= STREAM_LINGERING_MAX) {
		stream_free(s);
		return;
	}
	struct closing *g = mem_new(struct closing);
	*g = now;
	if (loop_add(l, &g->io, "closing stream", s->fd, stream_events(s), closing_ready) < 0) {
		stream_free(s);
		free(g);
		return;
	}
	loop_timer_start(l, &g->timer, "closing stream", STREAM_LINGER_MS, closing_expired);
	list_append(&scratch->lingering, &g->node);
	scratch->lingering_n++;
}

struct stream_scratch *stream_scratch_new(void)
{
	struct stream_scratch *scratch = mem_new(struct stream_scratch);
	list_init(&scratch->lingering);
	return scratch;
}

void stream_scratch_free(struct stream_scratch *scratch)
{
	list_each_safe (it, &scratch->lingering)
		closing_end(list_entry(it, struct closing, node));
	CHECK(scratch->lingering_n == 0);
	secret_wipe(scratch, sizeof(*scratch));
	free(scratch);
}
