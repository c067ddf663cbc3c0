/* SPDX-License-Identifier: Apache-2.0
 *
 * Which public keys are accepted: see spki_check in csr.h. The shape is read by our own linear
 * reader first; only a SubjectPublicKeyInfo of a known kind and of a sane size reaches GnuTLS,
 * which then says whether the numbers are a key. Any thread. RFC 5280 4.1.2.7, RFC 5480, RFC 8410.
 */
#include "certs/csr_key.h"
#include "certs/der.h"
#include "daemon/base/err.h"

#include <gnutls/abstract.h>

enum {
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 8192,
	/* A longer exponent makes every verification as slow as a signature; a smaller one than
	 * 65537 is what broken key generators choose. */
	RSA_EXPONENT_MIN = 65537,
	RSA_EXPONENT_BYTES_MAX = 8
};

#define KEY_RULE "use P-256, P-384, Ed25519 or RSA with 2048 to 8192 bits"
#define OID_EC   "1.2.840.10045.2.1"
#define OID_RSA  "1.2.840.113549.1.1.1"

static const struct key_type {
	const char *algorithm;
	const char *curve; /* named curve in the parameters; NULL = none */
	const char *name;
	bool allowed;
	unsigned bits; /* 0 = depends on the key */
} key_types[] = {
	{OID_EC, "1.2.840.10045.3.1.7", "P-256", true, 256},
	{OID_EC, "1.3.132.0.34", "P-384", true, 384},
	{"1.3.101.112", NULL, "Ed25519", true, 256},
	{OID_RSA, NULL, "RSA", true, 0},
	{OID_EC, "1.3.132.0.35", "P-521", false, 521},
	{OID_EC, "1.3.132.0.33", "P-224", false, 224},
	{OID_EC, "1.3.132.0.10", "secp256k1", false, 256},
	{OID_EC, NULL, "an elliptic curve of another kind", false, 0},
	{"1.3.101.113", NULL, "Ed448", false, 456},
	{"1.2.840.113549.1.1.10", NULL, "RSA restricted to PSS", false, 0},
	{"1.2.840.10040.4.1", NULL, "DSA", false, 0},
};

static bool type_matches(const struct key_type *t, struct str algorithm, struct str curve)
{
	if (!der_oid_is(algorithm, t->algorithm))
		return false;
	return !t->curve || (curve.n && der_oid_is(curve, t->curve));
}

static const struct key_type *find_type(struct str algorithm, struct str curve)
{
	for (size_t i = 0; i < ARRAY_LEN(key_types); i++)
		if (type_matches(&key_types[i], algorithm, curve))
			return &key_types[i];
	return NULL;
}

int key_shape(struct str spki, const char **name, struct why *why)
{
	struct cur c = cur_of(spki);
	struct cur info = der_open(&c, DER_SEQUENCE);
	struct cur algorithm = der_open(&info, DER_SEQUENCE);
	const struct str oid = der_get(&algorithm, DER_OID);
	struct str curve = {NULL, 0};
	if (der_peek(&algorithm) == DER_OID)
		curve = der_get(&algorithm, DER_OID);
	der_get(&info, DER_BIT_STRING);
	if (!cur_done(&c) || !cur_done(&info) || !cur_ok(&algorithm))
		return why_set(why, ERR_MALFORMED, "the public key is not a SubjectPublicKeyInfo");
	const struct key_type *t = find_type(oid, curve);
	if (!t)
		return why_set(why, ERR_CRYPTO, "the key is of an unknown type; " KEY_RULE);
	if (!t->allowed)
		return why_set(why, ERR_CRYPTO, "the key is %s; " KEY_RULE, t->name);
	*name = t->name;
	return 0;
}

static int judge_rsa(gnutls_pubkey_t key, unsigned bits, struct why *why)
{
	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return why_set(why, ERR_CRYPTO, "the key is RSA with %u bits; " KEY_RULE, bits);
	gnutls_datum_t modulus;
	gnutls_datum_t exponent;
	if (gnutls_pubkey_export_rsa_raw2(key, &modulus, &exponent, GNUTLS_EXPORT_FLAG_NO_LZ) < 0)
		return why_set(why, ERR_CRYPTO, "the RSA key cannot be read");
	uint64_t e = 0;
	const bool fits = exponent.size <= RSA_EXPONENT_BYTES_MAX;
	for (unsigned i = 0; fits && i < exponent.size; i++)
		e = e << 8 | exponent.data[i];
	gnutls_free(modulus.data);
	gnutls_free(exponent.data);
	if (!fits || e < RSA_EXPONENT_MIN || e % 2 == 0)
		return why_set(why, ERR_CRYPTO,
			       "the RSA key's public exponent is refused; it must be odd, at least "
			       "65537 and at most 64 bits long");
	return 0;
}

int key_judge(gnutls_pubkey_t key, unsigned *bits, struct why *why)
{
	unsigned n = 0;
	const int algorithm = gnutls_pubkey_get_pk_algorithm(key, &n);
	const int err = algorithm == GNUTLS_PK_RSA ? judge_rsa(key, n, why) : 0;
	if (err)
		return err;
	const int r = gnutls_pubkey_verify_params(key);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "the public key's numbers are not a key: %s",
			       gnutls_strerror(r));
	*bits = n;
	return 0;
}

static int check_form(gnutls_pubkey_t key, struct str spki, unsigned *bits, struct why *why)
{
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)spki.p, (unsigned)spki.n};
	int r = gnutls_pubkey_import(key, &in, GNUTLS_X509_FMT_DER);
	if (r < 0)
		return why_set(why, ERR_MALFORMED, "the public key cannot be read: %s",
			       gnutls_strerror(r));
	unsigned n;
	const int err = key_judge(key, &n, why);
	if (err)
		return err;
	gnutls_datum_t form;
	r = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &form);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "the public key cannot be written: %s",
			       gnutls_strerror(r));
	const bool same = str_eq(spki, str_make(form.data, form.size));
	gnutls_free(form.data);
	if (!same)
		return why_set(why, ERR_MALFORMED, "the public key is not in its usual form");
	*bits = n;
	return 0;
}

int spki_check(struct str spki, struct spki_facts *out, struct why *why)
{
	struct spki_facts facts = {0};
	if (spki.n > SPKI_MAX)
		return why_set(why, ERR_LIMIT, "the public key has %zu bytes; at most %d", spki.n,
			       SPKI_MAX);
	int err = key_shape(spki, &facts.kind, why);
	if (err)
		return err;
	gnutls_pubkey_t key;
	if (gnutls_pubkey_init(&key) < 0)
		return why_set(why, ERR_NOMEM, "no memory for the public key");
	err = check_form(key, spki, &facts.bits, why);
	gnutls_pubkey_deinit(key);
	if (err)
		return err;
	*out = facts;
	return 0;
}
