/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames: see ws_frame.h.
 */
#include "daemon/net/ws_frame.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

enum { FINAL = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f, CONTROL = 0x8 };

struct fault {
	unsigned code;
	const char *why;
};

#define FAULT_UNLESS(condition, number, text)                      \
	do {                                                       \
		static const struct fault fault_ = {number, text}; \
		if (!(condition))                                  \
			return &fault_;                            \
	} while (0)

void ws_decoder_fini(struct ws_decoder *d)
{
	free(d->control);
	*d = (struct ws_decoder){0};
}

/* Bytes that the header has in all, as far as the bytes so far tell. */
static size_t header_size(const struct ws_decoder *d)
{
	if (d->header_n < 2)
		return 2;
	const unsigned length = d->header[1] & LENGTH;
	const size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
	return 2 + extended + (d->header[1] & MASKED ? 4 : 0);
}

static const struct fault *judge_length(const struct ws_decoder *d, unsigned short_length)
{
	FAULT_UNLESS(short_length != 126 || d->left > 125, WS_PROTOCOL_ERROR,
		     "a frame length is not written in its shortest form");
	FAULT_UNLESS(short_length != 127 || d->left > UINT16_MAX, WS_PROTOCOL_ERROR,
		     "a frame length is not written in its shortest form");
	FAULT_UNLESS(d->left <= WS_FRAME_MAX, WS_TOO_BIG, "a WebSocket frame is too large");
	return NULL;
}

static const struct fault *judge_opcode(const struct ws_decoder *d)
{
	if (d->opcode & CONTROL) {
		FAULT_UNLESS(d->opcode <= WS_PONG, WS_PROTOCOL_ERROR,
			     "unknown WebSocket control frame");
		FAULT_UNLESS(d->final && d->left <= WS_CONTROL_MAX, WS_PROTOCOL_ERROR,
			     "a WebSocket control frame is fragmented or longer than 125 bytes");
		return NULL;
	}
	FAULT_UNLESS(d->opcode <= WS_BINARY, WS_PROTOCOL_ERROR, "unknown WebSocket data frame");
	FAULT_UNLESS(d->opcode != WS_TEXT, WS_UNSUPPORTED_DATA,
		     "a text frame; MQTT is carried in binary frames only");
	FAULT_UNLESS(d->in_message == (d->opcode == WS_CONTINUATION), WS_PROTOCOL_ERROR,
		     "WebSocket fragments out of order");
	return NULL;
}

/* The header is complete: enters the frame. */
static const struct fault *start_frame(struct ws_decoder *d)
{
	struct cur c = cur_make(d->header, d->header_n);
	const unsigned first = cur_u8(&c);
	const unsigned second = cur_u8(&c);
	const unsigned length = second & LENGTH;
	FAULT_UNLESS((first & RESERVED) == 0, WS_PROTOCOL_ERROR,
		     "reserved bits are set in a WebSocket frame; no extension was agreed on");
	FAULT_UNLESS(second & MASKED, WS_PROTOCOL_ERROR, "a WebSocket frame is not masked");
	d->left = length == 126 ? cur_u16(&c) : length == 127 ? cur_u64(&c) : length;
	memcpy(d->mask, cur_take(&c, 4), 4);
	d->mask_at = 0;
	d->opcode = first & OPCODE;
	d->final = first & FINAL;
	d->header_n = 0;
	const struct fault *fault = judge_length(d, length);
	if (!fault)
		fault = judge_opcode(d);
	if (fault)
		return fault;
	d->in_frame = true;
	if (d->opcode & CONTROL) {
		d->control = mem_alloc(WS_CONTROL_MAX);
		d->control_n = 0;
	} else {
		d->in_message = !d->final;
	}
	return NULL;
}

static void unmask(struct ws_decoder *d, unsigned char *p, size_t n)
{
	unsigned char turned[8];
	uint64_t wide;
	for (unsigned i = 0; i < 8; i++)
		turned[i] = d->mask[(d->mask_at + i) & 3];
	memcpy(&wide, turned, 8);
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t v;
		memcpy(&v, p + i, 8);
		v ^= wide;
		memcpy(p + i, &v, 8);
	}
	for (; i < n; i++)
		p[i] ^= turned[i & 7];
	d->mask_at = (unsigned char)((d->mask_at + n) & 3);
}

/* RFC 6455 sections 5.5.1 and 7.4 */
static const struct fault *judge_close(struct ws_item *item)
{
	struct cur c = cur_of(item->payload);
	item->close_code = WS_NO_CODE;
	if (item->payload.n == 0)
		return NULL;
	const unsigned code = cur_u16(&c);
	const bool assigned = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
			      (code >= 3000 && code <= 4999);
	FAULT_UNLESS(cur_ok(&c) && assigned, WS_PROTOCOL_ERROR,
		     "a WebSocket close frame has no valid code");
	const size_t n = cur_left(&c);
	const struct str reason = cur_bytes(&c, n);
	FAULT_UNLESS(n == 0 || str_is_utf8(reason), WS_INVALID_DATA,
		     "the reason in a WebSocket close frame is not UTF-8");
	item->close_code = code;
	return NULL;
}

static struct str take_front(struct str *in, size_t n)
{
	const struct str part = str_make(in->p, n);
	in->p += n;
	in->n -= n;
	return part;
}

/* ERR_AGAIN unless a whole control frame is there. */
static int control_item(struct ws_decoder *d, struct str *in, struct ws_item *item,
			const struct fault **fault)
{
	const struct str part = take_front(in, (size_t)MIN(d->left, in->n));
	if (part.n)
		memcpy(d->control + d->control_n, part.p, part.n);
	unmask(d, d->control + d->control_n, part.n);
	d->control_n = (unsigned char)(d->control_n + part.n);
	d->left -= part.n;
	if (d->left)
		return ERR_AGAIN;
	d->in_frame = false;
	*item = (struct ws_item){.opcode = (enum ws_opcode)d->opcode,
				 .payload = str_make(d->control, d->control_n)};
	if (item->opcode == WS_CLOSE)
		*fault = judge_close(item);
	return 0;
}

static void data_item(struct ws_decoder *d, struct str *in, struct ws_item *item)
{
	const struct str part = take_front(in, (size_t)MIN(d->left, in->n));
	unmask(d, (unsigned char *)part.p, part.n);
	d->left -= part.n;
	d->in_frame = d->left > 0;
	*item = (struct ws_item){.opcode = WS_BINARY, .payload = part};
}

/* Collects a header; true when a frame has begun. */
static bool header_bytes(struct ws_decoder *d, struct str *in, const struct fault **fault)
{
	while (in->n && d->header_n < header_size(d))
		d->header[d->header_n++] = (unsigned char)*take_front(in, 1).p;
	if (d->header_n < header_size(d))
		return false;
	*fault = start_frame(d);
	return true;
}

/* ERR_AGAIN with in_frame: more input is needed; without: the frame carried nothing. */
static int frame_item(struct ws_decoder *d, struct str *in, struct ws_item *item,
		      const struct fault **fault)
{
	if (d->opcode & CONTROL)
		return control_item(d, in, item, fault);
	d->in_frame = d->left > 0;
	if (d->left == 0 || in->n == 0)
		return ERR_AGAIN;
	data_item(d, in, item);
	return 0;
}

int ws_decode(struct ws_decoder *d, struct str *in, struct ws_item *item, unsigned *code,
	      const char **why)
{
	if (!d->in_frame) {
		free(d->control);
		d->control = NULL;
	}
	for (;;) {
		const struct fault *fault = NULL;
		if (!d->in_frame && !header_bytes(d, in, &fault))
			return ERR_AGAIN;
		const int e = fault ? 0 : frame_item(d, in, item, &fault);
		if (fault) {
			*code = fault->code;
			*why = fault->why;
			return ERR_MALFORMED;
		}
		if (e == 0 || d->in_frame)
			return e;
	}
}

size_t ws_header(unsigned char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t n)
{
	struct out o = out_make(out, WS_HEADER_MAX);
	out_u8(&o, (uint8_t)(FINAL | opcode));
	if (n <= 125) {
		out_u8(&o, (uint8_t)n);
	} else if (n <= UINT16_MAX) {
		out_u8(&o, 126);
		out_u16(&o, (uint16_t)n);
	} else {
		out_u8(&o, 127);
		out_u64(&o, n);
	}
	return o.need;
}
