/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of keys that wait for a person. See enrol.h. A device that asks again with the same
 * request learns how it went; after an approval that asking is what issues its certificate. Rows
 * are bounded, in all and for each address, and leave by themselves.
 */
#include "daemon/base/clock.h"
#include "daemon/conf/config.h"
#include "db/enrol.h"
#include "db/hash.h"
#include "db/issue.h"
#include "db/op_request.h"
#include "db/profile.h"

#include <stdio.h>

enum {
	AGAIN_S = 60, /* when a device should ask again */
	FULL_S = 3600,
	PENDING_MAX = 1000,
	PENDING_PER_SOURCE = 10,
};

/* What nobody decided or collected in time, and what is long settled. */
static void forget_old(struct store *s)
{
	const int64_t now = timefloor_now(&s->floor);
	SQL_RUN(s->registry,
		"DELETE FROM request WHERE (state IN ('pending', 'approved') AND expires <= ?1) OR "
		"(state IN ('denied', 'issued') AND decided <= ?2)",
		sql_int(now), sql_int(now - REQUEST_REMEMBER_S));
}

static bool has_room(struct op_call *c)
{
	int64_t all = 0;
	int64_t theirs = 0;
	SQL_GET_INT(c->s->registry, &all, "SELECT count(*) FROM request WHERE state = 'pending'");
	SQL_GET_INT(c->s->registry, &theirs,
		    "SELECT count(*) FROM request WHERE state = 'pending' AND source = ?",
		    sql_text(c->source));
	if (all < PENDING_MAX && theirs < PENDING_PER_SOURCE)
		return true;
	enrol_refuse(c, ENROL_BUSY, FULL_S,
		     "too many requests wait for an administrator%s: try again later",
		     all < PENDING_MAX ? " from this address" : "");
	return false;
}

/* That of the claim certificate, where it says one. */
static struct str name_of(const struct op_call *c)
{
	const struct enrolment *e = c->enrolment;
	return e->grant.name[0] ? str_of(e->grant.name) : e->ask.name;
}

static void raise_pending(const struct op_call *c)
{
	const struct enrolment *e = c->enrolment;
	unsigned char key[SHA256_SIZE];
	AUTO_BUF detail = {0};
	hash_sha256(e->ask.spki, key);
	rec_str(&detail, "name", name_of(c));
	rec_bytes(&detail, "key", str_make(key, sizeof(key)));
	rec_text(&detail, "via", enrol_via(c));
	const struct body_event fields = {
		.event = EVENT_ENROL_PENDING,
		.time_ms = clock_wall_ms(),
		.actor = name_of(c),
		.address = str_of(c->source),
		.detail = buf_view(&detail),
	};
	events_add(c->s->events, &fields, STR(""));
}

static int insert(struct op_call *c, struct str claim)
{
	struct sql *db = c->s->registry;
	const struct body_enrol *ask = &c->enrolment->ask;
	const struct grant *g = &c->enrolment->grant;
	const int64_t now = timefloor_now(&c->s->floor);
	const struct str profile = ask->label.n    ? ask->label
				   : g->profile[0] ? str_of(g->profile)
						   : STR(PROFILE_SELF_RENEWING);
	sql_begin(db);
	forget_old(c->s);
	SQL_RUN(db,
		"INSERT INTO request(csr_hash, spki, name, profile, via, source, claim, created, "
		"expires, state, kind, members) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)",
		sql_blob(ask->csr_hash), sql_blob(ask->spki), sql_str(name_of(c)), sql_str(profile),
		sql_text(enrol_via(c)), sql_text(c->source), claim.n ? sql_str(claim) : sql_null(),
		sql_int(now), sql_int(now + REQUEST_LIFETIME_S),
		sql_text(g->kind[0] ? g->kind : "device"),
		g->members.n ? sql_blob(buf_view(&g->members)) : sql_null());
	return sql_commit(db);
}

static bool may_ask(struct op_call *c, struct str claim)
{
	const struct body_enrol *ask = &c->enrolment->ask;
	if (!claim.n && c->s->approval != CONFIG_APPROVAL_ANYONE)
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0,
			     "an enrolment code, a password or a certificate is needed");
	else if (str_is(ask->via, "keygen"))
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "a key that the gateway makes cannot wait for approval");
	else if (name_of(c).n == 0)
		enrol_refuse(c, ENROL_BAD, 0,
			     "the request has no common name: it must be the device's name");
	else
		return issue_check_key(c, "csr", ask->spki, c->enrolment->grant.device_id) &&
		       has_room(c);
	return false;
}

void enrol_to_queue(struct op_call *c, struct str claim)
{
	if (!may_ask(c, claim))
		return;
	const int err = insert(c, claim);
	if (err) {
		op_refuse_sql(c, err);
		return;
	}
	raise_pending(c);
	enrol_refuse(c, ENROL_PENDING, AGAIN_S, "an administrator must approve this request");
}

static void grant_approved(struct op_call *c, const struct sql_query *q)
{
	struct grant *g = &c->enrolment->grant;
	const bool existing = sql_at_int(q, 6) != 0;
	g->by = BY_REQUEST;
	g->id = sql_at_int(q, 0);
	snprintf(g->name, sizeof(g->name), "%.*s", STR_ARG(sql_at_str(q, 2)));
	snprintf(g->profile, sizeof(g->profile), "%.*s", STR_ARG(sql_at_str(q, 3)));
	snprintf(g->kind, sizeof(g->kind), "%.*s", STR_ARG(sql_at_str(q, 4)));
	buf_str(&g->members, sql_at_str(q, 5));
	if (existing)
		registry_device(c->s->registry, str_of(g->name), &g->device_id);
	const struct str claim = sql_at_str(q, 9);
	if (claim.n) /* what came by it is known by this (enrol_claim.c) */
		snprintf(c->actor, sizeof(c->actor), "claim %.*s (request %lld)", STR_ARG(claim),
			 (long long)g->id);
	else
		snprintf(c->actor, sizeof(c->actor), "request %lld", (long long)g->id);
}

/* c is over or on its way when this returns true. */
static bool answer_known(struct op_call *c, struct sql_query *q)
{
	char why[256];
	const struct str state = sql_at_str(q, 1);
	const int64_t cert = sql_at_int(q, 7);
	snprintf(why, sizeof(why), "%.*s", STR_ARG(sql_at_str(q, 8)));
	if (str_is(state, "pending")) {
		sql_query_end(q);
		enrol_refuse(c, ENROL_PENDING, AGAIN_S,
			     "an administrator must approve this request");
	} else if (str_is(state, "denied")) {
		sql_query_end(q);
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "an administrator denied this request%s%s",
			     why[0] ? ": " : "", why);
	} else if (str_is(state, "issued")) {
		sql_query_end(q);
		if (!enrol_repeat(c, cert))
			enrol_refuse(
				c, ENROL_FORBIDDEN, 0,
				"the certificate for this request is not good any more: make a "
				"new key");
	} else {
		grant_approved(c, q);
		sql_query_end(q);
		enrol_granted(c);
	}
	return true;
}

bool enrol_queued(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		"SELECT id, state, name, profile, kind, members, existing, cert_id, why, "
		"claim FROM "
		"request "
		"WHERE csr_hash = ? AND (expires > ? OR state IN ('issued', 'denied'))",
		sql_blob(c->enrolment->ask.csr_hash), sql_int(timefloor_now(&c->s->floor)));
	return sql_next(&q) && answer_known(c, &q);
}

void enrol_use_request(struct op_call *c, int64_t cert_id)
{
	SQL_RUN(c->s->registry, "UPDATE request SET state = 'issued', cert_id = ? WHERE id = ?",
		sql_int(cert_id), sql_int(c->enrolment->grant.id));
}
