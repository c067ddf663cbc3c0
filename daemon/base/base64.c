/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64: see base64.h.
 */
#include "daemon/base/base64.h"
#include "daemon/base/err.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void encode(struct str bytes, const char *digits, const char *pad, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	buf_reserve(out, base64_encoded_size(bytes.n));
	for (size_t i = 0; i < bytes.n; i += 3) {
		const size_t left = bytes.n - i;
		const uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
				   (left > 2 ? p[i + 2] : 0);
		buf_putc(out, digits[v >> 18]);
		buf_putc(out, digits[v >> 12 & 63]);
		if (left > 1)
			buf_putc(out, digits[v >> 6 & 63]);
		if (left > 2)
			buf_putc(out, digits[v & 63]);
		else
			buf_puts(out, left == 2 ? pad + 1 : pad);
	}
}

void base64_encode(struct str bytes, struct buf *out)
{
	encode(bytes, LETTERS "+/", "==", out);
}

void base64url_encode(struct str bytes, struct buf *out)
{
	encode(bytes, LETTERS "-_", "\0", out);
}

static int digit(char c, unsigned forms)
{
	const bool url = forms & BASE64_URL;
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	return c == (url ? '_' : '/') ? 63 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct decoder {
	unsigned forms;
	uint32_t bits;   /* of the group at hand */
	unsigned digits; /* of it, 0..3 */
	unsigned pads;
};

static bool feed(struct decoder *d, char c, struct buf *out)
{
	if (is_blank(c))
		return d->forms & BASE64_BLANKS;
	if (c == '=')
		return d->digits >= 2 && ++d->pads + d->digits <= 4;
	const int v = digit(c, d->forms);
	if (v < 0 || d->pads)
		return false;
	d->bits = d->bits << 6 | (uint32_t)v;
	if (++d->digits < 4)
		return true;
	buf_putc(out, (char)(d->bits >> 16));
	buf_putc(out, (char)(d->bits >> 8));
	buf_putc(out, (char)d->bits);
	d->digits = 0;
	d->bits = 0;
	return true;
}

/* The last group: 2 digits are one byte and 4 bits of nothing, 3 are two bytes and 2 bits. */
static bool finish(const struct decoder *d, struct buf *out)
{
	if (d->digits == 0)
		return true;
	const unsigned rest = d->digits == 2 ? 4 : 2;
	const bool padded = d->digits + d->pads == 4;
	if (d->digits == 1 || (!padded && (d->pads || !(d->forms & BASE64_UNPADDED))) ||
	    d->bits & ((1u << rest) - 1))
		return false;
	if (d->digits == 3)
		buf_putc(out, (char)(d->bits >> 10));
	buf_putc(out, (char)(d->bits >> rest));
	return true;
}

int base64_decode(struct str text, unsigned forms, struct buf *out)
{
	const size_t before = out->n;
	struct decoder d = {.forms = forms};
	buf_reserve(out, base64_decoded_max(text.n));
	bool ok = true;
	for (size_t i = 0; i < text.n && ok; i++)
		ok = feed(&d, text.p[i], out);
	if (ok && finish(&d, out))
		return 0;
	out->n = before;
	return ERR_MALFORMED;
}
