/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking certificates up: see op_cert_find.h.
 */
#include "db/op_cert_find.h"
#include "db/op_cert.h"

enum { DIGITS_MAX = 2 * CERT_FINGERPRINT };

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
	char padded[2 * CERT_FINGERPRINT + 1];
	memset(padded, fill, sizeof(padded));
	memcpy(padded, digits, MIN(n, 2 * size));
	hex_decode(str_make(padded, 2 * size), out, size);
}

static void range_of(const char *digits, size_t n, struct cert_range *out)
{
	out->serial_low = n <= (size_t)2 * CERT_SERIAL_MAX ? (n + 1) / 2 : 0;
	bound(digits, n, '0', CERT_FINGERPRINT, out->fp[0]);
	bound(digits, n, 'f', CERT_FINGERPRINT, out->fp[1]);
	bound(digits, n, '0', out->serial_low, out->serial[0]);
	bound(digits, n, 'f', CERT_SERIAL_MAX, out->serial[1]);
}

bool cert_range(struct str text, struct cert_range *out)
{
	char digits[DIGITS_MAX + 1];
	size_t n;
	if (!normalise(text, digits, &n) || n == 0)
		return false;
	range_of(digits, n, out);
	return true;
}

void cert_range_values(const struct cert_range *r, struct sql_value out[4])
{
	const bool serial = r->serial_low > 0;
	out[0] = sql_blob(str_make(r->fp[0], CERT_FINGERPRINT));
	out[1] = sql_blob(str_make(r->fp[1], CERT_FINGERPRINT));
	out[2] = serial ? sql_blob(str_make(r->serial[0], r->serial_low)) : sql_null();
	out[3] = sql_blob(str_make(r->serial[1], CERT_SERIAL_MAX));
}

/* Counts what matches and gives one of them. */
static int64_t search(struct sql *db, const char *digits, size_t n, int64_t *id)
{
	struct cert_range r;
	struct sql_value v[4];
	range_of(digits, n, &r);
	cert_range_values(&r, v);
	AUTO_QUERY q = SQL_QUERY(db,
				 "SELECT id FROM cert WHERE fp BETWEEN ?1 AND ?2 UNION "
				 "SELECT id FROM cert WHERE serial BETWEEN ?3 AND ?4 LIMIT 2",
				 v[0], v[1], v[2], v[3]);
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
