/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities as the vault tells them: see authorities.h.
 */
#include "db/authorities.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/ipc/rec.h"
#include "db/change.h"
#include "db/hash.h"
#include "db/op_cert.h"
#include "db/profile.h"
#include "db/registry.h"

#include <stdio.h>

enum { ROOTS_MAX = 32768, AUTHORITIES_MAX = 56000, LABELS_MAX = 4096 };

static const char *const kind_word[] = {
	[CA_ROOT] = "root",
	[CA_ISSUING] = "issuing",
	[CA_CROSS] = "cross",
	[CA_EXTERNAL] = "external",
};

static const char *const state_word[] = {
	[CA_NEXT] = "next",       [CA_ACTIVE] = "active",           [CA_RETIRING] = "retiring",
	[CA_RETIRED] = "retired", [CA_COMPROMISED] = "compromised",
};

static const char *const key_word[] = {
	[CA_KEY_AWAY] = "away",
	[CA_KEY_HERE] = "here",
	[CA_KEY_LOCKED] = "locked",
};

static struct sql_value fingerprint_of(struct str der, unsigned char fp[SHA256_SIZE])
{
	hash_sha256(der, fp);
	return sql_blob(str_make(fp, SHA256_SIZE));
}

/* Known rows are not touched: a start with a full disk must not need to write. */
static bool is_known(struct store *s, const char *text, struct str der)
{
	unsigned char fp[SHA256_SIZE];
	int64_t unused;
	const struct sql_value value = fingerprint_of(der, fp);
	return sql_get_int(s->registry, &unused, text, &value, 1);
}

static void insert_ca(struct store *s, const struct body_ca_cert *ca,
		      const struct certificate *cert, struct buf *entries)
{
	unsigned char fp[SHA256_SIZE];
	SQL_RUN(s->registry,
		"INSERT INTO ca(fp, kind, name, subject, der, state, not_before, not_after, "
		"generation, key) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		fingerprint_of(ca->der, fp), sql_text(kind_word[ca->kind]), sql_str(ca->name),
		sql_text(cert->name), sql_blob(ca->der), sql_text(state_word[ca->state]),
		sql_int(cert->not_before), sql_int(cert->not_after), sql_int(ca->generation),
		sql_text(key_word[ca->key]));
	registry_put_ca(s->registry, sql_last_id(s->registry), entries);
	/* A cross certificate that another one replaces. */
	if (ca->kind == CA_CROSS)
		SQL_RUN(s->registry,
			"UPDATE ca SET state = 'retired' WHERE kind = 'cross' AND generation = ? "
			"AND "
			"fp <> ?",
			sql_int(ca->generation), fingerprint_of(ca->der, fp));
}

/* Certificates of an authority whose time is over: nothing under it counts any more. */
static void end_all(struct store *s, int64_t ca_id, enum cert_status status,
		    enum revocation_reason reason, struct buf *entries)
{
	AUTO_QUERY q =
		SQL_QUERY(s->registry,
			  "SELECT id FROM cert WHERE ca_id = ? AND status IN (0, 2, 3, 4) AND "
			  "status <> ?",
			  sql_int(ca_id), sql_int(status));
	AUTO_BUF ids = {0};
	while (sql_next(&q)) {
		const int64_t id = sql_at_int(&q, 0);
		buf_put(&ids, &id, sizeof(id));
	}
	sql_query_end(&q);
	SQL_RUN(s->registry,
		"UPDATE cert SET status = ?1, reason = ?2, revoked_at = coalesce(revoked_at, ?3) "
		"WHERE ca_id = ?4 AND status IN (0, 2, 3, 4) AND status <> ?1",
		sql_int(status), sql_int(reason), sql_int(timefloor_now(&s->floor)),
		sql_int(ca_id));
	for (size_t i = 0; i < ids.n; i += sizeof(int64_t)) {
		int64_t id;
		memcpy(&id, ids.p + i, sizeof(id));
		registry_put_cert(s->registry, id, entries);
	}
}

/* A row for an authority, and its entry. */
static void register_ca(struct store *s, const struct body_ca_cert *ca,
			const struct certificate *cert, struct buf *entries)
{
	unsigned char fp[SHA256_SIZE];
	AUTO_QUERY q = SQL_QUERY(s->registry, "SELECT id, state, key FROM ca WHERE fp = ?",
				 fingerprint_of(ca->der, fp));
	if (!sql_next(&q)) {
		sql_query_end(&q);
		insert_ca(s, ca, cert, entries);
		return;
	}
	const int64_t id = sql_at_int(&q, 0);
	const bool same = str_is(sql_at_str(&q, 1), state_word[ca->state]) &&
			  str_is(sql_at_str(&q, 2), key_word[ca->key]);
	sql_query_end(&q);
	if (same)
		return;
	SQL_RUN(s->registry, "UPDATE ca SET state = ?, key = ? WHERE id = ?",
		sql_text(state_word[ca->state]), sql_text(key_word[ca->key]), sql_int(id));
	registry_put_ca(s->registry, id, entries);
	/* Whoever has the key of a compromised one can make what it likes. */
	if (ca->state == CA_COMPROMISED)
		end_all(s, id, CERT_REVOKED, REASON_CA_COMPROMISE, entries);
	if (ca->state == CA_RETIRED)
		end_all(s, id, CERT_SUPERSEDED, REASON_SUPERSEDED, entries);
}

/* One that was made anew is not shown any more. */
static void supersede_servers(struct store *s, const struct body_ca_cert *ca)
{
	unsigned char fp[SHA256_SIZE];
	SQL_RUN(s->registry,
		"UPDATE cert SET status = 3, reason = ?, revoked_at = ? WHERE profile = 'server' "
		"AND "
		"name = ? AND status = 0 AND fp <> ?",
		sql_int(REASON_SUPERSEDED), sql_int(timefloor_now(&s->floor)), sql_str(ca->name),
		fingerprint_of(ca->der, fp));
}

static void register_server(struct store *s, const struct body_ca_cert *ca,
			    const struct certificate *cert)
{
	unsigned char fp[SHA256_SIZE];
	if (is_known(s, "SELECT 1 FROM cert WHERE fp = ?", ca->der))
		return;
	const int64_t issuer = authorities_issuer(s, cert);
	SQL_RUN(s->registry,
		"INSERT INTO cert(fp, serial, ca_id, name, spki, der, profile, not_before, "
		"not_after, issued_at, issued_by, via, status) "
		"VALUES(?, ?, ?, ?, ?, ?, 'server', ?, ?, ?, 'vault', 'vault', 0)",
		fingerprint_of(ca->der, fp), sql_blob(cert->serial),
		issuer ? sql_int(issuer) : sql_null(), sql_str(ca->name), sql_blob(cert->spki),
		sql_blob(ca->der), sql_int(cert->not_before), sql_int(cert->not_after),
		sql_int(timefloor_now(&s->floor)));
	supersede_servers(s, ca);
}

static int register_one(struct store *s, const struct body_ca_cert *ca, struct buf *entries)
{
	struct certificate cert;
	if (ca->kind > CA_SERVER || ca->state > CA_COMPROMISED || ca->key > CA_KEY_LOCKED ||
	    certificate_read(ca->der, &cert))
		return ERR_MALFORMED;
	if (ca->kind == CA_SERVER)
		register_server(s, ca, &cert);
	else
		register_ca(s, ca, &cert, entries);
	return 0;
}

int authorities_take(struct store *s, struct str list, struct buf *entries)
{
	struct cur c = cur_of(list);
	struct str entry;
	while (entries_next(&c, &entry)) {
		struct body_ca_cert ca;
		const int err = body_ca_cert_get(entry, &ca) ? ERR_MALFORMED
							     : register_one(s, &ca, entries);
		if (err)
			return err;
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

/* ---- for the processes that devices talk to ---- */

static enum ca_state state_of(struct str word)
{
	if (str_is(word, "next"))
		return CA_NEXT;
	return str_is(word, "active") ? CA_ACTIVE : CA_RETIRING;
}

static enum ca_kind kind_of(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(kind_word); i++)
		if (str_is(word, kind_word[i]))
			return (enum ca_kind)i;
	return CA_EXTERNAL;
}

static void put_authority(enum ca_kind kind, enum ca_state state, struct str der, struct buf *list)
{
	const struct body_authority body = {(uint8_t)kind, (uint8_t)state, der};
	if (list->n + der.n + 64 <= AUTHORITIES_MAX)
		ENTRIES_PUT(list, authority, &body);
	else
		log_warning("too many certificate authorities to tell all of them");
}

int authorities_answer(struct store *s, struct link *l, struct record *r)
{
	struct body_authorities_get ask;
	AUTO_BUF list = {0};
	AUTO_BUF labels = {0};
	if (body_authorities_get_get(r->body, &ask))
		return ERR_MALFORMED;
	AUTO_QUERY own = SQL_QUERY(
		s->registry,
		"SELECT kind, state, der FROM ca WHERE kind IN ('root', 'cross', 'issuing') AND "
		"state IN ('next', 'active', 'retiring') ORDER BY instr('root cross issuing', "
		"kind), "
		"instr('active next retiring', state), id");
	while (sql_next(&own))
		put_authority(kind_of(sql_at_str(&own, 0)), state_of(sql_at_str(&own, 1)),
			      sql_at_str(&own, 2), &list);
	AUTO_QUERY claim = SQL_QUERY(s->registry, "SELECT der FROM claim ORDER BY id");
	while (sql_next(&claim))
		put_authority(CA_EXTERNAL, CA_ACTIVE, sql_at_str(&claim, 0), &list);
	profile_names(s->registry, &labels);
	labels.n = labels.n <= LABELS_MAX ? labels.n : 0;
	const struct body_authorities body = {buf_view(&list), buf_view(&labels)};
	LINK_SEND(l, AUTHORITIES, authorities, r->id, -1, &body);
	return 0;
}

static void tell_changed(struct store *s)
{
	static const enum process who[] = {PROCESS_ENROL, PROCESS_BROKER};
	const struct body_authorities_changed body = {};
	for (size_t i = 0; i < ARRAY_LEN(who); i++)
		if (s->peer[who[i]].link)
			LINK_SEND(s->peer[who[i]].link, AUTHORITIES_CHANGED, authorities_changed, 0,
				  -1, &body);
}

static int64_t count_roots(struct store *s)
{
	int64_t n = 0;
	SQL_GET_INT(s->registry, &n,
		    "SELECT count(*) FROM ca WHERE kind = 'root' AND state = 'active'");
	return n;
}

static int take(struct store *s, struct str list, bool *changed)
{
	AUTO_BUF entries = {0};
	sql_begin(s->registry);
	int err = authorities_take(s, list, &entries);
	if (err) {
		sql_rollback(s->registry);
		return err;
	}
	const int64_t parts = deltas_count(buf_view(&entries));
	if (parts)
		SQL_RUN(s->registry,
			"UPDATE meta SET value = value + ? WHERE name = 'registry-seq'",
			sql_int(parts));
	err = sql_commit(s->registry);
	if (err) {
		log_error("new certificates of the vault could not be registered: %s",
			  sql_why(s->registry));
		store_registry_failed(s, err);
	} else {
		deltas_send(s, NULL, buf_view(&entries));
	}
	*changed = entries.n != 0;
	/* With a full disk those that are known will do. */
	return count_roots(s) ? 0 : err ? err : ERR_NOT_FOUND;
}

static void publish_roots(struct store *s)
{
	AUTO_BUF pem = {0};
	authorities_roots_pem(s, &pem);
	const struct body_roots body = {{pem.p, pem.n}};
	if (!s->parent)
		return;
	if (pem.n > ROOTS_MAX)
		log_warning("the root certificates take %zu bytes, more than %d: not published",
			    pem.n, ROOTS_MAX);
	else
		LINK_SEND(s->parent, ROOTS, roots, 0, -1, &body);
}

void authorities_changed(struct store *s)
{
	publish_roots(s);
	tell_changed(s);
	lists_start(s);
}

static void answered(struct store *s, struct record *reply)
{
	struct body_ca_get_done done;
	bool changed = false;
	int err = body_ca_get_done_get(reply->body, &done);
	if (!err)
		err = take(s, done.certificates, &changed);
	if (err) {
		log_error("the authorities of the vault could not be registered: %s",
			  err == ERR_MALFORMED || err == ERR_NOT_FOUND ? err_text(err)
								       : sql_why(s->registry));
		if (!s->ready)
			s->on_failed(s);
		return;
	}
	publish_roots(s);
	if (changed)
		tell_changed(s);
	staples_make(s);
	if (!s->ready) {
		s->ready = true;
		s->on_ready(s);
	}
	lists_start(s);
	expiry_start(s);
}

static int answered_later(struct store *s, enum process peer, struct record *r)
{
	(void)peer;
	answered(s, r);
	return 0;
}

static void ca_done(struct link_call *call, int err, struct record *reply)
{
	struct store *s = container_of(call, struct store, ca_call);
	bool crowded;
	job_look(s);
	if (!err && !job_keep_back(s, PROCESS_VAULT, reply, answered_later, &crowded)) {
		answered(s, reply);
	} else if (err == ERR_TIMEOUT && !s->ready) {
		log_error("the vault did not tell its certificates within %d s",
			  AUTHORITIES_MS / 1000);
		s->on_failed(s);
	}
	/* ERR_UNAVAILABLE: the vault ended; its next link asks again */
}

void authorities_ask(struct store *s)
{
	link_call_cancel(&s->ca_call);
	const struct body_ca_get body = {};
	LINK_ASK(s->peer[PROCESS_VAULT].link, &s->ca_call, CA_GET, ca_get, -1, &body,
		 AUTHORITIES_MS, ca_done);
}

bool authorities_locked(struct store *s)
{
	int64_t unused;
	return SQL_GET_INT(s->registry, &unused,
			   "SELECT 1 FROM ca WHERE state = 'active' AND key = 'locked'");
}

int64_t authorities_issuer(struct store *s, const struct certificate *cert)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, "SELECT id, der FROM ca");
	while (sql_next(&q)) {
		struct certificate ca;
		if (certificate_read(sql_at_str(&q, 1), &ca) == 0 &&
		    str_eq(ca.subject, cert->issuer))
			return sql_at_int(&q, 0);
	}
	return 0;
}

static void put_pem(struct sql_query *q, struct buf *out)
{
	while (sql_next(q))
		certificate_pem(sql_at_str(q, 0), out);
}

void authorities_chain_pem(struct store *s, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT der FROM ca WHERE kind = 'issuing' AND state = 'active'");
	put_pem(&q, out);
}

void authorities_roots_pem(struct store *s, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, "SELECT der FROM ca WHERE kind = 'root' AND "
					      "state IN ('active', 'next') ORDER BY state");
	put_pem(&q, out);
}
