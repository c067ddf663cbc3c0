/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing wire formats with a sticky error.
 *
 * struct cur reads: after the first read past the end (or cur_fail) every read gives 0 or an empty
 * string and cur_ok is false, so a decoder reads all fields and judges once.
 * struct out writes into memory of a fixed size: after the first write past the end nothing more is
 * written, out_ok is false, and out.need still counts what would have been written.
 * Names without suffix are big-endian (MQTT, TLS, WebSocket), names ending in le little-endian
 * (IPC).
 */
#pragma once

#include "daemon/base/str.h"

struct cur {
	const unsigned char *p;
	const unsigned char *end;
	bool failed;
};

static inline struct cur cur_make(const void *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;
	return (struct cur){b, b ? b + n : b, false};
}

static inline struct cur cur_of(struct str s)
{
	return cur_make(s.p, s.n);
}

static inline size_t cur_left(const struct cur *c)
{
	return (size_t)(c->end - c->p);
}

static inline bool cur_ok(const struct cur *c)
{
	return !c->failed;
}

/* True when no read failed and nothing is left over. */
static inline bool cur_done(const struct cur *c)
{
	return !c->failed && c->p == c->end;
}

static inline void cur_fail(struct cur *c)
{
	c->failed = true;
	c->p = c->end;
}

static inline const unsigned char *cur_take(struct cur *c, size_t n)
{
	if (cur_left(c) < n) {
		cur_fail(c);
		return NULL;
	}
	const unsigned char *p = c->p;
	if (n) /* an empty input may have no address to count from */
		c->p += n;
	return p;
}

static inline uint8_t cur_u8(struct cur *c)
{
	const unsigned char *p = cur_take(c, 1);
	return p ? p[0] : 0;
}

static inline uint16_t cur_u16(struct cur *c)
{
	const unsigned char *p = cur_take(c, 2);
	return (uint16_t)(p ? (unsigned)p[0] << 8 | p[1] : 0);
}

static inline uint32_t cur_u32(struct cur *c)
{
	const uint32_t hi = cur_u16(c);
	return hi << 16 | cur_u16(c);
}

static inline uint64_t cur_u64(struct cur *c)
{
	const uint64_t hi = cur_u32(c);
	return hi << 32 | cur_u32(c);
}

static inline uint16_t cur_u16le(struct cur *c)
{
	return __builtin_bswap16(cur_u16(c));
}

static inline uint32_t cur_u32le(struct cur *c)
{
	return __builtin_bswap32(cur_u32(c));
}

static inline uint64_t cur_u64le(struct cur *c)
{
	return __builtin_bswap64(cur_u64(c));
}

static inline struct str cur_bytes(struct cur *c, size_t n)
{
	const unsigned char *p = cur_take(c, n);
	return p ? str_make(p, n) : (struct str){NULL, 0};
}

/* A string behind its 16-bit (str16) or 32-bit (str32le) length. */
static inline struct str cur_str16(struct cur *c)
{
	return cur_bytes(c, cur_u16(c));
}

static inline struct str cur_str32le(struct cur *c)
{
	return cur_bytes(c, cur_u32le(c));
}

/* A cursor over the next n bytes; the outer one moves behind them. */
static inline struct cur cur_sub(struct cur *c, size_t n)
{
	const struct str s = cur_bytes(c, n);
	struct cur sub = cur_of(s);
	sub.failed = c->failed;
	return sub;
}

struct out {
	unsigned char *p; /* where the next byte goes */
	unsigned char *end;
	size_t need; /* bytes written, or that would have been */
	bool failed;
};

static inline struct out out_make(void *p, size_t n)
{
	unsigned char *b = (unsigned char *)p;
	return (struct out){b, b ? b + n : b, 0, false};
}

static inline bool out_ok(const struct out *o)
{
	return !o->failed;
}

static inline void out_bytes(struct out *o, const void *p, size_t n)
{
	o->need += n;
	if (o->failed || (size_t)(o->end - o->p) < n) {
		o->failed = true;
		return;
	}
	if (n) {
		memcpy(o->p, p, n);
		o->p += n;
	}
}

static inline void out_u8(struct out *o, uint8_t v)
{
	out_bytes(o, &v, 1);
}

static inline void out_u16(struct out *o, uint16_t v)
{
	v = __builtin_bswap16(v);
	out_bytes(o, &v, 2);
}

static inline void out_u32(struct out *o, uint32_t v)
{
	v = __builtin_bswap32(v);
	out_bytes(o, &v, 4);
}

static inline void out_u64(struct out *o, uint64_t v)
{
	v = __builtin_bswap64(v);
	out_bytes(o, &v, 8);
}

static inline void out_u16le(struct out *o, uint16_t v)
{
	out_bytes(o, &v, 2);
}

static inline void out_u32le(struct out *o, uint32_t v)
{
	out_bytes(o, &v, 4);
}

static inline void out_u64le(struct out *o, uint64_t v)
{
	out_bytes(o, &v, 8);
}

/* A string behind its 16-bit length; a longer one fails the writer. */
static inline void out_str16(struct out *o, struct str s)
{
	if (s.n > UINT16_MAX)
		o->failed = true;
	out_u16(o, (uint16_t)s.n);
	out_bytes(o, s.p, s.n);
}

static inline void out_str32le(struct out *o, struct str s)
{
	if (s.n > UINT32_MAX)
		o->failed = true;
	out_u32le(o, (uint32_t)s.n);
	out_bytes(o, s.p, s.n);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the cursor swaps for little-endian machines");
