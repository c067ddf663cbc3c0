/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#12: see p12.h. Certificates and key are two parts of it, both encrypted; the key identifier
 * says which certificate is the key's.
 */
#include "certs/p12.h"
#include "certs/pem.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <gnutls/pkcs12.h>
#include <gnutls/x509.h>

#include <stdlib.h>

enum { KEY_ID = 20 };

struct making {
	gnutls_pkcs12_t p12;
	gnutls_pkcs12_bag_t certificates;
	gnutls_pkcs12_bag_t key;
	const char *passphrase;
	const char *name;
	unsigned flags;
	unsigned char id[KEY_ID];
	size_t id_n;
};

static int add_certificate(struct making *m, struct str der, bool own)
{
	gnutls_x509_crt_t crt;
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	int r = gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_DER);
	int at = r < 0 ? r : gnutls_pkcs12_bag_set_crt(m->certificates, crt);
	if (at >= 0 && own) {
		m->id_n = sizeof(m->id);
		r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, m->id, &m->id_n);
		const gnutls_datum_t id = {m->id, (unsigned)m->id_n};
		if (r >= 0)
			r = gnutls_pkcs12_bag_set_key_id(m->certificates, (unsigned)at, &id);
		if (r >= 0)
			r = gnutls_pkcs12_bag_set_friendly_name(m->certificates, (unsigned)at,
								m->name);
		at = r < 0 ? r : at;
	}
	gnutls_x509_crt_deinit(crt);
	return at;
}

static int add_all(struct making *m, struct str pem, bool with_own)
{
	struct str label;
	AUTO_BUF der = {0};
	int r = 0;
	while (r >= 0 && pem_next(&pem, &label, &der) == 0) {
		if (!str_is(label, "CERTIFICATE"))
			continue;
		r = add_certificate(m, buf_view(&der), with_own);
		with_own = false;
	}
	return r;
}

static int add_key(struct making *m, struct str pem)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t der = {NULL, 0};
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)pem.p, (unsigned)pem.n};
	CHECK(gnutls_x509_privkey_init(&key) == 0);
	int r = gnutls_x509_privkey_import2(key, &in, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
	if (r >= 0)
		r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_DER, m->passphrase,
						      m->flags, &der);
	gnutls_x509_privkey_deinit(key);
	if (r < 0)
		return r;
	const int at = gnutls_pkcs12_bag_set_data(m->key, GNUTLS_BAG_PKCS8_ENCRYPTED_KEY, &der);
	gnutls_free(der.data);
	const gnutls_datum_t id = {m->id, (unsigned)m->id_n};
	r = at < 0 ? at : gnutls_pkcs12_bag_set_key_id(m->key, (unsigned)at, &id);
	return r < 0 ? r : gnutls_pkcs12_bag_set_friendly_name(m->key, (unsigned)at, m->name);
}

static int assemble(struct making *m, const struct p12_parts *parts, enum p12_form form,
		    struct buf *out)
{
	gnutls_datum_t der = {NULL, 0};
	int r = add_all(m, parts->chain, true);
	if (r >= 0)
		r = add_all(m, parts->roots, false);
	if (r >= 0)
		r = gnutls_pkcs12_bag_encrypt(m->certificates, m->passphrase, m->flags);
	if (r >= 0)
		r = gnutls_pkcs12_set_bag(m->p12, m->certificates);
	if (r >= 0)
		r = add_key(m, parts->key);
	if (r >= 0)
		r = gnutls_pkcs12_set_bag(m->p12, m->key);
	if (r >= 0)
		r = gnutls_pkcs12_generate_mac2(
			m->p12, form == P12_LEGACY ? GNUTLS_MAC_SHA1 : GNUTLS_MAC_SHA256,
			m->passphrase);
	if (r >= 0)
		r = gnutls_pkcs12_export2(m->p12, GNUTLS_X509_FMT_DER, &der);
	if (r >= 0)
		buf_put(out, der.data, der.size);
	gnutls_free(der.data);
	return r;
}

int p12_make(const struct p12_parts *parts, struct str passphrase, enum p12_form form,
	     struct buf *der, struct why *why)
{
	char *word = str_dup(passphrase);
	AUTO_CHAR name = str_dup(parts->name);
	struct making m = {.passphrase = word, .name = name};
	m.flags = form == P12_LEGACY ? GNUTLS_PKCS_PKCS12_3DES : GNUTLS_PKCS_PBES2_AES_256;
	CHECK(gnutls_pkcs12_init(&m.p12) == 0);
	CHECK(gnutls_pkcs12_bag_init(&m.certificates) == 0);
	CHECK(gnutls_pkcs12_bag_init(&m.key) == 0);
	const int r = assemble(&m, parts, form, der);
	gnutls_pkcs12_bag_deinit(m.key);
	gnutls_pkcs12_bag_deinit(m.certificates);
	gnutls_pkcs12_deinit(m.p12);
	secret_wipe(word, passphrase.n);
	free(word);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "%s", gnutls_strerror(r));
	return 0;
}
