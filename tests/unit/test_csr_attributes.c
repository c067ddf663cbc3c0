/* SPDX-License-Identifier: Apache-2.0
 *
 * What EST reads of a request beside key and name, on requests that GnuTLS wrote and on damaged
 * ones; subjects compared by value; what we ask clients for.
 */
#include "certs/csr.h"
#include "certs/csr_attributes.h"
#include "certs/der.h"
#include "certs/request.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define OID_CHALLENGE "1.2.840.113549.1.9.7"

static void ok(int gnutls_error)
{
	assert_true(gnutls_error >= 0);
}

/* A request with these; NULL: without. */
static void make(const char *challenge, const char *uri, const char *attribute, struct buf *out)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crq_t crq;
	gnutls_datum_t der;
	ok(gnutls_x509_privkey_init(&key));
	ok(gnutls_x509_crq_init(&crq));
	ok(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	ok(gnutls_x509_crq_set_version(crq, 1));
	ok(gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, "pump-1", 6));
	ok(gnutls_x509_crq_set_key(crq, key));
	if (challenge)
		ok(gnutls_x509_crq_set_challenge_password(crq, challenge));
	if (uri)
		ok(gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_URI, uri,
							(unsigned)strlen(uri), GNUTLS_FSAN_SET));
	if (attribute)
		ok(gnutls_x509_crq_set_attribute_by_oid(crq, attribute, (void *)(uintptr_t) "\5\0",
							2));
	ok(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0));
	ok(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_DER, &der));
	out->n = 0;
	buf_put(out, der.data, der.size);
	gnutls_free(der.data);
	gnutls_x509_crq_deinit(crq);
	gnutls_x509_privkey_deinit(key);
}

static struct csr_attributes read_it(const struct buf *der)
{
	struct csr_attributes a;
	struct why why = {0};
	assert_int_equal(csr_attributes_read(buf_view(der), &a, &why), 0);
	return a;
}

static void nothing_asked(void **state)
{
	AUTO_BUF der = {0};
	(void)state;
	make(NULL, NULL, NULL, &der);
	const struct csr_attributes a = read_it(&der);
	assert_int_equal(a.challenge.n, 0);
	assert_false(a.has_names || a.change_name || a.wants_encrypted_key);
	assert_true(a.subject.n > 6 &&
		    str_is(str_make(a.subject.p + a.subject.n - 6, 6), "pump-1"));
}

static void what_is_read(void **state)
{
	AUTO_BUF der = {0};
	AUTO_BUF want = {0};
	(void)state;
	make("secret", "urn:uuid:1", NULL, &der);
	struct csr_attributes a = read_it(&der);
	assert_true(str_is(a.challenge, "secret"));
	assert_true(a.has_names);
	der_put(&want, DER_CONTEXT | 6, STR("urn:uuid:1"));
	assert_true(str_eq(a.names, buf_view(&want)));
	make(NULL, NULL, "1.3.6.1.5.5.7.7.36", &der);
	assert_true(read_it(&der).change_name);
	make(NULL, NULL, "1.2.840.113549.1.9.16.2.37", &der);
	assert_true(read_it(&der).wants_encrypted_key);
	make(NULL, NULL, "1.2.840.113549.1.9.16.2.54", &der);
	assert_true(read_it(&der).wants_encrypted_key);
	make(NULL, NULL, "1.2.3.4", &der); /* unknown ones are nobody's business */
	a = read_it(&der);
	assert_false(a.change_name || a.wants_encrypted_key);
}

/* A request with these bytes inside of its attributes; unsigned. */
static int with_attributes(struct str inside, struct csr_attributes *a)
{
	AUTO_BUF der = {0};
	struct why why = {0};
	const size_t whole = der_begin(&der, DER_SEQUENCE);
	const size_t info = der_begin(&der, DER_SEQUENCE);
	der_put_number(&der, 0);
	der_put(&der, DER_SEQUENCE, STR(""));
	der_put(&der, DER_SEQUENCE, STR(""));
	der_put(&der, DER_CONTEXT_OPEN | 0, inside);
	der_end(&der, info);
	der_put(&der, DER_SEQUENCE, STR(""));
	der_put_bits(&der, STR(""));
	der_end(&der, whole);
	const int err = csr_attributes_read(buf_view(&der), a, &why);
	assert_true(err == 0 || why.text[0]);
	return err;
}

static void put_challenge(struct buf *b, uint8_t tag, const char *first, const char *second)
{
	const size_t attribute = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, OID_CHALLENGE);
	const size_t set = der_begin(b, DER_SET);
	der_put(b, tag, str_of(first));
	if (second)
		der_put(b, tag, str_of(second));
	der_end(b, set);
	der_end(b, attribute);
}

static void damaged_attributes(void **state)
{
	struct csr_attributes a;
	AUTO_BUF b = {0};
	(void)state;
	assert_int_equal(with_attributes(STR(""), &a), 0);
	put_challenge(&b, DER_PRINTABLE_STRING, "x", NULL);
	assert_int_equal(with_attributes(buf_view(&b), &a), 0);
	put_challenge(&b, DER_PRINTABLE_STRING, "y", NULL); /* twice */
	assert_int_equal(with_attributes(buf_view(&b), &a), ERR_MALFORMED);
	b.n = 0;
	put_challenge(&b, DER_PRINTABLE_STRING, "x", "y"); /* two values */
	assert_int_equal(with_attributes(buf_view(&b), &a), ERR_MALFORMED);
	b.n = 0;
	put_challenge(&b, DER_INTEGER, "x", NULL);
	assert_int_equal(with_attributes(buf_view(&b), &a), ERR_MALFORMED);
	b.n = 0;
	put_challenge(&b, DER_PRINTABLE_STRING, "", NULL);
	assert_int_equal(with_attributes(buf_view(&b), &a), ERR_MALFORMED);
	assert_int_equal(with_attributes(STR("\x30\x05"), &a), ERR_MALFORMED);
	assert_int_equal(with_attributes(STR("\x30\x00"), &a), ERR_MALFORMED);
	assert_int_equal(csr_attributes_read(STR(""), &a, NULL), ERR_MALFORMED);
}

static void put_name(struct buf *b, const char *oid, uint8_t tag, const char *value)
{
	b->n = 0;
	const size_t name = der_begin(b, DER_SEQUENCE);
	const size_t set = der_begin(b, DER_SET);
	const size_t pair = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	der_put(b, tag, str_of(value));
	der_end(b, pair);
	der_end(b, set);
	der_end(b, name);
}

static void subjects_are_compared_by_value(void **state)
{
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	(void)state;
	put_name(&a, "2.5.4.3", DER_PRINTABLE_STRING, "pump-1");
	put_name(&b, "2.5.4.3", DER_UTF8_STRING, "pump-1");
	assert_true(csr_same_subject(buf_view(&a), buf_view(&b)));
	put_name(&b, "2.5.4.3", DER_UTF8_STRING, "Pump-1");
	assert_false(csr_same_subject(buf_view(&a), buf_view(&b)));
	put_name(&b, "2.5.4.10", DER_UTF8_STRING, "pump-1");
	assert_false(csr_same_subject(buf_view(&a), buf_view(&b)));
	put_name(&b, "2.5.4.3", DER_BIT_STRING, "pump-1");
	assert_false(csr_same_subject(buf_view(&a), buf_view(&b)));
	b.n = 0;
	der_put(&b, DER_SEQUENCE, STR("")); /* fewer */
	assert_false(csr_same_subject(buf_view(&a), buf_view(&b)));
	assert_false(csr_same_subject(buf_view(&b), buf_view(&a)));
	assert_true(csr_same_subject(buf_view(&b), buf_view(&b)));
	put_name(&b, "2.5.4.3", DER_UTF8_STRING, "pump-1");
	assert_false(csr_same_subject(buf_view(&a), str_make(b.p, b.n - 1)));
	assert_false(csr_same_subject(STR(""), STR("")));
}

static void what_clients_are_asked_for(void **state)
{
	static const unsigned char want[] = {
		0x30, 0x21, 0x30, 0x15, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
		0x01, 0x31, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
	};
	AUTO_BUF der = {0};
	AUTO_BUF oid = {0};
	(void)state;
	csr_attributes_wanted(false, &der);
	assert_int_equal(der.n, sizeof(want));
	assert_memory_equal(der.p, want, sizeof(want));
	der.n = 0;
	csr_attributes_wanted(true, &der);
	der_put_oid(&oid, OID_CHALLENGE);
	assert_non_null(memmem(der.p, der.n, oid.p, oid.n));
}

static void keys_of_every_kind(void **state)
{
	static const char *const kinds[] = {"P-256", "P-384", "Ed25519", "RSA"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		AUTO_SECRET pkcs8 = {0};
		uint8_t spki[SPKI_MAX];
		size_t n = sizeof(spki);
		struct spki_facts facts;
		gnutls_x509_privkey_t key;
		assert_int_equal(request_key(kinds[i], &pkcs8, spki, &n), 0);
		assert_int_equal(spki_check(str_make(spki, n), &facts, NULL), 0);
		assert_string_equal(facts.kind, kinds[i]);
		const gnutls_datum_t der = {(unsigned char *)pkcs8.p, (unsigned)pkcs8.n};
		ok(gnutls_x509_privkey_init(&key));
		ok(gnutls_x509_privkey_import_pkcs8(key, &der, GNUTLS_X509_FMT_DER, NULL,
						    GNUTLS_PKCS_PLAIN));
		gnutls_x509_privkey_deinit(key);
	}
	AUTO_SECRET none = {0};
	size_t n = 0;
	assert_int_equal(request_key("P-521", &none, NULL, &n), ERR_CRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked),
		cmocka_unit_test(what_is_read),
		cmocka_unit_test(damaged_attributes),
		cmocka_unit_test(subjects_are_compared_by_value),
		cmocka_unit_test(what_clients_are_asked_for),
		cmocka_unit_test(keys_of_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
