/* SPDX-License-Identifier: Apache-2.0
 *
 * A notation for MQTT packets in the tables of unit tests:
 *
 *   30              a byte in hexadecimal; blanks may stand between bytes
 *   <text>          a string behind its 16-bit length
 *   'text'          bytes as they are
 *   { ... }         what is between the braces, behind its length as variable byte integer
 *
 * "30 { <a/b> 'x' }" is a PUBLISH of "x" to a/b.
 */
#pragma once

#include "daemon/base/check.h"
#include "daemon/base/cursor.h"
#include "daemon/mqtt/props.h"

static inline const char *vector_block(const char *text, struct out *o);

static inline const char *vector_string(const char *text, struct out *o)
{
	const char close = *text == '<' ? '>' : '\'';
	const char *end = strchr(text + 1, close);
	CHECK(end != NULL);
	const struct str s = str_make(text + 1, (size_t)(end - text - 1));
	if (close == '>')
		out_u16(o, (uint16_t)s.n);
	out_bytes(o, s.p, s.n);
	return end + 1;
}

static inline const char *vector_braces(const char *text, struct out *o)
{
	unsigned char inner[4096];
	struct out block = out_make(inner, sizeof(inner));
	const char *end = vector_block(text + 1, &block);
	CHECK(*end == '}' && out_ok(&block));
	varint_encode((uint32_t)block.need, o);
	out_bytes(o, inner, block.need);
	return end + 1;
}

static inline const char *vector_block(const char *text, struct out *o)
{
	while (*text && *text != '}') {
		uint8_t byte;
		if (*text == ' ') {
			text++;
		} else if (*text == '<' || *text == '\'') {
			text = vector_string(text, o);
		} else if (*text == '{') {
			text = vector_braces(text, o);
		} else {
			CHECK(hex_decode(str_make(text, 2), &byte, 1) == 0);
			out_u8(o, byte);
			text += 2;
		}
	}
	return text;
}

/* Writes the bytes of the notation and returns their number. */
static inline size_t vector_bytes(const char *text, void *p, size_t n)
{
	struct out o = out_make(p, n);
	const char *end = vector_block(text, &o);
	CHECK(*end == '\0' && out_ok(&o));
	return o.need;
}
