/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP requests: see ocsp.h.
 */
#include "certs/ocsp.h"
#include "certs/der.h"
#include "daemon/base/err.h"

enum { SHA1_BYTES = 20, SHA256_BYTES = 32 };

#define OID_SHA1   "1.3.14.3.2.26"
#define OID_SHA256 "2.16.840.1.101.3.4.2.1"
#define OID_NONCE  "1.3.6.1.5.5.7.48.1.2"

/* What a reader found beside malformed bytes. */
struct reading {
	struct ocsp_request request;
	bool too_much;
	bool critical; /* an extension that must be understood and is not */
	bool known;    /* a question names its authority by a hash that we have */
};

static struct str magnitude(struct str serial)
{
	while (serial.n > 1 && serial.p[0] == 0) {
		serial.p++;
		serial.n--;
	}
	return serial;
}

static void read_certificate_id(struct cur *c, struct ocsp_question *q)
{
	struct cur id = der_open(c, DER_SEQUENCE);
	struct cur algorithm = der_open(&id, DER_SEQUENCE);
	const struct str oid = der_get(&algorithm, DER_OID);
	q->name_hash = der_get(&id, DER_OCTET_STRING);
	q->key_hash = der_get(&id, DER_OCTET_STRING);
	q->serial = der_get(&id, DER_INTEGER);
	q->sha1 = der_oid_is(oid, OID_SHA1);
	const size_t n = q->sha1 ? SHA1_BYTES : SHA256_BYTES;
	/* Another hash, or not as long as one: no authority is meant. */
	if ((!q->sha1 && !der_oid_is(oid, OID_SHA256)) || q->name_hash.n != n || q->key_hash.n != n)
		q->name_hash = q->key_hash = STR("");
	if (!cur_ok(&algorithm) || !cur_done(&id) || q->serial.n == 0)
		cur_fail(c);
}

static void read_extensions(struct cur *c, struct reading *r, bool whole)
{
	struct cur list = der_open(c, DER_SEQUENCE);
	while (cur_left(&list)) {
		bool critical = false;
		struct cur e = der_open(&list, DER_SEQUENCE);
		const struct str oid = der_get(&e, DER_OID);
		if (der_peek(&e) == DER_BOOLEAN) {
			const struct str flag = der_get(&e, DER_BOOLEAN);
			critical = flag.n == 1 && flag.p[0];
		}
		const struct str value = der_get(&e, DER_OCTET_STRING);
		if (!cur_done(&e))
			cur_fail(&list);
		else if (whole && der_oid_is(oid, OID_NONCE))
			r->request.nonce = value;
		else
			r->critical |= critical;
	}
	if (!cur_done(&list))
		cur_fail(c);
}

static void read_question(struct cur *list, struct reading *r)
{
	struct ocsp_question q = {0};
	struct cur one = der_open(list, DER_SEQUENCE);
	read_certificate_id(&one, &q);
	if (cur_left(&one)) {
		struct cur extensions = der_open(&one, DER_CONTEXT_OPEN | 0);
		read_extensions(&extensions, r, false);
		if (!cur_done(&extensions))
			cur_fail(&one);
	}
	if (!cur_done(&one)) {
		cur_fail(list);
		return;
	}
	const bool negative = (uint8_t)q.serial.p[0] & 0x80;
	q.serial = magnitude(q.serial);
	if (negative || q.serial.n > OCSP_SERIAL_MAX)
		q.name_hash = q.key_hash = q.serial = STR("");
	r->known |= q.name_hash.n != 0;
	if (r->request.n == OCSP_QUESTIONS_MAX)
		r->too_much = true;
	else
		r->request.question[r->request.n++] = q;
}

/* TBSRequest, 4.1.1. */
static void read_tbs(struct cur *tbs, struct reading *r)
{
	if (der_peek(tbs) == (DER_CONTEXT_OPEN | 0))
		der_read(tbs); /* version */
	if (der_peek(tbs) == (DER_CONTEXT_OPEN | 1))
		der_read(tbs); /* requestorName */
	struct cur list = der_open(tbs, DER_SEQUENCE);
	while (cur_left(&list))
		read_question(&list, r);
	if (!cur_done(&list))
		cur_fail(tbs);
	if (der_peek(tbs) == (DER_CONTEXT_OPEN | 2)) {
		struct cur extensions = der_open(tbs, DER_CONTEXT_OPEN | 2);
		read_extensions(&extensions, r, true);
		if (!cur_done(&extensions))
			cur_fail(tbs);
	}
}

int ocsp_request_read(struct str der, struct ocsp_request *out)
{
	struct reading r = {0};
	if (der.n > OCSP_REQUEST_MAX)
		return ERR_LIMIT;
	struct cur c = cur_of(der);
	struct cur outer = der_open(&c, DER_SEQUENCE);
	struct cur tbs = der_open(&outer, DER_SEQUENCE);
	read_tbs(&tbs, &r);
	if (der_peek(&outer) == (DER_CONTEXT_OPEN | 0))
		der_read(&outer); /* optionalSignature */
	if (!cur_done(&c) || !cur_done(&outer) || !cur_done(&tbs) || r.request.n == 0)
		return ERR_MALFORMED;
	if (r.too_much || r.request.nonce.n > OCSP_NONCE_VALUE_MAX)
		return ERR_LIMIT;
	if (r.critical || !r.known)
		return ERR_INVALID;
	*out = r.request;
	return 0;
}

void ocsp_error(unsigned status, struct buf *out)
{
	const unsigned char value = (unsigned char)status;
	const size_t whole = der_begin(out, DER_SEQUENCE);
	der_put(out, DER_ENUMERATED, str_make(&value, 1));
	der_end(out, whole);
}
