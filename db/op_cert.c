/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates: list, show, add, and the authorities. See op_cert.h.
 */
#include "db/op_cert.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/certificate.h"
#include "db/issue.h"
#include "db/op_cert_find.h"
#include "db/registry.h"

#include <stdio.h>
#include <stdlib.h>

#define CERT_COLUMNS                                                                               \
	"SELECT cert.id, cert.fp, cert.serial, cert.name, device.name, cert.profile, ca.subject, " \
	"cert.status, cert.not_before, cert.not_after, cert.issued_at, cert.issued_by, cert.via, " \
	"cert.revoked_at, cert.reason, cert.der FROM cert "                                        \
	"LEFT JOIN device ON device.id = cert.device_id LEFT JOIN ca ON ca.id = cert.ca_id "

static const char *status_word(int64_t status, bool expired)
{
	static const char *const word[] = {
		[CERT_GOOD] = "good",       [CERT_REVOKED] = "revoked",
		[CERT_HOLD] = "hold",       [CERT_SUPERSEDED] = "superseded",
		[CERT_PENDING] = "pending",
	};
	if (status == CERT_GOOD && expired)
		return "expired";
	return status >= 0 && status < (int64_t)ARRAY_LEN(word) ? word[status] : "unknown";
}

static void put_row(struct store *s, const struct sql_query *q, struct buf *out)
{
	const int64_t not_after = sql_at_int(q, 9);
	rec_bytes(out, "fingerprint", sql_at_str(q, 1));
	rec_bytes(out, "serial", sql_at_str(q, 2));
	rec_str(out, "name", sql_at_str(q, 3));
	op_put_str(out, "device", sql_at_str(q, 4));
	rec_str(out, "profile", sql_at_str(q, 5));
	op_put_str(out, "issuer", sql_at_str(q, 6));
	rec_text(out, "status",
		 status_word(sql_at_int(q, 7), not_after <= timefloor_now(&s->floor)));
	op_put_time(out, "not_before", sql_at_int(q, 8));
	op_put_time(out, "not_after", not_after);
	op_put_time(out, "issued_at", sql_at_int(q, 10));
	rec_str(out, "issued_by", sql_at_str(q, 11));
	rec_str(out, "via", sql_at_str(q, 12));
	op_put_time(out, "revoked_at", sql_at_int(q, 13));
	if (sql_at_null(q, 14))
		rec_null(out, "reason");
	else
		rec_text(out, "reason", cert_reason_word((int)sql_at_int(q, 14)));
}

void cert_put(struct store *s, int64_t id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, CERT_COLUMNS "WHERE cert.id = ?", sql_int(id));
	if (sql_next(&q))
		put_row(s, &q, out);
}

static void put_all(struct store *s, struct sql_query *q, const char *name, struct buf *out)
{
	rec_list(out, name);
	while (sql_next(q)) {
		rec_object(out, "");
		put_row(s, q, out);
		rec_end(out);
	}
	rec_end(out);
}

void cert_put_of_device(struct store *s, int64_t device_id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 CERT_COLUMNS "WHERE cert.device_id = ? ORDER BY cert.id DESC "
					      "LIMIT 100",
				 sql_int(device_id));
	put_all(s, &q, "certificates", out);
}

/* ---- list ---- */

/* Those that end between these times; before 0: it does not matter. */
struct ending {
	int64_t after;
	int64_t before;
};

static void put_item(struct op_call *c, const struct sql_query *q)
{
	put_row(c->s, q, &c->result);
}

/* What narrows a list; each may be NULL. Where few fit they are found by an index, never by reading
 * the rows, which are wide. */
struct narrowing {
	struct sql_value good; /* any number: that count */
	struct sql_value
		status; /* enum cert_status of others; of CERT_GOOD those that have ended */
	struct sql_value server;    /* 1: of the gateway itself, 0: of devices */
	struct sql_value match;     /* for LIKE, of the device's name */
	struct sql_value digits[4]; /* cert_range_values */
	struct buf pattern;
	struct cert_range range;
};

#define NARROWED                                                                                  \
	"(?3 IS NULL OR cert.status = 0 AND cert.not_after > ?11) AND (?4 IS NULL OR cert.id IN " \
	"(SELECT c.id FROM cert AS c WHERE c.status = ?4 AND (?4 <> 0 OR c.not_after <= ?11))) "  \
	"AND (?5 IS NULL OR (cert.profile = 'server') = ?5) AND (?6 IS NULL OR cert.id IN ("      \
	"SELECT c.id FROM cert AS c WHERE c.device_id IN (SELECT id FROM device WHERE name LIKE " \
	"?6 ESCAPE '\\') UNION SELECT c.id FROM cert AS c WHERE c.fp BETWEEN ?7 AND ?8 UNION "    \
	"SELECT c.id FROM cert AS c WHERE c.serial BETWEEN ?9 AND ?10)) "

static bool take_status(struct op_call *c, struct narrowing *n)
{
	struct str word;
	if (!op_str(c, "status", &word) || word.n == 0)
		return true;
	if (str_is(word, "good")) {
		n->good = sql_int(1);
		return true;
	}
	for (int64_t i = CERT_GOOD; i <= CERT_PENDING; i++) {
		if (!str_is(word, status_word(i, i == CERT_GOOD)))
			continue;
		n->status = sql_int(i);
		return true;
	}
	op_refuse(c, OP_INVALID, "status",
		  "\"%.*s\" is no status of a certificate; allowed are good, expired, revoked, "
		  "hold, superseded, pending",
		  STR_ARG(word));
	return false;
}

static bool take_of(struct op_call *c, struct narrowing *n)
{
	const struct str of = op_text(c, "of", "");
	if (of.n == 0)
		return true;
	n->server = sql_int(str_is(of, "gateway"));
	if (str_is(of, "gateway") || str_is(of, "devices"))
		return true;
	op_refuse(c, OP_INVALID, "of", "of is \"%.*s\"; allowed are devices and gateway",
		  STR_ARG(of));
	return false;
}

static bool take_narrowing(struct op_call *c, struct narrowing *n)
{
	struct str match;
	n->good = n->status = n->server = n->match = sql_null();
	for (size_t i = 0; i < ARRAY_LEN(n->digits); i++)
		n->digits[i] = sql_null();
	if (op_str(c, "match", &match) && match.n) {
		sql_like_part(match, &n->pattern);
		n->match = sql_str(buf_view(&n->pattern));
		if (cert_range(match, &n->range))
			cert_range_values(&n->range, n->digits);
	}
	return take_status(c, n) && take_of(c, n);
}

static void list_all(struct op_call *c, int64_t limit)
{
	static const char *const query[] = {
		CERT_COLUMNS "WHERE cert.id > ?1 AND " NARROWED "ORDER BY cert.id LIMIT ?2",
		CERT_COLUMNS "WHERE (?1 = 0 OR cert.id < ?1) AND " NARROWED
			     "ORDER BY cert.id DESC LIMIT ?2"};
	uint64_t after;
	struct narrowing n = {0};
	const struct str order = op_text(c, "order", "asc");
	const bool newest = str_is(order, "desc");
	if (!newest && !str_is(order, "asc")) {
		op_refuse(c, OP_INVALID, "order", "order is \"%.*s\"; allowed are asc and desc",
			  STR_ARG(order));
		return;
	}
	if (op_number_cursor(c, &after) && take_narrowing(c, &n)) {
		AUTO_QUERY q = SQL_QUERY(c->s->registry, query[newest], sql_int((int64_t)after),
					 sql_int(limit + 1), n.good, n.status, n.server, n.match,
					 n.digits[0], n.digits[1], n.digits[2], n.digits[3],
					 sql_int(timefloor_now(&c->s->floor)));
		op_answer_page(c, &q, limit, put_item);
	}
	buf_fini(&n.pattern);
}

static void list_of_device(struct op_call *c, struct str device, struct ending ends, int64_t limit)
{
	uint64_t after;
	int64_t id = 0;
	if (!op_number_cursor(c, &after) || !op_find_device(c, "device", device, &id))
		return;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		CERT_COLUMNS
		"WHERE cert.device_id = ?1 AND cert.id > ?2 AND (?3 = 0 OR (cert.status = 0 "
		"AND cert.not_after BETWEEN ?4 AND ?3)) ORDER BY cert.id LIMIT ?5",
		sql_int(id), sql_int((int64_t)after), sql_int(ends.before), sql_int(ends.after),
		sql_int(limit + 1));
	op_answer_page(c, &q, limit, put_item);
}

/* The soonest first, so the cursor is where the page ended: "not_after.id". */
static bool take_ending_cursor(struct op_call *c, uint64_t *end, uint64_t *id)
{
	struct str after;
	*end = *id = 0;
	if (!op_str(c, "after", &after))
		return true;
	const struct str first = str_split(&after, '.');
	if (str_u64(first, INT64_MAX, end) == 0 && str_u64(after, INT64_MAX, id) == 0)
		return true;
	op_refuse(c, OP_INVALID, "after",
		  "after is no cursor of this list: use next of the page before");
	return false;
}

static void list_ending(struct op_call *c, struct ending ends, int64_t limit)
{
	char cursor[48] = "";
	struct str next = {NULL, 0};
	uint64_t end, id;
	if (!take_ending_cursor(c, &end, &id))
		return;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		CERT_COLUMNS
		"WHERE cert.status = 0 AND cert.not_after BETWEEN max(?1, ?3) AND ?2 AND "
		"(cert.not_after, cert.id) > (?3, ?4) ORDER BY cert.not_after, cert.id LIMIT ?5",
		sql_int(ends.after), sql_int(ends.before), sql_int((int64_t)end),
		sql_int((int64_t)id), sql_int(limit + 1));
	rec_list(&c->result, "items");
	while (sql_next(&q)) {
		if (limit-- == 0) {
			next = str_of(cursor);
			break;
		}
		snprintf(cursor, sizeof(cursor), "%lld.%lld", (long long)sql_at_int(&q, 9),
			 (long long)sql_at_int(&q, 0));
		rec_object(&c->result, "");
		put_item(c, &q);
		rec_end(&c->result);
	}
	op_end_items(c, &q, next);
}

void op_cert_list(struct op_call *c)
{
	struct str device;
	int64_t limit;
	int64_t expiring;
	struct ending ends = {timefloor_now(&c->s->floor), 0};
	if (!op_limit(c, &limit))
		return;
	if (op_int(c, "expiring", &expiring))
		ends.before = ends.after + expiring;
	if (op_str(c, "device", &device) || ends.before) {
		static const char *const others[] = {"match", "status", "of", "order"};
		struct str given;
		for (size_t i = 0; i < ARRAY_LEN(others); i++) {
			if (!op_str(c, others[i], &given) || given.n == 0)
				continue;
			op_refuse(c, OP_INVALID, others[i],
				  "%s cannot be said together with device or expiring", others[i]);
			return;
		}
	}
	if (op_str(c, "device", &device))
		list_of_device(c, device, ends, limit);
	else if (ends.before)
		list_ending(c, ends, limit);
	else
		list_all(c, limit);
}

/* ---- show, add ---- */

void op_cert_show(struct op_call *c)
{
	struct str id_text;
	int64_t id;
	AUTO_BUF pem = {0};
	op_str(c, "id", &id_text);
	if (!cert_find(c, id_text, &id))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry, CERT_COLUMNS "WHERE cert.id = ?", sql_int(id));
	if (!sql_next(&q)) {
		op_refuse_sql(c, q.error ? q.error : ERR_NOT_FOUND);
		return;
	}
	put_row(c->s, &q, &c->result);
	certificate_pem(sql_at_str(&q, 15), &pem);
	rec_str(&c->result, "pem", buf_view(&pem));
	sql_query_end(&q);
	op_done(c);
}

static void insert_cert(struct op_call *c, const struct body_issue_done *issued)
{
	struct str name;
	int64_t id;
	op_str(c, "device", &name);
	if (!op_find_device(c, "device", name, &id))
		return;
	change_begin(c);
	rec_str(&c->result, "device", name);
	issue_store(c, name, id, issued);
	change_commit(c);
}

void op_cert_add(struct op_call *c)
{
	struct str name;
	int64_t id;
	char uuid[37] = "";
	op_str(c, "device", &name);
	if (!op_find_device(c, "device", name, &id) || !issue_check(c, name, id))
		return;
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry, "SELECT uuid FROM device WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		snprintf(uuid, sizeof(uuid), "%.*s", STR_ARG(sql_at_str(&q, 0)));
	sql_query_end(&q);
	issue_ask(c, name, str_of(uuid), insert_cert);
}

void cert_put_servers(struct store *s, struct buf *out)
{
	AUTO_QUERY q =
		SQL_QUERY(s->registry,
			  CERT_COLUMNS "WHERE cert.profile = 'server' AND cert.status = 0 AND "
				       "cert.not_after > ? ORDER BY cert.id",
			  sql_int(timefloor_now(&s->floor)));
	put_all(s, &q, "server_certificates", out);
}
