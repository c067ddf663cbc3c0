/* SPDX-License-Identifier: Apache-2.0
 *
 * PEM and base64: see pem.h.
 */
#include "certs/pem.h"
#include "daemon/base/err.h"

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define DASH  "-----"

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Digits seen and, behind them, the number of "=". */
struct decoder {
	uint32_t bits;
	unsigned digits; /* since the last full group, 0..3 */
	unsigned pads;
};

static bool feed(struct decoder *d, char c, struct buf *out)
{
	const int v = digit(c);
	if (c == '=')
		return d->digits >= 2 && ++d->pads + d->digits <= 4;
	if (v < 0 || d->pads)
		return false;
	d->bits = d->bits << 6 | (uint32_t)v;
	if (++d->digits == 4) {
		buf_putc(out, (char)(d->bits >> 16));
		buf_putc(out, (char)(d->bits >> 8));
		buf_putc(out, (char)d->bits);
		d->digits = 0;
	}
	return true;
}

static bool finish(const struct decoder *d, struct buf *out)
{
	if (d->digits == 1 || (d->pads && d->digits + d->pads != 4))
		return false;
	if (d->digits >= 2)
		buf_putc(out, (char)(d->bits >> (d->digits == 2 ? 4 : 10)));
	if (d->digits == 3)
		buf_putc(out, (char)(d->bits >> 2));
	return true;
}

int base64_decode(struct str text, struct buf *out)
{
	const size_t before = out->n;
	struct decoder d = {0};
	buf_reserve(out, text.n / 4 * 3 + 3);
	bool ok = true;
	for (size_t i = 0; i < text.n && ok; i++)
		ok = is_blank(text.p[i]) || feed(&d, text.p[i], out);
	if (ok && finish(&d, out))
		return 0;
	out->n = before;
	return ERR_MALFORMED;
}

static const char *find(struct str s, const char *needle)
{
	return s.n ? memmem(s.p, s.n, needle, strlen(needle)) : NULL;
}

static struct str from(struct str s, const char *p)
{
	return str_make(p, (size_t)(s.p + s.n - p));
}

int pem_next(struct str *rest, struct str *label, struct buf *der)
{
	const char *begin = find(*rest, BEGIN);
	if (!begin)
		return ERR_NOT_FOUND;
	struct str s = from(*rest, begin + strlen(BEGIN));
	const char *name_end = find(s, DASH);
	if (!name_end)
		return ERR_MALFORMED;
	const struct str name = str_make(s.p, (size_t)(name_end - s.p));
	s = from(s, name_end + strlen(DASH));
	const char *end = find(s, END);
	if (!end)
		return ERR_MALFORMED;
	const struct str body = str_make(s.p, (size_t)(end - s.p));
	s = from(s, end + strlen(END));
	if (!str_prefix(s, name) || !str_prefix(from(s, s.p + name.n), STR(DASH)))
		return ERR_MALFORMED;
	der->n = 0;
	if (base64_decode(body, der))
		return ERR_MALFORMED;
	*label = name;
	*rest = from(s, s.p + name.n + strlen(DASH));
	return 0;
}

static void put_base64(struct str s, struct buf *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+/";
	for (size_t i = 0; i < s.n; i += 3) {
		const size_t left = s.n - i;
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
		v |= left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
		v |= left > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
		buf_putc(out, letters[v >> 18]);
		buf_putc(out, letters[v >> 12 & 63]);
		buf_putc(out, left > 1 ? letters[v >> 6 & 63] : '=');
		buf_putc(out, left > 2 ? letters[v & 63] : '=');
	}
}

void pem_put(const char *label, struct str der, struct buf *out)
{
	enum { LINE_BYTES = 48 };
	buf_printf(out, BEGIN "%s" DASH "\n", label);
	for (size_t i = 0; i < der.n; i += LINE_BYTES) {
		put_base64(str_make(der.p + i, MIN(der.n - i, (size_t)LINE_BYTES)), out);
		buf_putc(out, '\n');
	}
	buf_printf(out, END "%s" DASH "\n", label);
}
