/* SPDX-License-Identifier: Apache-2.0
 *
 * People and programs in the store: the first administrator, logging in, sessions, second factors,
 * levels, API tokens, the audit list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/ipc/link.h"
#include "db/people.h"
#include "db/totp.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

#define PASSWORD "a long enough secret"

static int set_up(void **state)
{
	struct rig *r = rig_new();
	rig_link(r, PROCESS_ADMIN);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct buf two(const char *name, const char *value, const char *name2, const char *value2)
{
	struct buf args = {0};
	if (name)
		rec_text(&args, name, value);
	if (name2)
		rec_text(&args, name2, value2);
	return args;
}

/* From the interface, without credentials. */
static const struct rig_answer *outside(struct rig *r, enum op op, struct buf *args)
{
	return rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_NONE, STR(""), op, args);
}

static void add(struct rig *r, const char *name, const char *level)
{
	struct buf a = two("name", name, "level", level);
	rec_text(&a, "password", PASSWORD);
	rig_ok(r, OP_ADMINISTRATOR_ADD, &a);
}

struct login {
	char secret[PEOPLE_SECRET];
	char credential[PEOPLE_SECRET + PEOPLE_CSRF + 1]; /* with the proof of our own page */
};

static void take_login(const struct rig_answer *a, struct login *out)
{
	const struct str secret = rig_str(a, "secret");
	const struct str page = rig_str(a, "page");
	assert_int_equal(secret.n, PEOPLE_SECRET - 1);
	assert_int_equal(page.n, PEOPLE_CSRF - 1);
	snprintf(out->secret, sizeof(out->secret), "%.*s", STR_ARG(secret));
	snprintf(out->credential, sizeof(out->credential), "%.*s %.*s", STR_ARG(secret),
		 STR_ARG(page));
}

static struct login login(struct rig *r, const char *name)
{
	struct buf a = two("name", name, "password", PASSWORD);
	const struct rig_answer *answer = outside(r, OP_SESSION_ADD, &a);
	struct login out;
	assert_int_equal(answer->status, OP_OK);
	take_login(answer, &out);
	return out;
}

static const struct rig_answer *as(struct rig *r, const struct login *l, enum op op,
				   struct buf *args)
{
	return rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_SESSION, str_of(l->credential), op, args);
}

static const struct rig_answer *as1(struct rig *r, const struct login *l, enum op op,
				    const char *name, const char *value)
{
	struct buf a = two(name, value, NULL, NULL);
	return as(r, l, op, &a);
}

static void is_refused(const struct rig_answer *a, enum op_status status, const char *field,
		       const char *text)
{
	assert_int_equal(a->status, status);
	assert_string_equal(a->field, field);
	assert_non_null(strstr(a->why, text));
}

/* ---- the first one ---- */

static void the_setup_code_makes_the_first_administrator(void **state)
{
	struct rig *r = *state;
	struct buf none = {0};
	char code[64];
	struct login l;
	assert_false(rig_bool(outside(r, OP_SETUP_SHOW, &none), "administrators"));
	const struct rig_answer *made = rig_op0(r, OP_SETUP_CODE);
	snprintf(code, sizeof(code), "%.*s", STR_ARG(rig_str(made, "code")));
	for (char *p = code; *p; p++)
		*p = *p == '-' ? ' ' : (char)(*p >= 'A' ? *p + 'a' - 'A' : *p);
	struct buf a = two("code", code, "name", "ann");
	rec_text(&a, "password", PASSWORD);
	const struct rig_answer *answer = outside(r, OP_SETUP_ADD, &a);
	assert_int_equal(answer->status, OP_OK);
	assert_true(str_is(rig_str(answer, "level"), "admin"));
	take_login(answer, &l);
	assert_int_equal(as1(r, &l, OP_DEVICE_ADD, "name", "pump-1")->status, OP_OK);
	none = (struct buf){0};
	answer = outside(r, OP_SETUP_SHOW, &none);
	assert_true(rig_bool(answer, "administrators"));
	assert_false(rig_bool(answer, "code"));
	a = two("code", code, "name", "bob");
	rec_text(&a, "password", PASSWORD);
	is_refused(outside(r, OP_SETUP_ADD, &a), OP_CONFLICT, "", "administrator already");
}

static void five_wrong_setup_codes_spoil_it(void **state)
{
	struct rig *r = *state;
	char code[64];
	const struct rig_answer *made = rig_op0(r, OP_SETUP_CODE);
	snprintf(code, sizeof(code), "%.*s", STR_ARG(rig_str(made, "code")));
	for (int i = 0; i < 4; i++) {
		struct buf a = two("code", "AAAAA-AAAAA-AAAAA-AAAAA", "name", "ann");
		rec_text(&a, "password", PASSWORD);
		assert_int_equal(outside(r, OP_SETUP_ADD, &a)->status, OP_UNAUTHENTICATED);
	}
	assert_int_equal(rig_sql(r, "SELECT tries_left FROM setup_code"), 1);
	/* From the same place the next one has to wait, right or wrong. */
	struct buf a = two("code", code, "name", "ann");
	rec_text(&a, "password", PASSWORD);
	is_refused(outside(r, OP_SETUP_ADD, &a), OP_TOO_MANY, "", "try again in");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM administrator"), 0);
}

static void setting_up_ends_with_the_first_administrator(void **state)
{
	struct rig *r = *state;
	char code[64];
	const struct rig_answer *made = rig_op0(r, OP_SETUP_CODE);
	snprintf(code, sizeof(code), "%.*s", STR_ARG(rig_str(made, "code")));
	add(r, "ann", "admin");
	struct buf a = two("code", code, "name", "bob");
	rec_text(&a, "password", PASSWORD);
	is_refused(outside(r, OP_SETUP_ADD, &a), OP_CONFLICT, "", "administrator already");
	struct buf none = {0};
	rig_refused(r, OP_SETUP_CODE, &none, OP_CONFLICT, "", "admin reset");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM administrator"), 1);
}

/* ---- logging in ---- */

static void wrong_names_and_passwords_sound_alike(void **state)
{
	struct rig *r = *state;
	char first[2049];
	add(r, "ann", "admin");
	struct buf a = two("name", "ann", "password", "not the right one");
	const struct rig_answer *answer = outside(r, OP_SESSION_ADD, &a);
	is_refused(answer, OP_UNAUTHENTICATED, "password", "the name or the password is wrong");
	snprintf(first, sizeof(first), "%s", answer->why);
	a = two("name", "eve", "password", PASSWORD);
	assert_string_equal(outside(r, OP_SESSION_ADD, &a)->why, first);
	assert_int_equal(rig_sql(r,
				 "SELECT count(*) FROM audit WHERE operation = 'session.add' AND "
				 "outcome = 'unauthenticated'"),
			 2);
}

static void a_disabled_administrator_is_out_at_once(void **state)
{
	struct rig *r = *state;
	struct buf none = {0};
	add(r, "ann", "admin");
	add(r, "bob", "viewer");
	const struct login bob = login(r, "bob");
	assert_int_equal(as(r, &bob, OP_STATUS, &none)->status, OP_OK);
	struct buf a = two("name", "bob", NULL, NULL);
	rec_bool(&a, "enabled", false);
	rig_ok(r, OP_ADMINISTRATOR_SET, &a);
	none = (struct buf){0};
	assert_int_equal(as(r, &bob, OP_STATUS, &none)->status, OP_UNAUTHENTICATED);
	a = two("name", "bob", "password", PASSWORD);
	is_refused(outside(r, OP_SESSION_ADD, &a), OP_UNAUTHENTICATED, "password", "wrong");
}

struct late {
	struct link_call call;
	uint8_t status;
	bool done;
};

static void late_answered(struct link_call *call, int err, struct record *reply)
{
	struct late *l = container_of(call, struct late, call);
	struct body_op_done b;
	assert_int_equal(err, 0);
	assert_int_equal(body_op_done_get(reply->body, &b), 0);
	l->status = b.status;
	l->done = true;
}

/* The password is judged on a thread; what was looked up before may not hold any more then. */
static void a_login_under_way_is_not_for_who_was_disabled(void **state)
{
	struct rig *r = *state;
	struct late late = {0};
	add(r, "ann", "admin");
	add(r, "bob", "viewer");
	const struct login ann = login(r, "ann");
	struct buf a = two("name", "bob", "password", PASSWORD);
	const struct body_op body = {
		.op = OP_SESSION_ADD,
		.credential_kind = CREDENTIAL_NONE,
		.args = buf_view(&a),
	};
	LINK_ASK(r->end[PROCESS_ADMIN], &late.call, OP, op, -1, &body, 10000, late_answered);
	buf_fini(&a);
	a = two("name", "bob", NULL, NULL);
	rec_bool(&a, "enabled", false);
	assert_int_equal(as(r, &ann, OP_ADMINISTRATOR_SET, &a)->status, OP_OK);
	rig_until(r, &late.done);
	assert_int_equal(late.status, OP_UNAUTHENTICATED);
}

/* A page that only watches is no sign of life. */
static void what_is_passive_keeps_no_session_open(void **state)
{
	struct rig *r = *state;
	add(r, "ann", "admin");
	const struct login ann = login(r, "ann");
	rig_sql(r, "UPDATE session SET seen = seen - 600");
	const int64_t seen = rig_sql(r, "SELECT seen FROM session");
	for (uint8_t passive = 1; passive < 2; passive--) {
		struct late late = {0};
		const struct body_op body = {
			.op = OP_STATUS,
			.credential_kind = CREDENTIAL_SESSION,
			.credential = str_of(ann.credential),
			.passive = passive,
		};
		LINK_ASK(r->end[PROCESS_ADMIN], &late.call, OP, op, -1, &body, 10000,
			 late_answered);
		rig_until(r, &late.done);
		assert_int_equal(late.status, OP_OK);
		const int64_t now = rig_sql(r, "SELECT seen FROM session");
		if (passive)
			assert_int_equal(now, seen);
		else
			assert_true(now > seen);
	}
}

static void levels_hold(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *name;
		enum op_status list, add, token;
	} who[] = {
		{"viewer", OP_OK, OP_DENIED, OP_DENIED},
		{"operator", OP_OK, OP_OK, OP_DENIED},
		{"admin", OP_OK, OP_OK, OP_OK},
	};
	for (size_t i = 0; i < ARRAY_LEN(who); i++) {
		struct buf none = {0};
		char device[16];
		add(r, who[i].name, who[i].name);
		const struct login l = login(r, who[i].name);
		snprintf(device, sizeof(device), "pump-%zu", i);
		assert_int_equal(as(r, &l, OP_DEVICE_LIST, &none)->status, who[i].list);
		assert_int_equal(as1(r, &l, OP_DEVICE_ADD, "name", device)->status, who[i].add);
		struct buf a = two("name", device, "level", "viewer");
		assert_int_equal(as(r, &l, OP_TOKEN_ADD, &a)->status, who[i].token);
	}
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE actor = 'viewer' AND outcome "
				    "= 'denied'"),
			 2);
}

/* A page of another origin makes the browser send the cookie, but cannot read what to repeat. */
static void a_change_needs_the_proof_of_our_page(void **state)
{
	struct rig *r = *state;
	add(r, "ann", "admin");
	const struct login ann = login(r, "ann");
	const struct login other = login(r, "ann");
	char mixed[sizeof(ann.credential)];
	struct buf a = two("name", "pump-1", NULL, NULL);
	is_refused(rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_SESSION, str_of(ann.secret),
			     OP_DEVICE_ADD, &a),
		   OP_DENIED, "", "X-Gatehouse-Page");
	snprintf(mixed, sizeof(mixed), "%s%s", ann.secret, other.credential + PEOPLE_SECRET - 1);
	a = two("name", "pump-1", NULL, NULL);
	is_refused(
		rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_SESSION, str_of(mixed), OP_DEVICE_ADD, &a),
		OP_DENIED, "", "X-Gatehouse-Page");
	a = (struct buf){0};
	assert_int_equal(rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_SESSION, str_of(ann.secret),
				   OP_DEVICE_LIST, &a)
				 ->status,
			 OP_OK);
}

/* ---- sessions ---- */

static void sessions_end(void **state)
{
	struct rig *r = *state;
	struct buf none = {0};
	add(r, "ann", "admin");
	const struct login one = login(r, "ann");
	const struct login two_ = login(r, "ann");
	rec_int(&none, "id", 0);
	assert_int_equal(as(r, &one, OP_SESSION_REMOVE, &none)->status, OP_OK);
	none = (struct buf){0};
	assert_true(str_is(rig_str(as(r, &one, OP_SESSION_SHOW, &none), "level"), "nobody"));
	none = (struct buf){0};
	is_refused(as(r, &one, OP_STATUS, &none), OP_UNAUTHENTICATED, "", "log in");
	none = (struct buf){0};
	assert_true(str_is(rig_str(as(r, &two_, OP_SESSION_SHOW, &none), "name"), "ann"));
	/* Without a request for an hour. */
	sql_script(r->store.registry, "UPDATE session SET seen = seen - 3601");
	none = (struct buf){0};
	is_refused(as(r, &two_, OP_STATUS, &none), OP_UNAUTHENTICATED, "", "log in");
}

static void only_an_admin_sees_the_sessions_of_others(void **state)
{
	struct rig *r = *state;
	add(r, "ann", "admin");
	add(r, "bob", "viewer");
	const struct login ann = login(r, "ann");
	const struct login bob = login(r, "bob");
	struct buf a = {0};
	assert_int_equal(rig_count(as(r, &bob, OP_SESSION_LIST, &a), "items"), 1);
	a = (struct buf){0};
	rec_bool(&a, "all", true);
	is_refused(as(r, &bob, OP_SESSION_LIST, &a), OP_DENIED, "all", "admin");
	a = (struct buf){0};
	rec_int(&a, "id", rig_sql(r, "SELECT min(id) FROM session"));
	is_refused(as(r, &bob, OP_SESSION_REMOVE, &a), OP_NOT_FOUND, "id", "of yours");
	a = (struct buf){0};
	rec_bool(&a, "all", true);
	assert_int_equal(rig_count(as(r, &ann, OP_SESSION_LIST, &a), "items"), 2);
	a = (struct buf){0};
	rec_int(&a, "id", rig_sql(r, "SELECT max(id) FROM session"));
	assert_int_equal(as(r, &ann, OP_SESSION_REMOVE, &a)->status, OP_OK);
	a = (struct buf){0};
	assert_int_equal(as(r, &bob, OP_STATUS, &a)->status, OP_UNAUTHENTICATED);
}

static void a_new_password_closes_the_other_sessions(void **state)
{
	struct rig *r = *state;
	add(r, "ann", "admin");
	const struct login here = login(r, "ann");
	const struct login elsewhere = login(r, "ann");
	struct buf a = two("old", "not the old one", "password", "another long secret");
	is_refused(as(r, &here, OP_PASSWORD_SET, &a), OP_UNAUTHENTICATED, "password", "wrong");
	a = two("old", PASSWORD, "password", "short");
	is_refused(as(r, &here, OP_PASSWORD_SET, &a), OP_INVALID, "password", "at least 10");
	a = two("old", PASSWORD, "password", "another long secret");
	assert_int_equal(as(r, &here, OP_PASSWORD_SET, &a)->status, OP_OK);
	a = (struct buf){0};
	assert_int_equal(as(r, &here, OP_STATUS, &a)->status, OP_OK);
	a = (struct buf){0};
	assert_int_equal(as(r, &elsewhere, OP_STATUS, &a)->status, OP_UNAUTHENTICATED);
	a = two("name", "ann", "password", PASSWORD);
	assert_int_equal(outside(r, OP_SESSION_ADD, &a)->status, OP_UNAUTHENTICATED);
}

/* ---- the second factor ---- */

static unsigned char unbase32(char c)
{
	return (unsigned char)(c >= 'A' ? c - 'A' : c - '2' + 26);
}

static void decode_secret(struct str text, unsigned char out[TOTP_SECRET])
{
	unsigned bits = 0;
	unsigned held = 0;
	size_t n = 0;
	assert_int_equal(text.n, TOTP_TEXT - 1);
	for (size_t i = 0; i < text.n; i++) {
		bits = bits << 5 | unbase32(text.p[i]);
		held += 5;
		if (held >= 8)
			out[n++] = (unsigned char)(bits >> (held -= 8));
	}
}

static void code_text(const unsigned char secret[TOTP_SECRET], int step, char out[16])
{
	const int64_t now = (int64_t)clock_wall_ms() / 1000 / TOTP_STEP_S;
	snprintf(out, 16, "%06u", totp_code(secret, now + step));
}

static void a_second_factor_is_asked_for_and_used_once(void **state)
{
	struct rig *r = *state;
	unsigned char secret[TOTP_SECRET];
	char code[16];
	char recovery[32];
	add(r, "ann", "admin");
	const struct login ann = login(r, "ann");
	is_refused(as1(r, &ann, OP_TOTP_SET, "code", "123456"), OP_CONFLICT, "", "begin");
	is_refused(as1(r, &ann, OP_TOTP_ADD, "password", "guess guess"), OP_UNAUTHENTICATED,
		   "password", "wrong");
	const struct rig_answer *a = as1(r, &ann, OP_TOTP_ADD, "password", PASSWORD);
	assert_int_equal(a->status, OP_OK);
	assert_true(str_prefix(rig_str(a, "uri"), STR("otpauth://totp/")));
	decode_secret(rig_str(a, "secret"), secret);
	/* Nothing is asked for before the app has shown that it has the secret. */
	login(r, "ann");
	code_text(secret, -5, code);
	is_refused(as1(r, &ann, OP_TOTP_SET, "code", code), OP_INVALID, "code", "clocks");
	code_text(secret, -1, code);
	a = as1(r, &ann, OP_TOTP_SET, "code", code);
	assert_int_equal(a->status, OP_OK);
	assert_int_equal(rig_count(a, "recovery_codes"), 8);
	struct cur list;
	struct rec_value v;
	assert_true(rec_find(buf_view(&a->result), "recovery_codes", &v));
	list = cur_of(v.text);
	assert_true(rec_next(&list, &v));
	snprintf(recovery, sizeof(recovery), "%.*s", STR_ARG(v.text));

	struct buf b = two("name", "ann", "password", PASSWORD);
	is_refused(outside(r, OP_SESSION_ADD, &b), OP_UNAUTHENTICATED, "code", "six digits");
	b = two("name", "ann", "password", PASSWORD);
	rec_text(&b, "code", code); /* the one that has been used */
	is_refused(outside(r, OP_SESSION_ADD, &b), OP_UNAUTHENTICATED, "code", "used");
	code_text(secret, 0, code);
	b = two("name", "ann", "password", PASSWORD);
	rec_text(&b, "code", code);
	assert_int_equal(outside(r, OP_SESSION_ADD, &b)->status, OP_OK);
	for (int i = 0; i < 2; i++) {
		b = two("name", "ann", "password", PASSWORD);
		rec_text(&b, "code", recovery);
		assert_int_equal(outside(r, OP_SESSION_ADD, &b)->status,
				 i == 0 ? OP_OK : OP_UNAUTHENTICATED);
	}
	assert_int_equal(as1(r, &ann, OP_TOTP_REMOVE, "password", PASSWORD)->status, OP_OK);
	login(r, "ann");
}

/* ---- the last one ---- */

static void one_admin_stays(void **state)
{
	struct rig *r = *state;
	add(r, "ann", "admin");
	add(r, "bob", "operator");
	struct buf a = two("name", "ann", NULL, NULL);
	rig_refused(r, OP_ADMINISTRATOR_REMOVE, &a, OP_CONFLICT, "name", "last administrator");
	a = two("name", "ann", "level", "viewer");
	rig_refused(r, OP_ADMINISTRATOR_SET, &a, OP_CONFLICT, "name", "last administrator");
	a = two("name", "bob", "level", "admin");
	rig_ok(r, OP_ADMINISTRATOR_SET, &a);
	a = two("name", "ann", NULL, NULL);
	rig_ok(r, OP_ADMINISTRATOR_REMOVE, &a);
	assert_int_equal(rig_count(rig_op0(r, OP_ADMINISTRATOR_LIST), "items"), 1);
}

static void bad_administrators_are_refused(void **state)
{
	struct rig *r = *state;
	struct buf a = two("name", "an n", "level", "admin");
	rec_text(&a, "password", PASSWORD);
	rig_refused(r, OP_ADMINISTRATOR_ADD, &a, OP_INVALID, "name", "an n");
	a = two("name", "ann", "level", "root");
	rec_text(&a, "password", PASSWORD);
	rig_refused(r, OP_ADMINISTRATOR_ADD, &a, OP_INVALID, "level", "viewer, operator, admin");
	a = two("name", "ann-of-ten", "level", "admin");
	rec_text(&a, "password", "ann-of-ten");
	rig_refused(r, OP_ADMINISTRATOR_ADD, &a, OP_INVALID, "password", "must not be the name");
	a = two("name", "ann", NULL, NULL);
	rig_refused(r, OP_ADMINISTRATOR_SET, &a, OP_NOT_FOUND, "name", "ann");
	add(r, "ann", "admin");
	a = two("name", "ann", NULL, NULL);
	rig_refused(r, OP_ADMINISTRATOR_SET, &a, OP_INVALID, "", "nothing to change");
}

/* ---- tokens ---- */

static const struct rig_answer *by_token(struct rig *r, const char *token, enum op op,
					 const char *name, const char *value)
{
	struct buf a = two(name, value, NULL, NULL);
	return rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_TOKEN, str_of(token), op, &a);
}

static void a_token_does_what_it_is_for(void **state)
{
	struct rig *r = *state;
	char token[PEOPLE_TOKEN];
	struct buf a = two("name", "backup", "level", "operator");
	rec_list(&a, "operations");
	rec_text(&a, "", "device.");
	rec_text(&a, "", "status");
	rec_end(&a);
	const struct rig_answer *answer = rig_ok(r, OP_TOKEN_ADD, &a);
	snprintf(token, sizeof(token), "%.*s", STR_ARG(rig_str(answer, "token")));
	assert_int_equal(by_token(r, token, OP_DEVICE_ADD, "name", "pump-1")->status, OP_OK);
	assert_int_equal(by_token(r, token, OP_STATUS, NULL, NULL)->status, OP_OK);
	is_refused(by_token(r, token, OP_ROLE_LIST, NULL, NULL), OP_DENIED, "",
		   "not for role.list");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE actor = 'token backup'"), 1);
	assert_int_equal(rig_sql(r, "SELECT seen IS NOT NULL FROM token"), 1);
	sql_script(r->store.registry, "UPDATE token SET expires = 1");
	is_refused(by_token(r, token, OP_STATUS, NULL, NULL), OP_UNAUTHENTICATED, "", "log in");
	assert_true(rig_sql(r, "SELECT count(*) FROM token WHERE hash = CAST('gh_' AS BLOB)") == 0);
}

static void bad_tokens_are_refused(void **state)
{
	struct rig *r = *state;
	struct buf a = two("name", "backup", "level", "viewer");
	rec_list(&a, "operations");
	rec_text(&a, "", "device");
	rec_end(&a);
	rig_refused(r, OP_TOKEN_ADD, &a, OP_INVALID, "operations", "\"device\" is no operation");
	/* Who means none must not get all. */
	a = two("name", "backup", "level", "viewer");
	rec_list(&a, "operations");
	rec_end(&a);
	rig_refused(r, OP_TOKEN_ADD, &a, OP_INVALID, "operations", "at least one");
	a = two("name", "backup", "level", "viewer");
	rec_int(&a, "ttl", 59);
	rig_refused(r, OP_TOKEN_ADD, &a, OP_INVALID, "ttl", "60 and more");
	a = two("name", "backup", "level", "viewer");
	rig_ok(r, OP_TOKEN_ADD, &a);
	a = two("name", "backup", "level", "viewer");
	rig_refused(r, OP_TOKEN_ADD, &a, OP_CONFLICT, "name", "already");
	a = two("name", "other", NULL, NULL);
	rig_refused(r, OP_TOKEN_REMOVE, &a, OP_NOT_FOUND, "name", "other");
	a = two("name", "backup", NULL, NULL);
	rig_ok(r, OP_TOKEN_REMOVE, &a);
}

/* ---- the audit list ---- */

static void the_audit_list_pages_and_filters(void **state)
{
	struct rig *r = *state;
	char after[32];
	for (int i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "pump-%d", i);
		rig_add_device(r, name);
	}
	struct buf a = two("name", "ghost", NULL, NULL);
	rig_refused(r, OP_DEVICE_REMOVE, &a, OP_NOT_FOUND, "name", "ghost");
	a = (struct buf){0};
	rec_int(&a, "limit", 4);
	const struct rig_answer *page = rig_ok(r, OP_AUDIT_LIST, &a);
	assert_int_equal(rig_count(page, "items"), 4);
	assert_true(str_is(rig_field(rig_item(page, "items", 0), "outcome"), "not-found"));
	snprintf(after, sizeof(after), "%.*s", STR_ARG(rig_str(page, "next")));
	a = two("after", after, NULL, NULL);
	page = rig_ok(r, OP_AUDIT_LIST, &a);
	assert_int_equal(rig_count(page, "items"), 2);
	assert_true(str_is(rig_field(rig_item(page, "items", 1), "target"), "pump-0"));
	a = two("operation", "device.", "outcome", "ok");
	assert_int_equal(rig_count(rig_ok(r, OP_AUDIT_LIST, &a), "items"), 5);
	a = two("target", "pump-3", NULL, NULL);
	assert_int_equal(rig_count(rig_ok(r, OP_AUDIT_LIST, &a), "items"), 1);
	a = two("operation", "device.*", NULL, NULL);
	assert_int_equal(rig_count(rig_ok(r, OP_AUDIT_LIST, &a), "items"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_setup_code_makes_the_first_administrator),
		TEST(five_wrong_setup_codes_spoil_it),
		TEST(setting_up_ends_with_the_first_administrator),
		TEST(wrong_names_and_passwords_sound_alike),
		TEST(a_disabled_administrator_is_out_at_once),
		TEST(a_login_under_way_is_not_for_who_was_disabled),
		TEST(what_is_passive_keeps_no_session_open),
		TEST(levels_hold),
		TEST(a_change_needs_the_proof_of_our_page),
		TEST(sessions_end),
		TEST(only_an_admin_sees_the_sessions_of_others),
		TEST(a_new_password_closes_the_other_sessions),
		TEST(a_second_factor_is_asked_for_and_used_once),
		TEST(one_admin_stays),
		TEST(bad_administrators_are_refused),
		TEST(a_token_does_what_it_is_for),
		TEST(bad_tokens_are_refused),
		TEST(the_audit_list_pages_and_filters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
