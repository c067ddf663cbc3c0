/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets as authorities: enrolment codes, and the password of a device. See enrol.h. A secret that
 * has the form of a code and is none may still be a password. Holders of a code are told what is
 * wrong with it: nobody guesses 160 bits.
 */
#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/net/addr.h"
#include "db/code.h"
#include "db/enrol.h"
#include "db/pattern.h"

#include <stdio.h>

struct code_row {
	int64_t id;
	int64_t device_id; /* 0: for a name or a pattern */
	bool enabled;      /* the device */
	int64_t uses_left;
	int64_t expires;
	bool replaced;
	char name[NAME_SIZE]; /* of the device, or of one that is to be */
	char pattern[NAME_SIZE];
	char network[64];
};

static void copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", (int)s.n, s.n ? s.p : "");
}

static bool find_code(struct op_call *c, struct str hash, struct code_row *row)
{
	struct grant *g = &c->enrolment->grant;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		"SELECT code.id, device_id, coalesce(device.enabled, 1), uses_left, expires, "
		"coalesce(device.name, code.name), name_pattern, cidr, profile, code.kind, "
		"members, "
		"replaced FROM code LEFT JOIN device ON device.id = device_id WHERE hash = ?",
		sql_blob(hash));
	if (!sql_next(&q))
		return false;
	*row = (struct code_row){
		.id = sql_at_int(&q, 0),
		.device_id = sql_at_int(&q, 1),
		.enabled = sql_at_int(&q, 2) != 0,
		.uses_left = sql_at_int(&q, 3),
		.expires = sql_at_int(&q, 4),
		.replaced = !sql_at_null(&q, 11),
	};
	copy(row->name, sizeof(row->name), sql_at_str(&q, 5));
	copy(row->pattern, sizeof(row->pattern), sql_at_str(&q, 6));
	copy(row->network, sizeof(row->network), sql_at_str(&q, 7));
	copy(g->profile, sizeof(g->profile), sql_at_str(&q, 8));
	copy(g->kind, sizeof(g->kind), sql_at_str(&q, 9));
	buf_str(&g->members, sql_at_str(&q, 10));
	return true;
}

/* Enrolments that are about to use this code. */
static int64_t in_flight(const struct op_call *c, int64_t id)
{
	int64_t n = 0;
	list_each (it, &c->s->calls) {
		const struct op_call *other = list_entry(it, struct op_call, node);
		const struct enrolment *e = other->enrolment;
		n += other != c && e && e->grant.by == BY_CODE && e->grant.id == id;
	}
	return n;
}

static bool is_inside(const char *network, const char *source)
{
	struct cidr cidr;
	struct addr addr;
	return !network[0] ||
	       (cidr_parse(str_of(network), &cidr) == 0 &&
		addr_parse_ip(str_of(source), &addr) == 0 && cidr_match(&cidr, &addr));
}

/* Whether it may be used at all, by anyone, from there. */
static bool check_code(struct op_call *c, const struct code_row *row)
{
	char time[CLOCK_TEXT];
	if (row->uses_left <= 0)
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0, "this enrolment code was used already");
	else if (row->replaced)
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0,
			     "this enrolment code was replaced by a newer one for \"%s\"",
			     row->name);
	else if (row->expires <= timefloor_now(&c->s->floor))
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0, "this enrolment code expired at %s",
			     clock_format(row->expires, time));
	else if (!is_inside(row->network, c->source))
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "this enrolment code is for the network %s; the request came from %s",
			     row->network, c->source);
	else if (in_flight(c, row->id) >= row->uses_left)
		enrol_refuse(c, ENROL_BUSY, 1, "this enrolment code is being used right now");
	else if (!row->enabled)
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "the device \"%s\" is disabled", row->name);
	else
		return true;
	return false;
}

/* A code for a pattern adds new devices only: else whoever holds it could become any old one. */
static bool take_new_name(struct op_call *c, const struct code_row *row)
{
	struct enrolment *e = c->enrolment;
	int64_t id;
	if (e->ask.name.n == 0)
		enrol_refuse(c, ENROL_BAD, 0,
			     "the request has no common name; this code needs one like \"%s\"",
			     row->pattern);
	else if (!pattern_match(str_of(row->pattern), e->ask.name))
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "this code is for names like \"%s\"; the request says \"%.*s\"",
			     row->pattern, STR_ARG(e->ask.name));
	else if (registry_device(c->s->registry, e->ask.name, &id) == 0)
		enrol_refuse(c, ENROL_CONFLICT, 0,
			     "there is a device \"%.*s\" already, and this code is for new ones",
			     STR_ARG(e->ask.name));
	else {
		copy(e->grant.name, sizeof(e->grant.name), e->ask.name);
		return true;
	}
	return false;
}

static bool take_name(struct op_call *c, const struct code_row *row)
{
	struct grant *g = &c->enrolment->grant;
	if (row->pattern[0])
		return take_new_name(c, row);
	copy(g->name, sizeof(g->name), str_of(row->name));
	g->device_id = row->device_id;
	if (!g->device_id) /* 0 while there is none of this name */
		registry_device(c->s->registry, str_of(g->name), &g->device_id);
	return enrol_name_fits(c, ENROL_FORBIDDEN);
}

bool enrol_use_code(struct op_call *c)
{
	SQL_RUN(c->s->registry,
		"UPDATE code SET uses_left = uses_left - 1, last_used = ?, last_source = ? "
		"WHERE id = ? AND uses_left > 0 AND replaced IS NULL",
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->source),
		sql_int(c->enrolment->grant.id));
	if (sql_changes(c->s->registry) > 0)
		return true;
	enrol_refuse(c, ENROL_UNAUTHENTICATED, 0, "this enrolment code was removed or replaced");
	return false;
}

/* ---- passwords ---- */

struct login {
	int64_t id;
	bool enabled;
	char verifier[VERIFIER_MAX];
};

static void find_login(struct op_call *c, struct login *out)
{
	*out = (struct login){0};
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry, "SELECT id, enabled, verifier FROM device WHERE name = ?",
			  sql_str(c->enrolment->ask.user));
	if (!sql_next(&q))
		return;
	out->id = sql_at_int(&q, 0);
	out->enabled = sql_at_int(&q, 1) != 0;
	copy(out->verifier, sizeof(out->verifier), sql_at_str(&q, 2));
}

static void judged(void *arg, enum login_result result)
{
	struct op_call *c = arg;
	struct grant *g = &c->enrolment->grant;
	struct login login; /* again: it may have changed while a thread was hashing */
	find_login(c, &login);
	if (result == LOGIN_TOO_MANY) {
		enrol_refuse(c, ENROL_BUSY, 1, "too many attempts: try again later");
		return;
	}
	if (result != LOGIN_RIGHT || strcmp(login.verifier, c->enrolment->verifier) != 0) {
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0, "wrong enrolment code or password");
		return;
	}
	g->by = BY_PASSWORD;
	g->device_id = login.id;
	copy(g->name, sizeof(g->name), c->enrolment->ask.user);
	snprintf(c->actor, sizeof(c->actor), "%s (password)", g->name);
	if (!login.enabled)
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "the device \"%s\" is disabled", g->name);
	else if (enrol_name_fits(c, ENROL_FORBIDDEN))
		enrol_granted(c);
}

static void by_password(struct op_call *c)
{
	struct login login;
	const struct str user = c->enrolment->ask.user;
	if (user.n == 0 || !str_is_utf8(user)) {
		enrol_refuse(c, ENROL_UNAUTHENTICATED, 0, "this is no enrolment code");
		return;
	}
	find_login(c, &login);
	copy(c->enrolment->verifier, VERIFIER_MAX, str_of(login.verifier));
	logins_check(c->s->logins, c->enrolment->ask.secret, login.verifier, str_of(c->source),
		     judged, c);
}

void enrol_by_secret(struct op_call *c)
{
	struct grant *g = &c->enrolment->grant;
	unsigned char hash[SHA256_SIZE];
	struct code_row row;
	if (!code_hash(c->enrolment->ask.secret, hash) ||
	    !find_code(c, str_make(hash, sizeof(hash)), &row)) {
		by_password(c);
		return;
	}
	snprintf(c->actor, sizeof(c->actor), "enrolment code %lld", (long long)row.id);
	if (!check_code(c, &row))
		return;
	g->by = BY_CODE;
	g->id = row.id;
	if (take_name(c, &row))
		enrol_granted(c);
}
