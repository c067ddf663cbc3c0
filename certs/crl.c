/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists: see crl.h. Our own reader takes the list apart; of it GnuTLS sees only the
 * signed bytes, the signature, and the authority's certificate.
 */
#include "certs/crl.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>

enum { OID_TEXT = 64 };

#define OID_ISSUING_POINT "2.5.29.28"

struct list {
	struct buf der;
	struct str tbs; /* with its head: what is signed */
	struct str algorithm;
	struct str signature;
	struct str issuer;
	int64_t next_update;
	struct str *serial; /* sorted */
	size_t n;
	size_t room;
};

struct crl_set {
	struct ref ref;
	struct list list[CRL_LISTS_MAX];
	size_t n;
};

/* ---- reading ---- */

/* An extension of the list or an entry that changes its meaning is one we must know. An issuing
 * distribution point is fine unless it makes the list indirect or only for some reasons. */
static bool extension_ok(struct cur *extensions)
{
	struct cur e = der_open(extensions, DER_SEQUENCE);
	const struct str oid = der_get(&e, DER_OID);
	bool critical = false;
	if (der_peek(&e) == DER_BOOLEAN) {
		const struct str value = der_get(&e, DER_BOOLEAN);
		critical = value.n == 1 && value.p[0];
	}
	struct cur value = der_open(&e, DER_OCTET_STRING);
	if (!cur_done(&e)) {
		cur_fail(extensions);
		return true;
	}
	if (!critical)
		return true;
	if (!der_oid_is(oid, OID_ISSUING_POINT))
		return false;
	struct cur point = der_open(&value, DER_SEQUENCE);
	while (cur_left(&point)) {
		const uint8_t tag = der_read(&point).tag;
		/* onlySomeReasons [3], indirectCRL [4], onlyContainsAttributeCerts [5] */
		if (tag == (DER_CONTEXT | 3) || tag == (DER_CONTEXT | 4) ||
		    tag == (DER_CONTEXT | 5))
			return false;
	}
	return cur_done(&point);
}

static bool extensions_ok(struct cur *c)
{
	struct cur list = der_open(c, DER_SEQUENCE);
	bool ok = true;
	while (cur_left(&list))
		ok = extension_ok(&list) && ok;
	if (!cur_done(&list))
		cur_fail(c);
	return ok;
}

static struct str without_zeros(struct str s)
{
	while (s.n > 1 && s.p[0] == 0) {
		s.p++;
		s.n--;
	}
	return s;
}

static void add_serial(struct list *l, struct str serial)
{
	if (l->n == l->room) {
		l->room = MAX(l->room * 2, (size_t)64);
		l->serial = mem_grow(l->serial, l->room * sizeof(*l->serial));
	}
	l->serial[l->n++] = without_zeros(serial);
}

static bool read_entries(struct cur *tbs, struct list *l)
{
	struct cur entries = der_open(tbs, DER_SEQUENCE);
	bool ok = true;
	while (cur_left(&entries)) {
		struct cur e = der_open(&entries, DER_SEQUENCE);
		const struct str serial = der_get(&e, DER_INTEGER);
		der_get_time(&e);
		if (cur_left(&e))
			ok = extensions_ok(&e) && ok;
		if (!cur_done(&e) || serial.n == 0)
			cur_fail(&entries);
		else
			add_serial(l, serial);
	}
	if (!cur_done(&entries))
		cur_fail(tbs);
	return ok;
}

static bool is_time(uint8_t tag)
{
	return tag == DER_UTC_TIME || tag == DER_GENERALIZED_TIME;
}

/* RFC 5280, 5.1.2. False: with a critical extension that is not known. */
static bool read_tbs(struct cur *tbs, struct list *l)
{
	bool ok = true;
	if (der_peek(tbs) == DER_INTEGER)
		der_read(tbs);
	der_get(tbs, DER_SEQUENCE);
	l->issuer = der_read(tbs).whole;
	der_get_time(tbs);
	l->next_update = is_time(der_peek(tbs)) ? der_get_time(tbs) : INT64_MAX;
	if (der_peek(tbs) == DER_SEQUENCE)
		ok = read_entries(tbs, l);
	if (der_peek(tbs) == DER_CONTEXT_OPEN) {
		struct cur outer = der_open(tbs, DER_CONTEXT_OPEN);
		ok = extensions_ok(&outer) && ok;
		if (!cur_done(&outer))
			cur_fail(tbs);
	}
	return ok;
}

static int by_bytes(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int take_apart(struct list *l, struct why *why)
{
	struct cur c = cur_of(buf_view(&l->der));
	struct cur outer = der_open(&c, DER_SEQUENCE);
	const struct der tbs = der_read(&outer);
	struct cur algorithm = der_open(&outer, DER_SEQUENCE);
	l->algorithm = der_get(&algorithm, DER_OID);
	l->signature = der_get(&outer, DER_BIT_STRING);
	l->tbs = tbs.whole;
	struct cur inside = cur_of(tbs.body);
	const bool known = read_tbs(&inside, l);
	if (!cur_done(&c) || !cur_done(&outer) || !cur_done(&inside) || tbs.tag != DER_SEQUENCE ||
	    l->signature.n < 2 || l->signature.p[0] != 0)
		return why_set(why, ERR_MALFORMED, "a revocation list is damaged");
	if (!known)
		return why_set(why, ERR_INVALID,
			       "a revocation list is a delta or an indirect one, or has another "
			       "critical extension; give whole lists");
	if (l->n)
		qsort(l->serial, l->n, sizeof(*l->serial), by_bytes);
	return 0;
}

/* ---- the signature ---- */

static bool oid_text(struct str oid, char out[OID_TEXT])
{
	AUTO_BUF text = {0};
	uint64_t arc = 0;
	bool first = true;
	for (size_t i = 0; i < oid.n && text.n < OID_TEXT; i++) {
		arc = arc << 7 | ((uint8_t)oid.p[i] & 0x7f);
		if ((uint8_t)oid.p[i] & 0x80)
			continue;
		if (first)
			buf_printf(&text, "%u.%llu", (unsigned)MIN(arc / 40, (uint64_t)2),
				   (unsigned long long)(arc - 40 * MIN(arc / 40, (uint64_t)2)));
		else
			buf_printf(&text, ".%llu", (unsigned long long)arc);
		first = false;
		arc = 0;
	}
	if (text.n == 0 || text.n >= OID_TEXT)
		return false;
	memcpy(out, text.p, text.n);
	out[text.n] = 0;
	return true;
}

static gnutls_datum_t datum(struct str s)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.p, (unsigned)s.n};
}

static bool may_sign_lists(gnutls_x509_crt_t ca)
{
	unsigned usage;
	const int err = gnutls_x509_crt_get_key_usage(ca, &usage, NULL);
	return err == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
	       (err == 0 && usage & GNUTLS_KEY_CRL_SIGN);
}

static bool signed_by(const struct list *l, gnutls_x509_crt_t ca)
{
	char oid[OID_TEXT];
	gnutls_pubkey_t key;
	const gnutls_datum_t data = datum(l->tbs);
	const gnutls_datum_t signature =
		datum(str_make(l->signature.p + 1, l->signature.n - 1)); /* no unused bits */
	const gnutls_sign_algorithm_t algorithm =
		oid_text(l->algorithm, oid) ? gnutls_oid_to_sign(oid) : GNUTLS_SIGN_UNKNOWN;
	if (algorithm == GNUTLS_SIGN_UNKNOWN ||
	    !gnutls_sign_is_secure2(algorithm, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS) ||
	    gnutls_pubkey_init(&key) < 0)
		return false;
	const bool ok = gnutls_pubkey_import_x509(key, ca, 0) == 0 &&
			gnutls_pubkey_verify_data2(key, algorithm, 0, &data, &signature) >= 0;
	gnutls_pubkey_deinit(key);
	return ok;
}

/* Whether this authority signed the list, and may. */
static bool accepted_from(const struct list *l, struct str ca_der)
{
	const gnutls_datum_t der = datum(ca_der);
	gnutls_x509_crt_t ca;
	if (gnutls_x509_crt_init(&ca) < 0)
		return false;
	const bool ok = gnutls_x509_crt_import(ca, &der, GNUTLS_X509_FMT_DER) == 0 &&
			may_sign_lists(ca) && signed_by(l, ca);
	gnutls_x509_crt_deinit(ca);
	return ok;
}

static int check_signature(const struct list *l, struct str trust, struct why *why)
{
	struct cur c = cur_of(trust);
	bool named = false;
	while (cur_left(&c)) {
		const struct str der = cur_str32le(&c);
		struct leaf ca;
		if (leaf_read(der, &ca) || !str_eq(ca.subject, l->issuer))
			continue;
		named = true;
		if (accepted_from(l, der))
			return 0;
	}
	if (!named)
		return why_set(why, ERR_NOT_FOUND,
			       "a revocation list is of an authority that client-ca does not hold");
	return why_set(why, ERR_CRYPTO,
		       "a revocation list is not signed by its authority (SHA-256 or better), or "
		       "that may not sign lists (key usage cRLSign)");
}

/* ---- the set ---- */

static int take_list(struct crl_set *s, struct str trust, struct why *why)
{
	struct list *l = &s->list[s->n++];
	const int err = take_apart(l, why);
	return err ? err : check_signature(l, trust, why);
}

static int read_pem(struct crl_set *s, struct str file, struct str trust, struct why *why)
{
	for (;;) {
		AUTO_BUF der = {0};
		struct str label;
		const int end = pem_next(&file, &label, &der);
		if (end == ERR_NOT_FOUND && s->n)
			return 0;
		if (end)
			return why_set(why, ERR_MALFORMED,
				       "this is no revocation list in PEM or DER");
		if (!str_is(label, "X509 CRL"))
			continue;
		if (s->n == CRL_LISTS_MAX)
			return why_set(why, ERR_LIMIT, "more than %d revocation lists",
				       CRL_LISTS_MAX);
		s->list[s->n].der = der;
		der = (struct buf){0};
		const int err = take_list(s, trust, why);
		if (err)
			return err;
	}
}

int crl_set_read(struct str file, struct str trust, struct crl_set **out, struct why *why)
{
	if (file.n > CRL_FILE_MAX)
		return why_set(why, ERR_LIMIT, "%zu bytes of revocation lists; at most %d", file.n,
			       (int)CRL_FILE_MAX);
	AUTO(crl_set) s = mem_new(struct crl_set);
	int err;
	ref_init(&s->ref);
	if (file.n && (uint8_t)file.p[0] == DER_SEQUENCE) {
		buf_str(&s->list[0].der, file);
		err = take_list(s, trust, why);
	} else {
		err = read_pem(s, file, trust, why);
	}
	if (err)
		return err;
	*out = TAKE(s);
	return 0;
}

struct crl_set *crl_set_ref(struct crl_set *s)
{
	ref_get(&s->ref);
	return s;
}

void crl_set_unref(struct crl_set *s)
{
	if (!ref_put(&s->ref))
		return;
	for (size_t i = 0; i < s->n; i++) {
		buf_fini(&s->list[i].der);
		free(s->list[i].serial);
	}
	free(s);
}

size_t crl_set_entries(const struct crl_set *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += s->list[i].n;
	return n;
}

int64_t crl_set_next_update(const struct crl_set *s)
{
	int64_t first = INT64_MAX;
	for (size_t i = 0; i < s->n; i++)
		first = MIN(first, s->list[i].next_update);
	return first;
}

bool crl_set_has(const struct crl_set *s, struct str issuer, struct str serial)
{
	const struct str key = without_zeros(serial);
	for (size_t i = 0; i < s->n; i++) {
		const struct list *l = &s->list[i];
		if (l->n && str_eq(l->issuer, issuer) &&
		    bsearch(&key, l->serial, l->n, sizeof(key), by_bytes))
			return true;
	}
	return false;
}
