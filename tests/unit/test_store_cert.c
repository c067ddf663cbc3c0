/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and authorities in the store: issue through the vault, look-up by what people paste,
 * revocation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "db/hash.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

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

static struct buf request(const char *name, const char *csr_name, const char *key)
{
	struct buf args = {0};
	AUTO_BUF spki = {0};
	rig_spki(key, &spki);
	rec_text(&args, "name", name);
	rec_text(&args, "csr-name", csr_name);
	rec_bytes(&args, "spki", buf_view(&spki));
	return args;
}

static struct buf one(const char *name, const char *value)
{
	struct buf args = {0};
	rec_text(&args, name, value);
	return args;
}

/* Hexadecimal of the certificate of a device. */
static void fingerprint_of(struct rig *r, const char *device, char out[65])
{
	struct buf a = one("device", device);
	const struct rig_answer *list = rig_ok(r, OP_CERT_LIST, &a);
	const struct str fp = rig_field(rig_item(list, "items", 0), "fingerprint");
	hex_encode(fp.p, fp.n, out);
}

static bool contains(struct str text, const char *what)
{
	return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static void add_answers_a_certificate(void **state)
{
	struct rig *r = *state;
	struct buf a = request("pump-1", "pump-1", "key one");
	const struct rig_answer *answer = rig_ok(r, OP_DEVICE_ADD, &a);
	const struct str cert = rig_str(answer, "certificate");
	assert_int_equal(rig_field(cert, "fingerprint").n, 32);
	assert_true(str_eq(rig_field(cert, "serial"), str_make("\x40\0\0\1", 4)));
	assert_true(str_prefix(rig_field(cert, "pem"), STR("-----BEGIN CERTIFICATE-----\nM")));
	/* the certificate and its issuer */
	const struct str pem = rig_field(cert, "pem");
	const char *second = memmem(pem.p + 10, pem.n - 10, "-----BEGIN", 10);
	assert_non_null(second);
	assert_true(contains(rig_field(cert, "roots_pem"), "-----END CERTIFICATE-----\n"));
	assert_int_equal(rig_entries(r, ENTRY_CERT, false), 1);
	assert_int_equal(rig_sql(r, "SELECT ca_id FROM cert WHERE name = 'pump-1'"), 2);
}

static void roots_reach_the_parent(void **state)
{
	struct rig *r = *state;
	assert_true(contains(buf_view(&r->roots), "-----BEGIN CERTIFICATE-----"));
}

static void add_refuses(void **state)
{
	struct rig *r = *state;
	struct buf a = request("pump-1", "pump-2", "key one");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "csr",
		    "the common name of the request is \"pump-2\"; it must be the device name "
		    "\"pump-1\"");
	rig_add_with_key(r, "pump-1", "key one");
	a = request("pump-2", "pump-2", "key one");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_CONFLICT, "csr",
		    "this key belongs to device \"pump-1\"");
	a = one("device", "pump-1");
	rig_refused(r, OP_CERT_ADD, &a, OP_INVALID, "csr", "csr is missing");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 1);
}

static void a_failed_issue_leaves_no_device(void **state)
{
	struct rig *r = *state;
	struct buf a = request("pump-1", "pump-1", "key one");
	r->vault_status = OP_REFUSED;
	rig_refused(r, OP_DEVICE_ADD, &a, OP_REFUSED, "csr", "the vault does not like this key");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	r->vault_status = OP_OK;
	rig_add_with_key(r, "pump-1", "key one");
}

static void a_missing_vault_leaves_no_device(void **state)
{
	struct rig *r = *state;
	rig_unlink(r, PROCESS_VAULT);
	struct buf a = request("pump-1", "pump-1", "key one");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_UNAVAILABLE, "", "the vault is away");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, false), 0);
}

static void a_second_certificate_for_the_same_device(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = {0};
	AUTO_BUF spki = {0};
	rig_spki("key two", &spki);
	rec_text(&a, "device", "pump-1");
	rec_bytes(&a, "spki", buf_view(&spki));
	rec_text(&a, "csr-name", "pump-1");
	const struct rig_answer *answer = rig_ok(r, OP_CERT_ADD, &a);
	assert_true(str_is(rig_str(answer, "device"), "pump-1"));
	assert_int_equal(rig_count(rig_op1(r, OP_CERT_LIST, "device", "pump-1"), "items"), 2);
}

static void found_by_what_people_paste(void **state)
{
	struct rig *r = *state;
	char fp[65];
	char text[100] = "";
	rig_add_with_key(r, "pump-1", "key one");
	fingerprint_of(r, "pump-1", fp);
	assert_int_equal(rig_op1(r, OP_CERT_SHOW, "id", fp)->status, OP_OK);
	assert_true(contains(rig_str(rig_op1(r, OP_CERT_SHOW, "id", "40000001"), "pem"), "BEGIN"));
	for (size_t i = 0; i < 5; i++) /* as openssl prints it */
		sprintf(text + 3 * i, "%c%c:", fp[2 * i] >= 'a' ? fp[2 * i] - 32 : fp[2 * i],
			fp[2 * i + 1]);
	assert_int_equal(rig_op1(r, OP_CERT_SHOW, "id", text)->status, OP_OK);
	fp[9] = 0; /* an odd number of digits */
	assert_int_equal(rig_op1(r, OP_CERT_SHOW, "id", fp)->status, OP_OK);
}

static void not_found_by_less(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	rig_add_with_key(r, "pump-2", "key two");
	struct buf a = one("id", "4000000");
	rig_refused(r, OP_CERT_SHOW, &a, OP_INVALID, "id", "give 8 to 64 hexadecimal digits");
	a = one("id", "not a number");
	rig_refused(r, OP_CERT_SHOW, &a, OP_INVALID, "id", "is no fingerprint or serial number");
	a = one("id", "4000000f");
	rig_refused(r, OP_CERT_SHOW, &a, OP_NOT_FOUND, "id", "there is no certificate 4000000f");
	SQL_RUN(r->store.registry,
		"UPDATE cert SET serial = CASE name WHEN 'pump-1' THEN x'4000000001aa' "
		"ELSE x'4000000001bb' END WHERE profile = 'device'");
	a = one("id", "4000000001");
	rig_refused(r, OP_CERT_SHOW, &a, OP_INVALID, "id", "more than one certificate");
}

static void revoke_closes_and_answers_how_many(void **state)
{
	struct rig *r = *state;
	char fp[65];
	rig_add_with_key(r, "pump-1", "key one");
	fingerprint_of(r, "pump-1", fp);
	r->closes = 1;
	struct buf a = one("id", fp);
	rec_text(&a, "reason", "superseded");
	const struct rig_answer *answer = rig_ok(r, OP_CERT_REVOKE, &a);
	assert_int_equal(rig_int(answer, "sessions_closed"), 1);
	assert_true(str_is(rig_str(answer, "broker"), "done"));
	const struct str item = rig_item(answer, "items", 0);
	assert_true(str_is(rig_field(item, "status"), "revoked"));
	assert_true(str_is(rig_field(item, "reason"), "superseded"));
	assert_true(str_is(rig_field(item, "device"), "pump-1"));
	assert_int_equal(rig_entries(r, ENTRY_CERT, false), 2);
	a = one("id", fp);
	rig_refused(r, OP_CERT_REVOKE, &a, OP_CONFLICT, "id", "it was revoked at 20");
}

static void revoke_by_device(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = one("device", "pump-1");
	assert_int_equal(rig_count(rig_ok(r, OP_CERT_REVOKE, &a), "items"), 1);
	a = one("device", "pump-1");
	rig_refused(r, OP_CERT_REVOKE, &a, OP_NOT_FOUND, "device", "has no certificate");
}

static void revoke_refuses(void **state)
{
	struct rig *r = *state;
	char fp[65];
	struct buf a = {0};
	rig_refused(r, OP_CERT_REVOKE, &a, OP_INVALID, "id", "not neither");
	a = one("id", "40000001");
	rec_text(&a, "device", "x");
	rig_refused(r, OP_CERT_REVOKE, &a, OP_INVALID, "device", "not both");
	a = one("device", "x");
	rec_text(&a, "reason", "boredom");
	rig_refused(r, OP_CERT_REVOKE, &a, OP_INVALID, "reason",
		    "\"boredom\" is no reason; allowed are unspecified, key-compromise");
	const struct rig_answer *list = rig_op0(r, OP_CA_SHOW);
	const struct str server =
		rig_field(rig_item(list, "server_certificates", 0), "fingerprint");
	hex_encode(server.p, server.n, fp);
	a = one("id", fp);
	rig_refused(r, OP_CERT_REVOKE, &a, OP_REFUSED, "id", "certificate of the gateway itself");
}

static struct body_reg_cert last_cert(struct rig *r)
{
	struct cur c = cur_of(buf_view(&r->entries));
	struct body_reg_cert found = {0};
	struct str bytes;
	while (entries_next(&c, &bytes)) {
		struct body_entry e;
		assert_int_equal(body_entry_get(bytes, &e), 0);
		if (e.kind == ENTRY_CERT)
			assert_int_equal(body_reg_cert_get(e.body, &found), 0);
	}
	return found;
}

static void a_hold_is_taken_back(void **state)
{
	struct rig *r = *state;
	char fp[65];
	rig_add_with_key(r, "pump-1", "key one");
	fingerprint_of(r, "pump-1", fp);
	assert_true(last_cert(r).not_before_at > 0);
	struct buf a = one("id", fp);
	rig_refused(r, OP_CERT_RELEASE, &a, OP_CONFLICT, "id", "it is good");
	r->closes = 1;
	a = one("id", fp);
	const struct rig_answer *answer = rig_ok(r, OP_CERT_HOLD, &a);
	assert_int_equal(rig_int(answer, "sessions_closed"), 1);
	assert_true(str_is(rig_str(answer, "status"), "hold"));
	assert_int_equal(last_cert(r).status, CERT_HOLD);
	assert_int_equal(last_cert(r).reason, REASON_HOLD);
	assert_true(last_cert(r).revoked_at > 0);
	/* its key stays this device's */
	a = request("pump-2", "pump-2", "key one");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_CONFLICT, "csr", "belongs to device");
	a = one("id", fp);
	assert_true(str_is(rig_str(rig_ok(r, OP_CERT_RELEASE, &a), "status"), "good"));
	assert_int_equal(last_cert(r).status, CERT_GOOD);
	assert_int_equal(last_cert(r).revoked_at, 0);
	a = one("id", fp);
	rec_text(&a, "reason", "hold");
	rig_refused(r, OP_CERT_REVOKE, &a, OP_INVALID, "reason", "cert hold");
}

static void a_compromised_key_never_returns(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = one("device", "pump-1");
	rig_ok(r, OP_CERT_REVOKE, &a);
	/* a revoked certificate may turn out to be compromised */
	a = one("id", "40000001");
	rec_text(&a, "reason", "key-compromise");
	rig_ok(r, OP_CERT_REVOKE, &a);
	a = request("pump-2", "pump-2", "key one");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_REFUSED, "csr", "compromised and is refused for ever");
}

static void a_revoked_key_may_serve_another_device(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	struct buf a = one("device", "pump-1");
	rig_ok(r, OP_CERT_REVOKE, &a);
	rig_add_with_key(r, "pump-2", "key one");
}

static void list_filters_by_expiry(void **state)
{
	struct rig *r = *state;
	struct buf a = {0};
	rig_add_with_key(r, "pump-1", "key one");
	rec_int(&a, "expiring", 86400);
	assert_int_equal(rig_count(rig_ok(r, OP_CERT_LIST, &a), "items"), 0);
	rec_int(&a, "expiring", 400 * 86400);
	/* the server's and the device's */
	assert_int_equal(rig_count(rig_ok(r, OP_CERT_LIST, &a), "items"), 2);
	rec_text(&a, "after", "x");
	rig_refused(r, OP_CERT_LIST, &a, OP_INVALID, "after", "no cursor of this list");
}

/* The soonest first, those that end together in the order of their issue. */
static void ending_ones_page_by_their_end(void **state)
{
	struct rig *r = *state;
	static const char *const order[] = {"c", "a", "b", "d"};
	AUTO_CHAR next = NULL;
	for (const char *name = "abcd"; *name; name++)
		rig_add_with_key(r, (char[]){*name, 0}, (char[]){*name, 0});
	SQL_RUN(r->store.registry,
		"UPDATE cert SET not_after = ?1 + CASE name WHEN 'c' THEN 100 "
		"WHEN 'd' THEN 300 ELSE 200 END WHERE profile = 'device'",
		sql_int(timefloor_now(&r->store.floor)));
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct buf a = {0};
		rec_int(&a, "expiring", 3600);
		rec_int(&a, "limit", 1);
		if (next)
			rec_text(&a, "after", next);
		const struct rig_answer *answer = rig_ok(r, OP_CERT_LIST, &a);
		assert_int_equal(rig_count(answer, "items"), 1);
		assert_true(str_is(rig_field(rig_item(answer, "items", 0), "name"), order[i]));
		free(next);
		next = i + 1 < ARRAY_LEN(order) ? str_dup(rig_str(answer, "next")) : NULL;
	}
}

static void ending_ones_of_one_device(void **state)
{
	struct rig *r = *state;
	rig_add_with_key(r, "pump-1", "key one");
	rig_add_with_key(r, "pump-2", "key two");
	SQL_RUN(r->store.registry, "UPDATE cert SET not_after = ?1 + 100 WHERE name = 'pump-1'",
		sql_int(timefloor_now(&r->store.floor)));
	struct buf a = {0};
	rec_int(&a, "expiring", 3600);
	rec_text(&a, "device", "pump-2");
	assert_int_equal(rig_count(rig_ok(r, OP_CERT_LIST, &a), "items"), 0);
	rec_int(&a, "expiring", 3600);
	rec_text(&a, "device", "pump-1");
	assert_int_equal(rig_count(rig_ok(r, OP_CERT_LIST, &a), "items"), 1);
}

static void list_pages(void **state)
{
	struct rig *r = *state;
	struct buf a = {0};
	rig_add_with_key(r, "pump-1", "key one");
	rec_int(&a, "limit", 1);
	const struct rig_answer *answer = rig_ok(r, OP_CERT_LIST, &a);
	AUTO_CHAR next = str_dup(rig_str(answer, "next"));
	assert_int_equal(rig_count(answer, "items"), 1);
	rec_text(&a, "after", next);
	answer = rig_ok(r, OP_CERT_LIST, &a);
	assert_true(str_is(rig_field(rig_item(answer, "items", 0), "name"), "pump-1"));
}

static void authorities_are_shown(void **state)
{
	struct rig *r = *state;
	const struct rig_answer *a = rig_op0(r, OP_CA_SHOW);
	assert_int_equal(rig_count(a, "authorities"), 2);
	const struct str root = rig_item(a, "authorities", 0);
	assert_true(str_is(rig_field(root, "kind"), "root"));
	assert_true(str_is(rig_field(root, "subject"), "Test Root"));
	assert_true(str_is(rig_field(root, "state"), "active"));
	const struct str server = rig_item(a, "server_certificates", 0);
	assert_true(str_is(rig_field(server, "name"), "broker-p256"));
	assert_true(str_is(rig_field(server, "issuer"), "Test Issuing"));
}

static void a_restarted_vault_tells_nothing_twice(void **state)
{
	struct rig *r = *state;
	const uint64_t seq = r->seq;
	rig_link(r, PROCESS_VAULT);
	rig_turns(r, 10);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM ca"), 2);
	assert_int_equal(r->seq, seq);
	rig_add_with_key(r, "pump-1", "key one");
}

/* Why the only device cannot connect; "": it can. */
static struct str barred(struct rig *r)
{
	struct buf a = one("name", "pump-1");
	struct rec_value v;
	const struct rig_answer *shown = rig_ok(r, OP_DEVICE_SHOW, &a);
	return rec_find(buf_view(&shown->result), "barred", &v) ? v.text : STR("");
}

static void why_a_device_cannot_connect(void **state)
{
	struct rig *r = *state;
	struct sql *db = r->store.registry;
	rig_add_with_key(r, "pump-1", "one");
	assert_true(str_is(barred(r), ""));
	SQL_RUN(db, "UPDATE cert SET not_after = ? WHERE device_id IS NOT NULL",
		sql_int(clock_wall() - 100));
	r->store.expiry.grace = 0;
	assert_non_null(str_find(barred(r), "has ended"));
	r->store.expiry.grace = 1000;
	assert_true(str_is(barred(r), ""));
	r->store.expiry.grace = INT64_MAX; /* on-expiry = keep */
	assert_true(str_is(barred(r), ""));
	SQL_RUN(db, "UPDATE ca SET state = 'retired' WHERE kind = 'issuing'");
	assert_non_null(str_find(barred(r), "has ended"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(add_answers_a_certificate),
		TEST(roots_reach_the_parent),
		TEST(add_refuses),
		TEST(a_failed_issue_leaves_no_device),
		TEST(a_missing_vault_leaves_no_device),
		TEST(a_second_certificate_for_the_same_device),
		TEST(found_by_what_people_paste),
		TEST(not_found_by_less),
		TEST(revoke_closes_and_answers_how_many),
		TEST(revoke_by_device),
		TEST(revoke_refuses),
		TEST(a_hold_is_taken_back),
		TEST(a_compromised_key_never_returns),
		TEST(a_revoked_key_may_serve_another_device),
		TEST(list_filters_by_expiry),
		TEST(ending_ones_page_by_their_end),
		TEST(ending_ones_of_one_device),
		TEST(list_pages),
		TEST(authorities_are_shown),
		TEST(why_a_device_cannot_connect),
		TEST(a_restarted_vault_tells_nothing_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
