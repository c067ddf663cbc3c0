/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request: see http_head.h.
 */
#include "daemon/web/http_head.h"
#include "daemon/base/err.h"
#include "daemon/web/http.h"

#include <stdio.h>
#include <strings.h>

enum field { HOST, LENGTH, CODING, OTHERS };

/* Those that something here reads, and reads once. */
static const char *const once[] = {
	[HOST] = "Host",
	[LENGTH] = "Content-Length",
	[CODING] = "Transfer-Encoding",
	[OTHERS] = "Authorization",
	"Content-Encoding",
	"Content-Type",
	"Cookie",
	"Expect",
	"Idempotency-Key",
	"If-Match",
	"If-None-Match",
	"Last-Event-ID",
	"Origin",
	"X-Gatehouse-Page",
};

static bool is_token(const char *s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	const char *c = s;
	while ((*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') ||
	       (*c && strchr(others, *c)))
		c++;
	return *c == '\0' && c > s;
}

void http_head_take(struct http_head *h, const char *name, struct str value)
{
	h->misnamed |= !is_token(name);
	for (size_t i = 0; i < ARRAY_LEN(once); i++) {
		const uint32_t bit = (uint32_t)1 << i;
		if (strcasecmp(name, once[i]) != 0)
			continue;
		h->twice |= h->seen & bit;
		h->seen |= bit;
		h->coded |=
			i == CODING && !(value.n == 7 && strncasecmp(value.p, "chunked", 7) == 0);
	}
}

static bool has(const struct http_head *h, enum field f)
{
	return h->seen >> f & 1;
}

unsigned http_head_judge(const struct http_head *h, const char *version, char why[96])
{
	for (size_t i = 0; i < ARRAY_LEN(once); i++) {
		if (!(h->twice >> i & 1))
			continue;
		snprintf(why, 96, "the field %s is given twice", once[i]);
		return 400;
	}
	if (h->misnamed) {
		snprintf(why, 96, "the name of a field is none");
		return 400;
	}
	if (!has(h, HOST) && strcmp(version, "HTTP/1.1") == 0) {
		snprintf(why, 96, "the field Host is missing");
		return 400;
	}
	if (has(h, LENGTH) && has(h, CODING)) {
		snprintf(why, 96, "give Content-Length or Transfer-Encoding, not both");
		return 400;
	}
	if (h->coded) {
		snprintf(why, 96, "of the transfer codings only chunked is known");
		return 501;
	}
	return 0;
}

/* Behind "scheme://authority"; a target in origin form as it is. */
static struct str behind_authority(struct str target)
{
	static const char *const schemes[] = {"https://", "http://"};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		const size_t n = strlen(schemes[i]);
		if (target.n < n || strncasecmp(target.p, schemes[i], n) != 0)
			continue;
		size_t at = n;
		while (at < target.n && target.p[at] != '/' && target.p[at] != '?')
			at++;
		return str_make(target.p + at, target.n - at);
	}
	return target;
}

struct str http_head_path(struct str target)
{
	const struct str rest = behind_authority(target);
	const char *query = rest.n ? memchr(rest.p, '?', rest.n) : NULL;
	const struct str path = str_make(rest.p, query ? (size_t)(query - rest.p) : rest.n);
	return path.n ? path : STR("/");
}

int http_decode(struct str s, bool plus, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char byte = (unsigned char)s.p[i];
		if (byte == '%') {
			if (s.n - i < 3 || hex_decode((struct str){s.p + i + 1, 2}, &byte, 1))
				return ERR_MALFORMED;
			i += 2;
		} else if (plus && byte == '+') {
			byte = ' ';
		}
		buf_putc(out, (char)byte);
	}
	return 0;
}
