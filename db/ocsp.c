/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP: see ocsp.h.
 */
#include "db/ocsp.h"
#include "certs/der.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/op.h"
#include "db/authorities.h"
#include "db/certificate.h"
#include "db/hash.h"
#include "db/store.h"

#include <stdlib.h>

enum { SIGN_MS = 5000, RETRY_MS = 60 * 1000 };

/* ---- the status of one certificate ---- */

static void answer(struct store *s, int64_t ca_id, const struct body_ocsp_question *asked,
		   struct buf *answers)
{
	struct body_ocsp_answer a = {
		.sha1 = asked->sha1, .serial = asked->serial, .status = OCSP_UNKNOWN};
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT status, coalesce(reason, 0), coalesce(revoked_at, 0) "
				 "FROM cert WHERE ca_id = ? AND serial = ?",
				 sql_int(ca_id), sql_blob(asked->serial));
	if (ca_id && sql_next(&q)) {
		const int64_t status = sql_at_int(&q, 0);
		a.status = status == CERT_GOOD || status == CERT_PENDING ? OCSP_GOOD : OCSP_REVOKED;
		a.reason =
			status == CERT_SUPERSEDED ? REASON_SUPERSEDED : (uint8_t)sql_at_int(&q, 1);
		a.revoked_at = (uint64_t)sql_at_int(&q, 2);
	}
	ENTRIES_PUT(answers, ocsp_answer, &a);
}

/* ---- which authority is meant ---- */

static bool has_hash(struct str data, bool sha1, struct str expected)
{
	unsigned char digest[SHA256_SIZE];
	if (sha1)
		hash_sha1(data, digest);
	else
		hash_sha256(data, digest);
	return str_eq(expected, str_make(digest, sha1 ? SHA1_SIZE : SHA256_SIZE));
}

static bool is_meant(struct str der, const struct body_ocsp_question *q)
{
	struct certificate ca;
	return certificate_read(der, &ca) == 0 && has_hash(ca.subject, q->sha1, q->name_hash) &&
	       has_hash(der_key_bits(ca.spki), q->sha1, q->key_hash);
}

/* The row of the authority, 0: none of ours. */
static int64_t find_authority(struct store *s, const struct body_ocsp_question *asked,
			      unsigned char fp[SHA256_SIZE])
{
	AUTO_QUERY q = SQL_QUERY(s->registry, "SELECT id, der FROM ca WHERE kind = 'issuing'");
	while (sql_next(&q)) {
		if (!is_meant(sql_at_str(&q, 1), asked))
			continue;
		hash_sha256(sql_at_str(&q, 1), fp);
		return sql_at_int(&q, 0);
	}
	return 0;
}

/* ---- questions from outside ---- */

struct ocsp_ask {
	struct list node; /* in store->staples.asks */
	struct link_call call;
	struct store *s;
	unsigned generation; /* of the link to the enrol process */
	uint64_t id;
};

static void reply_with(struct store *s, uint64_t id, enum ocsp_response status, struct str der)
{
	const struct body_ocsp_done done = {(uint8_t)status, der};
	if (s->peer[PROCESS_ENROL].link)
		LINK_SEND(s->peer[PROCESS_ENROL].link, OCSP_DONE, ocsp_done, id, -1, &done);
}

static void ask_free(struct ocsp_ask *a)
{
	list_remove(&a->node);
	a->s->staples.asks_n--;
	free(a);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct ocsp_ask *a = container_of(call, struct ocsp_ask, call);
	struct body_sign_ocsp_done done;
	enum ocsp_response status = OCSP_TRY_LATER;
	if (!err && body_sign_ocsp_done_get(reply->body, &done) == 0)
		status = done.status == OP_OK ? OCSP_SUCCESSFUL : OCSP_TRY_LATER;
	if (a->generation == a->s->peer[PROCESS_ENROL].generation)
		reply_with(a->s, a->id, status, status ? STR("") : done.der);
	ask_free(a);
}

/* All questions of a request are answered by one authority, the first that is ours: an answer has
 * one signature. */
static int64_t collect(struct store *s, struct str questions, unsigned char fp[SHA256_SIZE],
		       struct buf *answers)
{
	struct cur c = cur_of(questions);
	struct str record;
	int64_t authority = 0;
	while (entries_next(&c, &record)) {
		struct body_ocsp_question q;
		unsigned char other[SHA256_SIZE];
		if (body_ocsp_question_get(record, &q))
			return ERR_MALFORMED;
		const int64_t ca_id = find_authority(s, &q, authority ? other : fp);
		authority = authority ? authority : ca_id;
		answer(s, ca_id == authority ? ca_id : 0, &q, answers);
	}
	return cur_ok(&c) ? authority : ERR_MALFORMED;
}

int ocsp_asked(struct link *l, struct record *r)
{
	struct store *s = link_owner(l);
	struct body_ocsp b;
	unsigned char fp[SHA256_SIZE];
	AUTO_BUF answers = {0};
	if (body_ocsp_get(r->body, &b))
		return ERR_MALFORMED;
	const int64_t authority = collect(s, b.questions, fp, &answers);
	if (authority < 0)
		return ERR_MALFORMED;
	if (authority == 0) {
		reply_with(s, r->id, OCSP_NOT_OURS, STR(""));
		return 0;
	}
	struct link *vault = s->peer[PROCESS_VAULT].link;
	if (!vault || s->staples.asks_n == OCSP_ASKS_MAX) {
		reply_with(s, r->id, OCSP_TRY_LATER, STR(""));
		return 0;
	}
	struct ocsp_ask *a = mem_new(struct ocsp_ask);
	a->s = s;
	a->generation = s->peer[PROCESS_ENROL].generation;
	a->id = r->id;
	list_append(&s->staples.asks, &a->node);
	s->staples.asks_n++;
	const struct body_sign_ocsp body = {
		.authority = str_make(fp, sizeof(fp)),
		.nonce = b.nonce,
		.valid_s = OCSP_VALID,
		.answers = buf_view(&answers),
	};
	LINK_ASK(vault, &a->call, SIGN_OCSP, sign_ocsp, -1, &body, SIGN_MS, answered);
	return 0;
}

/* ---- staples ---- */

static void again(struct loop_timer *t)
{
	staples_make(container_of(t, struct store, staples.timer));
}

void staples_tell(struct store *s, enum process peer)
{
	const struct body_staples body = {buf_view(&s->staples.ready)};
	if (s->staples.ready.n && s->peer[peer].link)
		LINK_SEND(s->peer[peer].link, STAPLES, staples, 0, -1, &body);
}

static void end_fresh(struct store *s, const char *why)
{
	lists_done *done = s->staples.fresh;
	s->staples.fresh = NULL;
	if (done)
		done(s->staples.fresh_arg, why);
}

static uint32_t valid_for(const struct store *s)
{
	return s->staples.fresh ? s->staples.valid_s : OCSP_STAPLE_VALID;
}

static void finish(struct store *s)
{
	s->staples.failed = false;
	s->staples.until = s->staples.next.n ? timefloor_now(&s->floor) + valid_for(s) : 0;
	buf_fini(&s->staples.ready);
	s->staples.ready = s->staples.next;
	s->staples.next = (struct buf){0};
	staples_tell(s, PROCESS_BROKER);
	staples_tell(s, PROCESS_ADMIN);
	staples_tell(s, PROCESS_ENROL);
	end_fresh(s, NULL);
}

static void ask_next(struct store *s);

static void stapled(struct link_call *call, int err, struct record *reply)
{
	struct store *s = container_of(call, struct store, staples.call);
	struct body_sign_ocsp_done done;
	if (err || body_sign_ocsp_done_get(reply->body, &done) || done.status != OP_OK) {
		if (!err && !s->staples.failed)
			log_warning("no OCSP responses for the gateway's own certificates: %.*s; "
				    "it is tried every minute",
				    STR_ARG(done.why));
		s->staples.failed |= !err;
		loop_timer_start(s->loop, &s->staples.timer, "staples", RETRY_MS, again);
		end_fresh(s, "the vault does not sign OCSP responses: see the log");
		return;
	}
	const struct body_staple one = {str_make(s->staples.fp, sizeof(s->staples.fp)), done.der};
	ENTRIES_PUT(&s->staples.next, staple, &one);
	ask_next(s);
}

static void ask_about(struct store *s, struct str serial, int64_t ca_id, struct str ca_fp)
{
	AUTO_BUF answers = {0};
	/* Clients ask by SHA-1: it is the one that all of them know (RFC 5019, 2.1.1). */
	const struct body_ocsp_question q = {.sha1 = 1, .serial = serial};
	answer(s, ca_id, &q, &answers);
	const struct body_sign_ocsp body = {
		.authority = ca_fp,
		.valid_s = valid_for(s),
		.answers = buf_view(&answers),
	};
	LINK_ASK(s->peer[PROCESS_VAULT].link, &s->staples.call, SIGN_OCSP, sign_ocsp, -1, &body,
		 SIGN_MS, stapled);
}

/* The newest certificate of each server key, one after the other. */
static void ask_next(struct store *s)
{
	AUTO_QUERY q = SQL_QUERY(
		s->registry,
		"SELECT cert.id, cert.fp, serial, ca_id, ca.fp FROM cert JOIN ca ON ca.id = ca_id "
		"WHERE profile = 'server' AND status = 0 AND cert.not_after > ? AND cert.id > ? "
		"AND ca.kind = 'issuing' AND state IN ('active', 'retiring') AND cert.id = (SELECT "
		"max(id) FROM cert AS newer WHERE "
		"newer.profile = 'server' AND newer.name = cert.name) ORDER BY cert.id LIMIT 1",
		sql_int(timefloor_now(&s->floor)), sql_int(s->staples.last_id));
	if (!s->peer[PROCESS_VAULT].link) {
		loop_timer_start(s->loop, &s->staples.timer, "staples", RETRY_MS, again);
		end_fresh(s, "the vault is away");
		return;
	}
	if (!sql_next(&q)) {
		finish(s);
		return;
	}
	const struct str fp = sql_at_str(&q, 1);
	s->staples.last_id = sql_at_int(&q, 0);
	memcpy(s->staples.fp, fp.p, MIN(fp.n, sizeof(s->staples.fp)));
	ask_about(s, sql_at_str(&q, 2), sql_at_int(&q, 3), sql_at_str(&q, 4));
}

void staples_make(struct store *s)
{
	link_call_cancel(&s->staples.call);
	/* Those that were made for the lock go on. */
	if (s->staples.ready.n && authorities_locked(s)) {
		loop_timer_start(s->loop, &s->staples.timer, "staples", RETRY_MS, again);
		return;
	}
	loop_timer_start(s->loop, &s->staples.timer, "staples", OCSP_STAPLE_EVERY * UINT64_C(1000),
			 again);
	s->staples.next.n = 0;
	s->staples.last_id = 0;
	ask_next(s);
}

bool staples_fresh(struct store *s, uint32_t valid_s, lists_done *done, void *arg)
{
	if (s->staples.fresh)
		return false;
	s->staples.fresh = done;
	s->staples.fresh_arg = arg;
	s->staples.valid_s = valid_s;
	staples_make(s);
	return true;
}

void staples_fresh_forget(struct store *s)
{
	s->staples.fresh = NULL;
}

void ocsp_init(struct store *s)
{
	list_init(&s->staples.asks);
}

void ocsp_stop(struct store *s)
{
	link_call_cancel(&s->staples.call);
	loop_timer_stop(s->loop, &s->staples.timer);
	while (!list_empty(&s->staples.asks)) {
		struct ocsp_ask *a = list_entry(s->staples.asks.next, struct ocsp_ask, node);
		link_call_cancel(&a->call);
		ask_free(a);
	}
	buf_fini(&s->staples.ready);
	buf_fini(&s->staples.next);
}
