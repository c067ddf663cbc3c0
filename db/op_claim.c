/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims: add, list, allow, remove. See op_claim.h.
 */
#include "db/op_claim.h"
#include "certs/leaf.h"
#include "daemon/base/err.h"
#include "db/authorities.h"
#include "db/certificate.h"
#include "db/hash.h"
#include "db/op_code.h"
#include "db/op_device.h"
#include "db/pattern.h"

static void put_row(struct store *s, const struct sql_query *q, struct buf *out)
{
	unsigned char fp[SHA256_SIZE];
	struct certificate cert = {.not_after = 0};
	int64_t allowed = 0;
	int64_t used = 0;
	const struct str der = sql_at_str(q, 2);
	hash_sha256(der, fp);
	if (certificate_read(der, &cert))
		cert = (struct certificate){.not_after = 0};
	SQL_GET_INT(s->registry, &allowed, "SELECT count(*) FROM claim_name WHERE claim_id = ?",
		    sql_int(sql_at_int(q, 0)));
	SQL_GET_INT(s->registry, &used,
		    "SELECT count(*) FROM claim_use WHERE claim_id = ? AND at > ?",
		    sql_int(sql_at_int(q, 0)), sql_int(timefloor_now(&s->floor) - CLAIM_HOUR_S));
	rec_str(out, "name", sql_at_str(q, 1));
	rec_text(out, "subject", cert.name);
	rec_bytes(out, "fingerprint", str_make(fp, sizeof(fp)));
	op_put_time(out, "not_after", cert.not_after);
	rec_str(out, "name_from", sql_at_str(q, 3));
	rec_str(out, "pattern", sql_at_str(q, 4));
	rec_bool(out, "approval", sql_at_int(q, 5) != 0);
	rec_int(out, "quota", sql_at_int(q, 6));
	rec_int(out, "used", used);
	rec_int(out, "allowed", allowed);
	rec_str(out, "profile", sql_at_str(q, 7));
	rec_str(out, "kind", sql_at_str(q, 8));
	members_put(sql_at_str(q, 9), out);
	op_put_time(out, "created", sql_at_int(q, 10));
	rec_str(out, "created_by", sql_at_str(q, 11));
}

#define CLAIM_COLUMNS                                                                         \
	"SELECT id, name, der, name_from, pattern, approval, quota, profile, kind, members, " \
	"created, created_by FROM claim "

static bool find_claim(struct op_call *c, struct str *name, int64_t *id)
{
	op_str(c, "name", name);
	if (SQL_GET_INT(c->s->registry, id, "SELECT id FROM claim WHERE name = ?", sql_str(*name)))
		return true;
	op_refuse(c, OP_NOT_FOUND, "name", "there is no claim \"%.*s\": claim list shows them",
		  STR_ARG(*name));
	return false;
}

/* ---- add ---- */

struct wanted {
	struct str name;
	struct str der;
	struct leaf leaf;
	struct str pattern;
	struct str name_from;
	struct str profile;
	struct str kind;
	int64_t quota;
	bool approval;
};

static bool check_authority(struct op_call *c, struct wanted *w)
{
	int64_t unused;
	const bool read = op_str(c, "authority", &w->der) && leaf_read(w->der, &w->leaf) == 0;
	const struct certificate as_issuer = {.issuer = read ? w->leaf.subject : STR("")};
	if (!read || !w->leaf.ca || !str_is_utf8(w->leaf.cn))
		op_refuse(c, OP_INVALID, "authority",
			  "this is no certificate of an authority (CA:TRUE)");
	else if (w->leaf.not_after <= timefloor_now(&c->s->floor))
		op_refuse(c, OP_INVALID, "authority",
			  "the certificate of the authority has expired");
	else if (authorities_issuer(c->s, &as_issuer))
		op_refuse(c, OP_INVALID, "authority",
			  "this is an authority of the gateway itself: its devices renew without a "
			  "claim");
	else if (SQL_GET_INT(c->s->registry, &unused, "SELECT 1 FROM claim WHERE subject = ?",
			     sql_blob(w->leaf.subject)))
		op_refuse(c, OP_CONFLICT, "authority",
			  "there is a claim for an authority of this name already");
	else
		return true;
	return false;
}

static bool check_name_rules(struct op_call *c, struct wanted *w)
{
	int64_t n = 0;
	w->name_from = STR("cn");
	w->pattern = STR("*");
	op_str(c, "name-from", &w->name_from);
	op_str(c, "pattern", &w->pattern);
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM claim");
	if (!str_is(w->name_from, "csr") && !str_is(w->name_from, "cn") &&
	    !str_is(w->name_from, "serial"))
		op_refuse(c, OP_INVALID, "name-from",
			  "\"%.*s\" is not known; allowed are csr (the request says the name), cn "
			  "and "
			  "serial (the claim certificate says it)",
			  STR_ARG(w->name_from));
	else if (!pattern_check(w->pattern))
		op_refuse(c, OP_INVALID, "pattern",
			  "\"%.*s\" is no pattern: it is a name in which 1 to %d * stand for any "
			  "letters, such as pump-*",
			  STR_ARG(w->pattern), PATTERN_STARS);
	else if (n >= CLAIMS_MAX)
		op_refuse(c, OP_REFUSED, NULL, "there are %d claims already, which is the most",
			  CLAIMS_MAX);
	else
		return true;
	return false;
}

static bool check_rest(struct op_call *c, struct wanted *w)
{
	int64_t unused;
	w->quota = CLAIM_QUOTA;
	w->kind = STR("device");
	op_int(c, "quota", &w->quota);
	op_str(c, "kind", &w->kind);
	op_bool(c, "approval", &w->approval);
	if (w->quota < 1)
		op_refuse(c, OP_INVALID, "quota", "quota is 0; allowed is 1 and more");
	else if (SQL_GET_INT(c->s->registry, &unused, "SELECT 1 FROM claim WHERE name = ?",
			     sql_str(w->name)))
		op_refuse(c, OP_CONFLICT, "name", "there is a claim \"%.*s\" already",
			  STR_ARG(w->name));
	else
		return device_check_lists(c) && profile_take(c, &w->profile);
	return false;
}

static void raise_changed(struct op_call *c, const char *change, struct str name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "change", change);
	rec_str(&detail, "claim", name);
	change_event(c, EVENT_ENROL_CLAIM_CHANGED, 0, STR(""), buf_view(&detail));
}

void op_claim_add(struct op_call *c)
{
	struct store *s = c->s;
	struct wanted w = {.approval = false};
	AUTO_BUF members = {0};
	op_str(c, "name", &w.name);
	if (!op_check_name(c, "name", "claim", w.name) || !check_authority(c, &w) ||
	    !check_name_rules(c, &w) || !check_rest(c, &w))
		return;
	members_take(c, &members);
	change_begin(c);
	SQL_RUN(s->registry,
		"INSERT INTO claim(name, der, subject, pattern, name_from, approval, quota, "
		"profile, "
		"kind, members, created, created_by) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		sql_str(w.name), sql_blob(w.der), sql_blob(w.leaf.subject), sql_str(w.pattern),
		sql_str(w.name_from), sql_int(w.approval), sql_int(w.quota), sql_str(w.profile),
		sql_str(w.kind), members.n ? sql_blob(buf_view(&members)) : sql_null(),
		sql_int(timefloor_now(&s->floor)), sql_text(c->actor));
	AUTO_QUERY q = SQL_QUERY(s->registry, CLAIM_COLUMNS "WHERE name = ?", sql_str(w.name));
	if (sql_next(&q))
		put_row(s, &q, &c->result);
	sql_query_end(&q);
	raise_changed(c, "added", w.name);
	if (change_commit(c) == 0)
		authorities_changed(s);
}

/* ---- list, allow, remove ---- */

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(c->s, q, &c->result);
}

void op_claim_list(struct op_call *c)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry, CLAIM_COLUMNS "ORDER BY name");
	op_answer_all(c, &q, put_item);
}

void op_claim_allow(struct op_call *c)
{
	struct sql *db = c->s->registry;
	struct str name;
	struct str list;
	struct rec_value v;
	int64_t id;
	int64_t n = 0;
	if (!find_claim(c, &name, &id) || !op_strs(c, "names", &list))
		return;
	for (struct cur cur = cur_of(list); rec_next(&cur, &v);)
		if (!op_check_name(c, "names", "device", v.text))
			return;
	SQL_GET_INT(db, &n, "SELECT count(*) FROM claim_name WHERE claim_id = ?", sql_int(id));
	if (n >= CLAIM_ALLOWED_MAX) {
		op_refuse(c, OP_REFUSED, "names", "the list has %d names, which is the most",
			  CLAIM_ALLOWED_MAX);
		return;
	}
	change_begin(c);
	for (struct cur cur = cur_of(list); rec_next(&cur, &v);)
		SQL_RUN(db, "INSERT INTO claim_name VALUES(?, ?) ON CONFLICT DO NOTHING",
			sql_int(id), sql_str(v.text));
	SQL_GET_INT(db, &n, "SELECT count(*) FROM claim_name WHERE claim_id = ?", sql_int(id));
	rec_str(&c->result, "name", name);
	rec_int(&c->result, "allowed", n);
	raise_changed(c, "names allowed", name);
	change_commit(c);
}

void op_claim_remove(struct op_call *c)
{
	struct store *s = c->s;
	struct str name;
	int64_t id;
	if (!find_claim(c, &name, &id))
		return;
	change_begin(c);
	SQL_RUN(s->registry, "DELETE FROM claim WHERE id = ?", sql_int(id));
	rec_str(&c->result, "name", name);
	raise_changed(c, "removed", name);
	if (change_commit(c) == 0)
		authorities_changed(s);
}
