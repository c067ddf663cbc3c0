/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists and OCSP responses: see statement.h.
 */
#include "certs/statement.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/ipc/frame.h"

#include <gnutls/crypto.h>

enum { HASH_MAX = 32, REASON_MAX = 10 /* of CRLReason */ };

#define OID_AUTHORITY_KEY "2.5.29.35"
#define OID_CRL_NUMBER    "2.5.29.20"
#define OID_REASON        "2.5.29.21"
#define OID_OCSP_BASIC    "1.3.6.1.5.5.7.48.1.1"
#define OID_OCSP_NONCE    "1.3.6.1.5.5.7.48.1.2"
#define OID_SHA1          "1.3.14.3.2.26"
#define OID_SHA256        "2.16.840.1.101.3.4.2.1"

/* ---- signing ----------------------------------------------------------------------------------
 */

static const struct algorithm {
	const char *kind; /* as key_kind says */
	const char *oid;
	bool null; /* has parameters: NULL */
	gnutls_sign_algorithm_t sign;
} algorithms[] = {
	{"P-256", "1.2.840.10045.4.3.2", false, GNUTLS_SIGN_ECDSA_SHA256},
	{"P-384", "1.2.840.10045.4.3.3", false, GNUTLS_SIGN_ECDSA_SHA384},
	{"Ed25519", "1.3.101.112", false, GNUTLS_SIGN_EDDSA_ED25519},
	{"RSA", "1.2.840.113549.1.1.11", true, GNUTLS_SIGN_RSA_SHA256},
};

static const struct algorithm *algorithm_of(const struct key *key)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (strcmp(algorithms[i].kind, key_kind(key)) == 0)
			return &algorithms[i];
	return NULL;
}

static void put_algorithm(struct buf *b, const char *oid, bool null)
{
	const size_t mark = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	if (null)
		der_put(b, DER_NULL, STR(""));
	der_end(b, mark);
}

/* Wraps what stands behind the mark (to be signed, with its head) with algorithm and signature. */
static int sign(const struct statement *s, size_t tbs, struct buf *out, struct why *why)
{
	const struct algorithm *a = algorithm_of(s->key);
	const gnutls_datum_t data = {(unsigned char *)out->p + tbs, (unsigned)(out->n - tbs)};
	gnutls_datum_t signature;
	const int r = gnutls_privkey_sign_data2(key_handle(s->key), a->sign, 0, &data, &signature);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "signing failed: %s", gnutls_strerror(r));
	put_algorithm(out, a->oid, a->null);
	der_put_bits(out, str_make(signature.data, signature.size));
	gnutls_free(signature.data);
	return 0;
}

static int check(const struct statement *s, struct leaf *authority, struct why *why)
{
	if (leaf_read(buf_view(&s->authority->der), authority))
		return why_set(why, ERR_MALFORMED, "the authority's certificate cannot be read");
	if (!algorithm_of(s->key))
		return why_set(why, ERR_CRYPTO, "no signature is known for a key of the kind %s",
			       key_kind(s->key));
	CHECK(s->next_update - s->this_update <= STATEMENT_LIFE);
	return 0;
}

static size_t begin_extension(struct buf *b, const char *oid, size_t *outer)
{
	*outer = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	return der_begin(b, DER_OCTET_STRING);
}

static void end_extension(struct buf *b, size_t value, size_t outer)
{
	der_end(b, value);
	der_end(b, outer);
}

/* ---- lists ------------------------------------------------------------------------------------
 */

/* What entries have in common is encoded once: the extensions for each reason, the day of a time.
 */
struct encoded {
	struct buf reason[REASON_MAX + 1];
	int64_t day; /* of text, 0: none */
	char text[sizeof("\x17\x0dYYMMDDhhmmssZ")];
};

static void encoded_fini(struct encoded *e)
{
	for (size_t i = 0; i <= REASON_MAX; i++)
		buf_fini(&e->reason[i]);
}
#define AUTO_ENCODED __attribute__((cleanup(encoded_fini))) struct encoded

static void put_two(char *p, int64_t n)
{
	p[0] = (char)('0' + n / 10);
	p[1] = (char)('0' + n % 10);
}

/* As der_put_time, at a fifth of its price when the day is that of the entry before. */
static void put_time(struct encoded *e, int64_t at, struct buf *b)
{
	const size_t n = sizeof(e->text) - 1;
	if (at / DAY != e->day) {
		AUTO_BUF whole = {0};
		der_put_time(&whole, at);
		if (whole.n != n) {
			buf_str(b, buf_view(&whole)); /* from 2050 on, of another form */
			return;
		}
		memcpy(e->text, whole.p, n);
		e->day = at / DAY;
	}
	char *clock = e->text + sizeof("\x17\x0dYYMMDD") - 1;
	put_two(clock, at % DAY / 3600);
	put_two(clock + 2, at % 3600 / 60);
	put_two(clock + 4, at % 60);
	buf_put(b, e->text, n);
}

static void encode_reason(struct buf *b, uint8_t reason)
{
	size_t outer;
	const size_t list = der_begin(b, DER_SEQUENCE);
	const size_t value = begin_extension(b, OID_REASON, &outer);
	der_put(b, DER_ENUMERATED, str_make(&reason, 1));
	end_extension(b, value, outer);
	der_end(b, list);
}

/* An unspecified reason is left out (RFC 5280, 5.3.1). */
static void put_reason(struct encoded *e, uint8_t reason, struct buf *b)
{
	if (reason == REASON_UNSPECIFIED)
		return;
	if (e->reason[reason].n == 0)
		encode_reason(&e->reason[reason], reason);
	buf_str(b, buf_view(&e->reason[reason]));
}

static int put_entries(struct buf *b, struct str entries)
{
	struct cur c = cur_of(entries);
	struct str record;
	AUTO_ENCODED common = {0};
	if (!entries.n)
		return 0; /* an empty list has no such element (RFC 5280, 5.1.2.6) */
	const size_t list = der_begin(b, DER_SEQUENCE);
	while (entries_next(&c, &record)) {
		struct body_crl_entry e;
		if (body_crl_entry_get(record, &e) || e.serial.n == 0 || e.reason > REASON_MAX)
			return ERR_MALFORMED;
		const size_t entry = der_begin(b, DER_SEQUENCE);
		der_put_uint(b, e.serial);
		put_time(&common, (int64_t)MIN(e.revoked_at, (uint64_t)UINT32_MAX), b);
		put_reason(&common, e.reason, b);
		der_end(b, entry);
	}
	der_end(b, list);
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

static void put_list_extensions(const struct statement *s, uint64_t number, struct buf *b)
{
	size_t outer;
	const size_t explicit = der_begin(b, DER_CONTEXT_OPEN | 0);
	const size_t list = der_begin(b, DER_SEQUENCE);
	size_t value = begin_extension(b, OID_AUTHORITY_KEY, &outer);
	const size_t id = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_CONTEXT | 0, str_make(s->authority->key_id, KEY_ID_LEN));
	der_end(b, id);
	end_extension(b, value, outer);
	value = begin_extension(b, OID_CRL_NUMBER, &outer);
	der_put_number(b, number);
	end_extension(b, value, outer);
	der_end(b, list);
	der_end(b, explicit);
}

int statement_list(const struct statement *s, uint64_t number, struct str entries, struct buf *out,
		   struct why *why)
{
	struct leaf authority;
	int err = check(s, &authority, why);
	if (err)
		return err;
	const struct algorithm *a = algorithm_of(s->key);
	const size_t whole = der_begin(out, DER_SEQUENCE);
	const size_t tbs = out->n;
	const size_t mark = der_begin(out, DER_SEQUENCE);
	der_put_number(out, 1); /* version 2 */
	put_algorithm(out, a->oid, a->null);
	buf_str(out, authority.subject);
	der_put_time(out, s->this_update);
	der_put_time(out, s->next_update);
	if (put_entries(out, entries))
		return why_set(why, ERR_MALFORMED, "the entries of the list are damaged");
	put_list_extensions(s, number, out);
	der_end(out, mark);
	err = sign(s, tbs, out, why);
	der_end(out, whole);
	return err;
}

/* ---- OCSP -------------------------------------------------------------------------------------
 */

struct issuer_hash {
	struct str name;
	struct str key; /* the bits of its public key */
};

static struct str hash(struct str data, bool sha1, unsigned char out[HASH_MAX])
{
	const gnutls_digest_algorithm_t how = sha1 ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256;
	CHECK(gnutls_hash_fast(how, data.p, data.n, out) == 0);
	return str_make(out, sha1 ? 20 : 32);
}

static void put_certificate_id(struct buf *b, const struct issuer_hash *issuer,
			       const struct body_ocsp_answer *a)
{
	unsigned char digest[HASH_MAX];
	const size_t id = der_begin(b, DER_SEQUENCE);
	put_algorithm(b, a->sha1 ? OID_SHA1 : OID_SHA256, true);
	der_put(b, DER_OCTET_STRING, hash(issuer->name, a->sha1, digest));
	der_put(b, DER_OCTET_STRING, hash(issuer->key, a->sha1, digest));
	der_put_uint(b, a->serial);
	der_end(b, id);
}

static void put_status(struct buf *b, const struct body_ocsp_answer *a)
{
	if (a->status != OCSP_REVOKED) {
		der_put(b, DER_CONTEXT | a->status, STR("")); /* good [0], unknown [2] */
		return;
	}
	const size_t revoked = der_begin(b, DER_CONTEXT_OPEN | OCSP_REVOKED);
	der_put_generalized_time(b, (int64_t)MIN(a->revoked_at, (uint64_t)UINT32_MAX));
	if (a->reason != REASON_UNSPECIFIED) {
		const size_t reason = der_begin(b, DER_CONTEXT_OPEN | 0);
		der_put(b, DER_ENUMERATED, str_make(&a->reason, 1));
		der_end(b, reason);
	}
	der_end(b, revoked);
}

static int put_answers(const struct statement *s, const struct issuer_hash *issuer,
		       struct str answers, struct buf *b)
{
	struct cur c = cur_of(answers);
	struct str record;
	size_t n = 0;
	const size_t list = der_begin(b, DER_SEQUENCE);
	for (; entries_next(&c, &record); n++) {
		struct body_ocsp_answer a;
		if (n == OCSP_ANSWERS_MAX || body_ocsp_answer_get(record, &a) ||
		    a.status > OCSP_UNKNOWN || a.reason > REASON_MAX)
			return ERR_MALFORMED;
		const size_t one = der_begin(b, DER_SEQUENCE);
		put_certificate_id(b, issuer, &a);
		put_status(b, &a);
		der_put_generalized_time(b, s->this_update);
		const size_t next = der_begin(b, DER_CONTEXT_OPEN | 0);
		der_put_generalized_time(b, s->next_update);
		der_end(b, next);
		der_end(b, one);
	}
	der_end(b, list);
	return n && cur_ok(&c) ? 0 : ERR_MALFORMED;
}

static void put_nonce(struct buf *b, struct str nonce)
{
	size_t outer;
	if (nonce.n == 0)
		return;
	const size_t explicit = der_begin(b, DER_CONTEXT_OPEN | 1);
	const size_t list = der_begin(b, DER_SEQUENCE);
	const size_t value = begin_extension(b, OID_OCSP_NONCE, &outer);
	buf_str(b, nonce);
	end_extension(b, value, outer);
	der_end(b, list);
	der_end(b, explicit);
}

/* BasicOCSPResponse, RFC 6960, 4.2.1. The responder is the authority itself, named by its key. */
static int put_basic(const struct statement *s, struct str answers, struct str nonce, struct buf *b,
		     struct why *why)
{
	struct leaf authority;
	unsigned char digest[HASH_MAX];
	int err = check(s, &authority, why);
	if (err)
		return err;
	const struct issuer_hash issuer = {authority.subject, der_key_bits(authority.spki)};
	const size_t whole = der_begin(b, DER_SEQUENCE);
	const size_t tbs = b->n;
	const size_t data = der_begin(b, DER_SEQUENCE);
	const size_t responder = der_begin(b, DER_CONTEXT_OPEN | 2);
	der_put(b, DER_OCTET_STRING, hash(issuer.key, true, digest));
	der_end(b, responder);
	der_put_generalized_time(b, s->this_update);
	if (put_answers(s, &issuer, answers, b))
		return why_set(why, ERR_MALFORMED, "the answers are damaged");
	put_nonce(b, nonce);
	der_end(b, data);
	err = sign(s, tbs, b, why);
	der_end(b, whole);
	return err;
}

int statement_ocsp(const struct statement *s, struct str answers, struct str nonce, struct buf *out,
		   struct why *why)
{
	static const unsigned char successful = 0;
	if (nonce.n > OCSP_NONCE_MAX)
		return why_set(why, ERR_LIMIT, "a nonce of %zu bytes; at most %d", nonce.n,
			       OCSP_NONCE_MAX);
	const size_t whole = der_begin(out, DER_SEQUENCE);
	der_put(out, DER_ENUMERATED, str_make(&successful, 1));
	const size_t explicit = der_begin(out, DER_CONTEXT_OPEN | 0);
	const size_t bytes = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_OCSP_BASIC);
	const size_t octets = der_begin(out, DER_OCTET_STRING);
	const int err = put_basic(s, answers, nonce, out, why);
	der_end(out, octets);
	der_end(out, bytes);
	der_end(out, explicit);
	der_end(out, whole);
	return err;
}
