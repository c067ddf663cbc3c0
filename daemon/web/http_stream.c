/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers without an end: see http.h. The main loop writes, the library's thread reads.
 */
#include "daemon/base/mem.h"
#include "daemon/web/http.h"
#include "daemon/web/http_own.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>

/* The library's thread reads what the main loop wrote; whoever of the two is last frees it. */
struct http_stream {
	struct loop_note note;
	pthread_mutex_t lock;
	struct loop *loop;
	struct MHD_Connection *connection; /* NULL: the client has left */
	struct buf waiting;
	bool suspended;
	bool ended; /* by the main loop */
	unsigned owners;
	void (*gone)(void *arg);
	void *arg;
};

static void stream_release(struct http_stream *s)
{
	pthread_mutex_lock(&s->lock);
	const bool last = --s->owners == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&s->lock);
	buf_fini(&s->waiting);
	free(s);
}

static ssize_t stream_read(void *cls, uint64_t at, char *out, size_t max)
{
	struct http_stream *s = cls;
	(void)at;
	pthread_mutex_lock(&s->lock);
	ssize_t n = (ssize_t)MIN(s->waiting.n, max);
	if (n) {
		memcpy(out, s->waiting.p, (size_t)n);
		s->waiting.n -= (size_t)n;
		memmove(s->waiting.p, s->waiting.p + n, s->waiting.n);
	} else if (s->ended) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void tell_gone(struct loop_note *note)
{
	struct http_stream *s = container_of(note, struct http_stream, note);
	if (!s->ended)
		s->gone(s->arg);
	stream_release(s);
}

/* The library is done with it. */
static void stream_left(void *cls)
{
	struct http_stream *s = cls;
	pthread_mutex_lock(&s->lock);
	s->connection = NULL;
	pthread_mutex_unlock(&s->lock);
	loop_post(s->loop, &s->note, tell_gone);
}

static void stream_wake(struct http_stream *s)
{
	if (s->suspended && s->connection)
		MHD_resume_connection(s->connection);
	s->suspended = false;
}

struct http_stream *http_stream_begin(struct http_request *r, const char *content_type,
				      void (*gone)(void *arg), void *arg)
{
	enum { PIECE = 16 * KiB };
	struct http_stream *s = mem_new(struct http_stream);
	pthread_mutex_init(&s->lock, NULL);
	s->loop = http_own_loop(r);
	s->connection = http_own_connection(r);
	s->owners = 2;
	s->gone = gone;
	s->arg = arg;
	http_own_endless(r,
			 MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, stream_read, s,
							   stream_left),
			 content_type);
	return s;
}

bool http_stream_write(struct http_stream *s, struct str bytes)
{
	pthread_mutex_lock(&s->lock);
	const bool fits = s->waiting.n + bytes.n <= HTTP_STREAM_WAITING_MAX;
	if (fits) {
		buf_str(&s->waiting, bytes);
		stream_wake(s);
	}
	pthread_mutex_unlock(&s->lock);
	return fits;
}

void http_stream_end(struct http_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	stream_wake(s);
	pthread_mutex_unlock(&s->lock);
	stream_release(s);
}
