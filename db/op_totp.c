/* SPDX-License-Identifier: Apache-2.0
 *
 * The second factor of an administrator, who sets it up alone: totp.add makes a secret, which
 * counts only after totp.set has shown that the app has it. Main thread of the store.
 *
 * totp.add answers {secret (base 32), uri ("otpauth://..." for a QR code)}. totp.set answers
 * {recovery_codes: [8 strings]}: each opens one login without the app; they are told only here.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "db/hash.h"
#include "db/op_session.h"
#include "db/totp.h"

#include <stdio.h>

enum { RECOVERY_CODES = 8, RECOVERY_BYTES = 8, RECOVERY_TEXT = 2 * RECOVERY_BYTES + 2 };

static void raise_changed(struct op_call *c, const char *what)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "change", what);
	rec_text(&detail, "administrator", c->actor);
	change_event(c, EVENT_ADMIN_CHANGED, 0, STR(""), buf_view(&detail));
}

/* Everything but letters and digits as %XX. */
static void escape(struct buf *out, struct str s)
{
	char hex[4];
	for (size_t i = 0; i < s.n; i++) {
		const unsigned char b = (unsigned char)s.p[i];
		const bool plain =
			(b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9');
		snprintf(hex, sizeof(hex), plain ? "%c" : "%%%02X", b);
		buf_puts(out, hex);
	}
}

static void add(struct op_call *c)
{
	unsigned char secret[TOTP_SECRET];
	char text[TOTP_TEXT];
	AUTO_SECRET uri = {0};
	secret_random(secret, sizeof(secret));
	totp_text(secret, text);
	buf_puts(&uri, "otpauth://totp/");
	escape(&uri, str_of(c->s->gateway.name));
	buf_puts(&uri, ":");
	escape(&uri, str_of(c->actor));
	buf_puts(&uri, "?secret=");
	buf_puts(&uri, text);
	buf_puts(&uri, "&issuer=Gatehouse%20");
	escape(&uri, str_of(c->s->gateway.name));
	change_begin(c);
	SQL_RUN(c->s->registry, "UPDATE administrator SET totp_pending = ? WHERE id = ?",
		sql_blob(str_make(secret, sizeof(secret))), sql_int(c->administrator));
	rec_text(&c->result, "secret", text);
	rec_str(&c->result, "uri", buf_view(&uri));
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	change_commit(c);
}

void op_totp_add(struct op_call *c)
{
	session_confirm(c, "password", add);
}

/* False: none is pending; the call was refused. */
static bool pending(struct op_call *c, unsigned char secret[TOTP_SECRET])
{
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry, "SELECT totp_pending FROM administrator WHERE id = ?",
			  sql_int(c->administrator));
	if (sql_next(&q) && sql_at_str(&q, 0).n == TOTP_SECRET) {
		memcpy(secret, sql_at_str(&q, 0).p, TOTP_SECRET);
		return true;
	}
	sql_query_end(&q);
	op_refuse(c, OP_CONFLICT, NULL, "no second factor is being set up: begin with totp.add");
	return false;
}

static void make_recovery_codes(struct op_call *c)
{
	struct sql *db = c->s->registry;
	SQL_RUN(db, "DELETE FROM recovery_code WHERE administrator_id = ?",
		sql_int(c->administrator));
	rec_list(&c->result, "recovery_codes");
	for (int i = 0; i < RECOVERY_CODES; i++) {
		unsigned char random[RECOVERY_BYTES];
		unsigned char hash[SHA256_SIZE];
		char hex[2 * RECOVERY_BYTES + 1];
		char text[RECOVERY_TEXT];
		secret_random(random, sizeof(random));
		hex_encode(random, sizeof(random), hex);
		snprintf(text, sizeof(text), "%.8s-%.8s", hex, hex + 8);
		hash_sha256(str_of(text), hash);
		SQL_RUN(db, "INSERT INTO recovery_code(administrator_id, hash) VALUES(?, ?)",
			sql_int(c->administrator), sql_blob(str_make(hash, sizeof(hash))));
		rec_text(&c->result, "", text);
		secret_wipe(hex, sizeof(hex));
		secret_wipe(text, sizeof(text));
	}
	rec_end(&c->result);
}

void op_totp_set(struct op_call *c)
{
	unsigned char secret[TOTP_SECRET];
	struct str code = STR("");
	int64_t step;
	op_str(c, "code", &code);
	if (!c->administrator) {
		op_refuse(c, OP_DENIED, NULL,
			  "only an administrator who has logged in can do this, for himself");
		return;
	}
	if (!session_may_try(c, str_of(c->actor)) || !pending(c, secret))
		return;
	const bool right = totp_check(secret, code, clock_wall_ms() / 1000, 0, &step);
	secret_wipe(secret, sizeof(secret));
	if (!right) {
		op_refuse(c, OP_INVALID, "code",
			  "the code does not fit the secret: compare the clocks of the gateway and "
			  "of the app");
		return;
	}
	change_begin(c);
	SQL_RUN(c->s->registry,
		"UPDATE administrator SET totp = totp_pending, totp_pending = NULL, totp_step = ? "
		"WHERE id = ?",
		sql_int(step), sql_int(c->administrator));
	make_recovery_codes(c);
	raise_changed(c, "second factor set");
	change_commit(c);
}

static void take_away(struct op_call *c)
{
	struct sql *db = c->s->registry;
	change_begin(c);
	SQL_RUN(db, "UPDATE administrator SET totp = NULL, totp_pending = NULL WHERE id = ?",
		sql_int(c->administrator));
	SQL_RUN(db, "DELETE FROM recovery_code WHERE administrator_id = ?",
		sql_int(c->administrator));
	rec_text(&c->result, "name", c->actor);
	raise_changed(c, "second factor removed");
	change_commit(c);
}

void op_totp_remove(struct op_call *c)
{
	session_confirm(c, "password", take_away);
}
