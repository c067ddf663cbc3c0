/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists: see lists.h. And the operation crl.show:
 *   items   list of {authority: str, name: str, number, entries: int, this_update, next_update:
 *           time, pem: str}; name is the last part of its address on the enrolment port
 */
#include "db/lists.h"
#include "certs/pem.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "db/ops.h"

#include <stdio.h>

enum {
	LOOK_MS = 60 * 1000,
	SOON_MS = 1000,
	SHARE = 10, /* of the time: making lists takes at most one part in this many */
	ASK_MS = 30000,
	AHEAD = 300, /* seconds that a list may be ahead of the clock, else the clock was wrong */
	NAME_DIGITS = 16,
	NAME_SIZE_CRL = NAME_DIGITS + sizeof(".crl"),
};

static void look(struct loop_timer *t);

static void look_in(struct store *s, uint64_t ms, bool soon)
{
	s->lists.soon = soon;
	loop_timer_start(s->loop, &s->lists.timer, "revocation lists", ms, look);
}

static void name_of(struct str fingerprint, char out[NAME_SIZE_CRL])
{
	hex_encode((const unsigned char *)fingerprint.p, NAME_DIGITS / 2, out);
	memcpy(out + NAME_DIGITS, ".crl", sizeof(".crl"));
}

/* ---- making ---- */

static int64_t put_entries(struct store *s, int64_t since, struct buf *out)
{
	int64_t n = 0;
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT serial, revoked_at, coalesce(reason, 0), status FROM cert "
				 "WHERE ca_id = ? AND status IN (1, 2, 3) AND not_after >= ?",
				 sql_int(s->lists.ca_id), sql_int(since));
	for (; sql_next(&q); n++) {
		const bool superseded = sql_at_int(&q, 3) == CERT_SUPERSEDED;
		const struct body_crl_entry e = {
			.serial = sql_at_str(&q, 0),
			.revoked_at = (uint64_t)sql_at_int(&q, 1),
			.reason = (uint8_t)(superseded ? REASON_SUPERSEDED : sql_at_int(&q, 2)),
		};
		ENTRIES_PUT(out, crl_entry, &e);
	}
	return n;
}

static void end_fresh(struct store *s, const char *why)
{
	lists_done *done = s->lists.fresh;
	s->lists.fresh = NULL;
	if (done)
		done(s->lists.fresh_arg, why);
}

static void failed(struct store *s, const char *why)
{
	end_fresh(s, why);
	if (!s->lists.failed)
		log_error("no new revocation list: %s; it is tried every minute", why);
	s->lists.failed = true;
	look_in(s, LOOK_MS, false);
}

static int keep(struct store *s, const struct body_sign_crl_done *done, struct str der)
{
	sql_begin(s->registry);
	SQL_RUN(s->registry,
		"INSERT INTO crl(ca_id, number, entries, this_update, next_update, der) "
		"VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(ca_id) DO UPDATE SET number = ?2, "
		"entries = ?3, this_update = ?4, next_update = ?5, der = ?6, "
		"stale = max(stale - ?7, 0)",
		sql_int(s->lists.ca_id), sql_int(s->lists.number), sql_int(s->lists.entries),
		sql_int((int64_t)done->this_update_at), sql_int((int64_t)done->next_update_at),
		sql_blob(der), sql_int(s->lists.stale));
	return sql_commit(s->registry);
}

static void take(struct store *s, const struct record *reply)
{
	struct body_sign_crl_done done;
	AUTO_BUF der = {0};
	char why[600];
	if (body_sign_crl_done_get(reply->body, &done)) {
		failed(s, "the vault's answer is damaged");
	} else if (done.status != OP_OK) {
		snprintf(why, sizeof(why), "%.*s", STR_ARG(done.why));
		failed(s, why);
	} else if (memfd_read(reply->fd, 128 * MiB, &der)) {
		failed(s, "the vault's list cannot be read");
	} else if (keep(s, &done, buf_view(&der))) {
		failed(s, sql_why(s->registry));
	} else {
		if (s->lists.failed)
			log_notice("revocation lists are made again");
		s->lists.failed = false;
		s->lists.took_ms = clock_mono_ms() - s->lists.began_ms;
		log_debug("revocation list %lld with %lld entries, %llu ms",
			  (long long)s->lists.number, (long long)s->lists.entries,
			  (unsigned long long)s->lists.took_ms);
		look_in(s, s->lists.fresh ? 0 : MAX((uint64_t)SOON_MS, SHARE * s->lists.took_ms),
			true);
	}
}

static void signed_(struct link_call *call, int err, struct record *reply)
{
	struct store *s = container_of(call, struct store, lists.call);
	s->lists.asking = false;
	job_look(s);
	if (err)
		failed(s, "the vault does not answer");
	else
		take(s, reply);
}

static void ask(struct store *s, struct str fingerprint, int64_t since)
{
	AUTO_BUF entries = {0};
	s->lists.began_ms = clock_mono_ms();
	s->lists.entries = put_entries(s, since, &entries);
	AUTO_FD fd = memfd_make("revoked", buf_view(&entries));
	if (fd < 0) {
		failed(s, "no memory for its entries");
		return;
	}
	const struct body_sign_crl body = {
		.authority = fingerprint,
		.number = (uint64_t)s->lists.number,
		.valid_s = s->lists.fresh ? s->lists.valid_s : LISTS_VALID,
	};
	s->lists.asking = true;
	LINK_ASK(s->peer[PROCESS_VAULT].link, &s->lists.call, SIGN_CRL, sign_crl, fd, &body, ASK_MS,
		 signed_);
}

/* The next list that is due, if any. The number is a time as well: it grows even when an older copy
 * of the registry was restored. */
static bool ask_next(struct store *s)
{
	const int64_t now = timefloor_now(&s->floor);
	unsigned char fp[32];
	AUTO_QUERY q = SQL_QUERY(
		s->registry,
		"SELECT ca.id, ca.fp, coalesce(number, 0), coalesce(this_update, 0), "
		"coalesce(stale, 0) FROM ca LEFT JOIN crl ON crl.ca_id = ca.id "
		"WHERE kind = 'issuing' AND state IN ('active', 'retiring') AND key = 'here' AND "
		"not_after > ?1 "
		"AND (crl.ca_id IS NULL OR stale OR this_update <= ?1 - ?2 "
		"OR this_update > ?1 + ?3) ORDER BY this_update IS NOT NULL, stale DESC LIMIT 1",
		sql_int(now), sql_int(LISTS_EVERY), sql_int(AHEAD));
	if (!sql_next(&q))
		return false;
	const struct str found = sql_at_str(&q, 1);
	memcpy(fp, found.p, MIN(found.n, sizeof(fp)));
	const int64_t since = sql_at_int(&q, 3);
	s->lists.ca_id = sql_at_int(&q, 0);
	s->lists.number = MAX(sql_at_int(&q, 2) + 1, now);
	s->lists.stale = sql_at_int(&q, 4);
	sql_query_end(&q);
	ask(s, str_make(fp, sizeof(fp)), since);
	return true;
}

/* Not the one in use alone: a device that has not renewed yet is on the list of the older. */
static void tell_ending(struct store *s)
{
	const int64_t now = timefloor_now(&s->floor);
	const int64_t until = lists_until(s);
	char when[CLOCK_TEXT];
	char reason[160];
	AUTO_BUF detail = {0};
	if (until == 0 || until - now >= LISTS_ENDING || now - s->lists.told_at < LISTS_EVERY)
		return;
	s->lists.told_at = now;
	snprintf(reason, sizeof(reason), "a revocation list %s at %s and none can be signed%s",
		 until > now ? "ends" : "ended", clock_format(until, when),
		 s->lists.failed ? ": see the log" : ": gatehouse ca unlock");
	op_put_time(&detail, "next_update", until);
	const struct body_event fields = {
		.event = EVENT_CA_LISTS_ENDING,
		.time_ms = clock_wall_ms(),
		.actor = STR("store"),
		.reason = str_of(reason),
		.detail = buf_view(&detail),
	};
	events_add(s->events, &fields, STR(""));
}

static void look(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, lists.timer);
	const bool able = s->peer[PROCESS_VAULT].link && timefloor_ok(&s->floor);
	s->lists.soon = false;
	if (job_writes(s)) {
		look_in(s, JOB_RETRY_MS, false);
		return;
	}
	if (able && (s->lists.asking || ask_next(s)))
		return;
	look_in(s, LOOK_MS, false);
	end_fresh(s, able ? NULL : "the vault is away, or the clock is wrong");
	if (able)
		tell_ending(s);
}

bool lists_fresh(struct store *s, uint32_t valid_s, lists_done *done, void *arg)
{
	if (s->lists.fresh)
		return false;
	s->lists.fresh = done;
	s->lists.fresh_arg = arg;
	s->lists.valid_s = valid_s;
	sql_run(s->registry,
		"UPDATE crl SET stale = stale + 1 WHERE ca_id IN (SELECT id FROM ca WHERE state IN "
		"('active', 'retiring') AND key = 'here')",
		NULL, 0);
	if (!s->lists.asking)
		look_in(s, 0, true);
	return true;
}

void lists_fresh_forget(struct store *s)
{
	s->lists.fresh = NULL;
}

int64_t lists_until(struct store *s)
{
	int64_t until = 0;
	SQL_GET_INT(s->registry, &until,
		    "SELECT min(next_update) FROM crl JOIN ca ON ca.id = ca_id WHERE state IN "
		    "('active', 'retiring') AND not_after > ?",
		    sql_int(timefloor_now(&s->floor)));
	return until;
}

void lists_start(struct store *s)
{
	if (!s->lists.soon && !s->lists.asking)
		look_in(s, 0, true);
}

void lists_changed(struct store *s)
{
	int64_t unused;
	if (s->ready && !s->lists.asking && !s->lists.soon &&
	    SQL_GET_INT(s->registry, &unused, "SELECT 1 FROM crl WHERE stale LIMIT 1"))
		look_in(s, SOON_MS, true);
}

void lists_stop(struct store *s)
{
	link_call_cancel(&s->lists.call);
	loop_timer_stop(s->loop, &s->lists.timer);
}

/* ---- giving ---- */

#define LISTS                                                                                \
	"SELECT ca.subject, ca.fp, number, entries, this_update, next_update, crl.der FROM " \
	"crl JOIN ca ON ca.id = ca_id WHERE state IN ('active', 'retiring') ORDER BY ca_id DESC"

static bool find(struct store *s, struct str name, struct buf *out)
{
	bool found = false;
	AUTO_QUERY q = SQL_QUERY(s->registry, LISTS);
	while (sql_next(&q)) {
		char its[NAME_SIZE_CRL];
		name_of(sql_at_str(&q, 1), its);
		if (name.n && !str_is(name, its))
			continue;
		found = true;
		if (name.n)
			buf_str(out, sql_at_str(&q, 6));
		else
			pem_put("X509 CRL", sql_at_str(&q, 6), out);
	}
	return found;
}

int lists_get(struct link *l, struct record *r)
{
	struct store *s = link_owner(l);
	struct body_crl_get b;
	AUTO_BUF list = {0};
	if (body_crl_get_get(r->body, &b))
		return ERR_MALFORMED;
	const bool found = find(s, b.name, &list);
	AUTO_FD fd = found ? memfd_make("list", buf_view(&list)) : -1;
	const struct body_crl_get_done done = {fd >= 0};
	LINK_SEND(l, CRL_GET_DONE, crl_get_done, r->id, fd, &done);
	return 0;
}

static void put_list(const struct sql_query *q, struct buf *out)
{
	char name[NAME_SIZE_CRL];
	AUTO_BUF pem = {0};
	name_of(sql_at_str(q, 1), name);
	pem_put("X509 CRL", sql_at_str(q, 6), &pem);
	rec_object(out, "");
	rec_str(out, "authority", sql_at_str(q, 0));
	rec_text(out, "name", name);
	rec_int(out, "number", sql_at_int(q, 2));
	rec_int(out, "entries", sql_at_int(q, 3));
	op_put_time(out, "this_update", sql_at_int(q, 4));
	op_put_time(out, "next_update", sql_at_int(q, 5));
	rec_str(out, "pem", buf_view(&pem));
	rec_end(out);
}

void op_ca_crl(struct op_call *c)
{
	size_t n = 0;
	AUTO_QUERY q = SQL_QUERY(c->s->registry, LISTS);
	rec_list(&c->result, "items");
	for (; sql_next(&q); n++)
		put_list(&q, &c->result);
	rec_end(&c->result);
	if (q.error)
		op_refuse_sql(c, q.error);
	else if (n == 0)
		op_refuse(
			c, OP_UNAVAILABLE, NULL,
			"no revocation list has been made yet: try again in a moment, and see the "
			"log if it stays so");
	else
		op_done(c);
}
