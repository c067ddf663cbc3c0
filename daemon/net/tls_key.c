/* SPDX-License-Identifier: Apache-2.0
 *
 * Private keys whose secret is elsewhere: see tls_key.h. GnuTLS shares such a key between threads;
 * what a thread needs for signing (its link to the vault) comes from a thread-local context.
 */
#include "daemon/net/tls_key.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <gnutls/x509.h>
#include <stdlib.h>

enum { SIGNATURE_MAX = 1024 /* RSA-8192 */ };

struct remote_key {
	uint32_t key_id;
	tls_sign_fn *sign;
	void *context;
	gnutls_pk_algorithm_t algorithm;
	unsigned bits;
};

static const struct {
	gnutls_sign_algorithm_t algorithm;
	enum tls_scheme scheme;
	gnutls_pk_algorithm_t key;
	unsigned ecdsa_bits; /* the curve that TLS 1.3 ties to the hash */
} schemes[] = {
	{GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, TLS_ECDSA_P256_SHA256, GNUTLS_PK_ECDSA, 256},
	{GNUTLS_SIGN_ECDSA_SHA256, TLS_ECDSA_P256_SHA256, GNUTLS_PK_ECDSA, 256},
	{GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, TLS_ECDSA_P384_SHA384, GNUTLS_PK_ECDSA, 384},
	{GNUTLS_SIGN_ECDSA_SHA384, TLS_ECDSA_P384_SHA384, GNUTLS_PK_ECDSA, 384},
	{GNUTLS_SIGN_RSA_SHA256, TLS_RSA_PKCS1_SHA256, GNUTLS_PK_RSA, 0},
	{GNUTLS_SIGN_RSA_SHA384, TLS_RSA_PKCS1_SHA384, GNUTLS_PK_RSA, 0},
	{GNUTLS_SIGN_RSA_SHA512, TLS_RSA_PKCS1_SHA512, GNUTLS_PK_RSA, 0},
	{GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, TLS_RSA_PSS_SHA256, GNUTLS_PK_RSA, 0},
	{GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, TLS_RSA_PSS_SHA384, GNUTLS_PK_RSA, 0},
	{GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, TLS_RSA_PSS_SHA512, GNUTLS_PK_RSA, 0},
	{GNUTLS_SIGN_EDDSA_ED25519, TLS_ED25519, GNUTLS_PK_EDDSA_ED25519, 0},
};

static _Thread_local void *thread_context;
static _Thread_local bool failed;

void tls_key_thread_context(void *context)
{
	thread_context = context;
}

bool tls_key_failed(void)
{
	const bool was = failed;
	failed = false;
	return was;
}

/* The scheme, or 0 when this key does not sign so. */
static int scheme_of(const struct remote_key *k, gnutls_sign_algorithm_t algorithm)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (schemes[i].algorithm == algorithm && schemes[i].key == k->algorithm &&
		    (schemes[i].ecdsa_bits == 0 || schemes[i].ecdsa_bits == k->bits))
			return (int)schemes[i].scheme;
	return 0;
}

static int key_info(gnutls_privkey_t key, unsigned flags, void *userdata)
{
	const struct remote_key *k = userdata;
	(void)key;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return (int)k->algorithm;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)k->bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return scheme_of(k, GNUTLS_FLAGS_TO_SIGN_ALGO(flags)) != 0;
	return -1;
}

static int sign(const struct remote_key *k, int scheme, struct str data, gnutls_datum_t *signature)
{
	AUTO_BUF got = {0};
	void *context = k->context ? k->context : thread_context;
	if (scheme == 0 || k->sign(context, k->key_id, scheme, data.p, data.n, &got) < 0 ||
	    got.n == 0 || got.n > SIGNATURE_MAX) {
		failed = true;
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	signature->data = gnutls_malloc(got.n);
	if (!signature->data)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(signature->data, got.p, got.n);
	signature->size = (unsigned)got.n;
	return 0;
}

/* GnuTLS gives PKCS#1 as a ready DigestInfo (RFC 8017 section 9.2, note 1); the vault is to see the
 * hash and its name only, so that it never signs a structure that somebody else made. */
static int strip_digest_info(struct str *data)
{
	static const struct {
		unsigned char head[19];
		size_t digest;
		int scheme;
	} form[] = {
		{"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20", 32,
		 TLS_RSA_PKCS1_SHA256},
		{"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30", 48,
		 TLS_RSA_PKCS1_SHA384},
		{"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40", 64,
		 TLS_RSA_PKCS1_SHA512},
	};
	for (size_t i = 0; i < ARRAY_LEN(form); i++) {
		const struct str head = str_make(form[i].head, sizeof(form[i].head));
		if (data->n == head.n + form[i].digest && str_prefix(*data, head)) {
			*data = str_make(data->p + head.n, form[i].digest);
			return form[i].scheme;
		}
	}
	return 0;
}

static int sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
		     unsigned flags, const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	const struct remote_key *k = userdata;
	struct str data = str_make(hash->data, hash->size);
	(void)key;
	(void)flags;
	const int scheme = algorithm == GNUTLS_SIGN_RSA_RAW ? strip_digest_info(&data)
							    : scheme_of(k, algorithm);
	return sign(k, scheme, data, signature);
}

static int sign_data(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
		     unsigned flags, const gnutls_datum_t *data, gnutls_datum_t *signature)
{
	const struct remote_key *k = userdata;
	(void)key;
	(void)flags;
	return sign(k, scheme_of(k, algorithm), str_make(data->data, data->size), signature);
}

static void key_free(gnutls_privkey_t key, void *userdata)
{
	(void)key;
	free(userdata);
}

/* Algorithm and size of the public key; 0, ERR_CRYPTO, ERR_INVALID. */
static int public_half(struct str leaf, struct remote_key *k)
{
	gnutls_x509_crt_t crt;
	const gnutls_datum_t der = {(unsigned char *)leaf.p, (unsigned)leaf.n};
	if (gnutls_x509_crt_init(&crt) < 0)
		return ERR_CRYPTO;
	int algorithm = gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER);
	if (algorithm == 0)
		algorithm = gnutls_x509_crt_get_pk_algorithm(crt, &k->bits);
	gnutls_x509_crt_deinit(crt);
	if (algorithm < 0)
		return ERR_CRYPTO;
	k->algorithm = (gnutls_pk_algorithm_t)algorithm;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (scheme_of(k, schemes[i].algorithm))
			return 0;
	return ERR_INVALID;
}

int tls_key_new(struct str leaf, uint32_t key_id, tls_sign_fn *sign_fn, void *context,
		gnutls_privkey_t *out)
{
	struct remote_key *k = mem_new(struct remote_key);
	*k = (struct remote_key){.key_id = key_id, .sign = sign_fn, .context = context};
	gnutls_privkey_t key = NULL;
	int e = public_half(leaf, k);
	if (e == 0 && gnutls_privkey_init(&key) < 0)
		e = ERR_CRYPTO;
	/* Ed25519 signs messages, the others digests; GnuTLS picks by what is there. */
	const bool whole = k->algorithm == GNUTLS_PK_EDDSA_ED25519;
	if (e == 0 &&
	    gnutls_privkey_import_ext4(key, k, whole ? sign_data : NULL, whole ? NULL : sign_hash,
				       NULL, key_free, key_info, 0) < 0)
		e = ERR_CRYPTO;
	if (e < 0) {
		if (key)
			gnutls_privkey_deinit(key);
		free(k);
		return e;
	}
	*out = key;
	return 0;
}

bool tls_key_fits(struct str leaf, struct str spki)
{
	gnutls_pcert_st certificate;
	gnutls_datum_t own = {NULL, 0};
	const gnutls_datum_t der = {(unsigned char *)leaf.p, (unsigned)leaf.n};
	if (gnutls_pcert_import_x509_raw(&certificate, &der, GNUTLS_X509_FMT_DER, 0) < 0)
		return false;
	const bool fits =
		gnutls_pubkey_export2(certificate.pubkey, GNUTLS_X509_FMT_DER, &own) == 0 &&
		str_eq(str_make(own.data, own.size), spki);
	gnutls_free(own.data);
	gnutls_pcert_deinit(&certificate);
	return fits;
}
