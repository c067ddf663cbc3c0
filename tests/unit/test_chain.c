/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains that clients show: good, over, of a server, of an authority, of nobody we know, cut short.
 * And certificates in the envelope of EST: what GnuTLS reads out of it, in our order.
 */
#include "certs/chain.h"
#include "certs/pkcs7.h"
#include "daemon/base/err.h"

#include <gnutls/abstract.h>
#include <gnutls/pkcs7.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { DAY_S = 86400 };

struct made {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t der;
};

static struct made root, issuing, other;

static void ok(int gnutls_error)
{
	assert_true(gnutls_error >= 0);
}

/* issuer NULL: its own. purpose NULL: an authority. */
static struct made make(const char *name, const struct made *issuer, const char *purpose,
			time_t begins, time_t ends)
{
	struct made m;
	static unsigned char serial[] = {1, 0};
	serial[1]++;
	ok(gnutls_x509_privkey_init(&m.key));
	ok(gnutls_x509_privkey_generate(m.key, GNUTLS_PK_ECDSA,
					GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	ok(gnutls_x509_crt_init(&m.crt));
	ok(gnutls_x509_crt_set_version(m.crt, 3));
	ok(gnutls_x509_crt_set_serial(m.crt, serial, sizeof(serial)));
	ok(gnutls_x509_crt_set_activation_time(m.crt, time(NULL) + begins));
	ok(gnutls_x509_crt_set_expiration_time(m.crt, time(NULL) + ends));
	ok(gnutls_x509_crt_set_dn_by_oid(m.crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
					 (unsigned)strlen(name)));
	ok(gnutls_x509_crt_set_key(m.crt, m.key));
	ok(gnutls_x509_crt_set_basic_constraints(m.crt, purpose == NULL, -1));
	ok(gnutls_x509_crt_set_key_usage(m.crt, purpose ? GNUTLS_KEY_DIGITAL_SIGNATURE
							: GNUTLS_KEY_KEY_CERT_SIGN));
	if (purpose)
		ok(gnutls_x509_crt_set_key_purpose_oid(m.crt, purpose, 0));
	ok(gnutls_x509_crt_sign2(m.crt, issuer ? issuer->crt : m.crt, issuer ? issuer->key : m.key,
				 GNUTLS_DIG_SHA256, 0));
	ok(gnutls_x509_crt_export2(m.crt, GNUTLS_X509_FMT_DER, &m.der));
	return m;
}

static void unmake(struct made *m)
{
	gnutls_free(m->der.data);
	gnutls_x509_crt_deinit(m->crt);
	gnutls_x509_privkey_deinit(m->key);
}

static int set_up(void **state)
{
	(void)state;
	root = make("root", NULL, NULL, -DAY_S, DAY_S);
	issuing = make("issuing", &root, NULL, -DAY_S, DAY_S);
	other = make("other", NULL, NULL, -DAY_S, DAY_S);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unmake(&root);
	unmake(&issuing);
	unmake(&other);
	return 0;
}

static struct str der(const struct made *m)
{
	return str_make(m->der.data, m->der.size);
}

static enum chain_verdict verify(const struct made *leaf, const struct made *above, struct why *why)
{
	AUTO(chain_trust) trust = chain_trust_new();
	const struct str chain[] = {der(leaf), above ? der(above) : STR("")};
	assert_int_equal(chain_trust_add(trust, der(&root)), 0);
	assert_int_equal(chain_trust_add(trust, der(&root)), 0); /* twice is once */
	assert_int_equal(chain_trust_add(trust, STR("no certificate")), ERR_MALFORMED);
	why->text[0] = '\0';
	return chain_verify_client(trust, chain, above ? 2 : 1, why);
}

static void verdicts(void **state)
{
	const struct {
		const char *what;
		const struct made *issuer, *above;
		const char *purpose;
		time_t begins, ends;
		enum chain_verdict want;
		const char *why;
	} cases[] = {
		{"good", &issuing, &issuing, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60, CHAIN_GOOD, ""},
		{"of the root", &root, NULL, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60, CHAIN_GOOD, ""},
		{"over", &issuing, &issuing, GNUTLS_KP_TLS_WWW_CLIENT, -60, -30, CHAIN_EXPIRED,
		 "has expired"},
		{"too early", &issuing, &issuing, GNUTLS_KP_TLS_WWW_CLIENT, 300, 600, CHAIN_REFUSED,
		 "not yet"},
		{"a server's", &issuing, &issuing, GNUTLS_KP_TLS_WWW_SERVER, -60, 60, CHAIN_REFUSED,
		 "clientAuth"},
		{"an authority", &issuing, &issuing, NULL, -60, 60, CHAIN_REFUSED, "authority"},
		{"cut short", &issuing, NULL, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60, CHAIN_REFUSED,
		 "issuer is unknown"},
		{"of another", &other, &other, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60, CHAIN_REFUSED,
		 "issuer is unknown"},
		{"of another and over", &other, &other, GNUTLS_KP_TLS_WWW_CLIENT, -60, -30,
		 CHAIN_REFUSED, "issuer is unknown"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct why why;
		struct made m = make("pump-1", cases[i].issuer, cases[i].purpose, cases[i].begins,
				     cases[i].ends);
		const enum chain_verdict v = verify(&m, cases[i].above, &why);
		if (v != cases[i].want || !strstr(why.text, cases[i].why))
			fail_msg("%s: %d, %s", cases[i].what, v, why.text);
		unmake(&m);
	}
}

/* The name of the issuer is right, the signature is not its. */
static void forged(void **state)
{
	struct why why;
	struct made false_root = make("root", NULL, NULL, -DAY_S, DAY_S);
	struct made m = make("pump-1", &false_root, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60);
	(void)state;
	assert_int_equal(verify(&m, NULL, &why), CHAIN_REFUSED);
	assert_true(why.text[0]);
	unmake(&m);
	unmake(&false_root);
}

/* An authority that is trusted names one of its own like another that is trusted: who looks the
 * issuer up by its name would take its devices for those of the other. */
static void a_name_of_another_authority(void **state)
{
	AUTO(chain_trust) trust = chain_trust_new();
	struct made false_other = make("other", &root, NULL, -DAY_S, DAY_S);
	struct made m = make("pump-1", &false_other, GNUTLS_KP_TLS_WWW_CLIENT, -60, 60);
	const struct str chain[] = {der(&m), der(&false_other)};
	struct why why;
	(void)state;
	assert_int_equal(chain_trust_add(trust, der(&root)), 0);
	assert_int_equal(chain_verify_client(trust, chain, 2, &why), CHAIN_GOOD);
	assert_int_equal(chain_trust_add(trust, der(&other)), 0);
	assert_int_equal(chain_verify_client(trust, chain, 2, &why), CHAIN_REFUSED);
	assert_non_null(strstr(why.text, "bears the name of another"));
	/* Two of one name that are both trusted are both good: a root and its cross certificate. */
	assert_int_equal(chain_trust_add(trust, der(&false_other)), 0);
	assert_int_equal(chain_verify_client(trust, chain, 2, &why), CHAIN_GOOD);
	unmake(&m);
	unmake(&false_other);
}

static void chains_that_are_none(void **state)
{
	AUTO(chain_trust) trust = chain_trust_new();
	struct str many[CHAIN_MAX + 1];
	struct why why;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = der(&issuing);
	assert_int_equal(chain_verify_client(trust, many, 0, &why), CHAIN_REFUSED);
	assert_int_equal(chain_verify_client(trust, many, ARRAY_LEN(many), &why), CHAIN_REFUSED);
	many[0] = STR("garbage");
	assert_int_equal(chain_verify_client(trust, many, 1, &why), CHAIN_REFUSED);
	assert_non_null(strstr(why.text, "cannot be read"));
}

static void an_envelope_keeps_the_order(void **state)
{
	const struct made *order[] = {&other, &root, &issuing};
	struct str list[3];
	AUTO_BUF envelope = {0};
	gnutls_pkcs7_t p7;
	(void)state;
	for (size_t i = 0; i < 3; i++)
		list[i] = der(order[i]);
	pkcs7_certs_only(list, 3, &envelope);
	const gnutls_datum_t in = {(unsigned char *)envelope.p, (unsigned)envelope.n};
	ok(gnutls_pkcs7_init(&p7));
	ok(gnutls_pkcs7_import(p7, &in, GNUTLS_X509_FMT_DER));
	assert_int_equal(gnutls_pkcs7_get_crt_count(p7), 3);
	for (int i = 0; i < 3; i++) {
		gnutls_datum_t out;
		ok(gnutls_pkcs7_get_crt_raw2(p7, (unsigned)i, &out));
		assert_true(str_eq(list[i], str_make(out.data, out.size)));
		gnutls_free(out.data);
	}
	gnutls_pkcs7_deinit(p7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(forged),
		cmocka_unit_test(a_name_of_another_authority),
		cmocka_unit_test(chains_that_are_none),
		cmocka_unit_test(an_envelope_keeps_the_order),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
