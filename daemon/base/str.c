/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte strings and growable buffers: see str.h. Any thread.
 */
#include "daemon/base/str.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int str_cmp(struct str a, struct str b)
{
	const size_t n = MIN(a.n, b.n);
	const int d = n ? memcmp(a.p, b.p, n) : 0;
	if (d)
		return d;
	return a.n < b.n ? -1 : a.n > b.n;
}

const char *str_find(struct str s, const char *needle)
{
	return s.n ? memmem(s.p, s.n, needle, strlen(needle)) : NULL;
}

bool str_prefix(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

char *str_dup(struct str s)
{
	char *p = mem_alloc(s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

struct str str_split(struct str *rest, char sep)
{
	const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	struct str part = *rest;
	if (at) {
		part.n = (size_t)(at - rest->p);
		rest->p += part.n + 1;
		rest->n -= part.n + 1;
	} else {
		*rest = (struct str){NULL, 0};
	}
	return part;
}

int str_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0 || s.n > 20)
		return ERR_MALFORMED;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return ERR_MALFORMED;
		const uint64_t digit = (uint64_t)(s.p[i] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return ERR_LIMIT;
		v = v * 10 + digit;
	}
	if (v > max)
		return ERR_LIMIT;
	*out = v;
	return 0;
}

/* RFC 3629 section 4: for each range of first bytes the length of the sequence and the range of its
 * second byte; the bytes behind that are 80..BF. */
static const struct utf8_row {
	unsigned char first, last, len, low, high;
} utf8_rows[] = {
	{0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
	{0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
	{0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

/* Length of the well-formed UTF-8 sequence at p, or 0. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	const struct utf8_row *row = utf8_rows;
	const struct utf8_row *const end = utf8_rows + ARRAY_LEN(utf8_rows);
	while (row < end && (p[0] < row->first || p[0] > row->last))
		row++;
	if (row == end || n < row->len || p[1] < row->low || p[1] > row->high)
		return 0;
	for (size_t i = 2; i < row->len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return row->len;
}

/* Eight bytes that are all 0x01..0x7f. */
static bool ascii_word(const unsigned char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return ((w | (w - 0x0101010101010101u)) & 0x8080808080808080u) == 0;
}

bool str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	for (size_t i = 0; i < s.n;) {
		if (s.n - i >= 8 && ascii_word(p + i)) {
			i += 8;
			continue;
		}
		const size_t len = utf8_len(p + i, s.n - i);
		if (len == 0 || p[i] == 0)
			return false;
		i += len;
	}
	return true;
}

bool str_has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

struct str str_head(struct str s, size_t max)
{
	if (s.n <= max)
		return s;
	for (size_t n = max; n > 0 && max - n < 4; n--)
		if (((unsigned char)s.p[n] & 0xc0) != 0x80)
			return str_make(s.p, n);
	return str_make(s.p, max); /* it is no UTF-8 */
}

void str_mask_controls(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)p[i];
		const unsigned char next = i + 1 < n ? (unsigned char)p[i + 1] : 0;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			p[i] = p[i + 1] = '?';
		else if (c < 0x20 || c == 0x7f)
			p[i] = '?';
	}
}

void hex_encode(const void *p, size_t n, char *out)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *b = p;
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[b[i] >> 4];
		out[2 * i + 1] = digit[b[i] & 15];
	}
	out[2 * n] = '\0';
}

static const unsigned NO_DIGIT = 16;

static unsigned hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return NO_DIGIT;
}

int hex_decode(struct str s, void *out, size_t n)
{
	if (s.n != 2 * n)
		return ERR_MALFORMED;
	for (size_t i = 0; i < s.n; i++)
		if (hex_value(s.p[i]) == NO_DIGIT)
			return ERR_MALFORMED;
	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] =
			(unsigned char)(hex_value(s.p[2 * i]) << 4 | hex_value(s.p[2 * i + 1]));
	return 0;
}

size_t str_distance(struct str a, struct str b)
{
	size_t row[65];
	if (a.n > 64 || b.n > 64)
		return MAX(a.n, b.n);
	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			const size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.n];
}

char *buf_reserve(struct buf *b, size_t n)
{
	CHECK(n < SIZE_MAX / 2 - b->n);
	if (b->cap - b->n < n) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap - b->n < n)
			cap *= 2;
		b->p = mem_grow(b->p, cap);
		b->cap = cap;
	}
	return b->p ? b->p + b->n : NULL; /* room for nothing in an empty one */
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), p, n);
	b->n += n;
}

void buf_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	char *s = NULL;
	const int n = vasprintf(&s, fmt, ap);
	CHECK(n >= 0);
	buf_put(b, s, (size_t)n);
	free(s);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_consume(struct buf *b, size_t n)
{
	CHECK(n <= b->n);
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

const char *buf_cstr(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return b->p;
}
