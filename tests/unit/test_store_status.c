/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store says about certificates: which lists it has made and what is on them, answers to
 * OCSP questions, staples for the listeners.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/der.h"
#include "daemon/base/clock.h"
#include "db/certificate.h"
#include "db/hash.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>

enum { DAY = 24 * 3600 };

static int set_up(void **state)
{
	*state = rig_new();
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static void wait_list(struct rig *r)
{
	r->listed = false;
	rig_until(r, &r->listed);
}

static size_t entries_of(struct rig *r, struct body_crl_entry *first)
{
	struct cur c = cur_of(buf_view(&r->list));
	struct str record;
	size_t n = 0;
	for (; entries_next(&c, &record); n++) {
		struct body_crl_entry e;
		assert_int_equal(body_crl_entry_get(record, &e), 0);
		if (n == 0)
			*first = e;
	}
	return n;
}

static void revoke(struct rig *r, const char *device, const char *reason)
{
	struct buf a = {0};
	rec_text(&a, "device", device);
	rec_text(&a, "reason", reason);
	rig_ok(r, OP_CERT_REVOKE, &a);
}

static void a_list_follows_a_revocation(void **state)
{
	struct rig *r = *state;
	struct body_crl_entry e;
	if (r->lists == 0)
		wait_list(r);
	assert_int_equal(entries_of(r, &e), 0);
	const uint64_t number = r->list_number;
	rig_add_with_key(r, "pump-1", "key one");
	revoke(r, "pump-1", "cessation");
	wait_list(r);
	assert_int_equal(entries_of(r, &e), 1);
	assert_int_equal(e.reason, REASON_CESSATION);
	assert_true(e.revoked_at >= (uint64_t)clock_wall() - 60);
	assert_true(r->list_number > number);
	rig_turns(r, 3);
	const struct rig_answer *answer = rig_op0(r, OP_CA_CRL);
	assert_int_equal(rig_count(answer, "items"), 1);
	const struct str item = rig_item(answer, "items", 0);
	assert_true(str_is(rig_field(item, "authority"), "Test Issuing"));
	assert_non_null(strstr(rig_field(item, "pem").p, "-----BEGIN X509 CRL-----"));
	assert_int_equal(rig_sql(r, "SELECT stale FROM crl"), 0);
}

static void a_released_certificate_leaves_the_list(void **state)
{
	struct rig *r = *state;
	struct body_crl_entry e;
	if (r->lists == 0)
		wait_list(r);
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = {0};
	rec_text(&a, "id", "40000001");
	rig_ok(r, OP_CERT_HOLD, &a);
	wait_list(r);
	assert_int_equal(entries_of(r, &e), 1);
	assert_int_equal(e.reason, REASON_HOLD);
	a = (struct buf){0};
	rec_text(&a, "id", "40000001");
	rig_ok(r, OP_CERT_RELEASE, &a);
	wait_list(r);
	assert_int_equal(entries_of(r, &e), 0);
}

/* Its entry is still on the first list after its end, and not on the second (RFC 5280, 3.3). */
static void an_ended_certificate_leaves_one_list_later(void **state)
{
	struct rig *r = *state;
	struct sql *db = r->store.registry;
	struct body_crl_entry e;
	if (r->lists == 0)
		wait_list(r);
	rig_add_with_key(r, "pump-1", "key one");
	revoke(r, "pump-1", "cessation");
	wait_list(r);
	rig_turns(r, 3);
	SQL_RUN(db, "UPDATE cert SET not_after = ? WHERE name = 'pump-1'",
		sql_int(clock_wall() - 10));
	SQL_RUN(db, "UPDATE crl SET this_update = ?, stale = 1", sql_int(clock_wall() - 20));
	lists_changed(&r->store);
	wait_list(r);
	assert_int_equal(entries_of(r, &e), 1);
	rig_turns(r, 3);
	SQL_RUN(db, "UPDATE crl SET stale = 1");
	lists_changed(&r->store);
	wait_list(r);
	assert_int_equal(entries_of(r, &e), 0);
}

static void a_list_is_made_anew_every_day(void **state)
{
	struct rig *r = *state;
	if (r->lists == 0)
		wait_list(r);
	rig_turns(r, 3);
	const unsigned before = r->lists;
	lists_start(&r->store);
	rig_turns(r, 3);
	assert_int_equal(r->lists, before);
	SQL_RUN(r->store.registry, "UPDATE crl SET this_update = this_update - ?", sql_int(DAY));
	rig_restart(r);
	if (r->lists == before)
		wait_list(r);
	assert_true(r->lists > before);
}

/* ---- OCSP ---- */

static struct body_ocsp_done answer;
static struct buf answer_bytes;
static bool answered;

static void on_answer(struct link_call *call, int err, struct record *reply)
{
	(void)call;
	assert_int_equal(err, 0);
	answer_bytes.n = 0;
	buf_str(&answer_bytes, reply->body);
	assert_int_equal(body_ocsp_done_get(buf_view(&answer_bytes), &answer), 0);
	answered = true;
}

static void put_question(struct rig *r, struct buf *out, bool sha1, struct str serial, bool foreign)
{
	struct certificate ca;
	unsigned char name[SHA256_SIZE];
	unsigned char key[SHA256_SIZE];
	AUTO_QUERY q = SQL_QUERY(r->store.registry, "SELECT der FROM ca WHERE kind = 'issuing'");
	assert_true(sql_next(&q));
	assert_int_equal(certificate_read(sql_at_str(&q, 0), &ca), 0);
	struct cur c = cur_of(ca.spki);
	struct cur spki = der_open(&c, DER_SEQUENCE);
	der_read(&spki);
	struct str bits = der_get(&spki, DER_BIT_STRING);
	bits = str_make(bits.p + 1, bits.n - 1);
	if (sha1) {
		hash_sha1(ca.subject, name);
		hash_sha1(bits, key);
	} else {
		hash_sha256(ca.subject, name);
		hash_sha256(bits, key);
	}
	key[0] ^= foreign;
	const size_t n = sha1 ? SHA1_SIZE : SHA256_SIZE;
	const struct body_ocsp_question one = {sha1, str_make(name, n), str_make(key, n), serial};
	ENTRIES_PUT(out, ocsp_question, &one);
}

static void ask(struct rig *r, struct buf *questions)
{
	struct link_call call = {0};
	const struct body_ocsp body = {STR("nonce"), buf_view(questions)};
	if (!r->end[PROCESS_ENROL])
		rig_link(r, PROCESS_ENROL);
	answered = false;
	LINK_ASK(r->end[PROCESS_ENROL], &call, OCSP, ocsp, -1, &body, 10000, on_answer);
	rig_until(r, &answered);
	buf_fini(questions);
}

/* What the vault was told to say about the n-th certificate. */
static struct body_ocsp_answer said(struct rig *r, size_t n)
{
	struct body_sign_ocsp b;
	struct body_ocsp_answer a = {0};
	struct str record;
	assert_int_equal(body_sign_ocsp_get(buf_view(&r->asked_ocsp), &b), 0);
	struct cur c = cur_of(b.answers);
	for (size_t i = 0; i <= n; i++)
		assert_true(entries_next(&c, &record));
	assert_int_equal(body_ocsp_answer_get(record, &a), 0);
	return a;
}

static void ocsp_knows_the_status(void **state)
{
	struct rig *r = *state;
	struct buf questions = {0};
	rig_add_with_key(r, "pump-1", "key one");
	rig_add_with_key(r, "pump-2", "key two");
	revoke(r, "pump-2", "key-compromise");
	put_question(r, &questions, true, STR("\x40\0\0\1"), false);
	put_question(r, &questions, false, STR("\x40\0\0\2"), false);
	put_question(r, &questions, true, STR("\x40\0\0\3"), false);
	put_question(r, &questions, true, STR("\x40\0\0\1"), true);
	ask(r, &questions);
	assert_int_equal(answer.status, OCSP_SUCCESSFUL);
	assert_true(str_is(answer.der, "answer"));
	assert_int_equal(said(r, 0).status, OCSP_GOOD);
	assert_int_equal(said(r, 0).sha1, 1);
	assert_int_equal(said(r, 1).status, OCSP_REVOKED);
	assert_int_equal(said(r, 1).reason, REASON_KEY_COMPROMISE);
	assert_int_equal(said(r, 1).sha1, 0);
	assert_int_equal(said(r, 2).status, OCSP_UNKNOWN);
	assert_int_equal(said(r, 3).status, OCSP_UNKNOWN);
	struct body_sign_ocsp b;
	assert_int_equal(body_sign_ocsp_get(buf_view(&r->asked_ocsp), &b), 0);
	assert_true(str_is(b.nonce, "nonce"));
}

static void ocsp_answers_for_nobody_else(void **state)
{
	struct rig *r = *state;
	struct buf questions = {0};
	put_question(r, &questions, true, STR("\1"), true);
	ask(r, &questions);
	assert_int_equal(answer.status, OCSP_NOT_OURS);
	assert_int_equal(answer.der.n, 0);
}

static void ocsp_without_a_vault(void **state)
{
	struct rig *r = *state;
	struct buf questions = {0};
	put_question(r, &questions, true, STR("\1"), false);
	r->vault_status = OP_REFUSED;
	ask(r, &questions);
	assert_int_equal(answer.status, OCSP_TRY_LATER);
	rig_unlink(r, PROCESS_VAULT);
	put_question(r, &questions, true, STR("\1"), false);
	ask(r, &questions);
	assert_int_equal(answer.status, OCSP_TRY_LATER);
}

static void listeners_are_told_of_staples(void **state)
{
	struct rig *r = *state;
	struct str record;
	struct body_staple one;
	r->stapled = false;
	rig_link(r, PROCESS_ADMIN);
	rig_until(r, &r->stapled);
	struct cur c = cur_of(buf_view(&r->staples));
	assert_true(entries_next(&c, &record));
	assert_int_equal(body_staple_get(record, &one), 0);
	assert_int_equal(one.fingerprint.n, SHA256_SIZE);
	assert_true(str_is(one.der, "answer"));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE profile = 'server'"), 1);
	assert_int_equal(cur_left(&c), 0);
}

/* ---- certificates that end ---- */

/* The life of pump-1's certificate: so many days ago it began, in so many it ends. */
static void live(struct rig *r, int64_t ago, int64_t left)
{
	SQL_RUN(r->store.registry,
		"UPDATE cert SET not_before = ?, not_after = ? WHERE name = 'pump-1'",
		sql_int(clock_wall() - ago * DAY), sql_int(clock_wall() + left * DAY));
}

static size_t events_of(struct rig *r, const char *name)
{
	return rig_count(rig_op1(r, OP_EVENT_LIST, "name", name), "items");
}

/* One look, and how many notices and events of that name came of it. */
static void look(struct rig *r, const char *name, unsigned notices, size_t events)
{
	const unsigned before = r->notices;
	const size_t had = events_of(r, name);
	expiry_look(&r->store);
	rig_turns(r, 4);
	assert_int_equal(r->notices - before, notices);
	assert_int_equal(events_of(r, name) - had, events);
}

static void a_day_passes(struct rig *r)
{
	SQL_RUN(r->store.registry, "UPDATE notice SET at = at - ?", sql_int(DAY));
}

static void events_at_three_stages(void **state)
{
	struct rig *r = *state;
	struct body_notice n;
	char text[512];
	rig_add_with_key(r, "pump-1", "key one");
	live(r, 60, 40);
	look(r, "certificate.expiring", 0, 0);
	live(r, 66, 34);
	look(r, "certificate.expiring", 1, 1);
	assert_int_equal(body_notice_get(buf_view(&r->notice), &n), 0);
	assert_true(str_is(n.topic, "$gw/pki/renew"));
	snprintf(text, sizeof(text), "%.*s", STR_ARG(n.payload));
	assert_non_null(strstr(text, "\"percent\":66"));
	look(r, "certificate.expiring", 0, 0);
	a_day_passes(r); /* the device is reminded, people are not */
	look(r, "certificate.expiring", 1, 0);
	live(r, 80, 20);
	look(r, "certificate.expiring", 1, 1);
	live(r, 99, 1);
	look(r, "certificate.expiring", 1, 1);
	look(r, "certificate.expiring", 0, 0);
}

static void an_event_a_day_after_the_end(void **state)
{
	struct rig *r = *state;
	r->store.expiry.grace = 30 * DAY;
	rig_add_with_key(r, "pump-1", "key one");
	live(r, 100, -1);
	look(r, "certificate.expired", 1, 1);
	look(r, "certificate.expired", 0, 0);
	a_day_passes(r);
	look(r, "certificate.expired", 1, 1);
	live(r, 100, -31);
	a_day_passes(r);
	look(r, "certificate.expired", 0, 0);
	r->store.expiry.grace = INT64_MAX; /* on-expiry = keep */
	look(r, "certificate.expired", 1, 1);
}

static void an_end_is_told_once_where_it_is_final(void **state)
{
	struct rig *r = *state;
	r->store.expiry.grace = 0; /* on-expiry = disconnect */
	rig_add_with_key(r, "pump-1", "key one");
	live(r, 100, -1);
	look(r, "certificate.expired", 1, 1);
	a_day_passes(r);
	look(r, "certificate.expired", 0, 0);
}

static void who_has_renewed_hears_nothing(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	live(r, 90, 10);
	SQL_RUN(r->store.registry,
		"INSERT INTO cert(fp, serial, ca_id, device_id, name, spki, der, profile, "
		"not_before, not_after, issued_at, issued_by, via, status) SELECT x'aa', x'bb', "
		"ca_id, device_id, 'newer', x'cc', x'dd', profile, not_after - 864000, "
		"not_after + 8640000, issued_at, issued_by, via, 0 FROM cert WHERE name = "
		"'pump-1'");
	look(r, "certificate.expiring", 0, 0);
	SQL_RUN(r->store.registry, "UPDATE cert SET status = 1 WHERE name = 'newer'");
	look(r, "certificate.expiring", 1, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_list_follows_a_revocation),
		TEST(a_released_certificate_leaves_the_list),
		TEST(an_ended_certificate_leaves_one_list_later),
		TEST(a_list_is_made_anew_every_day),
		TEST(ocsp_knows_the_status),
		TEST(ocsp_answers_for_nobody_else),
		TEST(ocsp_without_a_vault),
		TEST(listeners_are_told_of_staples),
		TEST(events_at_three_stages),
		TEST(an_event_a_day_after_the_end),
		TEST(an_end_is_told_once_where_it_is_final),
		TEST(who_has_renewed_hears_nothing),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_fini(&answer_bytes);
	return failed;
}
