/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams over plain TCP (and unix sockets): see stream.h. The caller's slices go to the socket
 * without being copied; only what the socket refuses is.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/stream_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SLICES_MAX = 256 };

static int tcp_read(struct stream *s, struct stream_scratch *scratch, struct str *out)
{
	size_t n;
	const int e = stream_recv(s, scratch->plain, SCRATCH_WIRE, &n);
	if (e == 0)
		*out = str_make(scratch->plain, n);
	return e;
}

/* The first STREAM_WRITE_MAX bytes of iov, at most SLICES_MAX slices. */
static size_t clip(const struct iovec *iov, size_t n, struct iovec *out, size_t *bytes)
{
	size_t k = 0;
	*bytes = 0;
	while (k < n && k < SLICES_MAX && *bytes < STREAM_WRITE_MAX) {
		const size_t room = STREAM_WRITE_MAX - *bytes;
		out[k] = (struct iovec){iov[k].iov_base, MIN(iov[k].iov_len, room)};
		*bytes += out[k++].iov_len;
	}
	return k;
}

static void keep_rest(struct stream *s, const struct iovec *iov, size_t n, size_t sent)
{
	for (size_t i = 0; i < n; i++) {
		const size_t skip = MIN(sent, iov[i].iov_len);
		buf_put(&s->unsent, (const char *)iov[i].iov_base + skip, iov[i].iov_len - skip);
		sent -= skip;
	}
}

static int tcp_write(struct stream *s, struct stream_scratch *scratch, const struct iovec *iov,
		     size_t n, size_t *taken)
{
	(void)scratch;
	struct iovec part[SLICES_MAX];
	size_t bytes;
	if (s->unsent.n)
		return ERR_AGAIN;
	const struct msghdr msg = {.msg_iov = part, .msg_iovlen = clip(iov, n, part, &bytes)};
	ssize_t sent;
	do
		sent = bytes ? sendmsg(s->fd, &msg, MSG_NOSIGNAL) : 0;
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return stream_io_error(s, errno);
	keep_rest(s, part, msg.msg_iovlen, sent < 0 ? 0 : (size_t)sent);
	*taken = bytes;
	return 0;
}

static void tcp_free(struct stream *s)
{
	free(s);
}

static const struct stream_ops tcp_ops = {
	.read = tcp_read,
	.write = tcp_write,
	.flush = stream_flush_unsent,
	.pending = stream_unsent,
	.free = tcp_free,
};

int stream_tcp_release(struct stream *s)
{
	const int fd = s->fd;
	CHECK(s->ops == &tcp_ops && s->unsent.n == 0);
	buf_fini(&s->unsent);
	free(s);
	return fd;
}

struct stream *stream_tcp_new(int fd, const struct addr *peer)
{
	struct stream *s = mem_new(struct stream);
	s->ops = &tcp_ops;
	s->error = "";
	s->fd = fd;
	s->peer = *peer;
	return s;
}
