/* SPDX-License-Identifier: Apache-2.0
 *
 * Certification requests: see csr.h. Our own reader takes the request apart first, so that nothing
 * but one well-formed request of a bounded size with an acceptable key reaches GnuTLS: it checks
 * the signature. GnuTLS alone is no judge: it accepts SHA-1 and names with NUL, line breaks or a
 * second common name. RFC 2986, RFC 5280 4.1.2.4.
 */
#include "certs/csr.h"
#include "certs/csr_key.h"
#include "certs/csr_parts.h"
#include "certs/der.h"
#include "daemon/base/err.h"

#include <gnutls/x509.h>

#define OID_COMMON_NAME "2.5.4.3"

static int from_pem(struct str in, gnutls_datum_t *der, struct why *why)
{
	static const char *const labels[] = {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"};
	const gnutls_datum_t pem = {(unsigned char *)(uintptr_t)in.p, (unsigned)in.n};
	const char *first = str_find(in, "-----BEGIN");
	if (!first)
		return why_set(why, ERR_MALFORMED,
			       "this is no certificate request: neither DER nor PEM");
	if (str_find(str_make(first + 1, (size_t)(in.p + in.n - first - 1)), "-----BEGIN"))
		return why_set(why, ERR_MALFORMED,
			       "the file holds more than one PEM block; send the request alone");
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		if (gnutls_pem_base64_decode2(labels[i], &pem, der) == 0)
			return 0;
	return why_set(why, ERR_MALFORMED,
		       "the PEM block is no CERTIFICATE REQUEST or its base64 is damaged");
}

int csr_take_apart(struct str der, struct csr_parts *out, struct why *why)
{
	struct csr_parts p;
	struct cur c = cur_of(der);
	struct cur whole = der_open(&c, DER_SEQUENCE);
	struct cur info = der_open(&whole, DER_SEQUENCE);
	der_get(&info, DER_INTEGER);
	const struct der subject = der_read(&info);
	struct cur names = cur_of(subject.whole);
	p.subject = subject.whole;
	p.names = der_open(&names, DER_SEQUENCE);
	p.spki = der_read(&info).whole;
	p.attributes = cur_of(der_peek(&info) == DER_CONTEXT_OPEN ? der_read(&info).body
								  : (struct str){NULL, 0});
	der_get(&whole, DER_SEQUENCE);
	der_get(&whole, DER_BIT_STRING);
	if (!cur_done(&c) || !cur_done(&whole) || !cur_done(&info) || !cur_ok(&p.names))
		return why_set(
			why, ERR_MALFORMED,
			"the certificate request is damaged: not the DER of one PKCS#10 request");
	*out = p;
	return 0;
}

bool csr_is_text(uint8_t tag)
{
	return tag == DER_UTF8_STRING || tag == DER_PRINTABLE_STRING || tag == DER_IA5_STRING ||
	       tag == DER_TELETEX_STRING;
}

/* Counts the common names and keeps the last one seen. False when the subject is damaged. */
static bool walk_subject(struct cur subject, unsigned *count, struct der *name)
{
	while (cur_left(&subject)) {
		struct cur set = der_open(&subject, DER_SET);
		while (cur_left(&set)) {
			struct cur pair = der_open(&set, DER_SEQUENCE);
			const struct str oid = der_get(&pair, DER_OID);
			const struct der value = der_read(&pair);
			if (!cur_done(&pair))
				return false;
			if (der_oid_is(oid, OID_COMMON_NAME)) {
				(*count)++;
				*name = value;
			}
		}
		if (!cur_done(&set))
			return false;
	}
	return cur_done(&subject);
}

static int find_name(struct cur subject, struct str *out, struct why *why)
{
	unsigned count = 0;
	struct der name = {0};
	if (!walk_subject(subject, &count, &name))
		return why_set(why, ERR_MALFORMED, "the subject of the request is damaged");
	if (count != 1)
		return why_set(why, ERR_INVALID,
			       "the subject has %u common names; it must have exactly one, the "
			       "device's name",
			       count);
	if (!csr_is_text(name.tag))
		return why_set(why, ERR_INVALID,
			       "the common name has string type 0x%02x; use UTF8String or "
			       "PrintableString",
			       name.tag);
	const int err = device_name_check(name.body, why);
	if (err)
		return err;
	*out = name.body;
	return 0;
}

static int check_signature(gnutls_x509_crq_t crq, struct why *why)
{
	const int algorithm = gnutls_x509_crq_get_signature_algorithm(crq);
	const char *name =
		algorithm > 0 ? gnutls_sign_get_name((gnutls_sign_algorithm_t)algorithm) : NULL;
	/* Without the flag GnuTLS calls SHA-1 secure. */
	if (!name || !gnutls_sign_is_secure2((gnutls_sign_algorithm_t)algorithm,
					     GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS))
		return why_set(
			why, ERR_CRYPTO,
			"the request is signed with %s; sign it with SHA-256, SHA-384, SHA-512 "
			"or Ed25519",
			name ? name : "an unknown algorithm");
	const int r = gnutls_x509_crq_verify(crq, 0);
	if (r < 0)
		return why_set(
			why, ERR_CRYPTO,
			"the request is not signed by its own key (no proof of possession): %s",
			gnutls_strerror(r));
	return 0;
}

static int take_key(gnutls_x509_crq_t crq, gnutls_pubkey_t key, struct csr *csr, struct why *why)
{
	int r = gnutls_pubkey_import_x509_crq(key, crq, 0);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "the public key cannot be read: %s",
			       gnutls_strerror(r));
	const int err = key_judge(key, &csr->key.bits, why);
	if (err)
		return err;
	csr->spki_len = sizeof(csr->spki);
	r = gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, csr->spki, &csr->spki_len);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "the public key cannot be written: %s",
			       gnutls_strerror(r));
	return 0;
}

static int judge_imported(gnutls_x509_crq_t crq, struct str der, struct csr *csr, struct why *why)
{
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
	const int r = gnutls_x509_crq_import(crq, &in, GNUTLS_X509_FMT_DER);
	if (r < 0)
		return why_set(why, ERR_MALFORMED, "the certificate request cannot be read: %s",
			       gnutls_strerror(r));
	gnutls_pubkey_t key;
	if (gnutls_pubkey_init(&key) < 0)
		return why_set(why, ERR_NOMEM, "no memory for the public key");
	/* The key before the signature: verifying with a monstrous key is the expensive part. */
	const int err = take_key(crq, key, csr, why);
	gnutls_pubkey_deinit(key);
	return err ? err : check_signature(crq, why);
}

static int judge(struct str der, struct csr *csr, struct why *why)
{
	struct csr_parts parts;
	int err = csr_take_apart(der, &parts, why);
	if (err)
		return err;
	err = key_shape(parts.spki, &csr->key.kind, why);
	if (err)
		return err;
	gnutls_x509_crq_t crq;
	if (gnutls_x509_crq_init(&crq) < 0)
		return why_set(why, ERR_NOMEM, "no memory for the request");
	err = judge_imported(crq, der, csr, why);
	gnutls_x509_crq_deinit(crq);
	if (err)
		return err;
	struct str name = {NULL, 0};
	err = find_name(parts.names, &name, why);
	if (err)
		return err;
	memcpy(csr->name, name.p, name.n);
	return 0;
}

int csr_parse(struct str input, struct csr *out, struct why *why)
{
	if (input.n > CSR_MAX)
		return why_set(why, ERR_LIMIT, "the certificate request has %zu bytes; at most %u",
			       input.n, CSR_MAX);
	struct csr csr = {0};
	gnutls_datum_t der = {NULL, 0};
	int err;
	if (input.n && (uint8_t)input.p[0] == DER_SEQUENCE) {
		err = judge(input, &csr, why);
	} else {
		err = from_pem(input, &der, why);
		if (!err)
			err = judge(str_make(der.data, der.size), &csr, why);
		gnutls_free(der.data);
	}
	if (err)
		return err;
	*out = csr;
	return 0;
}
