/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of an enrolment from ENROL to ENROL_DONE: see enrol.h.
 */
#include "db/enrol.h"
#include "certs/csr.h"
#include "certs/leaf.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "db/certificate.h"
#include "db/code.h"
#include "db/issue.h"
#include "db/op_device.h"
#include "db/profile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHY_TEXT = 512, REASON_TEXT = 256, SOON_S = 1, CLOCK_S = 60, PERSON_S = 120 };

static void enrolment_free(void *state)
{
	struct enrolment *e = state;
	secret_buf_fini(&e->bytes);
	buf_fini(&e->grant.members);
	buf_fini(&e->der);
	buf_fini(&e->issuer);
	free(e);
}

const char *enrol_via(const struct op_call *c)
{
	static const char *const known[] = {"est", "rest", "mqtt"};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_is(c->enrolment->ask.via, known[i]))
			return known[i];
	return "est"; /* serverkeygen is of EST as well */
}

/* ---- the answer ---- */

static enum enrol_status status_of(enum op_status status)
{
	switch (status) {
	case OP_OK:
		return ENROL_OK;
	case OP_INVALID:
		return ENROL_BAD;
	case OP_CONFLICT:
		return ENROL_CONFLICT;
	case OP_UNAUTHENTICATED:
		return ENROL_UNAUTHENTICATED;
	case OP_NOT_FOUND:
	case OP_DENIED:
	case OP_REFUSED:
		return ENROL_FORBIDDEN;
	case OP_TOO_MANY:
		return ENROL_BUSY;
	default:
		return ENROL_LOCKED;
	}
}

static const char *status_word(enum enrol_status status)
{
	static const char *const word[] = {
		[ENROL_OK] = "ok",
		[ENROL_PENDING] = "pending",
		[ENROL_BAD] = "bad-request",
		[ENROL_UNAUTHENTICATED] = "unauthenticated",
		[ENROL_FORBIDDEN] = "forbidden",
		[ENROL_UNKNOWN_LABEL] = "unknown-label",
		[ENROL_CONFLICT] = "conflict",
		[ENROL_BUSY] = "busy",
		[ENROL_LOCKED] = "locked",
	};
	return word[status];
}

/* Whom the device said to be, as far as it is text. A code in the place of the user is no name: it
 * may still be good. */
static struct str claimed_name(const struct enrolment *e)
{
	unsigned char hash[SHA256_SIZE];
	const struct str user = e->ask.user;
	return user.n && str_is_utf8(user) && !code_hash(user, hash) ? user : e->ask.name;
}

static void raise_refused(const struct op_call *c, enum enrol_status status, struct str why)
{
	const struct enrolment *e = c->enrolment;
	AUTO_BUF detail = {0};
	rec_str(&detail, "name", e->ask.name);
	rec_text(&detail, "via", enrol_via(c));
	rec_text(&detail, "status", status_word(status));
	static const char *const what[] = {"first", "renew", "join"};
	rec_text(&detail, "what", what[MIN(e->ask.what, (uint8_t)ENROL_JOIN)]);
	char device[NAME_SIZE] = "";
	if (e->grant.device_id)
		registry_device_name(c->s->registry, e->grant.device_id, device);
	struct str reason = {why.p, MIN(why.n, (size_t)REASON_TEXT)};
	while (reason.n && !str_is_utf8(reason))
		reason.n--;
	const struct body_event fields = {
		.event = EVENT_ENROL_REFUSED,
		.time_ms = clock_wall_ms(),
		.device_id = (uint64_t)e->grant.device_id,
		.actor = claimed_name(e),
		.address = str_of(c->source),
		.reason = reason,
		.detail = buf_view(&detail),
	};
	events_add(c->s->events, &fields, str_of(device));
}

void enrol_answer(struct op_call *c, const struct body_op_done *done)
{
	const struct enrolment *e = c->enrolment;
	const struct peer *peer = &c->s->peer[c->peer];
	const enum enrol_status status = e->refused ? e->refused : status_of(done->status);
	const bool later = status == ENROL_BUSY || status == ENROL_LOCKED;
	const bool ok = status == ENROL_OK;
	if (!ok && status != ENROL_PENDING && !e->silent)
		raise_refused(c, status, done->why);
	if (!peer->link || peer->generation != c->generation)
		return;
	const struct body_enrol_done body = {
		.status = (uint8_t)status,
		.retry_after_s = e->retry_after_s            ? e->retry_after_s
				 : done->status == OP_LOCKED ? PERSON_S
				 : later                     ? SOON_S
							     : 0,
		.why = {done->why.p, MIN(done->why.n, (size_t)WHY_TEXT)},
		.device = ok ? str_of(e->grant.name) : STR(""),
		.der = ok ? buf_view(&e->der) : STR(""),
		.issuer = ok ? buf_view(&e->issuer) : STR(""),
	};
	if (LINK_SEND(peer->link, ENROL_DONE, enrol_done, c->id, -1, &body))
		log_warning("%s does not take its answers: one was dropped", process_name(c->peer));
}

void enrol_refuse(struct op_call *c, enum enrol_status status, uint32_t retry_after_s,
		  const char *fmt, ...)
{
	char why[WHY_TEXT];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	c->enrolment->refused = status;
	c->enrolment->retry_after_s = retry_after_s;
	op_refuse(c, OP_REFUSED, NULL, "%s", why);
}

static void keep_issuer(struct op_call *c)
{
	struct enrolment *e = c->enrolment;
	struct certificate cert;
	CHECK(certificate_read(buf_view(&e->der), &cert) == 0);
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT ca.der FROM cert JOIN ca ON ca.id = cert.ca_id "
				 "WHERE cert.der = ? AND cert.spki = ?",
				 sql_blob(buf_view(&e->der)), sql_blob(cert.spki));
	if (sql_next(&q))
		buf_str(&e->issuer, sql_at_str(&q, 0));
}

bool enrol_repeat(struct op_call *c, int64_t cert_id)
{
	struct enrolment *e = c->enrolment;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT cert.der, cert.name FROM cert JOIN device ON device.id = "
				 "device_id WHERE cert.id = ? AND status = 0 AND enabled AND "
				 "not_after > ?",
				 sql_int(cert_id), sql_int(timefloor_now(&c->s->floor)));
	if (!sql_next(&q))
		return false;
	buf_str(&e->der, sql_at_str(&q, 0));
	snprintf(e->grant.name, sizeof(e->grant.name), "%.*s", STR_ARG(sql_at_str(&q, 1)));
	sql_query_end(&q);
	keep_issuer(c);
	op_done(c);
	return true;
}

/* ---- issuing ---- */

/* False: the commit will say why. */
static bool insert_device(struct op_call *c)
{
	struct sql *db = c->s->registry;
	struct grant *g = &c->enrolment->grant;
	const int64_t now = timefloor_now(&c->s->floor);
	AUTO_BUF after = {0};
	if (SQL_RUN(db,
		    "INSERT INTO device(name, uuid, kind, created, created_by, changed) "
		    "VALUES(?, ?, ?, ?, ?, ?)",
		    sql_text(g->name), sql_text(c->enrolment->uuid), sql_text(g->kind),
		    sql_int(now), sql_text(c->actor), sql_int(now)))
		return false;
	g->device_id = sql_last_id(db);
	device_set_lists(c, g->device_id);
	registry_put_device(db, g->device_id, &c->change.entries);
	device_put(c->s, g->device_id, false, &after);
	change_revision(c, "device", str_of(g->name), STR(""), buf_view(&after));
	change_event(c, EVENT_DEVICE_ADDED, g->device_id, str_of(g->name), STR(""));
	return true;
}

static bool use_authority(struct op_call *c, int64_t cert_id)
{
	const enum grant_by by = c->enrolment->grant.by;
	if (by == BY_CODE)
		return enrol_use_code(c);
	if (by == BY_CERTIFICATE)
		enrol_use_certificate(c, cert_id);
	else if (by == BY_REQUEST)
		enrol_use_request(c, cert_id);
	else if (by == BY_CLAIM)
		enrol_use_claim(c);
	return true;
}

static void raise_enrolled(struct op_call *c, struct str fingerprint)
{
	static const char *const words[] = {
		[BY_CODE] = "code",
		[BY_PASSWORD] = "password",
		[BY_CERTIFICATE] = "certificate",
		[BY_REQUEST] = "request",
		[BY_CLAIM] = "claim",
	};
	const struct grant *g = &c->enrolment->grant;
	const bool renewed = g->by == BY_CERTIFICATE;
	AUTO_BUF detail = {0};
	rec_text(&detail, "by", words[g->by]);
	if (g->by == BY_CODE || g->by == BY_REQUEST || g->by == BY_CLAIM)
		rec_int(&detail, words[g->by], g->id);
	rec_text(&detail, "via", enrol_via(c));
	rec_text(&detail, "profile", g->profile);
	rec_bytes(&detail, "fingerprint", fingerprint);
	change_event(c, renewed ? EVENT_ENROL_RENEWED : EVENT_ENROL_ISSUED, g->device_id,
		     str_of(g->name), buf_view(&detail));
}

static int64_t find_certificate(struct sql *db, struct str fingerprint)
{
	int64_t id = 0;
	SQL_GET_INT(db, &id, "SELECT id FROM cert WHERE fp = ?", sql_blob(fingerprint));
	return id;
}

static void issued(struct op_call *c, const struct body_issue_done *done)
{
	struct sql *db = c->s->registry;
	struct enrolment *e = c->enrolment;
	struct grant *g = &e->grant;
	change_begin(c);
	if (!g->device_id && !insert_device(c)) {
		change_commit(c);
		return;
	}
	issue_store(c, str_of(g->name), g->device_id, done);
	const int64_t id = find_certificate(db, done->fingerprint);
	SQL_RUN(db, "UPDATE cert SET issued_as = ?, csr_hash = ?, renews = ? WHERE id = ?",
		sql_text(g->profile), sql_blob(e->ask.csr_hash),
		g->by == BY_CERTIFICATE ? sql_int(g->id) : sql_null(), sql_int(id));
	if (!use_authority(c, id))
		return;
	buf_str(&e->der, done->der);
	keep_issuer(c);
	raise_enrolled(c, done->fingerprint);
	change_commit(c);
}

static void fill_uuid(struct op_call *c)
{
	struct enrolment *e = c->enrolment;
	device_make_uuid(e->uuid);
	if (!e->grant.device_id)
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry, "SELECT uuid FROM device WHERE id = ?",
				 sql_int(e->grant.device_id));
	if (sql_next(&q))
		snprintf(e->uuid, sizeof(e->uuid), "%.*s", STR_ARG(sql_at_str(&q, 0)));
}

/* What the operations that add devices and certificates read as their arguments. */
static void put_arguments(struct op_call *c)
{
	const struct enrolment *e = c->enrolment;
	rec_text(&c->args, e->grant.device_id ? "device" : "name", e->grant.name);
	rec_bytes(&c->args, "spki", e->ask.spki);
	if (e->ask.name.n)
		rec_str(&c->args, "csr-name", e->ask.name);
	buf_str(&c->args, buf_view(&e->grant.members));
	snprintf(c->target, sizeof(c->target), "%s", e->grant.name);
}

/* The label of the request must be what the authority is for. */
static bool choose_profile(struct op_call *c, struct profile_row *out)
{
	struct enrolment *e = c->enrolment;
	struct grant *g = &e->grant;
	const struct str label = e->ask.label;
	if (g->profile[0] && label.n && !str_is(label, g->profile)) {
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "this authority is for the profile \"%s\", not for \"%.*s\"",
			     g->profile, STR_ARG(label));
		return false;
	}
	if (!g->profile[0])
		snprintf(g->profile, sizeof(g->profile), "%.*s",
			 STR_ARG(label.n ? label : STR(PROFILE_SELF_RENEWING)));
	if (profile_find(c->s->registry, str_of(g->profile), out) == 0)
		return true;
	enrol_refuse(c, ENROL_FORBIDDEN, 0, "there is no profile \"%s\" any more", g->profile);
	return false;
}

/* No certificate is issued: the one that was shown counts from now on. */
static void joined(struct op_call *c)
{
	struct grant *g = &c->enrolment->grant;
	unsigned char fp[SHA256_SIZE];
	change_begin(c);
	if (!g->device_id && !insert_device(c)) {
		change_commit(c);
		return;
	}
	if (!use_authority(c, enrol_join(c)))
		return;
	hash_sha256(c->enrolment->ask.certificate, fp);
	raise_enrolled(c, str_make(fp, sizeof(fp)));
	change_commit(c);
}

void enrol_granted(struct op_call *c)
{
	struct enrolment *e = c->enrolment;
	const struct grant *g = &e->grant;
	struct profile_row profile;
	if (!choose_profile(c, &profile))
		return;
	put_arguments(c);
	if (!issue_check(c, str_of(g->name), g->device_id))
		return;
	fill_uuid(c);
	if (e->ask.what == ENROL_JOIN) {
		joined(c);
		return;
	}
	if (profile.lifetime)
		c->not_after = timefloor_now(&c->s->floor) + profile.lifetime;
	issue_ask(c, str_of(g->name), str_of(e->uuid), issued);
}

bool enrol_name_fits(struct op_call *c, enum enrol_status otherwise)
{
	const struct enrolment *e = c->enrolment;
	if (e->ask.name.n == 0 || str_is(e->ask.name, e->grant.name))
		return true;
	enrol_refuse(c, otherwise, 0,
		     "the common name of the request is \"%.*s\"; allowed is \"%s\"",
		     STR_ARG(e->ask.name), e->grant.name);
	return false;
}

/* ---- arrival ---- */

static bool is_of_certificate(const struct body_enrol *ask)
{
	struct leaf leaf;
	return leaf_read(ask->certificate, &leaf) == 0 && str_eq(leaf.spki, ask->spki);
}

static bool check_request(struct op_call *c)
{
	const struct body_enrol *ask = &c->enrolment->ask;
	struct profile_row profile;
	struct why why;
	if (ask->what > ENROL_JOIN || ask->spki.n == 0 || ask->csr_hash.n != SHA256_SIZE)
		enrol_refuse(c, ENROL_BAD, 0, "the request has no public key");
	else if (ask->what == ENROL_JOIN && !is_of_certificate(ask))
		enrol_refuse(c, ENROL_BAD, 0, "the certificate cannot be read");
	else if (ask->name.n && device_name_check(ask->name, &why))
		enrol_refuse(c, ENROL_BAD, 0, "%s", why.text);
	else if (ask->label.n && profile_find(c->s->registry, ask->label, &profile))
		enrol_refuse(c, ENROL_UNKNOWN_LABEL, 0, "there is no label of this name");
	else if (!timefloor_ok(&c->s->floor))
		enrol_refuse(
			c, ENROL_LOCKED, CLOCK_S,
			"the clock of the gateway is wrong: nothing is issued until it is set");
	else if (ops_full(c->s) || c->crowded || !logins_admit(c->s->logins, str_of(c->source)))
		enrol_refuse(c, ENROL_BUSY, SOON_S, "too many requests: try again later");
	else
		return true;
	return false;
}

static void judge(struct op_call *c)
{
	const struct body_enrol *ask = &c->enrolment->ask;
	if (!check_request(c))
		return;
	if (ask->what != ENROL_RENEW && ask->secret.n)
		enrol_by_secret(c);
	else if (ask->what != ENROL_RENEW && enrol_queued(c))
		return;
	else if (ask->what == ENROL_JOIN)
		enrol_by_claim(c);
	else if (ask->what == ENROL_RENEW || ask->certificate.n)
		enrol_by_certificate(c);
	else
		enrol_to_queue(c, STR(""));
}

int enrol_handle(struct store *s, enum process peer, struct record *r)
{
	bool crowded = false;
	if (job_keep_back(s, peer, r, enrol_handle, &crowded))
		return 0;
	struct enrolment *e = mem_new(struct enrolment);
	buf_str(&e->bytes, r->body);
	if (body_enrol_get(buf_view(&e->bytes), &e->ask)) {
		enrolment_free(e);
		return ERR_MALFORMED;
	}
	struct op_call *c = ops_enrolment(s, peer, r->id, e->ask.source, e, enrolment_free);
	snprintf(c->actor, sizeof(c->actor), "nobody (%s)", enrol_via(c));
	c->crowded = crowded;
	judge(c);
	return 0;
}
