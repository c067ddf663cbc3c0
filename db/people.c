/* SPDX-License-Identifier: Apache-2.0
 *
 * Administrators, sessions and tokens: see people.h.
 */
#include "db/people.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "db/hash.h"

#include <stdio.h>

enum { SEEN_EVERY_S = 60 /* a request later than this is written down as use */ };

#define PERSON_COLUMNS "id, name, level, enabled, totp IS NOT NULL, verifier"

static void copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", STR_ARG(s));
}

static void take_person(const struct sql_query *q, int from, struct person *out)
{
	out->id = sql_at_int(q, from);
	copy(out->name, sizeof(out->name), sql_at_str(q, from + 1));
	out->level = (enum op_level)(sql_at_int(q, from + 2) + VIEWER);
	out->enabled = sql_at_int(q, from + 3) != 0;
	out->totp = sql_at_int(q, from + 4) != 0;
	copy(out->verifier, sizeof(out->verifier), sql_at_str(q, from + 5));
}

static int one_person(struct sql_query *q, struct person *out)
{
	if (!sql_next(q))
		return q->error ? q->error : ERR_NOT_FOUND;
	take_person(q, 0, out);
	return 0;
}

int people_find(struct sql *db, struct str name, struct person *out)
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT " PERSON_COLUMNS " FROM administrator WHERE name = ?",
				 sql_str(name));
	return one_person(&q, out);
}

int people_by_id(struct sql *db, int64_t id, struct person *out)
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT " PERSON_COLUMNS " FROM administrator WHERE id = ?",
				 sql_int(id));
	return one_person(&q, out);
}

bool people_any(struct sql *db)
{
	int64_t n = 0;
	SQL_GET_INT(db, &n, "SELECT count(*) FROM administrator WHERE enabled AND level = ?",
		    sql_int(people_level_number(ADMIN)));
	return n > 0;
}

bool people_level(struct str text, enum op_level *out)
{
	for (enum op_level l = VIEWER; l <= ADMIN; l++) {
		if (!str_is(text, op_level_name(l)))
			continue;
		*out = l;
		return true;
	}
	return false;
}

void people_secret(char out[PEOPLE_SECRET], unsigned char hash[SHA256_SIZE])
{
	unsigned char random[PEOPLE_SECRET_BYTES];
	secret_random(random, sizeof(random));
	hex_encode(random, sizeof(random), out);
	secret_wipe(random, sizeof(random));
	hash_sha256(str_of(out), hash);
}

void people_csrf(struct str secret, char out[PEOPLE_CSRF])
{
	unsigned char mac[SHA256_SIZE];
	hash_hmac_sha256(secret, STR("page"), mac);
	hex_encode(mac, (PEOPLE_CSRF - 1) / 2, out);
}

/* ---- sessions ---- */

static int find_session(struct sql *db, struct str secret, int64_t now, struct people_session *out,
			int64_t *seen)
{
	unsigned char hash[SHA256_SIZE];
	hash_sha256(secret, hash);
	AUTO_QUERY q = SQL_QUERY(
		db,
		"SELECT s.id, s.expires, s.seen, a.id, a.name, a.level, a.enabled, "
		"a.totp IS NOT NULL, a.verifier FROM session s JOIN administrator a "
		"ON a.id = s.administrator_id WHERE s.hash = ? AND s.expires > ? AND s.seen > ? "
		"AND a.enabled",
		sql_blob(str_make(hash, sizeof(hash))), sql_int(now),
		sql_int(now - PEOPLE_SESSION_IDLE_S));
	if (!sql_next(&q))
		return ERR_NOT_FOUND;
	out->id = sql_at_int(&q, 0);
	out->expires = sql_at_int(&q, 1);
	*seen = sql_at_int(&q, 2);
	take_person(&q, 3, &out->person);
	return 0;
}

int people_session(struct store *s, struct str secret, bool passive, struct people_session *out)
{
	const int64_t now = timefloor_now(&s->floor);
	int64_t seen;
	const int err = find_session(s->registry, secret, now, out, &seen);
	if (!err && !passive && now - seen >= SEEN_EVERY_S)
		SQL_RUN(s->registry, "UPDATE session SET seen = ? WHERE id = ?", sql_int(now),
			sql_int(out->id));
	return err;
}

void people_session_open(struct store *s, int64_t administrator, const char *source,
			 struct str agent, char secret[PEOPLE_SECRET])
{
	struct sql *db = s->registry;
	const int64_t now = timefloor_now(&s->floor);
	unsigned char hash[SHA256_SIZE];
	people_secret(secret, hash);
	SQL_RUN(db, "DELETE FROM session WHERE expires <= ? OR seen <= ?", sql_int(now),
		sql_int(now - PEOPLE_SESSION_IDLE_S));
	SQL_RUN(db,
		"INSERT INTO session(hash, administrator_id, source, agent, created, seen, "
		"expires) VALUES(?, ?, ?, ?, ?, ?, ?)",
		sql_blob(str_make(hash, sizeof(hash))), sql_int(administrator), sql_text(source),
		sql_str(agent.p ? agent : STR("")), sql_int(now), sql_int(now),
		sql_int(now + PEOPLE_SESSION_MAX_S));
	SQL_RUN(db,
		"DELETE FROM session WHERE administrator_id = ?1 AND id NOT IN (SELECT id FROM "
		"session WHERE administrator_id = ?1 ORDER BY id DESC LIMIT ?2)",
		sql_int(administrator), sql_int(PEOPLE_SESSIONS_MAX));
	SQL_RUN(db, "UPDATE administrator SET seen = ? WHERE id = ?", sql_int(now),
		sql_int(administrator));
}

void people_sessions_close(struct sql *db, int64_t administrator, int64_t but)
{
	SQL_RUN(db, "DELETE FROM session WHERE administrator_id = ? AND id <> ?",
		sql_int(administrator), sql_int(but));
}

/* ---- tokens ---- */

static int find_token(struct sql *db, struct str text, int64_t now, struct people_token *out,
		      int64_t *seen)
{
	unsigned char hash[SHA256_SIZE];
	hash_sha256(text, hash);
	AUTO_QUERY q =
		SQL_QUERY(db,
			  "SELECT id, name, level, operations, seen FROM token WHERE hash = ? "
			  "AND expires > ?",
			  sql_blob(str_make(hash, sizeof(hash))), sql_int(now));
	if (!sql_next(&q))
		return ERR_NOT_FOUND;
	out->id = sql_at_int(&q, 0);
	copy(out->name, sizeof(out->name), sql_at_str(&q, 1));
	out->level = (enum op_level)(sql_at_int(&q, 2) + VIEWER);
	copy(out->operations, sizeof(out->operations), sql_at_str(&q, 3));
	*seen = sql_at_int(&q, 4);
	return 0;
}

static bool maker_is_disabled(struct sql *db, int64_t token)
{
	int64_t found;
	return SQL_GET_INT(
		db, &found,
		"WITH RECURSIVE maker(name) AS (SELECT created_by FROM token WHERE id = ? UNION "
		"SELECT created_by FROM token JOIN maker ON maker.name = 'token ' || token.name) "
		"SELECT 1 FROM administrator WHERE NOT enabled AND name IN (SELECT name FROM "
		"maker) "
		"LIMIT 1",
		sql_int(token));
}

int people_token(struct store *s, struct str text, struct people_token *out)
{
	const int64_t now = timefloor_now(&s->floor);
	int64_t seen;
	int err = find_token(s->registry, text, now, out, &seen);
	if (!err && maker_is_disabled(s->registry, out->id))
		err = ERR_NOT_FOUND;
	if (!err && now - seen >= SEEN_EVERY_S)
		SQL_RUN(s->registry, "UPDATE token SET seen = ? WHERE id = ?", sql_int(now),
			sql_int(out->id));
	return err;
}

bool people_scope_holds(const char *operations, const char *operation)
{
	struct str rest = str_of(operations);
	const struct str name = str_of(operation);
	if (rest.n == 0)
		return true;
	while (rest.p) {
		const struct str one = str_split(&rest, ' ');
		const bool beginning = one.n && one.p[one.n - 1] == '.';
		if (str_eq(one, name) || (beginning && str_prefix(name, one)))
			return true;
	}
	return false;
}
