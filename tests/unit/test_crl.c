/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists, signed here by an authority made at run time: what is found on them, and which
 * are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/crl.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "daemon/base/err.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

struct authority {
	gnutls_x509_privkey_t key;
	struct buf trust; /* its certificate behind its length */
	struct leaf facts;
};

static void make_authority(struct authority *a, unsigned usage)
{
	gnutls_x509_crt_t crt;
	gnutls_datum_t der;
	assert_int_equal(gnutls_x509_privkey_init(&a->key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(a->key, GNUTLS_PK_ECDSA,
					     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "Works CA", 8);
	gnutls_x509_crt_set_activation_time(crt, 1700000000);
	gnutls_x509_crt_set_expiration_time(crt, 4000000000);
	gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
	gnutls_x509_crt_set_key_usage(crt, usage);
	gnutls_x509_crt_set_key(crt, a->key);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, a->key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
	const uint32_t n = der.size;
	buf_put(&a->trust, &n, sizeof(n));
	buf_put(&a->trust, der.data, der.size);
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(crt);
	assert_int_equal(leaf_read(str_make(a->trust.p + 4, a->trust.n - 4), &a->facts), 0);
}

static void free_authority(struct authority *a)
{
	gnutls_x509_privkey_deinit(a->key);
	buf_fini(&a->trust);
}

static void put_ecdsa(struct buf *b)
{
	const size_t mark = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, "1.2.840.10045.4.3.2");
	der_end(b, mark);
}

static void put_extension(struct buf *b, const char *oid, struct str value)
{
	const size_t outer = der_begin(b, DER_CONTEXT_OPEN);
	const size_t list = der_begin(b, DER_SEQUENCE);
	const size_t e = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	der_put_bool(b, true);
	der_put(b, DER_OCTET_STRING, value);
	der_end(b, e);
	der_end(b, list);
	der_end(b, outer);
}

static void put_entries(struct buf *b, uint64_t first, size_t n)
{
	if (n == 0)
		return;
	const size_t entries = der_begin(b, DER_SEQUENCE);
	for (size_t i = 0; i < n; i++) {
		const size_t e = der_begin(b, DER_SEQUENCE);
		der_put_number(b, first + 2 * (n - i)); /* not in order */
		der_put_time(b, 1700000000);
		der_end(b, e);
	}
	der_end(b, entries);
}

/* n entries with serial numbers first + 2, first + 4 ... */
static void make_list(const struct authority *a, uint64_t first, size_t n, const char *oid,
		      struct str value, struct buf *out)
{
	AUTO_BUF tbs = {0};
	gnutls_privkey_t key;
	gnutls_datum_t signature;
	const size_t mark = der_begin(&tbs, DER_SEQUENCE);
	der_put_number(&tbs, 1);
	put_ecdsa(&tbs);
	buf_str(&tbs, a->facts.subject);
	der_put_time(&tbs, 1700000000);
	der_put_time(&tbs, 1800000000);
	put_entries(&tbs, first, n);
	if (oid)
		put_extension(&tbs, oid, value);
	der_end(&tbs, mark);
	const gnutls_datum_t data = {(unsigned char *)tbs.p, (unsigned)tbs.n};
	gnutls_privkey_init(&key);
	assert_int_equal(gnutls_privkey_import_x509(key, a->key, 0), 0);
	assert_int_equal(
		gnutls_privkey_sign_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &signature), 0);
	const size_t outer = der_begin(out, DER_SEQUENCE);
	buf_str(out, buf_view(&tbs));
	put_ecdsa(out);
	der_put_bits(out, str_make(signature.data, signature.size));
	der_end(out, outer);
	gnutls_free(signature.data);
	gnutls_privkey_deinit(key);
}

static int read_list(const struct authority *a, const struct buf *list, struct crl_set **out,
		     struct why *why)
{
	return crl_set_read(buf_view(list), buf_view(&a->trust), out, why);
}

static bool has(const struct crl_set *s, const struct authority *a, uint64_t serial)
{
	AUTO_BUF n = {0};
	der_put_number(&n, serial);
	return crl_set_has(s, a->facts.subject, str_make(n.p + 2, n.n - 2));
}

static void found_on_a_large_list(void **state)
{
	enum { ENTRIES = 100000 };
	(void)state;
	struct authority a = {0};
	AUTO_BUF list = {0};
	struct why why = {""};
	make_authority(&a, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	make_list(&a, 0x7fffffff00000000, ENTRIES, NULL, STR(""), &list);
	AUTO(crl_set) s = NULL;
	assert_int_equal(read_list(&a, &list, &s, &why), 0);
	assert_int_equal(crl_set_entries(s), ENTRIES);
	assert_int_equal(crl_set_next_update(s), 1800000000);
	assert_true(has(s, &a, 0x7fffffff00000002));
	assert_true(has(s, &a, 0x7fffffff00000000 + 2 * ENTRIES));
	assert_false(has(s, &a, 0x7fffffff00000003));
	assert_false(has(s, &a, 0x7fffffff00000000));
	assert_false(crl_set_has(s, a.facts.spki, STR("\2"))); /* another issuer */
	free_authority(&a);
}

static void an_empty_list(void **state)
{
	(void)state;
	struct authority a = {0};
	AUTO_BUF list = {0};
	make_authority(&a, GNUTLS_KEY_CRL_SIGN);
	make_list(&a, 0, 0, NULL, STR(""), &list);
	AUTO(crl_set) s = NULL;
	assert_int_equal(read_list(&a, &list, &s, NULL), 0);
	assert_int_equal(crl_set_entries(s), 0);
	assert_false(has(s, &a, 1));
	free_authority(&a);
}

static void signatures(void **state)
{
	(void)state;
	struct authority a = {0};
	struct authority impostor = {0}; /* the same name, another key */
	struct authority mute = {0};     /* may not sign lists */
	AUTO_BUF list = {0};
	AUTO_BUF of_mute = {0};
	struct crl_set *s = NULL;
	struct why why;
	make_authority(&a, GNUTLS_KEY_CRL_SIGN);
	make_authority(&impostor, GNUTLS_KEY_CRL_SIGN);
	make_authority(&mute, GNUTLS_KEY_KEY_CERT_SIGN);
	make_list(&impostor, 0, 1, NULL, STR(""), &list);
	assert_int_equal(read_list(&a, &list, &s, &why), ERR_CRYPTO);
	assert_non_null(strstr(why.text, "not signed by its authority"));
	make_list(&mute, 0, 1, NULL, STR(""), &of_mute);
	assert_int_equal(read_list(&mute, &of_mute, &s, &why), ERR_CRYPTO);
	assert_int_equal(crl_set_read(buf_view(&list), STR(""), &s, &why), ERR_NOT_FOUND);
	free_authority(&a);
	free_authority(&impostor);
	free_authority(&mute);
}

static void kinds_that_mean_something_else(void **state)
{
	static const struct {
		const char *oid;
		struct str value;
		int err;
	} table[] = {
		{"2.5.29.27", {"\2\1\1", 3}, ERR_INVALID},           /* delta */
		{"2.5.29.28", {"\x30\3\x84\1\xff", 5}, ERR_INVALID}, /* indirect */
		{"2.5.29.28", {"\x30\3\x81\1\xff", 5}, 0},           /* user certificates only */
		{"1.2.3.4", {"\5\0", 2}, ERR_INVALID},
	};
	(void)state;
	struct authority a = {0};
	make_authority(&a, GNUTLS_KEY_CRL_SIGN);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		AUTO_BUF list = {0};
		AUTO(crl_set) s = NULL;
		make_list(&a, 0, 1, table[i].oid, table[i].value, &list);
		assert_int_equal(read_list(&a, &list, &s, NULL), table[i].err);
	}
	free_authority(&a);
}

static void damaged(void **state)
{
	(void)state;
	struct authority a = {0};
	AUTO_BUF list = {0};
	make_authority(&a, GNUTLS_KEY_CRL_SIGN);
	make_list(&a, 0, 2, NULL, STR(""), &list);
	for (size_t n = 0; n < list.n; n++) {
		struct crl_set *s = NULL;
		AUTO_BUF cut = {0};
		buf_put(&cut, list.p, n);
		assert_int_equal(read_list(&a, &cut, &s, NULL), ERR_MALFORMED);
	}
	struct crl_set *s = NULL;
	list.p[list.n / 2] ^= 1; /* somewhere: structure or signature */
	assert_int_not_equal(read_list(&a, &list, &s, NULL), 0);
	free_authority(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_on_a_large_list),
		cmocka_unit_test(an_empty_list),
		cmocka_unit_test(signatures),
		cmocka_unit_test(kinds_that_mean_something_else),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
