/* SPDX-License-Identifier: Apache-2.0
 *
 * Password logins through the store: verdicts, changes, floods.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "db/logins.h"
#include "db/password.h"
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

static void add(struct rig *r, const char *name, const char *password)
{
	struct buf a = {0};
	rec_text(&a, "name", name);
	rec_text(&a, "password", password);
	assert_true(rig_bool(rig_ok(r, OP_DEVICE_ADD, &a), "password"));
}

static void set(struct rig *r, const char *name, const char *field, const char *text)
{
	struct buf a = {0};
	rec_text(&a, "name", name);
	if (text)
		rec_text(&a, field, text);
	else
		rec_bool(&a, field, false);
	rig_ok(r, OP_DEVICE_SET, &a);
}

static void verdicts(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
	assert_int_equal(r->login_device, 1);
	assert_int_equal(rig_login(r, "panel", "wrong horse", "10.0.0.1"), LOGIN_WRONG);
	assert_int_equal(r->login_device, 0);
	assert_int_equal(rig_login(r, "nobody", "correct horse", "10.0.0.1"), LOGIN_WRONG);
	assert_int_equal(rig_login(r, "panel", "", "10.0.0.1"), LOGIN_WRONG);
	assert_int_equal(rig_login(r, "", "", "10.0.0.1"), LOGIN_WRONG);
	rig_add_device(r, "no-password");
	assert_int_equal(rig_login(r, "no-password", "", "10.0.0.1"), LOGIN_WRONG);
}

static void changes_act_at_once(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
	set(r, "panel", "password", "battery staple");
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_WRONG);
	assert_int_equal(rig_login(r, "panel", "battery staple", "10.0.0.1"), LOGIN_OK);
	set(r, "panel", "enabled", NULL);
	assert_int_equal(rig_login(r, "panel", "battery staple", "10.0.0.1"), LOGIN_DISABLED);
	assert_int_equal(rig_login(r, "panel", "wrong", "10.0.0.1"), LOGIN_WRONG);
	set(r, "panel", "password", "");
	assert_int_equal(rig_login(r, "panel", "battery staple", "10.0.0.1"), LOGIN_WRONG);
	assert_int_equal(rig_login(r, "panel", "", "10.0.0.1"), LOGIN_WRONG);
}

static void no_plain_password_is_stored(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device WHERE verifier LIKE '$y$%'"), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM revision WHERE "
				    "instr(after, CAST('horse' AS BLOB))"),
			 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM revision WHERE instr(after, "
				    "CAST('$y$' AS BLOB))"),
			 0);
}

/* ---- verifiers of another broker: "correct horse" with the salt "saltsaltsalt" ---- */

#define OWN_VERIFIERS "SELECT count(*) FROM device WHERE verifier LIKE '$y$%'"
#define SHA512_ONCE                      \
	"$6$c2FsdHNhbHRzYWx0$wubETsBLUk" \
	"dA8YhllItOiVnq5vju3IomjkYfpjX2ElbiG8Z0MqfqXCSOtEODPK1eih3eRPQRJvZ/u5TFhojR6Q=="
#define PBKDF2                           \
	"$7$101$c2FsdHNhbHRzYWx0$VT6wIB" \
	"Yrw6org2c5gu2idDv9QYP0fPEO2YGaoGrYDSKJeYTUANfsQBvu9AI3078np6CYOjHbzfz/elQBb7oxkA=="

static void imported_ones_are_hashed_anew(void **state)
{
	static const char *const hashes[] = {SHA512_ONCE, PBKDF2};
	struct rig *r = *state;
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		char name[8];
		snprintf(name, sizeof(name), "dev-%zu", i);
		struct buf a = {0};
		rec_text(&a, "name", name);
		rec_text(&a, "password-hash", hashes[i]);
		assert_true(rig_bool(rig_ok(r, OP_DEVICE_ADD, &a), "password"));
		assert_int_equal(rig_login(r, name, "wrong horse", "10.0.0.1"), LOGIN_WRONG);
		assert_int_equal(rig_sql(r, OWN_VERIFIERS), i);
		assert_int_equal(rig_login(r, name, "correct horse", "10.0.0.1"), LOGIN_OK);
		/* A thread hashes meanwhile; each wrong login takes as long. */
		for (int k = 0; k < 20 && rig_sql(r, OWN_VERIFIERS) == (int64_t)i; k++) {
			char source[16];
			snprintf(source, sizeof(source), "10.0.1.%d", k);
			assert_int_equal(rig_login(r, name, "wrong horse", source), LOGIN_WRONG);
		}
		assert_int_equal(rig_sql(r, OWN_VERIFIERS), i + 1);
		assert_int_equal(rig_login(r, name, "correct horse", "10.0.0.1"), LOGIN_OK);
	}
}

static void hashes_that_cannot_be_imported(void **state)
{
	static const struct {
		const char *hash;
		const char *text;
	} table[] = {
		{"correct horse", "no hash that can be taken over"},
		{"", "no hash that can be taken over"},
		{"$y$j9T$abc$def", "no hash that can be taken over"},
		{"$argon2id$v=19$m=47104,t=1,p=1$abc$def", "no hash that can be taken over"},
		{"$7$0$c2FsdHNhbHQ=$AAAA", "no hash that can be taken over"},
		{"$7$1000001$c2FsdHNhbHQ=$AAAA", "must be 1 to 1000000"},
		{"$7$x$c2FsdHNhbHQ=$AAAA", "must be 1 to 1000000"},
		{"$6$c2FsdHNhbHQ=$AAAA", "damaged"},
		{"$6$c2FsdHNhbHQ=", "damaged"},
		{"$6$!$AAAA", "damaged"},
	};
	struct rig *r = *state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf a = {0};
		rec_text(&a, "name", "panel");
		rec_text(&a, "password-hash", table[i].hash);
		rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "password-hash", table[i].text);
	}
	struct buf a = {0};
	rec_text(&a, "name", "panel");
	rec_text(&a, "password", "correct horse");
	rec_text(&a, "password-hash", PBKDF2);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_INVALID, "password-hash", "not both");
	rig_add_device(r, "panel");
	set(r, "panel", "password-hash", PBKDF2);
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
}

/* ---- a flood ---- */

enum { FLOOD = 400 };

struct flood {
	struct link_call call[FLOOD];
	unsigned answered;
	unsigned busy;
	unsigned wrong;
};

static struct flood flood;

static void flood_answered(struct link_call *call, int err, struct record *reply)
{
	struct body_login_done b;
	(void)call;
	assert_int_equal(err, 0);
	assert_int_equal(body_login_done_get(reply->body, &b), 0);
	flood.answered++;
	flood.busy += b.verdict == LOGIN_BUSY;
	flood.wrong += b.verdict == LOGIN_WRONG;
}

static void send_flood(struct rig *r)
{
	flood = (struct flood){0};
	for (int i = 0; i < FLOOD; i++) {
		char password[16];
		snprintf(password, sizeof(password), "guess %d", i);
		const struct body_login body = {STR("panel"), str_of(password), STR("10.9.9.9")};
		LINK_ASK(r->end[PROCESS_BROKER], &flood.call[i], LOGIN, login, -1, &body, 60000,
			 flood_answered);
	}
}

static void a_flood_does_not_hold_the_right_ones_back(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	send_flood(r);
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
	/* In turns: it did not wait for all the guesses that were hashed before it. */
	assert_true(flood.wrong < LOGINS_BURST);
	while (flood.answered < FLOOD)
		loop_turn(r->loop, 20);
	assert_true(flood.busy >= FLOOD - LOGINS_BURST - 2 * LOGINS_RATE);
}

static void a_verified_password_costs_no_token(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.9.9.9"), LOGIN_OK);
	send_flood(r);
	for (int i = 0; i < 2 * LOGINS_BURST; i++)
		assert_int_equal(rig_login(r, "panel", "correct horse", "10.9.9.9"), LOGIN_OK);
	while (flood.answered < FLOOD)
		loop_turn(r->loop, 20);
}

static void one_source_cannot_guess(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	for (int i = 0; i < GUARD_TRIES; i++)
		assert_int_equal(rig_login(r, "panel", "guess", "10.9.9.9"), LOGIN_WRONG);
	assert_int_equal(rig_login(r, "panel", "guess", "10.9.9.9"), LOGIN_BUSY);
	/* Even the right password: nobody learns from here that it was right. */
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.9.9.9"), LOGIN_BUSY);
	assert_int_equal(rig_login(r, "other", "guess", "10.9.9.9"), LOGIN_WRONG);
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
	/* It is verified now, and right from everywhere. */
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.9.9.9"), LOGIN_OK);
	assert_int_equal(rig_login(r, "nobody", "guess", "10.9.9.9"), LOGIN_WRONG);
}

static void many_sources_do_not_lock_a_device_out(void **state)
{
	struct rig *r = *state;
	char source[16];
	unsigned busy = 0;
	add(r, "panel", "correct horse");
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
	uint64_t began = 0;
	/* 30 first tries; of the others 20, and one for each second that they take */
	for (uint64_t i = 0; i <= 30 || i < 60 + (clock_mono_ms() - began) / 1000; i++) {
		if (i == 30)
			began = clock_mono_ms();
		snprintf(source, sizeof(source), "10.9.0.%u", (unsigned)(i % 30));
		busy += rig_login(r, "panel", "guess", source) == LOGIN_BUSY;
	}
	assert_in_range(busy, 9, 11);
	/* A new password, so that none is remembered: the known source is judged, and a stranger
	 * who knows it as well. */
	set(r, "panel", "password", "battery staple");
	assert_int_equal(rig_login(r, "panel", "battery staple", "10.0.0.1"), LOGIN_OK);
	set(r, "panel", "password", "paper clip!");
	assert_int_equal(rig_login(r, "panel", "paper clip!", "10.0.0.2"), LOGIN_OK);
}

static void right_ones_cost_no_token(void **state)
{
	AUTO(loop) loop = loop_new();
	struct logins *l = logins_new(loop, 0, 4096);
	const struct str here = STR("10.0.0.1");
	(void)state;
	for (int i = 0; i < 50 * LOGINS_BURST; i++) {
		assert_true(logins_admit(l, here));
		logins_judged(l, here, true);
	}
	unsigned wrong = 0;
	for (int i = 0; i < 50 * LOGINS_BURST; i++) {
		const bool admitted = logins_admit(l, here);
		if (admitted)
			logins_judged(l, here, false);
		wrong += admitted;
	}
	assert_true(wrong < 40 * LOGINS_BURST);
	assert_int_equal(logins_stats(l)->wrong, wrong);
	assert_int_equal(logins_stats(l)->right, 50 * LOGINS_BURST);
	logins_free(l);
}

enum { SUSPECTS = 60 };

/* Every source guesses at an account of its own. */
static void send_guesses(struct rig *r)
{
	flood = (struct flood){0};
	for (int i = 0; i < SUSPECTS; i++) {
		char name[16], source[16];
		snprintf(name, sizeof(name), "nobody-%d", i);
		snprintf(source, sizeof(source), "10.9.0.%d", i);
		const struct body_login body = {str_of(name), STR("guess"), str_of(source)};
		LINK_ASK(r->end[PROCESS_BROKER], &flood.call[i], LOGIN, login, -1, &body, 60000,
			 flood_answered);
	}
}

static void who_was_wrong_waits_for_the_others(void **state)
{
	struct rig *r = *state;
	add(r, "panel", "correct horse");
	send_guesses(r);
	while (flood.answered < SUSPECTS)
		loop_turn(r->loop, 20);
	assert_int_equal(flood.wrong, SUSPECTS);
	send_guesses(r);
	assert_int_equal(rig_login(r, "panel", "correct horse", "10.0.0.1"), LOGIN_OK);
	assert_true(flood.answered < 10);
	while (flood.answered < SUSPECTS)
		loop_turn(r->loop, 20);
	assert_int_equal(flood.wrong, SUSPECTS);
}

static void verifiers(void **state)
{
	char a[VERIFIER_MAX];
	char b[VERIFIER_MAX];
	char longest[PASSWORD_MAX + 2];
	(void)state;
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(password_make(STR("correct horse"), a), 0);
	assert_int_equal(password_make(STR("correct horse"), b), 0);
	assert_string_not_equal(a, b); /* salted */
	assert_true(password_check(STR("correct horse"), a));
	assert_false(password_check(STR("correct horsf"), a));
	assert_false(password_check(STR(""), a));
	assert_false(password_check(STR("correct horse"), ""));
	assert_int_equal(password_make(str_make(longest, PASSWORD_MAX), a), 0);
	assert_true(password_check(str_make(longest, PASSWORD_MAX), a));
	assert_false(password_check(str_make(longest, PASSWORD_MAX + 1), a));
	assert_true(password_make(str_make(longest, PASSWORD_MAX + 1), a) < 0);
	assert_true(password_make(STR("with\0zero"), a) < 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(verdicts),
		TEST(changes_act_at_once),
		TEST(no_plain_password_is_stored),
		TEST(imported_ones_are_hashed_anew),
		TEST(hashes_that_cannot_be_imported),
		TEST(a_flood_does_not_hold_the_right_ones_back),
		TEST(a_verified_password_costs_no_token),
		TEST(one_source_cannot_guess),
		TEST(who_was_wrong_waits_for_the_others),
		TEST(many_sources_do_not_lock_a_device_out),
		cmocka_unit_test(right_ones_cost_no_token),
		cmocka_unit_test(verifiers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
