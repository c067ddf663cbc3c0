/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking certificates up: see op_cert_find.h.
 */
#include "db/op_cert_find.h"
#include "db/op_cert.h"

enum { DIGITS_MAX = 64, SERIAL_MAX = 20, FINGERPRINT = 32 };

/* Lower-case digits without colons and blanks. False: something else is in it, or too many. */
static bool normalise(struct str text, char out[DIGITS_MAX + 1], size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < text.n; i++) {
		const char ch = text.p[i];
		if (ch == ':' || ch == ' ')
			continue;
		const char *digits = "0123456789abcdef0123456789ABCDEF";
		const char *at = ch ? strchr(digits, ch) : NULL;
		if (!at || *n == DIGITS_MAX)
			return false;
		out[(*n)++] = digits[(at - digits) % 16];
	}
	out[*n] = 0;
	return true;
}

/* The least or greatest number of `size` bytes that begins with these digits. */
static void bound(const char *digits, size_t n, char fill, size_t size, unsigned char *out)
{
	char padded[2 * FINGERPRINT + 1];
	memset(padded, fill, sizeof(padded));
	memcpy(padded, digits, MIN(n, 2 * size));
	hex_decode(str_make(padded, 2 * size), out, size);
}

/* Counts what matches and gives one of them. */
static int64_t search(struct sql *db, const char *digits, size_t n, int64_t *id)
{
	unsigned char fp_low[FINGERPRINT];
	unsigned char fp_high[FINGERPRINT];
	unsigned char serial_low[SERIAL_MAX];
	unsigned char serial_high[SERIAL_MAX];
	const size_t low_size = MIN((n + 1) / 2, (size_t)SERIAL_MAX);
	bound(digits, n, '0', FINGERPRINT, fp_low);
	bound(digits, n, 'f', FINGERPRINT, fp_high);
	bound(digits, n, '0', low_size, serial_low);
	bound(digits, n, 'f', SERIAL_MAX, serial_high);
	const bool may_be_serial = n <= (size_t)2 * SERIAL_MAX;
	AUTO_QUERY q = SQL_QUERY(
		db,
		"SELECT id FROM cert WHERE fp BETWEEN ?1 AND ?2 UNION "
		"SELECT id FROM cert WHERE ?5 AND serial BETWEEN ?3 AND ?4 LIMIT 2",
		sql_blob(str_make(fp_low, sizeof(fp_low))),
		sql_blob(str_make(fp_high, sizeof(fp_high))),
		sql_blob(str_make(serial_low, low_size)),
		sql_blob(str_make(serial_high, sizeof(serial_high))), sql_int(may_be_serial));
	int64_t found = 0;
	while (sql_next(&q)) {
		*id = sql_at_int(&q, 0);
		found++;
	}
	return found;
}

bool cert_find(struct op_call *c, struct str text, int64_t *id)
{
	char digits[DIGITS_MAX + 1];
	size_t n;
	if (!normalise(text, digits, &n) || n < CERT_PREFIX_MIN) {
		op_refuse(c, OP_INVALID, "id",
			  "\"%.*s\" is no fingerprint or serial number: give %d to %d hexadecimal "
			  "digits, as cert list shows them",
			  STR_ARG(text), CERT_PREFIX_MIN, DIGITS_MAX);
		return false;
	}
	const int64_t found = search(c->s->registry, digits, n, id);
	if (found == 1)
		return true;
	if (found == 0)
		op_refuse(c, OP_NOT_FOUND, "id", "there is no certificate %s", digits);
	else
		op_refuse(c, OP_INVALID, "id",
			  "%s is the beginning of more than one certificate: give more digits",
			  digits);
	return false;
}

static const struct {
	int reason;
	const char *word;
} reasons[] = {
	{REASON_UNSPECIFIED, "unspecified"},
	{REASON_KEY_COMPROMISE, "key-compromise"},
	{REASON_SUPERSEDED, "superseded"},
	{REASON_CESSATION, "cessation"},
	{REASON_AFFILIATION, "affiliation-changed"},
	{REASON_PRIVILEGE, "privilege-withdrawn"},
	{REASON_HOLD, "hold"},
	{REASON_CA_COMPROMISE, "ca-compromise"},
};

const char *cert_reason_word(int reason)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].word;
	return "unspecified";
}

bool cert_reason(struct op_call *c, int *reason)
{
	struct str word;
	*reason = REASON_UNSPECIFIED;
	if (!op_str(c, "reason", &word))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (!str_is(word, reasons[i].word) || reasons[i].reason == REASON_HOLD ||
		    reasons[i].reason == REASON_CA_COMPROMISE)
			continue;
		*reason = reasons[i].reason;
		return true;
	}
	op_refuse(c, OP_INVALID, "reason",
		  "\"%.*s\" is no reason; allowed are unspecified, key-compromise, superseded, "
		  "cessation, affiliation-changed, privilege-withdrawn (and cert hold, which can "
		  "be taken "
		  "back)",
		  STR_ARG(word));
	return false;
}
