/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of other authorities: see leaf.h.
 */
#include "certs/leaf.h"
#include "certs/csr.h"
#include "certs/der.h"
#include "certs/pem.h"
#include "daemon/base/err.h"

enum {
	SERIAL_MAX = 20,          /* RFC 5280, 4.1.2.2 */
	KEY_CERT_SIGN_BYTE = 0,   /* keyUsage is a BIT STRING: bit 5 of the first byte */
	KEY_CERT_SIGN_BIT = 0x04, /* RFC 5280, 4.2.1.3 */
	NAME_MAIL = 0x81,         /* GeneralName, RFC 5280, 4.2.1.6: implicit tags 1, 2, 6 */
	NAME_DNS = 0x82,
	NAME_URI = 0x86,
};

#define OID_COMMON_NAME "2.5.4.3"
#define OID_KEY_USAGE   "2.5.29.15"
#define OID_SUBJECT_ALT "2.5.29.17"
#define OID_BASIC       "2.5.29.19"
#define OID_PURPOSE     "2.5.29.37"
#define OID_CLIENT_AUTH "1.3.6.1.5.5.7.3.2"

static void read_subject(struct str subject, struct leaf *leaf, struct cur *fail)
{
	struct cur whole = cur_of(subject);
	struct cur c = der_open(&whole, DER_SEQUENCE);
	while (cur_left(&c)) {
		struct cur set = der_open(&c, DER_SET);
		while (cur_left(&set)) {
			struct cur pair = der_open(&set, DER_SEQUENCE);
			const struct str oid = der_get(&pair, DER_OID);
			const struct str value = der_read(&pair).body;
			if (!cur_done(&pair))
				cur_fail(fail);
			else if (der_oid_is(oid, OID_COMMON_NAME) && leaf->cn_n++ == 0)
				leaf->cn = value;
		}
		if (!cur_done(&set))
			cur_fail(fail);
	}
	if (!cur_done(&c))
		cur_fail(fail);
}

static void read_purposes(struct cur *value, struct leaf *leaf)
{
	struct cur list = der_open(value, DER_SEQUENCE);
	leaf->has_purpose = true;
	while (cur_left(&list))
		leaf->client_auth |= der_oid_is(der_get(&list, DER_OID), OID_CLIENT_AUTH);
	if (!cur_done(&list))
		cur_fail(value);
}

static void read_basic(struct cur *value, struct leaf *leaf)
{
	struct cur basic = der_open(value, DER_SEQUENCE);
	if (der_peek(&basic) == DER_BOOLEAN) {
		const struct str ca = der_get(&basic, DER_BOOLEAN);
		leaf->ca = ca.n == 1 && ca.p[0];
	}
	if (!cur_ok(&basic))
		cur_fail(value);
}

static void read_usage(struct cur *value, struct leaf *leaf)
{
	const struct str bits = der_get(value, DER_BIT_STRING);
	if (bits.n > 1 + KEY_CERT_SIGN_BYTE)
		leaf->key_cert_sign = (uint8_t)bits.p[1 + KEY_CERT_SIGN_BYTE] & KEY_CERT_SIGN_BIT;
}

static void read_extension(struct cur *extensions, struct leaf *leaf)
{
	struct cur e = der_open(extensions, DER_SEQUENCE);
	const struct str oid = der_get(&e, DER_OID);
	if (der_peek(&e) == DER_BOOLEAN)
		der_read(&e);
	struct cur value = der_open(&e, DER_OCTET_STRING);
	if (!cur_done(&e)) {
		cur_fail(extensions);
		return;
	}
	if (der_oid_is(oid, OID_BASIC))
		read_basic(&value, leaf);
	else if (der_oid_is(oid, OID_KEY_USAGE))
		read_usage(&value, leaf);
	else if (der_oid_is(oid, OID_PURPOSE))
		read_purposes(&value, leaf);
	else if (der_oid_is(oid, OID_SUBJECT_ALT))
		leaf->names = der_get(&value, DER_SEQUENCE);
	if (!cur_ok(&value))
		cur_fail(extensions);
}

/* [1] and [2] are unique identifiers, [3] the extensions. */
static void read_tail(struct cur *tbs, struct leaf *leaf)
{
	while (cur_left(tbs)) {
		if (der_peek(tbs) != (DER_CONTEXT_OPEN | 3)) {
			der_read(tbs);
			continue;
		}
		struct cur outer = der_open(tbs, DER_CONTEXT_OPEN | 3);
		struct cur list = der_open(&outer, DER_SEQUENCE);
		while (cur_left(&list))
			read_extension(&list, leaf);
		if (!cur_done(&list) || !cur_done(&outer))
			cur_fail(tbs);
	}
}

static unsigned read_version(struct cur *tbs)
{
	if (der_peek(tbs) != DER_CONTEXT_OPEN)
		return 1;
	struct cur outer = der_open(tbs, DER_CONTEXT_OPEN);
	const struct str n = der_get(&outer, DER_INTEGER);
	if (!cur_done(&outer) || n.n != 1 || (uint8_t)n.p[0] > 2)
		cur_fail(tbs);
	return cur_ok(tbs) ? (unsigned)(uint8_t)n.p[0] + 1 : 0;
}

int leaf_read(struct str der, struct leaf *out)
{
	struct leaf leaf = {0};
	struct cur c = cur_of(der);
	struct cur outer = der_open(&c, DER_SEQUENCE);
	struct cur tbs = der_open(&outer, DER_SEQUENCE);
	leaf.version = read_version(&tbs);
	leaf.serial = der_get(&tbs, DER_INTEGER);
	der_get(&tbs, DER_SEQUENCE);
	leaf.issuer = der_read(&tbs).whole;
	struct cur validity = der_open(&tbs, DER_SEQUENCE);
	leaf.not_before = der_get_time(&validity);
	leaf.not_after = der_get_time(&validity);
	leaf.subject = der_read(&tbs).whole;
	leaf.spki = der_read(&tbs).whole;
	read_tail(&tbs, &leaf);
	if (!cur_done(&validity))
		cur_fail(&tbs);
	read_subject(leaf.subject, &leaf, &tbs);
	der_get(&outer, DER_SEQUENCE);
	der_get(&outer, DER_BIT_STRING);
	if (!cur_done(&c) || !cur_done(&outer) || !cur_done(&tbs) || leaf.serial.n == 0)
		return ERR_MALFORMED;
	*out = leaf;
	return 0;
}

bool leaf_next_name(struct cur *c, struct str *name)
{
	while (cur_left(c)) {
		const struct der d = der_read(c);
		if (d.tag != NAME_MAIL && d.tag != NAME_DNS && d.tag != NAME_URI)
			continue;
		*name = d.body;
		return true;
	}
	return false;
}

struct str leaf_serial(const struct leaf *leaf)
{
	struct str s = leaf->serial;
	while (s.n > 1 && s.p[0] == 0) {
		s.p++;
		s.n--;
	}
	return s;
}

static bool serial_ok(const struct leaf *leaf)
{
	const struct str s = leaf_serial(leaf);
	const bool zero = s.n == 1 && s.p[0] == 0;
	return !zero && leaf->serial.n <= SERIAL_MAX && (uint8_t)leaf->serial.p[0] < 0x80;
}

int leaf_lint(const struct leaf *leaf, enum leaf_lint lint, struct why *why)
{
	if (leaf->ca)
		return why_set(why, ERR_INVALID,
			       "it is the certificate of an authority (CA:TRUE), not of a device");
	if (leaf->key_cert_sign)
		return why_set(
			why, ERR_INVALID,
			"it may sign certificates (key usage keyCertSign): no device should");
	if (leaf->has_purpose && !leaf->client_auth)
		return why_set(why, ERR_INVALID, "its extended key usage does not name clientAuth");
	if (lint == LEAF_LEGACY)
		return 0;
	if (leaf->version != 3)
		return why_set(why, ERR_INVALID, "it is of X.509 version %u, not 3", leaf->version);
	if (!leaf->has_purpose)
		return why_set(why, ERR_INVALID, "it has no extended key usage with clientAuth");
	if (!serial_ok(leaf))
		return why_set(why, ERR_INVALID,
			       "its serial number is not a positive one of at most 20 bytes");
	return 0;
}

static int from_pem(struct str input, struct buf *der, struct why *why)
{
	struct str label = {NULL, 0};
	if (pem_next(&input, &label, der))
		return why_set(why, ERR_MALFORMED, "this is no certificate: neither DER nor PEM");
	if (!str_is(label, "CERTIFICATE"))
		return why_set(why, ERR_MALFORMED,
			       "the first PEM block is \"%.*s\"; it must be the CERTIFICATE",
			       (int)MIN(label.n, (size_t)40), label.p);
	return 0;
}

int leaf_parse(struct str input, struct buf *der, struct leaf *out, struct why *why)
{
	struct spki_facts key;
	struct leaf leaf;
	if (input.n > LEAF_MAX)
		return why_set(why, ERR_LIMIT, "the certificate has %zu bytes; at most %d", input.n,
			       LEAF_MAX);
	der->n = 0;
	if (input.n && (uint8_t)input.p[0] == DER_SEQUENCE)
		buf_str(der, input);
	int err = der->n ? 0 : from_pem(input, der, why);
	if (!err && leaf_read(buf_view(der), &leaf))
		err = why_set(why, ERR_MALFORMED, "the certificate is damaged: not the DER of one");
	if (!err)
		err = leaf_lint(&leaf, LEAF_LEGACY, why);
	if (!err)
		err = spki_check(leaf.spki, &key, why);
	if (err)
		return err;
	*out = leaf;
	return 0;
}
