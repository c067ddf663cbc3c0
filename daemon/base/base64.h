/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648), in one pass and linear in the bytes. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

/* What a decoder takes beside the strict form of section 4: whole groups, padding at the end only,
 * no other character. Bits that stand for nothing must be zero in every form. */
enum base64_form {
	BASE64_STRICT = 0,
	BASE64_BLANKS = 1,   /* spaces, tabs, CR and LF anywhere, as in PEM and MIME */
	BASE64_UNPADDED = 2, /* padding may be absent */
	BASE64_URL = 4,      /* the alphabet of section 5: - and _ in place of + and / */
};

/* Characters that n bytes become with their padding; the most bytes that n characters can hold. */
static inline size_t base64_encoded_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

static inline size_t base64_decoded_max(size_t n)
{
	return n / 4 * 3 + 3;
}

/* Appends the text, padded, in one line. */
void base64_encode(struct str bytes, struct buf *out);
/* The same in the alphabet of section 5, without padding. */
void base64url_encode(struct str bytes, struct buf *out);
/* Appends the bytes; forms is any of enum base64_form, joined. An empty text is no bytes. Grows
 * *out once, before the first byte, so that a buffer of secrets leaves no copy behind. 0 or
 * ERR_MALFORMED; then *out is as before. */
int base64_decode(struct str text, unsigned forms, struct buf *out) MUST_CHECK;
