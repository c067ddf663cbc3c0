/* SPDX-License-Identifier: Apache-2.0
 *
 * One-time passwords: see totp.h.
 */
#include "db/totp.h"
#include "db/hash.h"

enum { BASE32_BITS = 5 };

void totp_text(const unsigned char secret[TOTP_SECRET], char out[TOTP_TEXT])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned bits = 0;
	unsigned held = 0;
	size_t n = 0;
	for (size_t i = 0; i < TOTP_SECRET; i++) {
		bits = bits << 8 | secret[i];
		for (held += 8; held >= BASE32_BITS; held -= BASE32_BITS)
			out[n++] = letters[bits >> (held - BASE32_BITS) & 31];
	}
	out[n] = '\0';
}

unsigned totp_code(const unsigned char secret[TOTP_SECRET], int64_t step)
{
	unsigned char counter[8];
	unsigned char mac[SHA1_SIZE];
	for (int i = 7; i >= 0; i--, step >>= 8)
		counter[i] = (unsigned char)step;
	hash_hmac_sha1(str_make(secret, TOTP_SECRET), str_make(counter, sizeof(counter)), mac);
	const unsigned char *p = mac + (mac[SHA1_SIZE - 1] & 0x0f);
	const uint32_t value =
		(uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return value % 1000000;
}

static bool read_code(struct str text, unsigned *out)
{
	unsigned value = 0;
	unsigned digits = 0;
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		if (c == ' ')
			continue;
		if (c < '0' || c > '9' || ++digits > TOTP_DIGITS)
			return false;
		value = value * 10 + (unsigned)(c - '0');
	}
	*out = value;
	return digits == TOTP_DIGITS;
}

bool totp_check(const unsigned char secret[TOTP_SECRET], struct str text, int64_t now, int64_t used,
		int64_t *step)
{
	unsigned code;
	bool found = false;
	if (!read_code(text, &code))
		return false;
	for (int64_t at = now / TOTP_STEP_S - 1; at <= now / TOTP_STEP_S + 1; at++) {
		if (at <= used || totp_code(secret, at) != code)
			continue;
		*step = at;
		found = true;
	}
	return found;
}
