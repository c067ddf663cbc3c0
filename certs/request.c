/* SPDX-License-Identifier: Apache-2.0
 *
 * Device key and certification request: see request.h. Any thread.
 */
#include "certs/request.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

static int put(struct buf *out, int err, gnutls_datum_t *pem)
{
	if (err >= 0)
		buf_put(out, pem->data, pem->size);
	if (pem->data)
		secret_wipe(pem->data, pem->size);
	gnutls_free(pem->data);
	return err;
}

static int export_key(gnutls_x509_privkey_t key, gnutls_x509_crt_fmt_t format, struct buf *out)
{
	gnutls_datum_t text = {0};
	const int err =
		gnutls_x509_privkey_export2_pkcs8(key, format, NULL, GNUTLS_PKCS_PLAIN, &text);
	return put(out, err, &text);
}

static int fill(gnutls_x509_crq_t request, gnutls_x509_privkey_t key, const char *name)
{
	int err = gnutls_x509_crq_set_version(request, 1);
	if (err >= 0)
		err = gnutls_x509_crq_set_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						    (unsigned)strlen(name));
	if (err >= 0)
		err = gnutls_x509_crq_set_key(request, key);
	if (err >= 0)
		err = gnutls_x509_crq_sign2(request, key, GNUTLS_DIG_SHA256, 0);
	return err;
}

static int export_request(gnutls_x509_privkey_t key, const char *name, struct buf *out)
{
	gnutls_x509_crq_t request;
	gnutls_datum_t pem = {0};
	int err = gnutls_x509_crq_init(&request);
	if (err < 0)
		return err;
	err = fill(request, key, name);
	if (err >= 0)
		err = put(out, gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM, &pem), &pem);
	gnutls_x509_crq_deinit(request);
	return err;
}

int request_make(const char *name, struct buf *key_pem, struct buf *csr_pem)
{
	gnutls_x509_privkey_t key;
	int err = gnutls_x509_privkey_init(&key);
	if (err < 0)
		return ERR_CRYPTO;
	err = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					   GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (err >= 0)
		err = export_key(key, GNUTLS_X509_FMT_PEM, key_pem);
	if (err >= 0)
		err = export_request(key, name, csr_pem);
	gnutls_x509_privkey_deinit(key);
	return err < 0 ? ERR_CRYPTO : 0;
}

static const struct {
	const char *kind;
	gnutls_pk_algorithm_t algorithm;
	unsigned bits;
} kinds[] = {
	{"P-256", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)},
	{"P-384", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1)},
	{"Ed25519", GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519)},
	{"RSA", GNUTLS_PK_RSA, 2048},
};

static int generate(gnutls_x509_privkey_t key, const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kind, kinds[i].kind) == 0)
			return gnutls_x509_privkey_generate(key, kinds[i].algorithm, kinds[i].bits,
							    0);
	return GNUTLS_E_INVALID_REQUEST;
}

static int export_public(gnutls_x509_privkey_t key, uint8_t *spki, size_t *spki_n)
{
	gnutls_privkey_t whole;
	gnutls_pubkey_t half;
	int err = gnutls_privkey_init(&whole);
	if (err < 0)
		return err;
	err = gnutls_pubkey_init(&half);
	if (err >= 0) {
		err = gnutls_privkey_import_x509(whole, key, 0);
		if (err >= 0)
			err = gnutls_pubkey_import_privkey(half, whole, 0, 0);
		if (err >= 0)
			err = gnutls_pubkey_export(half, GNUTLS_X509_FMT_DER, spki, spki_n);
		gnutls_pubkey_deinit(half);
	}
	gnutls_privkey_deinit(whole);
	return err;
}

int request_key(const char *kind, struct buf *pkcs8, uint8_t *spki, size_t *spki_n)
{
	gnutls_x509_privkey_t key;
	int err = gnutls_x509_privkey_init(&key);
	if (err < 0)
		return ERR_CRYPTO;
	err = generate(key, kind);
	if (err >= 0)
		err = export_public(key, spki, spki_n);
	if (err >= 0)
		err = export_key(key, GNUTLS_X509_FMT_DER, pkcs8);
	gnutls_x509_privkey_deinit(key);
	return err < 0 ? ERR_CRYPTO : 0;
}
