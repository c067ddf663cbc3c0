/* SPDX-License-Identifier: Apache-2.0
 *
 * MQTT over WebSocket, server side (RFC 6455, MQTT 5.0 section 6): a stream over another stream.
 * Reading removes HTTP head and frames in place. Writing puts one binary frame around each MQTT
 * packet, and many frames into one write of the inner stream: a client need not expect packets that
 * share a frame, nor fragments, though it must [MQTT-6.0.0-2]; some do not. A packet that is longer
 * than one write is one frame all the same, and no control frame comes between its parts. Owns the
 * inner stream, the head while it is incomplete, and control frames that could not be sent yet (at
 * most one pong and one close).
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/stream_ops.h"
#include "daemon/net/ws_frame.h"
#include "daemon/net/ws_upgrade.h"

#include <stdlib.h>

enum { FIXED_HEADER_MAX = 5 /* of an MQTT packet, section 2.1 */ };

enum ws_state {
	WS_AWAIT_HEAD,
	WS_OPEN,
	WS_ENDED, /* a close frame came, or an error: nothing more is read */
};

struct ws {
	struct stream base;
	struct stream *inner;
	const char *path;
	enum ws_state state;
	bool upgraded;
	bool close_sent;
	unsigned fault_code; /* what the close frame will say; 0 = the caller's code */
	struct buf head;     /* of the HTTP request, while incomplete */
	struct buf out;      /* HTTP answer and control frames that wait for the inner stream */
	struct buf pong;     /* payload of the last ping; only that one is answered */
	bool pong_due;
	uint32_t frame_left; /* bytes of the packet under way that were not written yet */
	struct ws_decoder decoder;
};

static struct ws *ws_of(struct stream *s)
{
	return container_of(s, struct ws, base);
}

static int inner_failed(struct ws *w, int e)
{
	w->base.error = w->inner->error;
	return e;
}

static void put_control(struct ws *w, enum ws_opcode opcode, const void *p, size_t n)
{
	unsigned char header[WS_HEADER_MAX];
	buf_put(&w->out, header, ws_header(header, opcode, n));
	buf_put(&w->out, p, n);
}

/* Hands what waits to the inner stream. 0, ERR_AGAIN when something still waits, ERR_IO. */
static int push_out(struct ws *w, struct stream_scratch *scratch)
{
	size_t taken = 0;
	if (w->frame_left)
		return 0; /* not within another frame; a longer write follows */
	if (w->pong_due && !w->close_sent && w->out.n == 0) {
		put_control(w, WS_PONG, w->pong.p, w->pong.n);
		buf_fini(&w->pong);
		w->pong_due = false;
	}
	if (w->out.n == 0)
		return 0;
	const struct iovec iov = {w->out.p, w->out.n};
	const int e = stream_write(w->inner, scratch, &iov, 1, &taken);
	if (e < 0)
		return inner_failed(w, e);
	buf_consume(&w->out, taken);
	if (w->out.n)
		return ERR_AGAIN;
	buf_fini(&w->out);
	return 0;
}

/* Reading. */

/* 0 when upgraded, with *data the bytes behind the head. */
static int read_head(struct ws *w, struct str *data)
{
	size_t used = 0;
	const size_t before = w->head.n;
	buf_str(&w->head, *data);
	struct stream_info peer;
	stream_info(w->inner, &peer);
	const int e = ws_upgrade(buf_view(&w->head), w->path, peer.has_certificate, &w->out, &used,
				 &w->base.error);
	if (e == ERR_AGAIN)
		return e;
	buf_fini(&w->head);
	if (e < 0) {
		w->state = WS_ENDED;
		return e;
	}
	w->state = WS_OPEN;
	w->upgraded = true;
	/* An incomplete head was found incomplete before, so it ends in the new bytes. */
	CHECK(used > before);
	data->p += used - before;
	data->n -= used - before;
	return 0;
}

static void take_control(struct ws *w, const struct ws_item *item)
{
	if (item->opcode == WS_PING) {
		w->pong.n = 0;
		buf_str(&w->pong, item->payload);
		w->pong_due = true;
	} else if (item->opcode == WS_CLOSE) {
		w->state = WS_ENDED;
		w->fault_code = item->close_code == WS_NO_CODE ? WS_NORMAL : item->close_code;
	}
}

/* Moves all data in *data to its front. 0, ERR_EOF after a close frame, ERR_MALFORMED. */
static int decode_frames(struct ws *w, struct str *data)
{
	char *const start = (char *)data->p;
	struct str in = *data;
	size_t n = 0;
	int e = 0;
	while (e == 0 && w->state == WS_OPEN) {
		struct ws_item item;
		e = ws_decode(&w->decoder, &in, &item, &w->fault_code, &w->base.error);
		if (e == 0 && item.opcode == WS_BINARY) {
			memmove(start + n, item.payload.p, item.payload.n);
			n += item.payload.n;
		} else if (e == 0) {
			take_control(w, &item);
		}
	}
	*data = str_make(start, n);
	if (e == ERR_MALFORMED) {
		w->state = WS_ENDED;
		return e;
	}
	return w->state == WS_ENDED ? ERR_EOF : 0;
}

static int take(struct ws *w, struct stream_scratch *scratch, struct str data, struct str *out)
{
	int e = w->state == WS_AWAIT_HEAD ? read_head(w, &data) : 0;
	if (e == 0)
		e = decode_frames(w, &data);
	const int pushed = push_out(w, scratch);
	if (pushed == ERR_IO)
		return pushed;
	/* Data in front of a close frame still counts; the next call tells the end. */
	if ((e == 0 || e == ERR_EOF) && data.n) {
		if (e == ERR_EOF)
			stream_wake_reader(&w->base);
		*out = data;
		return 0;
	}
	return e == 0 ? ERR_AGAIN : e;
}

static int ws_read(struct stream *s, struct stream_scratch *scratch, struct str *out)
{
	struct ws *w = ws_of(s);
	struct str data;
	if (w->state == WS_ENDED)
		return ERR_EOF;
	const int e = stream_read(w->inner, scratch, &data);
	return e < 0 ? inner_failed(w, e) : take(w, scratch, data, out);
}

/* Writing. */

/* What the caller offers, from the front. */
struct source {
	const struct iovec *iov;
	size_t n;  /* pieces that are left */
	size_t at; /* in the first of them */
};

/* At most n bytes, which stay where they are; returns how many. */
static size_t peek(const struct source *from, unsigned char *out, size_t n)
{
	size_t got = 0, at = from->at;
	for (size_t i = 0; i < from->n && got < n; at = 0, i++) {
		const size_t part = MIN(from->iov[i].iov_len - at, n - got);
		memcpy(out + got, (const unsigned char *)from->iov[i].iov_base + at, part);
		got += part;
	}
	return got;
}

/* n bytes of the first piece, or none; afterwards the first piece is not empty. */
static void copy(struct source *from, unsigned char *out, size_t n)
{
	if (n)
		memcpy(out, (const unsigned char *)from->iov->iov_base + from->at, n);
	from->at += n;
	while (from->n && from->at == from->iov->iov_len) {
		from->at = 0;
		from->iov++;
		from->n--;
	}
}

/* Length of the packet that begins here (section 2.1.4), 0 when its fixed header is not whole. */
static uint32_t packet_length(const struct source *from)
{
	unsigned char head[FIXED_HEADER_MAX];
	const size_t n = peek(from, head, sizeof(head));
	uint32_t length = 0;
	for (size_t i = 1; i < n; i++) {
		length |= (uint32_t)(head[i] & 0x7f) << 7 * (i - 1);
		if (!(head[i] & 0x80))
			return length + (uint32_t)i + 1;
	}
	CHECK(n < sizeof(head));
	return 0;
}

/* Frames into out, STREAM_WRITE_MAX bytes at most; returns their length. */
static size_t put_frames(struct ws *w, struct source *from, unsigned char *out, size_t *taken)
{
	size_t n = 0;
	copy(from, out, 0);
	while (from->n && n < STREAM_WRITE_MAX) {
		if (w->frame_left == 0) {
			const uint32_t length = packet_length(from);
			const bool control_waits = w->pong_due || w->out.n;
			if (n + WS_HEADER_MAX >= STREAM_WRITE_MAX || length == 0 ||
			    (control_waits && n))
				break;
			n += ws_header(out + n, WS_BINARY, length);
			w->frame_left = length;
		}
		size_t part = MIN((size_t)w->frame_left, STREAM_WRITE_MAX - n);
		part = MIN(part, from->iov->iov_len - from->at);
		copy(from, out + n, part);
		w->frame_left -= (uint32_t)part;
		n += part;
		*taken += part;
	}
	return n;
}

static int ws_write(struct stream *s, struct stream_scratch *scratch, const struct iovec *iov,
		    size_t n, size_t *taken)
{
	struct ws *w = ws_of(s);
	struct source from = {iov, n, 0};
	size_t payload = 0, sent = 0;
	int e = push_out(w, scratch);
	if (e < 0)
		return e;
	if (!w->upgraded || w->close_sent || stream_pending(w->inner))
		return ERR_AGAIN;
	const struct iovec frames = {scratch->frames,
				     put_frames(w, &from, scratch->frames, &payload)};
	e = frames.iov_len ? stream_write(w->inner, scratch, &frames, 1, &sent) : 0;
	if (e < 0)
		return inner_failed(w, e);
	/* The inner stream takes all of up to STREAM_WRITE_MAX bytes, so no frame is ever cut. */
	CHECK(sent == frames.iov_len);
	*taken = payload;
	return 0;
}

static int ws_flush(struct stream *s, struct stream_scratch *scratch)
{
	struct ws *w = ws_of(s);
	int e = stream_flush(w->inner, scratch);
	if (e < 0)
		return inner_failed(w, e);
	e = push_out(w, scratch);
	return e == 0 && stream_pending(w->inner) ? ERR_AGAIN : e;
}

static size_t ws_pending(const struct stream *s)
{
	const struct ws *w = container_of(s, const struct ws, base);
	return stream_pending(w->inner) + w->out.n;
}

static void ws_finish(struct stream *s, struct stream_scratch *scratch, unsigned code)
{
	struct ws *w = ws_of(s);
	if (w->upgraded && w->frame_left == 0) {
		if (w->fault_code)
			code = w->fault_code;
		const unsigned char payload[2] = {(unsigned char)(code >> 8), (unsigned char)code};
		put_control(w, WS_CLOSE, payload, sizeof(payload));
		w->close_sent = true;
		push_out(w, scratch);
	}
	if (w->inner->ops->finish)
		w->inner->ops->finish(w->inner, scratch, code);
}

static void ws_info(const struct stream *s, struct stream_info *out)
{
	const struct ws *w = container_of(s, const struct ws, base);
	stream_info(w->inner, out);
	out->transport = out->version ? "wss" : "ws";
}

static size_t ws_chain(const struct stream *s, struct str *chain, size_t max)
{
	return stream_peer_chain(container_of(s, const struct ws, base)->inner, chain, max);
}

static void ws_ticket(struct stream *s, int64_t valid_s)
{
	tls_send_ticket(ws_of(s)->inner, valid_s);
}

static void ws_free(struct stream *s)
{
	struct ws *w = ws_of(s);
	buf_fini(&w->inner->unsent);
	w->inner->ops->free(w->inner);
	ws_decoder_fini(&w->decoder);
	buf_fini(&w->head);
	buf_fini(&w->out);
	buf_fini(&w->pong);
	free(w);
}

static const struct stream_ops ws_ops = {
	.read = ws_read,
	.write = ws_write,
	.flush = ws_flush,
	.pending = ws_pending,
	.finish = ws_finish,
	.info = ws_info,
	.chain = ws_chain,
	.ticket = ws_ticket,
	.free = ws_free,
};

struct stream *stream_ws_new(struct stream *inner, const char *path)
{
	struct ws *w = mem_new(struct ws);
	w->base.ops = &ws_ops;
	w->base.error = "";
	w->base.fd = inner->fd;
	w->base.peer = inner->peer;
	w->inner = inner;
	w->path = path;
	return &w->base;
}

int stream_ws_take(struct stream *ws, struct stream_scratch *scratch, struct str data,
		   struct str *out)
{
	CHECK(ws->ops == &ws_ops);
	return take(ws_of(ws), scratch, data, out);
}
