/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounds of the audit log: see audit.h.
 */
#include "db/audit.h"
#include "db/store.h"

enum { EVERY_MS = 60 * 60 * 1000, SOON_MS = 50, PORTION = 500 };

/* Rows are written in the order of their times, and numbers are never used twice. */
static int64_t last_to_go(struct store *s)
{
	const struct audit_settings *a = &s->audit.settings;
	int64_t by_age = 0;
	int64_t newest = 0;
	if (a->keep_s)
		SQL_GET_INT(s->registry, &by_age,
			    "SELECT coalesce(max(id), 0) FROM (SELECT id FROM audit WHERE at < ?1 "
			    "AND id < (SELECT min(id) FROM audit) + ?2)",
			    sql_int(timefloor_now(&s->floor) - a->keep_s), sql_int(PORTION));
	if (a->max_rows)
		SQL_GET_INT(s->registry, &newest, "SELECT coalesce(max(id), 0) FROM audit");
	return MAX(by_age, newest - (a->max_rows ? a->max_rows : newest));
}

bool audit_purge(struct store *s)
{
	int64_t first = 0;
	if (!timefloor_ok(&s->floor) ||
	    !SQL_GET_INT(s->registry, &first, "SELECT coalesce(min(id), 0) FROM audit"))
		return false;
	const int64_t to_go = last_to_go(s);
	const int64_t last = MIN(to_go, first + PORTION - 1);
	if (first == 0 || last < first)
		return false;
	sql_begin(s->registry);
	SQL_RUN(s->registry, "DELETE FROM revision WHERE audit_id <= ?", sql_int(last));
	SQL_RUN(s->registry, "DELETE FROM audit WHERE id <= ?", sql_int(last));
	const int err = sql_commit(s->registry);
	if (err)
		store_registry_failed(s, err);
	return !err;
}

static void purge(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, audit.timer);
	const uint64_t in_ms = job_writes(s) ? JOB_RETRY_MS : audit_purge(s) ? SOON_MS : EVERY_MS;
	loop_timer_start(s->loop, t, "audit", in_ms, purge);
}

void audit_set(struct store *s, const struct audit_settings *settings)
{
	s->audit.settings = *settings;
	loop_timer_start(s->loop, &s->audit.timer, "audit", SOON_MS, purge);
}

void audit_stop(struct store *s)
{
	loop_timer_stop(s->loop, &s->audit.timer);
}
