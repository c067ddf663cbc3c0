/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment in the store: what codes, passwords, certificates and approvals allow and refuse, and
 * what they leave in the registry. The keys are texts, the vault is a fake one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/conf/config.h"
#include "db/code.h"
#include "db/pattern.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

enum { DAY_S = 86400 };

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

/* One ask; zero fields are sensible ones. */
struct ask {
	const char *user;
	const char *secret;
	struct str certificate;
	const char *source;
	const char *name;
	const char *key;
	const char *label;
	const char *via;
	bool renew;
};

static const struct rig_enrolled *ask_meanwhile(struct rig *r, const struct ask *a,
						const char *script)
{
	AUTO_BUF spki = {0};
	unsigned char hash[SHA256_SIZE];
	rig_spki(a->key ? a->key : "a key", &spki);
	AUTO_CHAR csr = mem_printf("%s of %s", a->key ? a->key : "a key", a->name ? a->name : "");
	hash_sha256(str_of(csr), hash);
	const struct body_enrol body = {
		.what = a->renew ? ENROL_RENEW : ENROL_FIRST,
		.user = str_of(a->user),
		.secret = str_of(a->secret),
		.certificate = a->certificate,
		.source = str_of(a->source ? a->source : "192.0.2.7"),
		.name = str_of(a->name),
		.spki = buf_view(&spki),
		.csr_hash = str_make(hash, sizeof(hash)),
		.label = str_of(a->label),
		.via = str_of(a->via ? a->via : "est"),
	};
	return rig_enrol_meanwhile(r, &body, script);
}

static const struct rig_enrolled *ask_for(struct rig *r, const struct ask *a)
{
	return ask_meanwhile(r, a, "");
}

static const struct rig_enrolled *expect(struct rig *r, const struct ask *a,
					 enum enrol_status status, const char *why)
{
	const struct rig_enrolled *done = ask_for(r, a);
	if (done->status != status || !strstr(done->why, why))
		print_error("status %d: %s\n", done->status, done->why);
	assert_int_equal(done->status, status);
	assert_non_null(strstr(done->why, why));
	return done;
}

static int64_t events(struct rig *r, const char *name)
{
	int64_t n = 0;
	assert_int_equal(events_flush(r->store.events), 0);
	SQL_GET_INT(events_db(r->store.events), &n, "SELECT count(*) FROM event WHERE name = ?",
		    sql_text(name));
	return n;
}

static void run(struct rig *r, const char *text)
{
	assert_int_equal(sql_script(r->store.registry, text), 0);
}

/* code.add with one or two text arguments; the code. */
static char code_text[CODE_SIZE];
static const char *make_code(struct rig *r, const char *n1, const char *v1, const char *n2,
			     const char *v2)
{
	struct buf args = {0};
	rec_text(&args, n1, v1);
	if (n2)
		rec_text(&args, n2, v2);
	const struct rig_answer *a = rig_ok(r, OP_CODE_ADD, &args);
	snprintf(code_text, sizeof(code_text), "%.*s", STR_ARG(rig_str(a, "code")));
	return code_text;
}

/* Enrols NAME with a key of the same name by a code; the certificate. */
static void enrol(struct rig *r, const char *name, struct buf *der)
{
	const char *code = make_code(r, "name", name, NULL, NULL);
	const struct ask a = {.user = name, .secret = code, .name = name, .key = name};
	const struct rig_enrolled *done = expect(r, &a, ENROL_OK, "");
	der->n = 0;
	buf_str(der, buf_view(&done->der));
}

/* ---- codes ---- */

static void a_code_makes_a_device(void **state)
{
	struct rig *r = *state;
	struct buf args = {0};
	rec_text(&args, "name", "pump");
	rig_ok(r, OP_ROLE_ADD, &args);
	rec_text(&args, "name", "pump-9");
	rec_list(&args, "roles");
	rec_text(&args, "", "pump");
	rec_end(&args);
	rec_list(&args, "groups");
	rec_text(&args, "", "north");
	rec_end(&args);
	const struct rig_answer *added = rig_ok(r, OP_CODE_ADD, &args);
	char code[64];
	snprintf(code, sizeof(code), "%.*s", STR_ARG(rig_str(added, "code")));
	assert_int_equal(strlen(code), CODE_SIZE - 1);
	assert_int_equal(rig_str(added, "root_fingerprint").n, 32);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	const struct ask a = {.user = "pump-9", .secret = code, .name = "pump-9"};
	const struct rig_enrolled *done = expect(r, &a, ENROL_OK, "");
	assert_string_equal(done->device, "pump-9");
	assert_true(done->der.n > 100);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device JOIN device_role JOIN device_grp "
				    "WHERE device.name = 'pump-9' AND enabled"),
			 1);
	assert_int_equal(rig_sql(r,
				 "SELECT count(*) FROM cert WHERE issued_as = 'device' AND via = "
				 "'est' AND issued_by LIKE 'enrolment code %'"),
			 1);
	assert_int_equal(rig_entries(r, ENTRY_CERT, false), 1);
	assert_int_equal(rig_entries(r, ENTRY_DEVICE, false), 1);
	assert_int_equal(events(r, "enrol.issued"), 1);
	assert_int_equal(rig_sql(r,
				 "SELECT count(*) FROM audit WHERE operation = 'enrol' AND target "
				 "= 'pump-9' AND outcome = 'ok' AND source = '192.0.2.7'"),
			 1);
	/* the code is nowhere */
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM code WHERE uses_left = 0"), 1);
}

static void the_life_is_that_of_the_profile(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	enrol(r, "pump-1", &der);
	const int64_t left = (int64_t)r->not_after_at - clock_wall();
	assert_in_range(left, 90 * DAY_S - 60, 90 * DAY_S);
	const char *code = make_code(r, "name", "pump-2", "profile", "manual");
	const struct ask a = {.secret = code, .name = "pump-2", .key = "two"};
	expect(r, &a, ENROL_OK, "");
	assert_int_equal(r->not_after_at, 0);
}

static void a_code_is_used_once(void **state)
{
	struct rig *r = *state;
	const char *code = make_code(r, "name", "pump-1", NULL, NULL);
	const struct ask a = {.secret = code, .name = "pump-1"};
	expect(r, &a, ENROL_OK, "");
	const struct ask other = {.secret = code, .name = "pump-1", .key = "other"};
	expect(r, &other, ENROL_UNAUTHENTICATED, "used already");
	expect(r, &a, ENROL_UNAUTHENTICATED, "used already");
	assert_int_equal(events(r, "enrol.refused"), 2);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE profile = 'device'"), 1);
}

static void a_code_may_be_typed(void **state)
{
	struct rig *r = *state;
	char typed[2 * CODE_SIZE];
	size_t n = 0;
	make_code(r, "name", "pump-1", NULL, NULL);
	for (const char *p = code_text; *p; p++) {
		if (*p == '-')
			continue;
		typed[n++] = *p == '0'   ? 'o'
			     : *p == '1' ? 'l'
			     : *p >= 'A' ? (char)(*p - 'A' + 'a')
					 : *p;
	}
	typed[n] = 0;
	const struct ask a = {.secret = typed, .name = "pump-1"};
	expect(r, &a, ENROL_OK, "");
}

static void wrong_codes_are_refused(void **state)
{
	struct rig *r = *state;
	const struct ask wrong = {.secret = "00000000-00000000-00000000-00000000",
				  .name = "pump-1"};
	expect(r, &wrong, ENROL_UNAUTHENTICATED, "no enrolment code");
	const struct ask none = {.name = "pump-1"};
	expect(r, &none, ENROL_UNAUTHENTICATED, "code, a password or a certificate is needed");
	const char *code = make_code(r, "name", "pump-1", "network", "10.0.0.0/8");
	const struct ask foreign = {.secret = code, .name = "pump-1"};
	expect(r, &foreign, ENROL_FORBIDDEN,
	       "for the network 10.0.0.0/8; the request came from "
	       "192.0.2.7");
	const struct ask name = {.secret = code, .name = "pump-2", .source = "10.1.2.3"};
	expect(r, &name, ENROL_FORBIDDEN,
	       "the common name of the request is \"pump-2\"; allowed is "
	       "\"pump-1\"");
	const struct ask label = {
		.secret = code, .name = "pump-1", .source = "10.1.2.3", .label = "nothing"};
	expect(r, &label, ENROL_UNKNOWN_LABEL, "no label");
	const struct ask manual = {
		.secret = code, .name = "pump-1", .source = "10.1.2.3", .label = "manual"};
	expect(r, &manual, ENROL_FORBIDDEN, "for the profile \"device\"");
	const struct ask bad = {.secret = code, .name = "pump 1", .source = "10.1.2.3"};
	expect(r, &bad, ENROL_BAD, "0x20");
	run(r, "UPDATE code SET expires = 1600000000");
	const struct ask late = {.secret = code, .name = "pump-1", .source = "10.1.2.3"};
	expect(r, &late, ENROL_UNAUTHENTICATED, "expired at");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	assert_int_equal(r->issued, 0);
	assert_int_equal(events(r, "enrol.refused"), 8);
}

/* A person who put the code into the wrong field: it must not stand in the log, it is still good.
 */
static void a_code_as_user_is_not_told(void **state)
{
	struct rig *r = *state;
	AUTO_CHAR code = mem_strdup(make_code(r, "name", "pump-1", NULL, NULL));
	const struct ask a = {.user = code, .secret = "x", .name = "pump-1"};
	expect(r, &a, ENROL_UNAUTHENTICATED, "");
	int64_t told = -1;
	assert_int_equal(events_flush(r->store.events), 0);
	SQL_GET_INT(events_db(r->store.events), &told, "SELECT count(*) FROM event WHERE actor = ?",
		    sql_text(code));
	assert_int_equal(told, 0);
	assert_int_equal(events(r, "enrol.refused"), 1);
}

static void a_pattern_is_for_new_names(void **state)
{
	struct rig *r = *state;
	AUTO_CHAR code = mem_strdup(make_code(r, "pattern", "pump-*", NULL, NULL));
	run(r, "UPDATE code SET uses_left = 2");
	rig_add_device(r, "pump-1");
	const struct ask old = {.secret = code, .name = "pump-1"};
	expect(r, &old, ENROL_CONFLICT, "there is a device \"pump-1\" already");
	const struct ask none = {.secret = code};
	expect(r, &none, ENROL_BAD, "no common name");
	const struct ask other = {.secret = code, .name = "valve-1"};
	expect(r, &other, ENROL_FORBIDDEN, "names like \"pump-*\"");
	const struct ask good = {.secret = code, .name = "pump-2"};
	expect(r, &good, ENROL_OK, "");
	const struct ask key = {.secret = code, .name = "pump-3"};
	expect(r, &key, ENROL_CONFLICT, "belongs to device \"pump-2\"");
	const struct ask second = {.secret = code, .name = "pump-3", .key = "three"};
	expect(r, &second, ENROL_OK, "");
	const struct ask third = {.secret = code, .name = "pump-4", .key = "four"};
	expect(r, &third, ENROL_UNAUTHENTICATED, "used already");
}

static void a_code_for_a_device_goes_with_it(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	AUTO_CHAR code = mem_strdup(make_code(r, "name", "pump-1", NULL, NULL));
	struct buf args = {0};
	rec_text(&args, "name", "pump-1");
	rec_bool(&args, "enabled", false);
	rig_ok(r, OP_DEVICE_SET, &args);
	const struct ask a = {.secret = code, .name = "pump-1"};
	expect(r, &a, ENROL_FORBIDDEN, "is disabled");
	rec_text(&args, "name", "pump-1");
	rig_ok(r, OP_DEVICE_REMOVE, &args);
	expect(r, &a, ENROL_UNAUTHENTICATED, "no enrolment code");
	/* and so does one for a name that came to be a device */
	AUTO_CHAR named = mem_strdup(make_code(r, "name", "pump-2", NULL, NULL));
	rig_add_device(r, "pump-2");
	rec_text(&args, "name", "pump-2");
	rig_ok(r, OP_DEVICE_REMOVE, &args);
	const struct ask b = {.secret = named, .name = "pump-2"};
	expect(r, &b, ENROL_UNAUTHENTICATED, "no enrolment code");
}

static void a_failing_vault_costs_no_code(void **state)
{
	struct rig *r = *state;
	const char *code = make_code(r, "name", "pump-1", NULL, NULL);
	const struct ask a = {.secret = code};
	r->vault_status = OP_REFUSED;
	expect(r, &a, ENROL_FORBIDDEN, "does not like this key");
	r->vault_status = OP_LOCKED; /* a person must come: there is no haste */
	assert_true(expect(r, &a, ENROL_LOCKED, "")->retry_after_s >= 60);
	r->vault_status = OP_OK;
	rig_unlink(r, PROCESS_VAULT);
	const struct rig_enrolled *done = expect(r, &a, ENROL_LOCKED, "the vault is away");
	assert_true(done->retry_after_s > 0);
	rig_link(r, PROCESS_VAULT);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	done = expect(r, &a, ENROL_OK, "");
	assert_string_equal(done->device, "pump-1"); /* the CSR carried no name */
}

static void without_a_clock_nothing_is_issued(void **state)
{
	struct rig *r = *state;
	AUTO_CHAR code = mem_strdup(make_code(r, "name", "pump-1", NULL, NULL));
	const struct ask a = {.secret = code, .name = "pump-1"};
	run(r, "UPDATE meta SET value = unixepoch() + 10 * 86400 WHERE name = 'time-floor'");
	rig_restart(r);
	const struct rig_enrolled *done = expect(r, &a, ENROL_LOCKED, "the clock of the gateway");
	assert_true(done->retry_after_s > 0);
	assert_int_equal(r->issued, 0);
}

static void a_blocked_key_is_refused(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	struct buf args = {0};
	enrol(r, "pump-1", &der);
	rec_text(&args, "device", "pump-1");
	rec_text(&args, "reason", "key-compromise");
	rig_ok(r, OP_CERT_REVOKE, &args);
	const char *code = make_code(r, "name", "pump-2", NULL, NULL);
	const struct ask a = {.secret = code, .name = "pump-2", .key = "pump-1"};
	expect(r, &a, ENROL_FORBIDDEN, "refused for ever");
}

static void a_flood_is_slowed_down(void **state)
{
	struct rig *r = *state;
	const struct ask a = {.secret = "nonsense", .name = "pump-1", .source = "203.0.113.1"};
	const struct ask other = {.secret = "nonsense", .name = "pump-1"};
	const struct rig_enrolled *done = ask_for(r, &a);
	for (int i = 0; i < 2000 && done->status != ENROL_BUSY; i++)
		done = ask_for(r, &a);
	assert_int_equal(done->status, ENROL_BUSY);
	assert_true(done->retry_after_s > 0);
	expect(r, &other, ENROL_UNAUTHENTICATED, "");
}

static void bad_arguments_are_refused(void **state)
{
	static const struct {
		const char *field;
		const char *value;
		const char *why;
	} bad[] = {
		{"name", "pump 1", "no name of a device"},
		{"pattern", "pump-1", "no pattern"},
		{"pattern", "*/x", "no pattern"},
		{"pattern", "*****", "no pattern"},
	};
	struct rig *r = *state;
	struct buf args = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		rec_text(&args, bad[i].field, bad[i].value);
		rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, bad[i].field, bad[i].why);
	}
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "name", "not neither");
	rec_text(&args, "name", "a");
	rec_text(&args, "pattern", "a*");
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "pattern", "not both");
	rec_text(&args, "name", "a");
	rec_text(&args, "network", "10.0.0.1/8");
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "network", "no network");
	rec_text(&args, "name", "a");
	rec_text(&args, "profile", "none");
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "profile", "no profile");
	rec_text(&args, "name", "a");
	rec_int(&args, "ttl", 0);
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "ttl", "ttl is 0");
	rec_text(&args, "name", "a");
	rec_int(&args, "uses", 0);
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "uses", "uses is 0");
	rig_add_device(r, "a");
	rec_text(&args, "name", "a");
	rec_text(&args, "kind", "b");
	rig_refused(r, OP_CODE_ADD, &args, OP_INVALID, "kind", "device set");
	rec_int(&args, "id", 99);
	rig_refused(r, OP_CODE_REMOVE, &args, OP_NOT_FOUND, "id", "no enrolment code 99");
}

static void a_newer_code_replaces_the_older_ones(void **state)
{
	struct rig *r = *state;
	struct buf args = {0};
	AUTO_CHAR first = mem_strdup(make_code(r, "name", "pump-1", NULL, NULL));
	AUTO_CHAR other = mem_strdup(make_code(r, "name", "pump-2", NULL, NULL));
	AUTO_CHAR second = mem_strdup(make_code(r, "name", "pump-1", NULL, NULL));
	assert_int_equal(events(r, "enrol.code-added"), 3);
	const struct ask lost = {.secret = first, .name = "pump-1"};
	expect(r, &lost, ENROL_UNAUTHENTICATED, "replaced by a newer one for \"pump-1\"");
	rec_text(&args, "name", "pump-1");
	rec_bool(&args, "keep", true);
	assert_int_equal(rig_int(rig_ok(r, OP_CODE_ADD, &args), "replaced"), 0);
	const struct ask good = {.secret = second, .name = "pump-1"};
	expect(r, &good, ENROL_OK, "");
	const struct ask theirs = {.secret = other, .name = "pump-2", .key = "two"};
	expect(r, &theirs, ENROL_OK, "");
	/* of the device by now: the code for its name is one too, the used one stays a used one */
	rec_text(&args, "name", "pump-1");
	assert_int_equal(rig_int(rig_ok(r, OP_CODE_ADD, &args), "replaced"), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM code WHERE replaced IS NOT NULL"), 2);
}

static void codes_are_listed_and_removed(void **state)
{
	struct rig *r = *state;
	struct buf args = {0};
	make_code(r, "name", "pump-1", "note", "first");
	AUTO_CHAR code = mem_strdup(make_code(r, "pattern", "x-*", NULL, NULL));
	const struct rig_answer *list = rig_op0(r, OP_CODE_LIST);
	assert_int_equal(rig_count(list, "items"), 2);
	assert_true(str_is(rig_field(rig_item(list, "items", 0), "pattern"), "x-*"));
	assert_true(str_is(rig_field(rig_item(list, "items", 1), "note"), "first"));
	struct rec_value v;
	assert_false(rec_find(rig_item(list, "items", 0), "code", &v));
	rec_int(&args, "id", 2);
	rig_ok(r, OP_CODE_REMOVE, &args);
	const struct ask a = {.secret = code, .name = "x-1"};
	expect(r, &a, ENROL_UNAUTHENTICATED, "no enrolment code");
	rec_int(&args, "limit", 1);
	list = rig_ok(r, OP_CODE_LIST, &args);
	assert_int_equal(rig_count(list, "items"), 1);
	assert_int_equal(events(r, "enrol.code-added"), 2);
	assert_int_equal(events(r, "enrol.code-removed"), 1);
}

static void patterns_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} table[] = {
		{"pump-*", "pump-1", true}, {"pump-*", "pump-", true},    {"pump-*", "pump", false},
		{"*", "anything", true},    {"*-a", "x-a-a", true},       {"*-a", "x-a-b", false},
		{"a*b*c", "aXbYc", true},   {"a*b*c", "abbbc", true},     {"a*b*c", "acb", false},
		{"a**", "a", true},         {"pump-*", "xpump-1", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_int_equal(pattern_match(str_of(table[i].pattern), str_of(table[i].name)),
				 table[i].match);
}

/* ---- passwords ---- */

static void a_password_enrols_its_device(void **state)
{
	struct rig *r = *state;
	struct buf args = {0};
	rec_text(&args, "name", "pump-1");
	rec_text(&args, "password", "correct horse");
	rig_ok(r, OP_DEVICE_ADD, &args);
	rig_add_device(r, "pump-2");
	const struct ask good = {.user = "pump-1", .secret = "correct horse", .name = "pump-1"};
	const struct ask wrong = {.user = "pump-1", .secret = "wrong horse", .name = "pump-1"};
	const struct ask name = {.user = "pump-1", .secret = "correct horse", .name = "pump-2"};
	const struct ask none = {.user = "pump-2", .secret = "correct horse", .name = "pump-2"};
	const struct ask nobody = {.user = "pump-3", .secret = "correct horse", .name = "pump-3"};
	/* changed while a thread judges the old one */
	const struct rig_enrolled *done =
		ask_meanwhile(r, &good, "UPDATE device SET verifier = '$y$new' WHERE id = 1");
	assert_int_equal(done->status, ENROL_UNAUTHENTICATED);
	rec_text(&args, "name", "pump-1");
	rec_text(&args, "password", "correct horse");
	rig_ok(r, OP_DEVICE_SET, &args);
	expect(r, &wrong, ENROL_UNAUTHENTICATED, "wrong enrolment code or password");
	expect(r, &none, ENROL_UNAUTHENTICATED, "wrong enrolment code or password");
	expect(r, &nobody, ENROL_UNAUTHENTICATED, "wrong enrolment code or password");
	expect(r, &name, ENROL_FORBIDDEN, "allowed is \"pump-1\"");
	expect(r, &good, ENROL_OK, "");
	rec_text(&args, "name", "pump-1");
	rec_bool(&args, "enabled", false);
	rig_ok(r, OP_DEVICE_SET, &args);
	expect(r, &good, ENROL_FORBIDDEN, "is disabled");
}

/* ---- renewal ---- */

static void a_certificate_renews_itself(void **state)
{
	struct rig *r = *state;
	AUTO_BUF first = {0};
	AUTO_BUF second = {0};
	enrol(r, "pump-1", &first);
	const struct ask rekey = {
		.renew = true, .certificate = buf_view(&first), .name = "pump-1", .key = "new"};
	const struct rig_enrolled *done = expect(r, &rekey, ENROL_OK, "");
	buf_str(&second, buf_view(&done->der));
	assert_false(str_eq(buf_view(&first), buf_view(&second)));
	assert_int_equal(events(r, "enrol.renewed"), 1);
	/* both hold */
	assert_int_equal(
		rig_sql(r, "SELECT count(*) FROM cert WHERE status = 0 AND name = 'pump-1'"), 2);
	/* the answer was lost: the same one again, and none is issued */
	const unsigned issued = r->issued;
	done = expect(r, &rekey, ENROL_OK, "");
	assert_true(str_eq(buf_view(&done->der), buf_view(&second)));
	assert_int_equal(r->issued, issued);
	/* with the same key, by the new one: which is seen thereby, and the old one is over */
	const struct ask again = {
		.renew = true, .certificate = buf_view(&second), .name = "pump-1", .key = "new"};
	expect(r, &again, ENROL_OK, "");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE status = 3"), 1);
	assert_int_equal(events(r, "certificate.superseded"), 1);
	expect(r, &rekey, ENROL_FORBIDDEN, "replaced by a newer one");
}

static void who_may_not_renew(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	struct buf args = {0};
	enrol(r, "pump-1", &der);
	rig_add_with_key(r, "pump-2", "key two");
	const struct ask name = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-2", .key = "new"};
	expect(r, &name, ENROL_BAD, "allowed is \"pump-1\"");
	const struct ask first = {.certificate = buf_view(&der), .name = "pump-2", .key = "new"};
	expect(r, &first, ENROL_FORBIDDEN, "allowed is \"pump-1\"");
	const struct ask none = {.renew = true, .name = "pump-1", .key = "new"};
	expect(r, &none, ENROL_UNAUTHENTICATED, "needs the certificate");
	const struct ask foreign = {
		.renew = true, .certificate = STR("0123"), .name = "pump-1", .key = "new"};
	expect(r, &foreign, ENROL_FORBIDDEN, "only a certificate that this gateway issued");
	const struct ask key = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = "key two"};
	expect(r, &key, ENROL_CONFLICT, "belongs to device \"pump-2\"");
	const struct ask label = {.renew = true,
				  .certificate = buf_view(&der),
				  .name = "pump-1",
				  .key = "new",
				  .label = "manual"};
	expect(r, &label, ENROL_FORBIDDEN, "for the profile \"device\"");
	const struct ask good = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = "new"};
	rec_text(&args, "name", "pump-1");
	rec_bool(&args, "enabled", false);
	rig_ok(r, OP_DEVICE_SET, &args);
	expect(r, &good, ENROL_FORBIDDEN, "is disabled");
	rec_text(&args, "device", "pump-1");
	rig_ok(r, OP_CERT_REVOKE, &args);
	expect(r, &good, ENROL_FORBIDDEN, "was revoked");
}

static void a_forged_certificate_is_an_alarm(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	enrol(r, "pump-1", &der);
	run(r, "DELETE FROM cert WHERE name = 'pump-1'");
	const struct ask a = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = "new"};
	expect(r, &a, ENROL_FORBIDDEN, "did not issue this certificate");
	assert_int_equal(events(r, "certificate.unknown"), 1);
}

static void grace_is_for_renewal_alone(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	enrol(r, "pump-1", &der);
	const struct ask first = {.certificate = buf_view(&der), .name = "pump-1", .key = "new"};
	const struct ask renew = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = "new"};
	run(r, "UPDATE cert SET not_after = unixepoch() - 86400 WHERE name = 'pump-1'");
	expect(r, &first, ENROL_FORBIDDEN, "expired at");
	expect(r, &renew, ENROL_OK, "");
	run(r, "UPDATE cert SET not_after = unixepoch() - 31 * 86400 WHERE name = 'pump-1'");
	const struct ask late = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = "newer"};
	expect(r, &late, ENROL_FORBIDDEN, "needs an enrolment code");
}

static void over_mqtt_once_past_half_of_the_life(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	enrol(r, "pump-1", &der);
	const struct ask a = {.renew = true,
			      .certificate = buf_view(&der),
			      .name = "pump-1",
			      .key = "new",
			      .via = "mqtt"};
	const struct rig_enrolled *done = expect(r, &a, ENROL_BUSY, "too early");
	assert_true(done->retry_after_s > 100 * DAY_S);
	run(r,
	    "UPDATE cert SET not_before = unixepoch() - 50 * 86400, not_after = unixepoch() + 40 * "
	    "86400 WHERE name = 'pump-1'");
	expect(r, &a, ENROL_OK, "");
	const struct ask b = {.renew = true,
			      .certificate = buf_view(&der),
			      .name = "pump-1",
			      .key = "newer",
			      .via = "mqtt"};
	done = expect(r, &b, ENROL_BUSY, "too early");
	assert_in_range(done->retry_after_s, 1, DAY_S);
}

/* The broker tells of a client with a certificate. */
static void appear(struct rig *r, uint64_t handle, struct str der)
{
	unsigned char fp[SHA256_SIZE];
	AUTO_BUF list = {0};
	hash_sha256(der, fp);
	const struct body_client client = {.handle = handle,
					   .device_id = 1,
					   .client_id = STR("c"),
					   .fingerprint = str_make(fp, sizeof(fp))};
	ENTRIES_PUT(&list, client, &client);
	const struct body_presence body = {0, buf_view(&list)};
	LINK_SEND(r->end[PROCESS_BROKER], PRESENCE, presence, 0, -1, &body);
	rig_turns(r, 3);
}

static void the_old_one_ends_when_the_new_one_connects(void **state)
{
	struct rig *r = *state;
	AUTO_BUF first = {0};
	AUTO_BUF second = {0};
	enrol(r, "pump-1", &first);
	const struct ask a = {
		.renew = true, .certificate = buf_view(&first), .name = "pump-1", .key = "new"};
	buf_str(&second, buf_view(&ask_for(r, &a)->der));
	const unsigned deltas = r->deltas;
	appear(r, 7, buf_view(&first));
	appear(r, 8, STR("of nobody"));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE status = 3"), 0);
	appear(r, 9, buf_view(&second));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE status = 3 AND reason = 4 AND "
				    "revoked_at > 0"),
			 1);
	assert_int_equal(r->deltas, deltas + 1);
	appear(r, 10, buf_view(&second));
	assert_int_equal(r->deltas, deltas + 1);
}

static void the_old_one_ends_after_the_overlap(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	enrol(r, "pump-1", &der);
	const struct ask a = {
		.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = "new"};
	expect(r, &a, ENROL_OK, "");
	rig_restart(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE status = 3"), 0);
	run(r, "UPDATE cert SET retire_at = unixepoch() WHERE retire_at IS NOT NULL");
	rig_restart(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM cert WHERE status = 3"), 1);
}

static void a_loop_of_renewals_is_stopped(void **state)
{
	struct rig *r = *state;
	AUTO_BUF der = {0};
	char key[16];
	enum enrol_status status = ENROL_OK;
	enrol(r, "pump-1", &der);
	for (int i = 0; i < 50 && status == ENROL_OK; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		const struct ask a = {
			.renew = true, .certificate = buf_view(&der), .name = "pump-1", .key = key};
		status = ask_for(r, &a)->status;
	}
	assert_int_equal(status, ENROL_BUSY);
}

/* ---- the queue ---- */

static void strangers_wait_only_where_they_may(void **state)
{
	struct rig *r = *state;
	const struct ask a = {.name = "pump-1"};
	expect(r, &a, ENROL_UNAUTHENTICATED, "is needed");
	r->store.approval = CONFIG_APPROVAL_CLAIM;
	expect(r, &a, ENROL_UNAUTHENTICATED, "is needed");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM request"), 0);
	r->store.approval = CONFIG_APPROVAL_ANYONE;
	const struct ask keygen = {.name = "pump-1", .via = "keygen"};
	expect(r, &keygen, ENROL_FORBIDDEN, "cannot wait");
	const struct ask none = {.key = "x"};
	expect(r, &none, ENROL_BAD, "no common name");
	const struct rig_enrolled *done = expect(r, &a, ENROL_PENDING, "must approve");
	assert_true(done->retry_after_s > 0);
	expect(r, &a, ENROL_PENDING, "must approve");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM request"), 1);
	assert_int_equal(events(r, "enrol.pending"), 1);
}

static struct buf number(const char *name, int64_t value)
{
	struct buf args = {0};
	rec_int(&args, name, value);
	return args;
}

static void an_approved_key_gets_its_certificate(void **state)
{
	struct rig *r = *state;
	const struct ask a = {.name = "pump-1"};
	r->store.approval = CONFIG_APPROVAL_ANYONE;
	expect(r, &a, ENROL_PENDING, "");
	const struct rig_answer *list = rig_op0(r, OP_REQUEST_LIST);
	const struct str item = rig_item(list, "items", 0);
	assert_true(str_is(rig_field(item, "name"), "pump-1"));
	assert_true(str_is(rig_field(item, "source"), "192.0.2.7"));
	assert_int_equal(rig_field(item, "key").n, 32);
	assert_int_equal(rig_field(item, "words").n, 24);
	struct buf args = number("id", 1);
	rec_list(&args, "groups");
	rec_text(&args, "", "north");
	rec_end(&args);
	rig_ok(r, OP_REQUEST_APPROVE, &args);
	assert_int_equal(r->issued, 0);
	const struct rig_enrolled *done = expect(r, &a, ENROL_OK, "");
	assert_string_equal(done->device, "pump-1");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device_grp"), 1);
	AUTO_BUF der = {0};
	buf_str(&der, buf_view(&done->der));
	/* and again, when the answer was lost */
	done = expect(r, &a, ENROL_OK, "");
	assert_true(str_eq(buf_view(&der), buf_view(&done->der)));
	assert_int_equal(r->issued, 1);
	args = number("id", 1);
	rig_refused(r, OP_REQUEST_DENY, &args, OP_CONFLICT, "id", "decided already");
	assert_int_equal(events(r, "enrol.decided"), 1);
}

static void a_denied_key_is_told(void **state)
{
	struct rig *r = *state;
	const struct ask a = {.name = "pump-1"};
	r->store.approval = CONFIG_APPROVAL_ANYONE;
	expect(r, &a, ENROL_PENDING, "");
	struct buf args = number("id", 1);
	rec_text(&args, "why", "not ours");
	rig_ok(r, OP_REQUEST_DENY, &args);
	expect(r, &a, ENROL_FORBIDDEN, "denied this request: not ours");
	args = number("id", 7);
	rig_refused(r, OP_REQUEST_APPROVE, &args, OP_NOT_FOUND, "id", "no request 7");
	args = number("id", 7);
	rig_refused(r, OP_REQUEST_SHOW, &args, OP_NOT_FOUND, "id", "no request 7");
}

static void a_key_for_an_old_device_must_be_meant(void **state)
{
	struct rig *r = *state;
	const struct ask a = {.name = "pump-1"};
	r->store.approval = CONFIG_APPROVAL_ANYONE;
	rig_add_device(r, "pump-1");
	expect(r, &a, ENROL_PENDING, "");
	struct buf args = number("id", 1);
	rig_refused(r, OP_REQUEST_APPROVE, &args, OP_CONFLICT, "existing", "there is a device");
	args = number("id", 1);
	rec_bool(&args, "existing", true);
	rig_ok(r, OP_REQUEST_APPROVE, &args);
	expect(r, &a, ENROL_OK, "");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 1);
	const struct ask b = {.name = "pump-2", .key = "two"};
	expect(r, &b, ENROL_PENDING, "");
	args = number("id", 2);
	rec_bool(&args, "existing", true);
	rig_refused(r, OP_REQUEST_APPROVE, &args, OP_NOT_FOUND, "existing", "no device \"pump-2\"");
}

static void the_queue_is_bounded(void **state)
{
	struct rig *r = *state;
	char name[16];
	enum enrol_status status = ENROL_PENDING;
	int n = 0;
	r->store.approval = CONFIG_APPROVAL_ANYONE;
	for (; n < 30 && status == ENROL_PENDING; n++) {
		snprintf(name, sizeof(name), "pump-%d", n);
		const struct ask a = {.name = name, .key = name};
		status = ask_for(r, &a)->status;
	}
	assert_int_equal(status, ENROL_BUSY);
	assert_int_equal(n, 11);
	/* one that nobody looked at makes room by itself */
	run(r, "UPDATE request SET expires = unixepoch() WHERE id = 1");
	const struct ask old = {.name = "pump-0", .key = "pump-0", .source = "198.51.100.1"};
	expect(r, &old, ENROL_PENDING, "");
	struct buf args = number("id", 1);
	rig_refused(r, OP_REQUEST_SHOW, &args, OP_NOT_FOUND, "id", "no request 1");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_code_makes_a_device),
		CASE(the_life_is_that_of_the_profile),
		CASE(a_code_is_used_once),
		CASE(a_code_may_be_typed),
		CASE(wrong_codes_are_refused),
		CASE(a_code_as_user_is_not_told),
		CASE(a_pattern_is_for_new_names),
		CASE(a_code_for_a_device_goes_with_it),
		CASE(a_failing_vault_costs_no_code),
		CASE(without_a_clock_nothing_is_issued),
		CASE(a_blocked_key_is_refused),
		CASE(a_flood_is_slowed_down),
		CASE(bad_arguments_are_refused),
		CASE(codes_are_listed_and_removed),
		CASE(a_newer_code_replaces_the_older_ones),
		cmocka_unit_test(patterns_match),
		CASE(a_password_enrols_its_device),
		CASE(a_certificate_renews_itself),
		CASE(who_may_not_renew),
		CASE(a_forged_certificate_is_an_alarm),
		CASE(grace_is_for_renewal_alone),
		CASE(over_mqtt_once_past_half_of_the_life),
		CASE(the_old_one_ends_when_the_new_one_connects),
		CASE(the_old_one_ends_after_the_overlap),
		CASE(a_loop_of_renewals_is_stopped),
		CASE(strangers_wait_only_where_they_may),
		CASE(an_approved_key_gets_its_certificate),
		CASE(a_denied_key_is_told),
		CASE(a_key_for_an_old_device_must_be_meant),
		CASE(the_queue_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
