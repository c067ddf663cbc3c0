/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of keys that wait: list, show, approve, deny. See op_request.h. An approval issues
 * nothing yet: the device asks again, and gets its certificate then.
 */
#include "db/op_request.h"
#include "daemon/base/err.h"
#include "db/hash.h"
#include "db/op_code.h"
#include "db/op_device.h"
#include "db/registry.h"

#include <stdio.h>

enum { WORDS = 5, WORD_DIGITS = 4 };

#define REQUEST_COLUMNS                                                                            \
	"SELECT id, name, profile, via, source, claim, spki, state, created, expires, decided, "   \
	"decided_by, why, EXISTS(SELECT 1 FROM device WHERE device.name = request.name), members " \
	"FROM request "

static void put_key(struct str spki, struct buf *out)
{
	unsigned char fp[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];
	char words[WORDS * (WORD_DIGITS + 1)];
	hash_sha256(spki, fp);
	hex_encode(fp, sizeof(fp), hex);
	for (size_t i = 0; i < WORDS; i++) {
		memcpy(words + i * (WORD_DIGITS + 1), hex + i * WORD_DIGITS, WORD_DIGITS);
		words[i * (WORD_DIGITS + 1) + WORD_DIGITS] = i + 1 < WORDS ? '-' : '\0';
	}
	rec_bytes(out, "key", str_make(fp, sizeof(fp)));
	rec_text(out, "words", words);
}

static void put_row(struct store *s, const struct sql_query *q, struct buf *out)
{
	const bool open =
		str_is(sql_at_str(q, 7), "pending") || str_is(sql_at_str(q, 7), "approved");
	const bool expired = open && sql_at_int(q, 9) <= timefloor_now(&s->floor);
	rec_int(out, "id", sql_at_int(q, 0));
	rec_str(out, "name", sql_at_str(q, 1));
	rec_str(out, "profile", sql_at_str(q, 2));
	rec_str(out, "via", sql_at_str(q, 3));
	rec_str(out, "source", sql_at_str(q, 4));
	op_put_str(out, "claim", sql_at_str(q, 5));
	put_key(sql_at_str(q, 6), out);
	rec_bool(out, "device_exists", sql_at_int(q, 13) != 0);
	rec_str(out, "state", expired ? STR("expired") : sql_at_str(q, 7));
	members_put(sql_at_str(q, 14), out);
	op_put_time(out, "created", sql_at_int(q, 8));
	op_put_time(out, "expires", sql_at_int(q, 9));
	op_put_time(out, "decided", sql_at_int(q, 10));
	op_put_str(out, "decided_by", sql_at_str(q, 11));
	op_put_str(out, "why", sql_at_str(q, 12));
}

static bool put_request(struct store *s, int64_t id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, REQUEST_COLUMNS "WHERE id = ?", sql_int(id));
	if (!sql_next(&q))
		return false;
	put_row(s, &q, out);
	return true;
}

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(c->s, q, &c->result);
}

void op_request_list(struct op_call *c)
{
	struct str state = {NULL, 0};
	uint64_t after;
	int64_t limit;
	op_str(c, "state", &state);
	if (!op_limit(c, &limit) || !op_number_cursor(c, &after))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 REQUEST_COLUMNS "WHERE id > ?1 AND (state = ?2 OR (?2 IS NULL AND "
						 "state IN ('pending', 'approved') AND expires > "
						 "?3)) ORDER BY id LIMIT ?4",
				 sql_int((int64_t)after), sql_str(state),
				 sql_int(timefloor_now(&c->s->floor)), sql_int(limit + 1));
	op_answer_page(c, &q, limit, put_item);
}

void op_request_show(struct op_call *c)
{
	int64_t id = 0;
	op_int(c, "id", &id);
	if (put_request(c->s, id, &c->result))
		op_done(c);
	else
		op_refuse(c, OP_NOT_FOUND, "id",
			  "there is no request %lld: request list shows them", (long long)id);
}

/* ---- deciding ---- */

struct open_request {
	int64_t id;
	char name[NAME_SIZE];
	bool device_exists;
};

/* A request that still waits. False: refused. */
static bool find_pending(struct op_call *c, struct open_request *out)
{
	int64_t id = 0;
	op_int(c, "id", &id);
	AUTO_QUERY q = SQL_QUERY(c->s->registry, REQUEST_COLUMNS "WHERE id = ?", sql_int(id));
	if (!sql_next(&q)) {
		op_refuse(c, OP_NOT_FOUND, "id",
			  "there is no request %lld: request list shows them", (long long)id);
		return false;
	}
	const struct str state = sql_at_str(&q, 7);
	if (!str_is(state, "pending")) {
		op_refuse(c, OP_CONFLICT, "id", "request %lld is decided already: it is %.*s",
			  (long long)id, STR_ARG(state));
		return false;
	}
	if (sql_at_int(&q, 9) <= timefloor_now(&c->s->floor)) {
		op_refuse(c, OP_CONFLICT, "id",
			  "request %lld waited too long: the device must ask anew", (long long)id);
		return false;
	}
	out->id = id;
	snprintf(out->name, sizeof(out->name), "%.*s", STR_ARG(sql_at_str(&q, 1)));
	out->device_exists = sql_at_int(&q, 13) != 0;
	return true;
}

static void raise_decided(struct op_call *c, const struct open_request *r, const char *outcome)
{
	AUTO_BUF detail = {0};
	rec_int(&detail, "request", r->id);
	rec_text(&detail, "name", r->name);
	rec_text(&detail, "outcome", outcome);
	change_event(c, EVENT_ENROL_DECIDED, 0, STR(""), buf_view(&detail));
}

/* Approving a key for a device that is there gives it that device's rights: only when that is said.
 */
static bool check_existing(struct op_call *c, const struct open_request *r, bool existing)
{
	struct rec_value v;
	if (existing != r->device_exists) {
		op_refuse(
			c, existing ? OP_NOT_FOUND : OP_CONFLICT, "existing",
			existing
				? "there is no device \"%s\": leave existing out"
				: "there is a device \"%s\" already: the key would be its own; say "
				  "existing if that is meant, else deny it",
			r->name);
		return false;
	}
	if (!existing || (!rec_find(buf_view(&c->args), "groups", &v) &&
			  !rec_find(buf_view(&c->args), "roles", &v)))
		return true;
	op_refuse(c, OP_INVALID, "groups",
		  "there is a device \"%s\" already: change its groups and roles with device set",
		  r->name);
	return false;
}

void op_request_approve(struct op_call *c)
{
	struct open_request r;
	struct str kind = {NULL, 0};
	struct str profile = {NULL, 0};
	bool existing = false;
	AUTO_BUF members = {0};
	op_bool(c, "existing", &existing);
	op_str(c, "kind", &kind);
	if (!find_pending(c, &r) || !check_existing(c, &r, existing) || !device_check_lists(c))
		return;
	if (op_str(c, "profile", &profile) && !profile_take(c, &profile))
		return;
	members_take(c, &members);
	change_begin(c);
	SQL_RUN(c->s->registry,
		"UPDATE request SET state = 'approved', decided = ?1, decided_by = ?2, expires = "
		"?3, "
		"kind = coalesce(?4, kind), profile = coalesce(?5, profile), "
		"members = coalesce(?6, members), existing = ?7 WHERE id = ?8",
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor),
		sql_int(timefloor_now(&c->s->floor) + REQUEST_LIFETIME_S), sql_str(kind),
		sql_str(profile), members.n ? sql_blob(buf_view(&members)) : sql_null(),
		sql_int(existing), sql_int(r.id));
	put_request(c->s, r.id, &c->result);
	raise_decided(c, &r, "approved");
	change_commit(c);
}

void op_request_deny(struct op_call *c)
{
	struct open_request r;
	struct str why = STR("");
	op_str(c, "why", &why);
	if (!find_pending(c, &r))
		return;
	change_begin(c);
	SQL_RUN(c->s->registry,
		"UPDATE request SET state = 'denied', decided = ?, decided_by = ?, why = ? WHERE "
		"id = "
		"?",
		sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor), sql_str(why),
		sql_int(r.id));
	put_request(c->s, r.id, &c->result);
	raise_decided(c, &r, "denied");
	change_commit(c);
}
