/* SPDX-License-Identifier: Apache-2.0
 *
 * DER writer and reader: see der.h. Lengths up to 2^31 - 1 bytes; longer ones are an error for the
 * reader and impossible for the writer (nothing of ours is that large).
 */
#include "certs/der.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"

#include <stdlib.h>

enum {
	LENGTH_MAX = INT32_MAX,
	LENGTH_BYTES = 5, /* of the longest length: 0x84 and four bytes */
	OID_BYTES = 32,   /* of the longest object identifier that we name */
	HIGH_TAG = 0x1f   /* says that the tag number follows in more bytes */
};

static size_t encode_length(size_t n, uint8_t out[LENGTH_BYTES])
{
	CHECK(n <= LENGTH_MAX);
	if (n < 0x80) {
		out[0] = (uint8_t)n;
		return 1;
	}
	size_t bytes = 1;
	while (n >> (8 * bytes))
		bytes++;
	out[0] = (uint8_t)(0x80 | bytes);
	for (size_t i = 0; i < bytes; i++)
		out[1 + i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
	return 1 + bytes;
}

size_t der_begin(struct buf *b, uint8_t tag)
{
	buf_putc(b, (char)tag);
	return b->n;
}

void der_end(struct buf *b, size_t mark)
{
	CHECK(mark >= 1 && mark <= b->n);
	uint8_t length[LENGTH_BYTES];
	const size_t n = b->n - mark;
	const size_t k = encode_length(n, length);
	buf_reserve(b, k);
	memmove(b->p + mark + k, b->p + mark, n);
	memcpy(b->p + mark, length, k);
	b->n += k;
}

void der_put(struct buf *b, uint8_t tag, struct str body)
{
	uint8_t length[LENGTH_BYTES];
	buf_putc(b, (char)tag);
	buf_put(b, length, encode_length(body.n, length));
	buf_str(b, body);
}

void der_put_uint(struct buf *b, struct str magnitude)
{
	while (magnitude.n && magnitude.p[0] == 0) {
		magnitude.p++;
		magnitude.n--;
	}
	const size_t mark = der_begin(b, DER_INTEGER);
	/* A leading zero keeps the number positive, and is the number when it is 0. */
	if (magnitude.n == 0 || (uint8_t)magnitude.p[0] & 0x80)
		buf_putc(b, 0);
	buf_str(b, magnitude);
	der_end(b, mark);
}

void der_put_number(struct buf *b, uint64_t n)
{
	const uint64_t big_endian = __builtin_bswap64(n);
	der_put_uint(b, str_make(&big_endian, sizeof(big_endian)));
}

void der_put_bool(struct buf *b, bool value)
{
	der_put(b, DER_BOOLEAN, value ? STR("\xff") : STR("\0"));
}

void der_put_bits(struct buf *b, struct str bytes)
{
	const size_t mark = der_begin(b, DER_BIT_STRING);
	buf_putc(b, 0);
	buf_str(b, bytes);
	der_end(b, mark);
}

static size_t encode_base128(unsigned long v, uint8_t *out, size_t room)
{
	size_t bytes = 1;
	while (bytes < 9 && v >> (7 * bytes))
		bytes++;
	CHECK(bytes <= room);
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)((v >> (7 * (bytes - 1 - i)) & 0x7f) |
				   (i + 1 < bytes ? 0x80u : 0u));
	return bytes;
}

/* The dotted form comes from our own source, so a wrong one is our own mistake. */
static size_t encode_oid(const char *dotted, uint8_t out[OID_BYTES])
{
	char *p;
	unsigned long arc = 40 * strtoul(dotted, &p, 10);
	CHECK(*p == '.');
	arc += strtoul(p + 1, &p, 10);
	size_t n = encode_base128(arc, out, OID_BYTES);
	while (*p == '.') {
		arc = strtoul(p + 1, &p, 10);
		n += encode_base128(arc, out + n, OID_BYTES - n);
	}
	CHECK(*p == '\0');
	return n;
}

void der_put_oid(struct buf *b, const char *dotted)
{
	uint8_t oid[OID_BYTES];
	der_put(b, DER_OID, str_make(oid, encode_oid(dotted, oid)));
}

/* "20261125175034Z" */
static struct str time_digits(int64_t seconds, char out[CLOCK_TEXT])
{
	static const int64_t year_10000 = 253402300800;
	CHECK(seconds >= 0 && seconds < year_10000);
	char text[CLOCK_TEXT];
	clock_format(seconds, text);
	size_t n = 0;
	for (const char *p = text; *p; p++)
		if ((*p >= '0' && *p <= '9') || *p == 'Z')
			out[n++] = *p;
	return str_make(out, n);
}

void der_put_generalized_time(struct buf *b, int64_t seconds)
{
	char text[CLOCK_TEXT];
	der_put(b, DER_GENERALIZED_TIME, time_digits(seconds, text));
}

void der_put_time(struct buf *b, int64_t seconds)
{
	static const int64_t year_2050 = 2524608000;
	if (seconds >= year_2050) {
		der_put_generalized_time(b, seconds);
		return;
	}
	char text[CLOCK_TEXT];
	const struct str s = time_digits(seconds, text);
	der_put(b, DER_UTC_TIME, str_make(s.p + 2, s.n - 2));
}

/* Definite and minimal (X.690, 8.1.3 and 10.1), else the cursor fails. */
static size_t read_length(struct cur *c)
{
	const uint8_t first = cur_u8(c);
	if (first < 0x80)
		return first;
	const unsigned bytes = first & 0x7f;
	if (bytes == 0 || bytes > 4) {
		cur_fail(c);
		return 0;
	}
	size_t n = 0;
	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | cur_u8(c);
	if (n < 0x80 || n > LENGTH_MAX || n >> (8 * (bytes - 1)) == 0)
		cur_fail(c);
	return n;
}

struct der der_read(struct cur *c)
{
	const unsigned char *start = c->p;
	struct der d = {0};
	const uint8_t tag = cur_u8(c);
	if ((tag & HIGH_TAG) == HIGH_TAG || tag == 0)
		cur_fail(c);
	d.body = cur_bytes(c, read_length(c));
	if (!cur_ok(c))
		return (struct der){0};
	d.tag = tag;
	d.whole = str_make(start, (size_t)(c->p - start));
	return d;
}

uint8_t der_peek(const struct cur *c)
{
	return cur_left(c) ? c->p[0] : 0;
}

struct str der_get(struct cur *c, uint8_t tag)
{
	const struct der d = der_read(c);
	if (d.tag != tag) {
		cur_fail(c);
		return (struct str){NULL, 0};
	}
	return d.body;
}

struct cur der_open(struct cur *c, uint8_t tag)
{
	struct cur inside = cur_of(der_get(c, tag));
	inside.failed = c->failed;
	return inside;
}

bool der_oid_is(struct str body, const char *dotted)
{
	uint8_t oid[OID_BYTES];
	return str_eq(body, str_make(oid, encode_oid(dotted, oid)));
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March.
 */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	const int64_t y = month <= 2 ? year - 1 : year;
	const int64_t century = y / 400;
	const unsigned in_era = (unsigned)(y - century * 400);
	const unsigned in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	const unsigned in_cycle = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
	return century * 146097 + in_cycle - 719468;
}

static unsigned digits(struct str *s, size_t n, struct cur *c)
{
	unsigned value = 0;
	if (s->n < n) {
		cur_fail(c);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			cur_fail(c);
		value = value * 10 + (unsigned)(s->p[i] - '0');
	}
	s->p += n;
	s->n -= n;
	return value;
}

int64_t der_get_time(struct cur *c)
{
	const struct der element = der_read(c);
	struct str s = element.body;
	unsigned year;
	if (element.tag == DER_UTC_TIME) {
		year = digits(&s, 2, c);
		year += year < 50 ? 2000 : 1900;
	} else {
		year = digits(&s, 4, c);
	}
	const unsigned month = digits(&s, 2, c);
	const unsigned day = digits(&s, 2, c);
	const unsigned hour = digits(&s, 2, c);
	const unsigned minute = digits(&s, 2, c);
	const unsigned second = digits(&s, 2, c);
	if (!str_is(s, "Z") || month < 1 || month > 12 || day < 1 || day > 31)
		cur_fail(c);
	return cur_ok(c) ? days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
			 : 0;
}

struct str der_key_bits(struct str spki)
{
	struct cur c = cur_of(spki);
	struct cur inside = der_open(&c, DER_SEQUENCE);
	der_read(&inside);
	const struct str bits = der_get(&inside, DER_BIT_STRING);
	return bits.n > 1 ? str_make(bits.p + 1, bits.n - 1) : STR("");
}
