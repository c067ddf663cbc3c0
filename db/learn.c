/* SPDX-License-Identifier: Apache-2.0
 *
 * What devices in learn mode did, and the end of the learn mode: see learn.h. Nobody asks for
 * either: there is no audit row, but an event at the end.
 */
#include "db/learn.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/ipc/rec.h"
#include "db/change.h"
#include "db/registry.h"

#include <stdlib.h>

enum { AT_ONCE = 100 };

/* ---- what was done ---- */

/* One more of something that is there already: as it is, or under a "+". */
static bool count_known(struct sql *db, const struct body_learned_topic *b, int64_t now)
{
	const struct acl_who nobody = {0};
	AUTO_BUF known = {0};
	SQL_RUN(db,
		"UPDATE learned SET times = times + ?, last = ? WHERE device_id = ? AND action = ? "
		"AND topic = ?",
		sql_int(b->times), sql_int(now), sql_int((int64_t)b->device_id), sql_int(b->action),
		sql_str(b->topic));
	if (sql_changes(db) || b->action != ACL_PUBLISH)
		return sql_changes(db) > 0;
	AUTO_QUERY q = SQL_QUERY(db,
				 "SELECT topic FROM learned WHERE device_id = ? AND action = 1 AND "
				 "instr(topic, '+')",
				 sql_int((int64_t)b->device_id));
	while (known.n == 0 && sql_next(&q))
		if (filter_match(sql_at_str(&q, 0), &nobody, b->topic, NULL))
			buf_str(&known, sql_at_str(&q, 0));
	sql_query_end(&q);
	if (known.n)
		SQL_RUN(db,
			"UPDATE learned SET times = times + ?, last = ? WHERE device_id = ? AND "
			"action = 1 AND topic = ?",
			sql_int(b->times), sql_int(now), sql_int((int64_t)b->device_id),
			sql_str(buf_view(&known)));
	return known.n > 0;
}

static int64_t rows_of(struct sql *db, uint64_t device_id)
{
	int64_t n = 0;
	SQL_GET_INT(db, &n, "SELECT count(*) FROM learned WHERE device_id = ? AND action > 0",
		    sql_int((int64_t)device_id));
	return n;
}

static void insert(struct sql *db, uint64_t device_id, unsigned action, struct str topic,
		   const struct learn_topic *use)
{
	SQL_RUN(db,
		"INSERT INTO learned VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET "
		"times = times + ?4, last = max(last, ?6)",
		sql_int((int64_t)device_id), sql_int(action), sql_str(topic), sql_int(use->times),
		sql_int(use->first), sql_int(use->last));
}

/* Makes fewer rows of many similar ones. */
static void compact(struct sql *db, uint64_t device_id)
{
	AUTO_LEARN_TOPICS topics = {0};
	AUTO_QUERY q = SQL_QUERY(db,
				 "SELECT topic, action, times, first, last FROM learned "
				 "WHERE device_id = ? AND action > 0",
				 sql_int((int64_t)device_id));
	while (sql_next(&q)) {
		const struct learn_topic use = {NULL, (unsigned)sql_at_int(&q, 1),
						sql_at_int(&q, 2), sql_at_int(&q, 3),
						sql_at_int(&q, 4)};
		learn_topics_add(&topics, sql_at_str(&q, 0), STR(""), &use);
	}
	sql_query_end(&q);
	learn_topics_generalise(&topics, false);
	SQL_RUN(db, "DELETE FROM learned WHERE device_id = ? AND action > 0",
		sql_int((int64_t)device_id));
	for (size_t i = 0; i < topics.n; i++)
		insert(db, device_id, topics.p[i].actions, str_of(topics.p[i].topic), &topics.p[i]);
}

static void take(struct sql *db, const struct body_learned_topic *b, int64_t now)
{
	const struct learn_topic use = {NULL, b->action, b->times, now, now};
	int64_t id;
	if (!SQL_GET_INT(db, &id, "SELECT id FROM device WHERE id = ?",
			 sql_int((int64_t)b->device_id)) ||
	    count_known(db, b, now))
		return;
	if (b->action && rows_of(db, b->device_id) >= LEARN_ROWS) {
		compact(db, b->device_id);
		if (count_known(db, b, now))
			return;
	}
	const bool room = b->action && rows_of(db, b->device_id) < LEARN_ROWS;
	insert(db, b->device_id, room ? b->action : 0, room ? b->topic : STR(""), &use);
}

int learn_take(struct store *s, struct str topics)
{
	struct cur c = cur_of(topics);
	struct str record;
	struct body_learned_topic b;
	bool right = true;
	sql_begin(s->registry);
	while (right && entries_next(&c, &record)) {
		right = body_learned_topic_get(record, &b) == 0 && b.action <= ACL_SUBSCRIBE &&
			str_is_utf8(b.topic) && (b.action == 0) == (b.topic.n == 0);
		if (right)
			take(s->registry, &b, timefloor_now(&s->floor));
	}
	const int err = sql_commit(s->registry);
	if (err)
		store_registry_failed(s, err);
	return right && cur_ok(&c) ? 0 : ERR_MALFORMED;
}

/* ---- the end ---- */

static void raise_ended(struct store *s, const char *subject)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "subject", subject);
	const struct body_event fields = {
		.event = EVENT_LEARN_ENDED,
		.time_ms = clock_wall_ms(),
		.actor = STR("store"),
		.reason = STR("its time is over"),
		.detail = buf_view(&detail),
	};
	events_add(s->events, &fields,
		   strncmp(subject, "device:", 7) == 0 ? str_of(subject + 7) : STR(""));
}

struct over {
	int64_t rule;
	char *subject;
};

static size_t collect(struct store *s, struct over out[AT_ONCE])
{
	size_t n = 0;
	AUTO_QUERY q = SQL_QUERY(
		s->registry,
		"SELECT rule.id, CASE WHEN device.id IS NOT NULL THEN 'device:' || device.name "
		"ELSE 'role:' || role.name END FROM rule LEFT JOIN device ON device.id = "
		"rule.device_id LEFT JOIN role ON role.id = rule.role_id WHERE learn_until <= ? "
		"LIMIT ?",
		sql_int(timefloor_now(&s->floor)), sql_int(AT_ONCE));
	while (n < AT_ONCE && sql_next(&q)) {
		out[n].rule = sql_at_int(&q, 0);
		out[n++].subject = str_dup(sql_at_str(&q, 1));
	}
	return n;
}

static void end(struct store *s, const struct over *over, size_t n)
{
	struct sql *db = s->registry;
	AUTO_BUF entries = {0};
	sql_begin(db);
	for (size_t i = 0; i < n; i++) {
		SQL_RUN(db, "DELETE FROM rule WHERE id = ?", sql_int(over[i].rule));
		registry_put_rule_gone(over[i].rule, &entries);
	}
	SQL_RUN(db, "UPDATE meta SET value = value + ? WHERE name = 'registry-seq'",
		sql_int(deltas_count(buf_view(&entries))));
	const int err = sql_commit(db);
	if (err) {
		store_registry_failed(s, err);
		return;
	}
	deltas_send(s, NULL, buf_view(&entries));
	for (size_t i = 0; i < n; i++)
		raise_ended(s, over[i].subject);
}

void learn_look(struct store *s)
{
	struct over over[AT_ONCE];
	const size_t n = timefloor_ok(&s->floor) ? collect(s, over) : 0;
	if (n)
		end(s, over, n);
	for (size_t i = 0; i < n; i++)
		free(over[i].subject);
}

static void look(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, learn_timer);
	const bool later = job_writes(s);
	loop_timer_start(s->loop, t, "end of learning", later ? JOB_RETRY_MS : LEARN_LOOK_MS, look);
	if (!later)
		learn_look(s);
}

void learn_start(struct store *s)
{
	look(&s->learn_timer);
}

void learn_stop(struct store *s)
{
	loop_timer_stop(s->loop, &s->learn_timer);
}
