/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate of this gateway as authority: it renews itself, with its key or a new one. See
 * enrol.h. The asker has seen that the device holds its key; which certificate it is and whether it
 * still counts is judged here, by its fingerprint. RFC 7030, 4.2.2.
 *
 * By EST a device may renew whenever it likes; over MQTT, where a loop costs it nothing, past half
 * of the life and once a day.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ipc/rec.h"
#include "db/authorities.h"
#include "db/enrol.h"
#include "db/hash.h"
#include "db/profile.h"
#include "db/renewal.h"

#include <stdio.h>

enum {
	AGAIN_S = 24 * 3600, /* over MQTT between two */
	HOUR_S = 3600,       /* by EST at most so many an hour, against loops: */
	RENEWALS_AN_HOUR = 20,
};

struct own {
	int64_t id;
	int64_t status;
	int64_t not_before;
	int64_t not_after;
	bool enabled;
};

static bool find_own(struct op_call *c, struct str fingerprint, struct own *out)
{
	struct grant *g = &c->enrolment->grant;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		"SELECT cert.id, status, not_before, not_after, coalesce(enabled, 0), "
		"coalesce(device_id, 0), coalesce(device.name, cert.name), coalesce(issued_as, ?) "
		"FROM cert LEFT JOIN device ON device.id = device_id "
		"WHERE fp = ? AND cert.profile = 'device' AND ca_id IS NOT NULL",
		sql_text(PROFILE_BY_HAND), sql_blob(fingerprint));
	if (!sql_next(&q))
		return false;
	*out = (struct own){sql_at_int(&q, 0), sql_at_int(&q, 1), sql_at_int(&q, 2),
			    sql_at_int(&q, 3), sql_at_int(&q, 4) != 0};
	g->device_id = sql_at_int(&q, 5);
	snprintf(g->name, sizeof(g->name), "%.*s", STR_ARG(sql_at_str(&q, 6)));
	snprintf(g->profile, sizeof(g->profile), "%.*s", STR_ARG(sql_at_str(&q, 7)));
	return true;
}

/* The only one that signs with our key is the vault, and the registry has what it made. */
static void raise_forged(const struct op_call *c, struct str fingerprint)
{
	AUTO_BUF detail = {0};
	rec_bytes(&detail, "fingerprint", fingerprint);
	const struct body_event fields = {
		.event = EVENT_CERTIFICATE_UNKNOWN,
		.time_ms = clock_wall_ms(),
		.actor = c->enrolment->ask.name,
		.address = str_of(c->source),
		.reason = STR("shown to enrol with"),
		.detail = buf_view(&detail),
	};
	events_add(c->s->events, &fields, STR(""));
}

static void unknown(struct op_call *c, struct str fingerprint)
{
	const struct body_enrol *ask = &c->enrolment->ask;
	struct certificate cert;
	const bool readable = certificate_read(ask->certificate, &cert) == 0;
	if (readable && authorities_issuer(c->s, &cert)) {
		raise_forged(c, fingerprint);
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "this gateway did not issue this certificate");
	} else if (ask->what == ENROL_RENEW) {
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "only a certificate that this gateway issued renews itself");
	} else {
		enrol_by_claim(c);
	}
}

static bool check_status(struct op_call *c, const struct own *own)
{
	static const char *const word[] = {
		[CERT_REVOKED] = "was revoked",
		[CERT_HOLD] = "is on hold",
		[CERT_SUPERSEDED] = "was replaced by a newer one",
		[CERT_PENDING] = "is not active yet",
	};
	const struct grant *g = &c->enrolment->grant;
	if (own->status != CERT_GOOD)
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "this certificate %s",
			     own->status < (int64_t)ARRAY_LEN(word) ? word[own->status]
								    : "is not good");
	else if (!g->device_id)
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "the device of this certificate was removed");
	else if (!own->enabled)
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "the device \"%s\" is disabled", g->name);
	else
		return true;
	return false;
}

static bool check_expiry(struct op_call *c, const struct own *own)
{
	const struct enrolment *e = c->enrolment;
	const int64_t now = timefloor_now(&c->s->floor);
	struct profile_row profile = {0};
	char time[CLOCK_TEXT];
	profile_find(c->s->registry, str_of(e->grant.profile), &profile);
	const int64_t grace = e->ask.what == ENROL_RENEW ? profile.grace : 0;
	if (now < own->not_after + grace)
		return true;
	enrol_refuse(c, ENROL_FORBIDDEN, 0,
		     "this certificate expired at %s; the device needs an enrolment code",
		     clock_format(own->not_after, time));
	return false;
}

/* Over MQTT: seconds until it may, 0: now. */
static int64_t wait_of(const struct op_call *c, const struct own *own)
{
	const int64_t now = timefloor_now(&c->s->floor);
	const int64_t half = own->not_before + (own->not_after - own->not_before) / 2;
	int64_t last = 0;
	if (now < half)
		return half - now;
	SQL_GET_INT(c->s->registry, &last,
		    "SELECT coalesce(max(issued_at), 0) FROM cert WHERE renews = ?",
		    sql_int(own->id));
	return last + AGAIN_S > now ? last + AGAIN_S - now : 0;
}

static bool check_pace(struct op_call *c, const struct own *own)
{
	int64_t n = 0;
	const int64_t wait = str_is(c->enrolment->ask.via, "mqtt") ? wait_of(c, own) : 0;
	if (wait) {
		enrol_refuse(c, ENROL_BUSY, (uint32_t)MIN(wait, (int64_t)UINT32_MAX),
			     "it is too early to renew this certificate: wait %lld s",
			     (long long)wait);
		return false;
	}
	SQL_GET_INT(c->s->registry, &n,
		    "SELECT count(*) FROM cert WHERE renews = ? AND issued_at > ?",
		    sql_int(own->id), sql_int(timefloor_now(&c->s->floor) - HOUR_S));
	if (n < RENEWALS_AN_HOUR)
		return true;
	enrol_refuse(c, ENROL_BUSY, HOUR_S,
		     "this certificate was renewed %lld times within an hour: is the new one not "
		     "kept?",
		     (long long)n);
	return false;
}

/* The same request again, its answer was lost: the certificate that it got. */
static int64_t repeated(const struct op_call *c, const struct own *own)
{
	int64_t id = 0;
	SQL_GET_INT(c->s->registry, &id,
		    "SELECT id FROM cert WHERE renews = ? AND csr_hash = ? AND status = 0 "
		    "ORDER BY id DESC",
		    sql_int(own->id), sql_blob(c->enrolment->ask.csr_hash));
	return id;
}

void enrol_by_certificate(struct op_call *c)
{
	struct enrolment *e = c->enrolment;
	unsigned char fp[SHA256_SIZE];
	struct own own;
	const bool renew = e->ask.what == ENROL_RENEW;
	if (e->ask.certificate.n == 0) {
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0,
			     "renewing needs the certificate that is to be renewed");
		return;
	}
	hash_sha256(e->ask.certificate, fp);
	if (!find_own(c, str_make(fp, sizeof(fp)), &own)) {
		unknown(c, str_make(fp, sizeof(fp)));
		return;
	}
	e->grant.by = BY_CERTIFICATE;
	e->grant.id = own.id;
	snprintf(c->actor, sizeof(c->actor), "%s (certificate)", e->grant.name);
	if (!check_status(c, &own) || !check_expiry(c, &own) ||
	    !enrol_name_fits(c, renew ? ENROL_BAD : ENROL_FORBIDDEN))
		return;
	renewal_seen(c->s, str_make(fp, sizeof(fp)));
	const int64_t again = repeated(c, &own);
	if (again && enrol_repeat(c, again))
		return;
	if (check_pace(c, &own))
		enrol_granted(c);
}

/* The successor before this one never arrived: it ends with the next look at the overlaps. */
void enrol_use_certificate(struct op_call *c, int64_t cert_id)
{
	struct sql *db = c->s->registry;
	const struct grant *g = &c->enrolment->grant;
	const int64_t now = timefloor_now(&c->s->floor);
	struct profile_row profile = {0};
	profile_find(db, str_of(g->profile), &profile);
	SQL_RUN(db, "UPDATE cert SET retire_at = ? WHERE id = ? AND status = 0",
		sql_int(now + profile.overlap), sql_int(g->id));
	SQL_RUN(db,
		"UPDATE cert SET retire_at = ? WHERE renews = ? AND id <> ? AND seen IS NULL AND "
		"status = 0",
		sql_int(now), sql_int(g->id), sql_int(cert_id));
}
