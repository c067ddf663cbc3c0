/* SPDX-License-Identifier: Apache-2.0
 *
 * What an authority says about its certificates: lists that our own reader and GnuTLS read back,
 * OCSP responses as GnuTLS sees them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/crl.h"
#include "certs/leaf.h"
#include "certs/statement.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ipc/frame.h"

#include <gnutls/ocsp.h>
#include <gnutls/x509.h>

static int64_t now; /* GnuTLS compares with the clock */

struct fixture {
	struct key *key;
	struct certificate authority;
	struct statement statement;
	struct buf trust;
	struct leaf facts;
};

static int setup(void **state)
{
	static struct fixture f;
	struct why why;
	now = clock_wall();
	f = (struct fixture){.key = key_generate(KEY_P256)};
	const struct certificate_order order = {
		.profile = PROFILE_ISSUING,
		.spki = key_spki(f.key),
		.common_name = "Test Issuing",
		.now = now,
		.not_after = now + YEAR,
	};
	assert_int_equal(certificate_make(&order, NULL, f.key, &f.authority, &why), 0);
	f.statement = (struct statement){&f.authority, f.key, now, now + STATEMENT_LIFE};
	const uint32_t n = (uint32_t)f.authority.der.n;
	buf_put(&f.trust, &n, sizeof(n));
	buf_str(&f.trust, buf_view(&f.authority.der));
	assert_int_equal(leaf_read(buf_view(&f.authority.der), &f.facts), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	key_unref(f->key);
	certificate_fini(&f->authority);
	buf_fini(&f->trust);
	return 0;
}

static void put_entry(struct buf *b, const char *serial, uint64_t at, uint8_t reason)
{
	const struct body_crl_entry e = {str_of(serial), at, reason};
	ENTRIES_PUT(b, crl_entry, &e);
}

static void a_list_is_read_back(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF entries = {0};
	AUTO_BUF der = {0};
	struct crl_set *made = NULL;
	put_entry(&entries, "\x41\x01", now - 10, REASON_KEY_COMPROMISE);
	put_entry(&entries, "\xf1\x02", now - 20, REASON_UNSPECIFIED);
	assert_int_equal(statement_list(&f->statement, 77, buf_view(&entries), &der, &why), 0);
	assert_int_equal(crl_set_read(buf_view(&der), buf_view(&f->trust), &made, &why), 0);
	AUTO(crl_set) set = made;
	assert_int_equal(crl_set_entries(set), 2);
	assert_int_equal(crl_set_next_update(set), now + STATEMENT_LIFE);
	assert_true(crl_set_has(set, f->facts.subject, STR("\x41\x01")));
	assert_true(crl_set_has(set, f->facts.subject, STR("\0\xf1\x02")));
	assert_false(crl_set_has(set, f->facts.subject, STR("\x41\x02")));
}

static void gnutls_reads_the_list(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF entries = {0};
	AUTO_BUF der = {0};
	gnutls_x509_crl_t crl;
	gnutls_x509_crt_t ca;
	unsigned char number[20];
	size_t n = sizeof(number);
	unsigned status = 1;
	put_entry(&entries, "\x41\x01", now - 10, REASON_HOLD);
	assert_int_equal(statement_list(&f->statement, 258, buf_view(&entries), &der, &why), 0);
	const gnutls_datum_t d = {(unsigned char *)der.p, (unsigned)der.n};
	const gnutls_datum_t c = {(unsigned char *)f->authority.der.p,
				  (unsigned)f->authority.der.n};
	gnutls_x509_crl_init(&crl);
	gnutls_x509_crt_init(&ca);
	assert_int_equal(gnutls_x509_crl_import(crl, &d, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_x509_crt_import(ca, &c, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_x509_crl_get_version(crl), 2);
	assert_int_equal(gnutls_x509_crl_get_crt_count(crl), 1);
	assert_int_equal(gnutls_x509_crl_get_this_update(crl), now);
	assert_int_equal(gnutls_x509_crl_get_number(crl, number, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(number, "\x01\x02", 2);
	assert_int_equal(gnutls_x509_crl_verify(crl, &ca, 1,
						GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
							GNUTLS_VERIFY_DISABLE_CRL_CHECKS,
						&status),
			 0);
	assert_int_equal(status, 0);
	gnutls_x509_crl_deinit(crl);
	gnutls_x509_crt_deinit(ca);
}

/* How long it took is printed, not judged: the design's goal is 100 ms. */
static void a_list_of_100000(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF entries = {0};
	AUTO_BUF der = {0};
	struct crl_set *made = NULL;
	unsigned char serial[SERIAL_LEN] = {0x40};
	for (uint32_t i = 0; i < 100000; i++) {
		memcpy(serial + 12, &i, sizeof(i));
		const struct body_crl_entry e = {str_make(serial, sizeof(serial)),
						 (uint64_t)now - i, (uint8_t)(i % 5)};
		ENTRIES_PUT(&entries, crl_entry, &e);
	}
	const uint64_t before = clock_mono_ms();
	assert_int_equal(statement_list(&f->statement, 1, buf_view(&entries), &der, &why), 0);
	print_message("100,000 entries: %llu ms, %zu bytes\n",
		      (unsigned long long)(clock_mono_ms() - before), der.n);
	assert_int_equal(crl_set_read(buf_view(&der), buf_view(&f->trust), &made, &why), 0);
	assert_int_equal(crl_set_entries(made), 100000);
	assert_true(crl_set_has(made, f->facts.subject, str_make(serial, sizeof(serial))));
	crl_set_unref(made);
}

static void an_empty_list(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF der = {0};
	struct crl_set *made = NULL;
	assert_int_equal(statement_list(&f->statement, 1, STR(""), &der, &why), 0);
	assert_int_equal(crl_set_read(buf_view(&der), buf_view(&f->trust), &made, &why), 0);
	assert_int_equal(crl_set_entries(made), 0);
	crl_set_unref(made);
}

static void damaged_entries_are_refused(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF entries = {0};
	AUTO_BUF der = {0};
	put_entry(&entries, "\x01", now, 0);
	entries.n--;
	assert_int_equal(statement_list(&f->statement, 1, buf_view(&entries), &der, &why),
			 ERR_MALFORMED);
	entries.n = 0;
	put_entry(&entries, "", now, 0);
	assert_int_equal(statement_list(&f->statement, 1, buf_view(&entries), &der, &why),
			 ERR_MALFORMED);
	entries.n = 0;
	put_entry(&entries, "\x01", now, 11);
	assert_int_equal(statement_list(&f->statement, 1, buf_view(&entries), &der, &why),
			 ERR_MALFORMED);
}

static void put_answer(struct buf *b, bool sha1, const char *serial, enum ocsp_status status,
		       uint8_t reason)
{
	const struct body_ocsp_answer a = {sha1, str_of(serial), (uint8_t)status, now - 5, reason};
	ENTRIES_PUT(b, ocsp_answer, &a);
}

static void an_ocsp_response(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF answers = {0};
	AUTO_BUF der = {0};
	gnutls_ocsp_resp_t r;
	gnutls_x509_crt_t ca;
	unsigned verify = 1, status, reason;
	gnutls_digest_algorithm_t digest;
	gnutls_datum_t name, key, serial, nonce;
	time_t this_update, next_update, revoked;
	put_answer(&answers, true, "\x41\x01", OCSP_GOOD, 0);
	put_answer(&answers, false, "\x41\x02", OCSP_REVOKED, REASON_CESSATION);
	put_answer(&answers, true, "\x41\x03", OCSP_UNKNOWN, 0);
	assert_int_equal(
		statement_ocsp(&f->statement, buf_view(&answers), STR("\x04\x02hi"), &der, &why),
		0);
	const gnutls_datum_t d = {(unsigned char *)der.p, (unsigned)der.n};
	const gnutls_datum_t c = {(unsigned char *)f->authority.der.p,
				  (unsigned)f->authority.der.n};
	gnutls_ocsp_resp_init(&r);
	gnutls_x509_crt_init(&ca);
	assert_int_equal(gnutls_ocsp_resp_import(r, &d), 0);
	assert_int_equal(gnutls_x509_crt_import(ca, &c, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_ocsp_resp_verify_direct(r, ca, &verify, 0), 0);
	assert_int_equal(verify, 0);
	assert_int_equal(gnutls_ocsp_resp_get_single(r, 1, &digest, &name, &key, &serial, &status,
						     &this_update, &next_update, &revoked, &reason),
			 0);
	assert_int_equal(digest, GNUTLS_DIG_SHA256);
	assert_int_equal(status, GNUTLS_OCSP_CERT_REVOKED);
	assert_int_equal(revoked, now - 5);
	assert_int_equal(reason, REASON_CESSATION);
	assert_int_equal(next_update, now + STATEMENT_LIFE);
	gnutls_free(name.data);
	gnutls_free(key.data);
	gnutls_free(serial.data);
	assert_int_equal(gnutls_ocsp_resp_get_single(r, 2, NULL, NULL, NULL, NULL, &status, NULL,
						     NULL, NULL, NULL),
			 0);
	assert_int_equal(status, GNUTLS_OCSP_CERT_UNKNOWN);
	assert_int_equal(gnutls_ocsp_resp_get_nonce(r, NULL, &nonce), 0);
	assert_int_equal(nonce.size, 2);
	gnutls_free(nonce.data);
	gnutls_ocsp_resp_deinit(r);
	gnutls_x509_crt_deinit(ca);
}

static void bad_answers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct why why = {""};
	AUTO_BUF answers = {0};
	AUTO_BUF der = {0};
	char nonce[OCSP_NONCE_MAX + 1] = {0};
	assert_int_equal(statement_ocsp(&f->statement, STR(""), STR(""), &der, &why),
			 ERR_MALFORMED);
	put_answer(&answers, true, "\x01", 3, 0);
	assert_int_equal(statement_ocsp(&f->statement, buf_view(&answers), STR(""), &der, &why),
			 ERR_MALFORMED);
	answers.n = 0;
	put_answer(&answers, true, "\x01", OCSP_GOOD, 0);
	assert_int_equal(statement_ocsp(&f->statement, buf_view(&answers),
					str_make(nonce, sizeof(nonce)), &der, &why),
			 ERR_LIMIT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_is_read_back),
		TEST(gnutls_reads_the_list),
		TEST(a_list_of_100000),
		TEST(an_empty_list),
		TEST(damaged_entries_are_refused),
		TEST(an_ocsp_response),
		TEST(bad_answers_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
