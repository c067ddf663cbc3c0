/* SPDX-License-Identifier: Apache-2.0
 *
 * PEM: see pem.h.
 */
#include "certs/pem.h"
#include "daemon/base/base64.h"
#include "daemon/base/err.h"

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define DASH  "-----"

static struct str from(struct str s, const char *p)
{
	return str_make(p, (size_t)(s.p + s.n - p));
}

int pem_next(struct str *rest, struct str *label, struct buf *der)
{
	const char *begin = str_find(*rest, BEGIN);
	if (!begin)
		return ERR_NOT_FOUND;
	struct str s = from(*rest, begin + strlen(BEGIN));
	const char *name_end = str_find(s, DASH);
	if (!name_end)
		return ERR_MALFORMED;
	const struct str name = str_make(s.p, (size_t)(name_end - s.p));
	s = from(s, name_end + strlen(DASH));
	const char *end = str_find(s, END);
	if (!end)
		return ERR_MALFORMED;
	const struct str body = str_make(s.p, (size_t)(end - s.p));
	s = from(s, end + strlen(END));
	if (!str_prefix(s, name) || !str_prefix(from(s, s.p + name.n), STR(DASH)))
		return ERR_MALFORMED;
	der->n = 0;
	if (base64_decode(body, BASE64_BLANKS | BASE64_UNPADDED, der))
		return ERR_MALFORMED;
	*label = name;
	*rest = from(s, s.p + name.n + strlen(DASH));
	return 0;
}

void pem_put(const char *label, struct str der, struct buf *out)
{
	enum { LINE_BYTES = 48 };
	buf_printf(out, BEGIN "%s" DASH "\n", label);
	for (size_t i = 0; i < der.n; i += LINE_BYTES) {
		base64_encode(str_make(der.p + i, MIN(der.n - i, (size_t)LINE_BYTES)), out);
		buf_putc(out, '\n');
	}
	buf_printf(out, END "%s" DASH "\n", label);
}
