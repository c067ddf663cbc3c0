/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS_SIGN: every scheme gives a signature that the public key accepts; nobody gets a signature
 * with a key of someone else, and nobody at all with the authority's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/sign.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "tests/unit/scratch.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

enum { NOW = 1800000000 };

static struct scratch dir;
static struct keystore *ks;
static struct issuer *issuer;
static struct signer *signer;
static struct key *p256;
static struct key *rsa;
static struct why why;

static int setup(void **state)
{
	(void)state;
	scratch_make(&dir);
	if (keystore_open(dir.path, &ks, &why))
		return -1;
	const struct issue_time now = {NOW, 0};
	if (issuer_open(ks, 0, now, &issuer, &why))
		return -1;
	signer = signer_new(issuer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	signer_free(signer);
	issuer_free(issuer);
	keystore_free(ks);
	scratch_remove(&dir);
	return 0;
}

static int verify(const struct key *key, gnutls_sign_algorithm_t algorithm, struct str data,
		  struct str signature)
{
	gnutls_pubkey_t public;
	const struct str spki = key_spki(key);
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)spki.p, (unsigned)spki.n};
	const gnutls_datum_t hash = {(unsigned char *)(uintptr_t)data.p, (unsigned)data.n};
	const gnutls_datum_t made = {(unsigned char *)(uintptr_t)signature.p,
				     (unsigned)signature.n};
	assert_int_equal(gnutls_pubkey_init(&public), 0);
	assert_int_equal(gnutls_pubkey_import(public, &in, GNUTLS_X509_FMT_DER), 0);
	const bool whole = algorithm == GNUTLS_SIGN_EDDSA_ED25519;
	const int r = whole ? gnutls_pubkey_verify_data2(public, algorithm, 0, &hash, &made)
			    : gnutls_pubkey_verify_hash2(public, algorithm, 0, &hash, &made);
	gnutls_pubkey_deinit(public);
	return r;
}

static struct key *ed25519_key(void)
{
	struct key *key = NULL;
	gnutls_x509_privkey_t made;
	gnutls_datum_t pem;
	assert_int_equal(gnutls_x509_privkey_init(&made), 0);
	assert_int_equal(gnutls_x509_privkey_generate(made, GNUTLS_PK_EDDSA_ED25519, 256, 0), 0);
	assert_int_equal(gnutls_x509_privkey_export2_pkcs8(made, GNUTLS_X509_FMT_PEM, NULL,
							   GNUTLS_PKCS_PLAIN, &pem),
			 0);
	assert_int_equal(key_parse(str_make(pem.data, pem.size), "x", &key, &why), 0);
	gnutls_free(pem.data);
	gnutls_x509_privkey_deinit(made);
	return key;
}

static void every_scheme_verifies(void **state)
{
	(void)state;
	struct key *ed = ed25519_key();
	const struct {
		struct key *key;
		size_t n;
		gnutls_sign_algorithm_t algorithm;
		uint16_t scheme;
	} cases[] = {
		{p256, 32, GNUTLS_SIGN_ECDSA_SHA256, 0x0403},
		{p256, 48, GNUTLS_SIGN_ECDSA_SHA384, 0x0503},
		{p256, 64, GNUTLS_SIGN_ECDSA_SHA512, 0x0603},
		{rsa, 32, GNUTLS_SIGN_RSA_SHA256, 0x0401},
		{rsa, 48, GNUTLS_SIGN_RSA_SHA384, 0x0501},
		{rsa, 64, GNUTLS_SIGN_RSA_SHA512, 0x0601},
		{rsa, 32, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, 0x0804},
		{rsa, 48, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, 0x0805},
		{rsa, 64, GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, 0x0806},
		{ed, 200, GNUTLS_SIGN_EDDSA_ED25519, 0x0807},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char data[256];
		memset(data, (int)i + 1, sizeof(data));
		uint32_t id;
		AUTO_BUF signature = {0};
		const struct str hash = str_make(data, cases[i].n);
		assert_int_equal(
			signer_add(signer, PROCESS_BROKER, STR("x"), cases[i].key, &id, &why), 0);
		assert_int_equal(signer_tls_sign(signer, PROCESS_BROKER, id, cases[i].scheme, hash,
						 &signature, &why),
				 0);
		assert_true(verify(cases[i].key, cases[i].algorithm, hash, buf_view(&signature)) >=
			    0);
		assert_true(signature.n <= SIGN_MAX);
		/* The wrong length of the hash never passes. */
		if (cases[i].n != 200)
			assert_int_equal(
				signer_tls_sign(signer, PROCESS_BROKER, id, cases[i].scheme,
						str_make(data, cases[i].n - 1), &signature, &why),
				ERR_INVALID);
	}
	key_unref(ed);
}

static void a_scheme_of_another_key_type_is_refused(void **state)
{
	(void)state;
	static const uint16_t bad[] = {0, 0x0401, 0x0804, 0x0807, 0x0203, 0x0201, 0xffff};
	char hash[64] = {0};
	uint32_t id;
	AUTO_BUF signature = {0};
	assert_int_equal(signer_add(signer, PROCESS_BROKER, STR(""), p256, &id, &why), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (size_t n = 0; n <= sizeof(hash); n += 4)
			assert_int_equal(signer_tls_sign(signer, PROCESS_BROKER, id, bad[i],
							 str_make(hash, n), &signature, &why),
					 ERR_INVALID);
	assert_int_equal(signature.n, 0);
}

static void a_key_signs_for_its_own_process_only(void **state)
{
	(void)state;
	char hash[32] = {0};
	uint32_t broker;
	uint32_t admin;
	AUTO_BUF signature = {0};
	assert_int_equal(signer_add(signer, PROCESS_BROKER, STR(""), p256, &broker, &why), 0);
	assert_int_equal(signer_add(signer, PROCESS_ADMIN, STR(""), rsa, &admin, &why), 0);
	const struct {
		enum process asker;
		uint32_t id;
	} bad[] = {
		{PROCESS_BROKER, admin},      {PROCESS_ADMIN, broker}, {PROCESS_ENROL, broker},
		{PROCESS_STORE, admin},       {PROCESS_BROKER, 0},     {PROCESS_BROKER, admin + 1},
		{PROCESS_BROKER, 0xffffffff},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(signer_tls_sign(signer, bad[i].asker, bad[i].id, 0x0403,
						 str_make(hash, 32), &signature, &why),
				 ERR_DENIED);
	assert_int_equal(signature.n, 0);
}

static void the_authority_never_signs_handshakes(void **state)
{
	(void)state;
	uint32_t id = 0;
	for (enum key_slot slot = SLOT_ROOT; slot <= SLOT_ISSUING; slot++) {
		struct key *key;
		assert_int_equal(keystore_load_key(ks, slot, &key, &why), 0);
		assert_int_equal(signer_add(signer, PROCESS_BROKER, STR("mqtts"), key, &id, &why),
				 ERR_DENIED);
		assert_non_null(strstr(why.text, "listener mqtts: the key is the certificate "
						 "authority's"));
		key_unref(key);
	}
	assert_int_equal(id, 0);
}

static void a_listener_changes_its_key(void **state)
{
	(void)state;
	uint32_t first;
	uint32_t second;
	uint32_t again;
	uint32_t found;
	struct key *key = NULL;
	char hash[32] = {0};
	AUTO_BUF signature = {0};
	const struct str name = STR("mqtts");
	assert_int_equal(signer_listener_key(signer, PROCESS_BROKER, name, &found, &key),
			 ERR_NOT_FOUND);
	assert_int_equal(signer_add(signer, PROCESS_BROKER, name, p256, &first, &why), 0);
	assert_int_equal(signer_add(signer, PROCESS_BROKER, name, rsa, &second, &why), 0);
	assert_int_not_equal(first, second);
	assert_int_equal(signer_listener_key(signer, PROCESS_BROKER, name, &found, &key), 0);
	assert_int_equal(found, second);
	assert_true(str_eq(key_spki(key), key_spki(rsa)));
	key_unref(key);
	/* A handshake that began with the old key still ends. */
	assert_int_equal(signer_tls_sign(signer, PROCESS_BROKER, first, 0x0403, str_make(hash, 32),
					 &signature, &why),
			 0);
	assert_int_equal(signer_add(signer, PROCESS_BROKER, name, p256, &again, &why), 0);
	assert_int_equal(again, first);
	assert_int_equal(signer_listener_key(signer, PROCESS_BROKER, name, &found, &key), 0);
	assert_int_equal(found, first);
	key_unref(key);
	assert_int_equal(signer_listener_key(signer, PROCESS_ADMIN, name, &found, &key),
			 ERR_NOT_FOUND);
}

/* ---- keys that people bring -------------------------------------------------------------------
 */

static void encrypted_and_strange_keys_are_refused(void **state)
{
	(void)state;
	struct key *key = NULL;
	gnutls_datum_t pem;
	gnutls_x509_privkey_t made;
	assert_int_equal(gnutls_x509_privkey_init(&made), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(made, GNUTLS_PK_ECDSA,
					     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP521R1), 0),
		0);
	assert_int_equal(gnutls_x509_privkey_export2_pkcs8(made, GNUTLS_X509_FMT_PEM, "secret",
							   GNUTLS_PKCS_PBES2_AES_256, &pem),
			 0);
	assert_int_equal(key_parse(str_make(pem.data, pem.size), "/k", &key, &why), ERR_CRYPTO);
	assert_non_null(strstr(why.text, "the key /k is encrypted"));
	gnutls_free(pem.data);
	assert_int_equal(gnutls_x509_privkey_export2(made, GNUTLS_X509_FMT_DER, &pem), 0);
	assert_int_equal(key_parse(str_make(pem.data, pem.size), "/k", &key, &why), ERR_CRYPTO);
	assert_non_null(strstr(why.text, "the key /k is refused: the key is P-521"));
	gnutls_free(pem.data);
	gnutls_x509_privkey_deinit(made);
	assert_int_equal(key_parse(STR("-----BEGIN CERTIFICATE-----\n"), "/k", &key, &why),
			 ERR_MALFORMED);
	assert_null(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_scheme_verifies),
		TEST(a_scheme_of_another_key_type_is_refused),
		TEST(a_key_signs_for_its_own_process_only),
		TEST(the_authority_never_signs_handshakes),
		TEST(a_listener_changes_its_key),
		cmocka_unit_test(encrypted_and_strange_keys_are_refused),
	};
	log_set_level(LOG_LEVEL_ERROR);
	p256 = key_generate(KEY_P256);
	rsa = key_generate(KEY_RSA2048);
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	key_unref(p256);
	key_unref(rsa);
	return failed;
}
