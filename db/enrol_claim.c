/* SPDX-License-Identifier: Apache-2.0
 *
 * Claim certificates as authority: issued by an authority that an administrator trusts for it
 * (table claim), shared by many devices or one for each (a birth certificate). See enrol.h. The
 * asker has verified the certificate up to that authority and seen that the device holds its key.
 *
 * Where the certificate says the name, it may come again for the device that it made: after a reset
 * for example. Where the request says it, every name is given once, unless a person decides each
 * time.
 */
#include "certs/chain.h"
#include "certs/csr.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "daemon/conf/config.h"
#include "db/enrol.h"
#include "db/hash.h"
#include "db/op_claim.h"
#include "db/pattern.h"

#include <stdio.h>

struct claim_row {
	char name[NAME_SIZE];
	char pattern[NAME_SIZE];
	char name_from[8];
	bool approval;
	int64_t quota;
};

static void copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", (int)s.n, s.n ? s.p : "");
}

/* Others with the name of that authority may be trusted by the asker for something else. */
static bool is_by(struct str der, struct str authority)
{
	struct why why;
	AUTO(chain_trust) trust = chain_trust_new();
	return chain_trust_add(trust, authority) == 0 &&
	       chain_verify_client(trust, &der, 1, &why) == CHAIN_GOOD;
}

static bool find_claim(struct op_call *c, struct str issuer, struct claim_row *row,
		       struct buf *authority)
{
	struct grant *g = &c->enrolment->grant;
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry,
			  "SELECT id, name, pattern, name_from, approval, quota, profile, kind, "
			  "members, der FROM claim WHERE subject = ?",
			  sql_blob(issuer));
	if (!sql_next(&q))
		return false;
	g->id = sql_at_int(&q, 0);
	copy(row->name, sizeof(row->name), sql_at_str(&q, 1));
	copy(row->pattern, sizeof(row->pattern), sql_at_str(&q, 2));
	copy(row->name_from, sizeof(row->name_from), sql_at_str(&q, 3));
	row->approval = sql_at_int(&q, 4) != 0;
	row->quota = sql_at_int(&q, 5);
	copy(g->profile, sizeof(g->profile), sql_at_str(&q, 6));
	copy(g->kind, sizeof(g->kind), sql_at_str(&q, 7));
	buf_str(&g->members, sql_at_str(&q, 8));
	buf_str(authority, sql_at_str(&q, 9));
	return true;
}

/* The attribute serialNumber of a Name, as IEEE 802.1AR has it; empty: none. */
static struct str serial_of(struct str subject)
{
	struct cur outer = cur_of(subject);
	struct cur name = der_open(&outer, DER_SEQUENCE);
	while (cur_left(&name)) {
		struct cur set = der_open(&name, DER_SET);
		struct cur pair = der_open(&set, DER_SEQUENCE);
		const struct str type = der_get(&pair, DER_OID);
		const struct der value = der_read(&pair);
		if (!cur_ok(&pair))
			return STR("");
		if (der_oid_is(type, "2.5.4.5"))
			return value.body;
	}
	return STR("");
}

static struct str name_of(const struct op_call *c, const struct claim_row *row,
			  const struct leaf *leaf)
{
	if (strcmp(row->name_from, "csr") == 0)
		return c->enrolment->ask.name;
	if (strcmp(row->name_from, "serial") == 0)
		return serial_of(leaf->subject);
	return leaf->cn_n == 1 ? leaf->cn : STR("");
}

static bool take_name(struct op_call *c, const struct claim_row *row, const struct leaf *leaf)
{
	const struct str name = name_of(c, row, leaf);
	struct why why;
	if (device_name_check(name, &why))
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "the name that the %s says cannot be used: %s",
			     strcmp(row->name_from, "csr") == 0 ? "request" : "claim certificate",
			     why.text);
	else if (!pattern_match(str_of(row->pattern), name))
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "the claim \"%s\" is for names like \"%s\"; this one is \"%.*s\"",
			     row->name, row->pattern, STR_ARG(name));
	else {
		copy(c->enrolment->grant.name, NAME_SIZE, name);
		return enrol_name_fits(c, ENROL_FORBIDDEN);
	}
	return false;
}

/* By itself, or by an approval of what it asked for: "claim NAME (request 7)". */
static bool made_by(struct str creator, const char *claim)
{
	const size_t n = strlen(claim);
	return str_prefix(creator, str_of(claim)) && (creator.n == n || creator.p[n] == ' ');
}

/* A device of that name: only the one that this very claim made. */
static bool check_device(struct op_call *c, const struct claim_row *row)
{
	struct grant *g = &c->enrolment->grant;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT id, enabled, created_by FROM device WHERE name = ?",
				 sql_text(g->name));
	if (!sql_next(&q))
		return true;
	const int64_t id = sql_at_int(&q, 0);
	const bool enabled = sql_at_int(&q, 1) != 0;
	const bool by_request = strcmp(row->name_from, "csr") == 0;
	const bool same = made_by(sql_at_str(&q, 2), c->actor) && (!by_request || row->approval);
	sql_query_end(&q);
	if (!same)
		enrol_refuse(
			c, ENROL_CONFLICT, 0,
			"there is a device \"%s\" already, which this claim %s: it renews with "
			"its own certificate, or enrols with a code for its name",
			g->name, by_request ? "gives its name once" : "did not make");
	else if (!enabled)
		enrol_refuse(c, ENROL_FORBIDDEN, 0, "the device \"%s\" is disabled", g->name);
	else
		g->device_id = id;
	return same && enabled;
}

static bool is_allowed(struct op_call *c)
{
	const struct grant *g = &c->enrolment->grant;
	int64_t listed = 1;
	SQL_GET_INT(c->s->registry, &listed,
		    "SELECT NOT EXISTS(SELECT 1 FROM claim_name WHERE claim_id = ?1) OR "
		    "EXISTS(SELECT 1 FROM claim_name WHERE claim_id = ?1 AND name = ?2)",
		    sql_int(g->id), sql_text(g->name));
	return listed != 0;
}

static int64_t uses(const struct op_call *c)
{
	const struct grant *g = &c->enrolment->grant;
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n,
		    "SELECT count(*) FROM claim_use WHERE claim_id = ? AND at > ?", sql_int(g->id),
		    sql_int(timefloor_now(&c->s->floor) - CLAIM_HOUR_S));
	list_each (it, &c->s->calls) {
		const struct op_call *other = list_entry(it, struct op_call, node);
		const struct enrolment *e = other->enrolment;
		n += other != c && e && e->grant.by == BY_CLAIM && e->grant.id == g->id;
	}
	return n;
}

/* Who is not let through waits for a person, where the administrator wants that. */
static void decide(struct op_call *c, const struct claim_row *row)
{
	const bool allowed = is_allowed(c);
	const bool has_quota = uses(c) < row->quota;
	if (row->approval || ((!allowed || !has_quota) && c->s->approval != CONFIG_APPROVAL_OFF))
		enrol_to_queue(c, str_of(row->name));
	else if (!allowed)
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "the allow-list of the claim \"%s\" does not have \"%s\"", row->name,
			     c->enrolment->grant.name);
	else if (!has_quota)
		enrol_refuse(c, ENROL_BUSY, CLAIM_HOUR_S,
			     "the claim \"%s\" is used up for this hour: %lld devices", row->name,
			     (long long)row->quota);
	else {
		c->enrolment->grant.by = BY_CLAIM;
		enrol_granted(c);
	}
}

void enrol_by_claim(struct op_call *c)
{
	struct claim_row row;
	struct leaf leaf;
	const struct str der = c->enrolment->ask.certificate;
	AUTO_BUF authority = {0};
	if (leaf_read(der, &leaf) || !find_claim(c, leaf.issuer, &row, &authority) ||
	    !is_by(der, buf_view(&authority))) {
		c->enrolment->silent = c->enrolment->ask.what == ENROL_JOIN;
		enrol_refuse(c, ENROL_FORBIDDEN, 0,
			     "no authority that may enrol here issued this certificate");
		return;
	}
	snprintf(c->actor, sizeof(c->actor), "claim %s", row.name);
	if (take_name(c, &row, &leaf) && check_device(c, &row))
		decide(c, &row);
}

int64_t enrol_join(struct op_call *c)
{
	struct sql *db = c->s->registry;
	const struct enrolment *e = c->enrolment;
	unsigned char fp[SHA256_SIZE];
	struct leaf leaf = {0};
	hash_sha256(e->ask.certificate, fp);
	CHECK(leaf_read(e->ask.certificate, &leaf) == 0);
	SQL_RUN(db,
		"INSERT INTO cert(fp, serial, device_id, name, spki, der, profile, not_before, "
		"not_after, issued_at, issued_by, via, status) "
		"VALUES(?, ?, ?, ?, ?, ?, 'device', ?, ?, ?, ?, 'import', 0)",
		sql_blob(str_make(fp, sizeof(fp))), sql_blob(leaf_serial(&leaf)),
		sql_int(e->grant.device_id), sql_text(e->grant.name), sql_blob(leaf.spki),
		sql_blob(e->ask.certificate), sql_int(leaf.not_before), sql_int(leaf.not_after),
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor));
	const int64_t id = sql_last_id(db);
	registry_put_cert(db, id, &c->change.entries);
	return id;
}

void enrol_use_claim(struct op_call *c)
{
	const struct grant *g = &c->enrolment->grant;
	const int64_t now = timefloor_now(&c->s->floor);
	SQL_RUN(c->s->registry, "DELETE FROM claim_use WHERE at <= ?", sql_int(now - CLAIM_HOUR_S));
	SQL_RUN(c->s->registry, "INSERT INTO claim_use VALUES(?, ?)", sql_int(g->id), sql_int(now));
}
