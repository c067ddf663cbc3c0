/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM logins: see device_scram.h.
 */
#include "db/device_scram.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "db/scram.h"

struct scram_row {
	int64_t id; /* 0: no such device, or it has no keys */
	bool enabled;
	struct scram_keys keys;
};

static void invent(struct store *s, struct str name, struct scram_keys *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, "SELECT value FROM secret WHERE name = 'scram-salt'");
	const struct str secret = sql_next(&q) ? sql_at_str(&q, 0) : STR("");
	scram_invent(secret.n ? secret : STR(""), name, logins_scram_iterations(s->logins), out);
}

static void find(struct store *s, struct str name, struct scram_row *row)
{
	*row = (struct scram_row){0};
	AUTO_QUERY q =
		SQL_QUERY(s->registry, "SELECT id, enabled, scram FROM device WHERE name = ?",
			  sql_str(name.p ? name : STR("")));
	if (sql_next(&q) && scram_read(sql_at_str(&q, 2), &row->keys)) {
		row->id = sql_at_int(&q, 0);
		row->enabled = sql_at_int(&q, 1);
		return;
	}
	invent(s, name, &row->keys);
}

int device_scram_first(struct store *s, struct record *r)
{
	const struct peer *broker = &s->peer[PROCESS_BROKER];
	struct body_scram_first b;
	struct scram_row row;
	if (body_scram_first_get(r->body, &b))
		return ERR_MALFORMED;
	find(s, b.name, &row);
	const bool admitted = logins_admit(s->logins, b.source);
	const struct body_scram_first_done done = {
		.verdict = admitted ? LOGIN_OK : LOGIN_BUSY,
		.iterations = row.keys.iterations,
		.salt = str_make(row.keys.salt, sizeof(row.keys.salt)),
	};
	LINK_SEND(broker->link, SCRAM_FIRST_DONE, scram_first_done, r->id, -1, &done);
	secret_wipe(&row, sizeof(row));
	return 0;
}

static enum login_verdict judge(struct store *s, const struct body_scram_final *b,
				const struct scram_row *row, unsigned char signature[SCRAM_KEY])
{
	const enum guard_verdict may =
		guard_try(s->guard, b->name, b->source, clock_mono_ms() * 1000);
	if (may != GUARD_KNOWN && may != GUARD_STRANGER)
		return LOGIN_BUSY;
	const bool right =
		scram_check(&row->keys, b->message, (const unsigned char *)b->proof.p, signature) &&
		row->id;
	logins_judged(s->logins, b->source, right);
	if (!right)
		return LOGIN_WRONG;
	guard_right(s->guard, b->name, b->source);
	return row->enabled ? LOGIN_OK : LOGIN_DISABLED;
}

int device_scram_final(struct store *s, struct record *r)
{
	const struct peer *broker = &s->peer[PROCESS_BROKER];
	struct body_scram_final b;
	struct scram_row row;
	unsigned char signature[SCRAM_KEY];
	if (body_scram_final_get(r->body, &b) || b.proof.n != SCRAM_KEY)
		return ERR_MALFORMED;
	find(s, b.name, &row);
	const enum login_verdict verdict = judge(s, &b, &row, signature);
	const bool right = verdict == LOGIN_OK || verdict == LOGIN_DISABLED;
	const struct body_scram_final_done done = {
		.verdict = (uint8_t)verdict,
		.device_id = right ? (uint64_t)row.id : 0,
		.signature = verdict == LOGIN_OK ? str_make(signature, sizeof(signature)) : STR(""),
	};
	LINK_SEND(broker->link, SCRAM_FINAL_DONE, scram_final_done, r->id, -1, &done);
	secret_wipe(&row, sizeof(row));
	return 0;
}
