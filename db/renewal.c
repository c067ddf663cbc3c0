/* SPDX-License-Identifier: Apache-2.0
 *
 * Renewed certificates: see renewal.h. Nobody asked for this change: it has no audit row, but an
 * event.
 */
#include "db/renewal.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ipc/rec.h"
#include "db/change.h"
#include "db/registry.h"

enum { AT_ONCE = 100 };

static void raise_superseded(struct store *s, int64_t id)
{
	AUTO_BUF detail = {0};
	AUTO_QUERY q =
		SQL_QUERY(s->registry, "SELECT fp, serial, device_id, name FROM cert WHERE id = ?",
			  sql_int(id));
	if (!sql_next(&q))
		return;
	rec_bytes(&detail, "fingerprint", sql_at_str(&q, 0));
	rec_bytes(&detail, "serial", sql_at_str(&q, 1));
	const struct body_event fields = {
		.event = EVENT_CERTIFICATE_SUPERSEDED,
		.time_ms = clock_wall_ms(),
		.device_id = (uint64_t)sql_at_int(&q, 2),
		.actor = STR("store"),
		.detail = buf_view(&detail),
	};
	events_add(s->events, &fields, sql_at_str(&q, 3));
}

/* seen: the certificate that is used in place of these, 0: their time is over. */
static void supersede(struct store *s, const int64_t *ids, size_t n, int64_t seen)
{
	struct sql *db = s->registry;
	AUTO_BUF entries = {0};
	sql_begin(db);
	if (seen)
		SQL_RUN(db, "UPDATE cert SET seen = ? WHERE id = ?",
			sql_int(timefloor_now(&s->floor)), sql_int(seen));
	for (size_t i = 0; i < n; i++) {
		SQL_RUN(db,
			"UPDATE cert SET status = 3, reason = 4, revoked_at = ? WHERE id = ? AND "
			"status = 0",
			sql_int(timefloor_now(&s->floor)), sql_int(ids[i]));
		registry_put_cert(db, ids[i], &entries);
	}
	const int64_t parts = deltas_count(buf_view(&entries));
	if (parts)
		SQL_RUN(db, "UPDATE meta SET value = value + ? WHERE name = 'registry-seq'",
			sql_int(parts));
	const int err = sql_commit(db);
	if (err) {
		store_registry_failed(s, err);
		return;
	}
	deltas_send(s, NULL, buf_view(&entries));
	for (size_t i = 0; i < n; i++)
		raise_superseded(s, ids[i]);
}

/* The certificate of a record that was kept back. */
static int seen_later(struct store *s, enum process peer, struct record *r)
{
	(void)peer;
	renewal_seen(s, r->body);
	return 0;
}

void renewal_seen(struct store *s, struct str fingerprint)
{
	struct record later = {.body = fingerprint, .fd = -1};
	bool crowded;
	int64_t ids[1];
	int64_t good = 0;
	AUTO_QUERY q =
		SQL_QUERY(s->registry,
			  "SELECT new.id, old.id, old.status = 0 FROM cert AS new JOIN cert AS "
			  "old ON old.id = new.renews WHERE new.fp = ? AND new.seen IS NULL",
			  sql_blob(fingerprint));
	if (!sql_next(&q))
		return;
	const int64_t id = sql_at_int(&q, 0);
	ids[0] = sql_at_int(&q, 1);
	good = sql_at_int(&q, 2);
	sql_query_end(&q);
	if (!job_keep_back(s, PROCESS_STORE, &later, seen_later, &crowded))
		supersede(s, ids, good ? 1 : 0, id);
}

static void check(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, renewal_timer);
	int64_t ids[AT_ONCE];
	size_t n = 0;
	const bool later = job_writes(s);
	loop_timer_start(s->loop, t, "renewed certificates",
			 later ? JOB_RETRY_MS : RENEWAL_CHECK_MS, check);
	if (later || !timefloor_ok(&s->floor))
		return;
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT id FROM cert WHERE retire_at <= ? AND status = 0 LIMIT ?",
				 sql_int(timefloor_now(&s->floor)), sql_int(AT_ONCE));
	while (n < AT_ONCE && sql_next(&q))
		ids[n++] = sql_at_int(&q, 0);
	sql_query_end(&q);
	if (n)
		supersede(s, ids, n, 0);
}

void renewal_start(struct store *s)
{
	check(&s->renewal_timer);
}

void renewal_stop(struct store *s)
{
	loop_timer_stop(s->loop, &s->renewal_timer);
}
