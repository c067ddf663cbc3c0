/* SPDX-License-Identifier: Apache-2.0
 *
 * struct str: a borrowed run of bytes with a length, never terminated, never owned.
 * struct buf: a growable run of bytes that its holder owns. {0} is an empty one.
 */
#pragma once

#include "daemon/base/defs.h"

#include <stdarg.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_ARG(s)   (int)(s).n, (s).p /* for "%.*s" */

static inline struct str str_of(const char *s)
{
	return (struct str){s, s ? strlen(s) : 0};
}

static inline struct str str_make(const void *p, size_t n)
{
	return (struct str){(const char *)p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *b)
{
	return str_eq(a, str_of(b));
}

int str_cmp(struct str a, struct str b); /* memcmp order, shorter first */
bool str_prefix(struct str s, struct str prefix);
/* The first place of needle in s, which may be empty; NULL: it is not in it. needle is not empty.
 */
const char *str_find(struct str s, const char *needle);
struct str str_trim(struct str s); /* without blanks, tabs, CR and LF at both ends */
char *str_dup(struct str s);       /* terminated copy; the caller frees it */
/* Splits *rest at the first SEP: returns the part before it and moves *rest behind it. A rest of
 * {NULL, 0} says that nothing is left (an empty rest after a trailing SEP has p != NULL). */
struct str str_split(struct str *rest, char sep);
/* Decimal number of 1..20 digits and nothing else, no more than max. 0 or ERR_MALFORMED, ERR_LIMIT.
 */
int str_u64(struct str s, uint64_t max, uint64_t *out);
/* Well-formed UTF-8 without U+0000 and without surrogates [MQTT-1.5.4-1, MQTT-1.5.4-2]. */
bool str_is_utf8(struct str s);
/* Has it a character that moves a cursor: U+0000 to U+001F, U+007F? */
bool str_has_control(struct str s);
/* At most max bytes of s; UTF-8 does not end inside a character. */
struct str str_head(struct str s, size_t max);
/* Puts '?' for what would move a terminal's cursor or end a line: C0 controls, DEL, and the C1
 * controls U+0080 to U+009F (two for each). */
void str_mask_controls(char *p, size_t n);
/* Lower-case hexadecimal. hex_decode: 0, or ERR_MALFORMED unless s is exactly 2 n digits. */
void hex_encode(const void *p, size_t n, char *out /* 2 n + 1 bytes */);
int hex_decode(struct str s, void *out, size_t n);
/* Number of single-character edits between a and b (for "did you mean"). */
size_t str_distance(struct str a, struct str b);

struct buf {
	char *p;
	size_t n;
	size_t cap;
};

void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
char *buf_reserve(struct buf *b,
		  size_t n); /* room for n more bytes behind p + n; the caller adds to n */
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
void buf_fini(struct buf *b);              /* frees; the buf is empty and usable again */
const char *buf_cstr(struct buf *b);       /* terminated view, valid until the next change */
static inline struct str buf_view(const struct buf *b)
{
	return (struct str){b->p, b->n};
}
#define AUTO_BUF __attribute__((cleanup(buf_fini))) struct buf
