/* SPDX-License-Identifier: Apache-2.0
 *
 * setup-code.add: the one-time code that opens the first visit of the interface. Main thread of the
 * store. Only its hash is kept; a new code replaces an older one.
 *
 * Result:
 *   code      str: 4 groups of 5 letters and digits, 100 bits, without I L O U (Crockford's base
 * 32) expires   time tries     int: wrong codes until it is void
 */
#include "daemon/base/secret.h"
#include "db/hash.h"
#include "db/ops.h"

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

void op_setup_code_add(struct op_call *c)
{
	struct sql *db = c->s->registry;
	char code[CODE_SIZE];
	unsigned char hash[SHA256_SIZE];
	const int64_t now = timefloor_now(&c->s->floor);
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
	secret_wipe(code, sizeof(code));
	change_event(c, EVENT_SETUP_CODE_MADE, 0, STR(""), STR(""));
	change_commit(c);
}
