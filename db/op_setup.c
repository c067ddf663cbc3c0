/* SPDX-License-Identifier: Apache-2.0
 *
 * The first visit of the interface. setup-code.add makes the one-time code that opens it; only its
 * hash is kept, a new code replaces an older one. setup.show tells whoever comes whether there is
 * an administrator yet. setup.add makes one with the level admin from a code and opens a session:
 * also later, for whoever may make a code owns the machine. Main thread of the store.
 *
 * setup.show answers {gateway, administrators (bool), code (bool): one is valid}. setup.add answers
 * a session, see op_session.h. setup-code.add: code      str: 4 groups of 5 letters and digits, 100
 * bits, without I L O U (Crockford's base 32) expires   time tries     int: wrong codes until it is
 * void
 */
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "db/hash.h"
#include "db/op_session.h"

#include <stdio.h>

enum { GROUPS = 4, GROUP_LETTERS = 5, CODE_SIZE = 24, LIFETIME = 24 * 3600, TRIES = 5 };

static void make_code(char out[CODE_SIZE])
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned char random[GROUPS * GROUP_LETTERS];
	size_t n = 0;
	secret_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i && i % GROUP_LETTERS == 0)
			out[n++] = '-';
		out[n++] = letters[random[i] % 32];
	}
	out[n] = 0;
	secret_wipe(random, sizeof(random));
}

/* Of the certificate that browsers are shown, so that people can compare. */
static void put_fingerprint(struct op_call *c)
{
	struct str list = buf_view(&c->s->gateway.certificates);
	struct gateway_certificate file;
	while (gateway_certificate_next(&list, &file))
		if (str_is(file.name, "admin")) {
			rec_str(&c->result, "fingerprint", file.fingerprint);
			rec_bool(&c->result, "public", file.is_public);
			return;
		}
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry, "SELECT fp FROM cert WHERE profile = 'server' AND name = "
					  "'admin-p256' ORDER BY id DESC LIMIT 1");
	if (sql_next(&q))
		rec_bytes(&c->result, "fingerprint", sql_at_str(&q, 0));
	rec_bool(&c->result, "public", false);
}

void op_setup_code_add(struct op_call *c)
{
	struct sql *db = c->s->registry;
	char code[CODE_SIZE];
	unsigned char hash[SHA256_SIZE];
	const int64_t now = timefloor_now(&c->s->floor);
	if (people_any(db)) {
		op_refuse(c, OP_CONFLICT, NULL,
			  "there is an administrator already: \"gatehouse admin add\" adds another "
			  "one, \"gatehouse admin reset\" sets a new password");
		return;
	}
	make_code(code);
	hash_sha256(str_of(code), hash);
	change_begin(c);
	SQL_RUN(db, "DELETE FROM setup_code");
	SQL_RUN(db,
		"INSERT INTO setup_code(hash, expires, tries_left, created, created_by) "
		"VALUES(?, ?, ?, ?, ?)",
		sql_blob(str_make(hash, sizeof(hash))), sql_int(now + LIFETIME), sql_int(TRIES),
		sql_int(now), sql_text(c->actor));
	rec_text(&c->result, "code", code);
	op_put_time(&c->result, "expires", now + LIFETIME);
	rec_int(&c->result, "tries", TRIES);
	put_fingerprint(c);
	secret_wipe(code, sizeof(code));
	change_event(c, EVENT_SETUP_CODE_MADE, 0, STR(""), STR(""));
	change_commit(c);
}

void op_setup_show(struct op_call *c)
{
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n,
		    "SELECT count(*) FROM setup_code WHERE expires > ? AND tries_left > 0",
		    sql_int(timefloor_now(&c->s->floor)));
	rec_text(&c->result, "gateway", c->s->gateway.name);
	rec_bool(&c->result, "administrators", people_any(c->s->registry));
	rec_bool(&c->result, "code", n > 0);
	op_done(c);
}

/* As it was printed, whatever case, blanks and look-alike letters were typed. */
static void tidy_code(struct str typed, char out[CODE_SIZE])
{
	size_t letters = 0;
	size_t n = 0;
	for (size_t i = 0; i < typed.n && letters < GROUPS * GROUP_LETTERS; i++) {
		char ch = typed.p[i];
		if (ch >= 'a' && ch <= 'z')
			ch = (char)(ch - 'a' + 'A');
		if (!(ch >= 'A' && ch <= 'Z') && !(ch >= '0' && ch <= '9'))
			continue;
		if (letters && letters % GROUP_LETTERS == 0)
			out[n++] = '-';
		out[n++] = ch == 'O' ? '0' : ch == 'I' || ch == 'L' ? '1' : ch;
		letters++;
	}
	out[n] = 0;
}

static bool code_is_valid(struct op_call *c)
{
	char code[CODE_SIZE];
	unsigned char hash[SHA256_SIZE];
	struct str typed = STR("");
	int64_t n = 0;
	op_str(c, "code", &typed);
	tidy_code(typed, code);
	hash_sha256(str_of(code), hash);
	secret_wipe(code, sizeof(code));
	SQL_GET_INT(c->s->registry, &n,
		    "SELECT count(*) FROM setup_code WHERE hash = ? AND expires > ? AND "
		    "tries_left > 0",
		    sql_blob(str_make(hash, sizeof(hash))), sql_int(timefloor_now(&c->s->floor)));
	return n > 0;
}

static void refuse_code(struct op_call *c)
{
	session_failed(c, STR("setup"), "code", "wrong setup code",
		       "the setup code is wrong, was used or is no longer valid; on the gateway "
		       "\"gatehouse setup-code\" makes a fresh one");
}

/* Takes one of the tries when it is wrong. False: the call was refused. */
static bool code_is_right(struct op_call *c)
{
	if (code_is_valid(c))
		return true;
	SQL_RUN(c->s->registry,
		"UPDATE setup_code SET tries_left = tries_left - 1 WHERE tries_left > 0");
	refuse_code(c);
	return false;
}

static bool name_is_free(struct op_call *c, struct str name)
{
	struct person who;
	if (people_find(c->s->registry, name, &who) == ERR_NOT_FOUND)
		return true;
	op_refuse(c, OP_CONFLICT, "name", "there is an administrator \"%.*s\" already",
		  STR_ARG(name));
	return false;
}

static void set_up(struct op_call *c)
{
	struct sql *db = c->s->registry;
	const int64_t now = timefloor_now(&c->s->floor);
	struct str name = STR("");
	struct person who = {.level = ADMIN, .enabled = true};
	op_str(c, "name", &name);
	/* Another call may have used the code while the password was hashed. */
	if (!code_is_valid(c)) {
		refuse_code(c);
		return;
	}
	if (!name_is_free(c, name))
		return;
	snprintf(who.name, sizeof(who.name), "%.*s", STR_ARG(name));
	snprintf(c->actor, sizeof(c->actor), "%s", who.name);
	change_begin(c);
	SQL_RUN(db, "DELETE FROM setup_code");
	SQL_RUN(db,
		"INSERT INTO administrator(name, level, verifier, created, created_by, changed) "
		"VALUES(?, ?, ?, ?, 'setup code', ?)",
		sql_text(who.name), sql_int(people_level_number(ADMIN)),
		sql_text(session_verifier(c)), sql_int(now), sql_int(now));
	who.id = sql_last_id(db);
	session_open(c, &who, "setup code");
	change_commit(c);
}

void op_setup_add(struct op_call *c)
{
	struct str name = STR("");
	op_str(c, "name", &name);
	/* Who is an administrator already is told only to who has the code. */
	if (people_any(c->s->registry)) {
		op_refuse(c, OP_CONFLICT, NULL,
			  "this gateway has an administrator already, who can add others");
		return;
	}
	if (session_may_try(c, STR("setup")) && op_check_name(c, "name", "administrator", name) &&
	    session_check_password(c, "password", name) && code_is_right(c) &&
	    name_is_free(c, name))
		session_hash(c, "password", set_up);
}
