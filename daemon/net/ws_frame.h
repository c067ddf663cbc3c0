/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames of a client that carries a byte stream (RFC 6455 section 5): the decoder gives
 * data as it comes, across frames and fragments, unmasked in place, and control frames whole. It
 * owns nothing but the payload of a control frame that has not arrived completely. No I/O.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	WS_CONTROL_MAX = 125,
	WS_HEADER_MAX = 10, /* of a frame of ours: never masked */
	/* Largest message that is taken: the largest MQTT packet and room for others with it. */
	WS_FRAME_MAX = 512 * 1024 * 1024,
};

enum ws_opcode {
	WS_CONTINUATION = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xa,
};

/* Close codes, RFC 6455 section 7.4.1. */
enum ws_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL_ERROR = 1002,
	WS_UNSUPPORTED_DATA = 1003,
	WS_NO_CODE = 1005, /* never on the wire */
	WS_INVALID_DATA = 1007,
	WS_POLICY_VIOLATION = 1008,
	WS_TOO_BIG = 1009,
};

/* {0} is the start of a connection. */
struct ws_decoder {
	uint64_t left; /* payload bytes of the current frame that have not come */
	unsigned char header[14];
	unsigned char header_n;
	unsigned char mask[4];
	unsigned char mask_at;
	unsigned char opcode;
	bool in_frame;
	bool in_message; /* a fragmented message goes on */
	bool final;
	unsigned char control_n;
	unsigned char *control; /* NULL outside of a control frame */
};
void ws_decoder_fini(struct ws_decoder *d);

struct ws_item {
	enum ws_opcode opcode; /* WS_BINARY for all data, WS_CLOSE, WS_PING, WS_PONG */
	struct str payload;    /* in the input, or in the decoder until its next call */
	unsigned close_code;   /* WS_CLOSE: WS_NO_CODE when the frame has none */
};

/* Takes the next item from the front of *in. 0; ERR_AGAIN when the input is used up; ERR_MALFORMED
 * with the close code and a constant English phrase. */
int ws_decode(struct ws_decoder *d, struct str *in, struct ws_item *item, unsigned *code,
	      const char **why);

/* Header of an unfragmented frame of ours with n bytes of payload; returns its length. */
size_t ws_header(unsigned char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t n);
