/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of events: see events.h.
 */
#include "db/events.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"
#include "daemon/net/addr.h"
#include "db/event_line.h"
#include "db/migrate.h"
#include "db/rate.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	SOURCES_MAX =
		65536, /* kinds and sources remembered; further ones share a bucket per kind */
	SWEEP_MS = 1000,
	RETRY_MS = 1000,
	PURGE_MS = 60 * 1000,
	PURGE_ROWS = 5000, /* per turn: the loop must not stand still */
};

/* Events of one kind from one source. */
struct source {
	struct rate rate;
	uint64_t suppressed;
	uint16_t event;
	char address[65];
	char actor[65];
};

struct events {
	struct loop *loop;
	const char *dir;
	struct events_settings settings;
	struct sql *db;
	struct buf pending; /* per event: device name (strs), body_event (entries) */
	uint64_t dropped;   /* for want of room in pending */
	uint64_t suppressed;
	int trouble; /* 0, or why the last write failed */
	bool may_purge;
	int64_t first;
	int64_t last;
	struct map sources;
	struct list waiters;
	struct loop_timer flush_timer;
	struct loop_timer sweep_timer;
	struct loop_timer purge_timer;
};

/* ---- writing ---- */

static struct sql_value text_or_null(struct str s)
{
	return s.n ? sql_str(s) : sql_null();
}

static void insert(struct sql *db, const struct body_event *e, struct str device)
{
	SQL_RUN(db,
		"INSERT INTO event(time_ms, name, severity, device, actor, client_id, address, "
		"listener, reason, detail) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		sql_int((int64_t)e->time_ms), sql_text(event_name(e->event)),
		sql_int(event_severity(e->event)), text_or_null(device), text_or_null(e->actor),
		text_or_null(e->client_id), text_or_null(e->address), text_or_null(e->listener),
		text_or_null(e->reason), e->detail.n ? sql_blob(e->detail) : sql_null());
}

static void wake(struct events *e)
{
	struct list woken;
	list_init(&woken);
	while (!list_empty(&e->waiters)) {
		struct list *node = e->waiters.next;
		list_remove(node);
		list_append(&woken, node);
	}
	while (!list_empty(&woken)) {
		struct events_waiter *w = list_entry(woken.next, struct events_waiter, node);
		list_remove(&w->node);
		w->woken(w);
	}
}

static int write_pending(struct events *e)
{
	struct cur c = cur_of(buf_view(&e->pending));
	struct str entry;
	sql_begin(e->db);
	while (cur_left(&c)) {
		struct str rest = str_make(c.p, cur_left(&c));
		struct str device;
		struct body_event body;
		CHECK(strs_next(&rest, &device));
		c = cur_of(rest);
		CHECK(entries_next(&c, &entry) && body_event_get(entry, &body) == 0);
		insert(e->db, &body, device);
	}
	const int64_t last = sql_last_id(e->db);
	const int err = sql_commit(e->db);
	if (!err)
		e->last = last;
	return err;
}

static void read_range(struct events *e)
{
	e->first = e->last = 0;
	SQL_GET_INT(e->db, &e->first, "SELECT seq FROM event ORDER BY seq LIMIT 1");
	SQL_GET_INT(e->db, &e->last, "SELECT seq FROM event ORDER BY seq DESC LIMIT 1");
}

static void told_aside(struct events *e, const char *name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "file", name);
	log_error("events.db was damaged: it was set aside as %s and a new one started", name);
	events_raise(e, EVENT_DATABASE_SET_ASIDE, "events.db was damaged", buf_view(&detail));
}

/* A file that was closed because it is damaged: continues with a new one. What is pending is kept.
 */
static int start_new(struct events *e)
{
	struct opened opened;
	struct why why;
	const int err = migrate_replace(DATABASE_EVENTS, e->dir, &opened, &why);
	if (err) {
		if (!e->trouble)
			log_error("%s", why.text);
		e->trouble = err;
		return err;
	}
	e->db = opened.db;
	AUTO_CHAR aside = opened.set_aside;
	told_aside(e, aside);
	read_range(e);
	return 0;
}

static void failed(struct events *e, int err)
{
	if (e->trouble)
		return;
	e->trouble = err;
	if (err == ERR_LIMIT)
		log_error("events.db: no space left on the disk; events wait in memory");
	else
		log_error("events.db cannot be written: %s; events wait in memory", sql_why(e->db));
}

static void recovered(struct events *e)
{
	const int trouble = e->trouble;
	if (!trouble)
		return;
	e->trouble = 0;
	log_notice("events.db is written again; %llu events were lost",
		   (unsigned long long)e->dropped);
	AUTO_BUF detail = {0};
	rec_int(&detail, "dropped", (int64_t)e->dropped);
	e->dropped = 0;
	events_raise(e, trouble == ERR_LIMIT ? EVENT_DISK_FULL : EVENT_LIMIT_REACHED,
		     "events could not be stored for a while", buf_view(&detail));
}

int events_flush(struct events *e)
{
	loop_timer_stop(e->loop, &e->flush_timer);
	int err = e->db ? 0 : start_new(e);
	if (err || e->pending.n == 0)
		return err;
	err = write_pending(e);
	if (err == ERR_MALFORMED) {
		sql_close(TAKE(e->db));
		err = start_new(e);
		if (!err)
			err = write_pending(e);
	}
	if (err) {
		failed(e, err);
		return err;
	}
	buf_fini(&e->pending);
	if (e->first == 0)
		read_range(e);
	recovered(e);
	wake(e);
	return 0;
}

static void flush_due(struct loop_timer *t);

static void plan_flush(struct events *e)
{
	if (!loop_timer_running(&e->flush_timer))
		loop_timer_start(e->loop, &e->flush_timer, "events flush",
				 e->trouble ? RETRY_MS : e->settings.commit_interval_ms, flush_due);
}

static void flush_due(struct loop_timer *t)
{
	struct events *e = container_of(t, struct events, flush_timer);
	if (events_flush(e))
		plan_flush(e);
}

static void store(struct events *e, const struct body_event *fields, struct str device)
{
	if (e->pending.n > EVENTS_PENDING_MAX) {
		e->dropped++;
		return;
	}
	strs_put(&e->pending, device);
	ENTRIES_PUT(&e->pending, event, fields);
	plan_flush(e);
}

/* ---- limiting ---- */

/* The peer's address with or without its port: every connection of a scanner has another one. */
static bool parse_address(struct str text, struct addr *out)
{
	return addr_parse_ip(text, out) == 0 || addr_parse(text, out) == 0;
}

static uint64_t source_key(const struct body_event *fields, bool shared)
{
	struct {
		uint64_t event;
		uint64_t source;
	} key = {.event = fields->event};
	struct addr addr;
	if (shared)
		key.source = 0;
	else if (parse_address(fields->address, &addr))
		key.source = addr_key(&addr);
	else
		key.source = hash_str(fields->address.n ? fields->address : fields->actor);
	return hash_bytes(&key, sizeof(key));
}

static void copy_text(char to[65], struct str s)
{
	snprintf(to, 65, "%.*s", (int)MIN(s.n, (size_t)64), s.n ? s.p : "");
}

static struct source *find_source(struct events *e, const struct body_event *fields)
{
	const uint64_t own = source_key(fields, false);
	struct source *s = map_get(&e->sources, MAP_KEY(own));
	if (s)
		return s;
	const uint64_t shared = source_key(fields, true);
	const bool full = e->sources.n >= SOURCES_MAX;
	s = full ? map_get(&e->sources, MAP_KEY(shared)) : NULL;
	if (s)
		return s;
	s = mem_new(struct source);
	s->event = fields->event;
	copy_text(s->address, full ? STR("") : fields->address);
	copy_text(s->actor, full ? STR("") : fields->actor);
	map_set(&e->sources, full ? MAP_KEY(shared) : MAP_KEY(own), s);
	return s;
}

/* "N more were not stored": passes no limit itself, there is one a second. */
static void tell_suppressed(struct events *e, struct source *s)
{
	char reason[64];
	AUTO_BUF detail = {0};
	snprintf(reason, sizeof(reason), "%llu more were not stored",
		 (unsigned long long)s->suppressed);
	rec_int(&detail, "suppressed", (int64_t)s->suppressed);
	const struct body_event summary = {
		.event = s->event,
		.time_ms = clock_wall_ms(),
		.actor = str_of(s->actor),
		.address = str_of(s->address),
		.reason = str_of(reason),
		.detail = buf_view(&detail),
	};
	s->suppressed = 0;
	store(e, &summary, STR(""));
	log_notice("%s address=%s suppressed=%s", event_name(s->event), s->address, reason);
}

static void sweep(struct loop_timer *t)
{
	struct events *e = container_of(t, struct events, sweep_timer);
	const uint64_t now_us = loop_now_ms(e->loop) * 1000;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&e->sources, &at, &key, &value)) {
		struct source *s = value;
		if (s->suppressed)
			tell_suppressed(e, s);
		if (!rate_idle(&s->rate, now_us))
			continue;
		map_remove(&e->sources, key);
		free(s);
	}
	if (e->sources.n)
		loop_timer_start(e->loop, &e->sweep_timer, "events sweep", SWEEP_MS, sweep);
}

static enum log_level level_of(const struct events *e, enum event event)
{
	static const enum log_level level[SEVERITY_COUNT] = {
		[SEVERITY_DEBUG] = LOG_LEVEL_DEBUG,   [SEVERITY_INFO] = LOG_LEVEL_INFO,
		[SEVERITY_NOTICE] = LOG_LEVEL_NOTICE, [SEVERITY_WARNING] = LOG_LEVEL_WARNING,
		[SEVERITY_ERROR] = LOG_LEVEL_ERROR,   [SEVERITY_CRITICAL] = LOG_LEVEL_ERROR,
	};
	const bool end = event == EVENT_CLIENT_DISCONNECTED || event == EVENT_CONNECTION_CLOSED;
	return end && e->settings.access ? LOG_LEVEL_NOTICE : level[event_severity(event)];
}

static void log_event(const struct events *e, const struct body_event *fields, struct str device)
{
	const enum log_level at = level_of(e, fields->event);
	if (!log_enabled(at))
		return;
	AUTO_BUF line = {0};
	event_line(&line, fields, device);
	const struct log_field field[] = {
		{"GATEHOUSE_EVENT", str_of(event_name(fields->event))},
		{"GATEHOUSE_DEVICE", device},
		{"GATEHOUSE_ACTOR", fields->actor},
		{"GATEHOUSE_ADDRESS", fields->address},
		{"GATEHOUSE_LISTENER", fields->listener},
		{"GATEHOUSE_REASON", fields->reason},
		{"GATEHOUSE_CLIENT_ID", fields->client_id},
	};
	log_write_fields(at, field, ARRAY_LEN(field), "%s", buf_cstr(&line));
}

void events_add(struct events *e, const struct body_event *fields, struct str device)
{
	struct source *s = find_source(e, fields);
	const uint32_t rate = e->settings.rate_per_source;
	if (!loop_timer_running(&e->sweep_timer))
		loop_timer_start(e->loop, &e->sweep_timer, "events sweep", SWEEP_MS, sweep);
	if (!rate_take(&s->rate, rate, rate, clock_mono_ms() * 1000)) {
		s->suppressed++;
		e->suppressed++;
		return;
	}
	log_event(e, fields, device);
	store(e, fields, device);
}

uint64_t events_suppressed(const struct events *e)
{
	return e->suppressed;
}

void events_raise(struct events *e, enum event event, const char *reason, struct str detail)
{
	const struct body_event fields = {
		.event = (uint16_t)event,
		.time_ms = clock_wall_ms(),
		.actor = STR("store"),
		.reason = str_of(reason),
		.detail = detail,
	};
	events_add(e, &fields, STR(""));
}

/* ---- forgetting ---- */

static int64_t used_bytes(struct events *e)
{
	int64_t pages = 0;
	int64_t unused = 0;
	int64_t size = 0;
	SQL_GET_INT(e->db, &pages, "PRAGMA page_count");
	SQL_GET_INT(e->db, &unused, "PRAGMA freelist_count");
	SQL_GET_INT(e->db, &size, "PRAGMA page_size");
	return (pages - unused) * size;
}

/* Rows of which the events are gone, or were marked anew. */
static void forget_unused(struct events *e)
{
	SQL_RUN(e->db, "DELETE FROM acknowledgement WHERE NOT EXISTS (SELECT 1 FROM event WHERE "
		       "event.acknowledgement = acknowledgement.id)");
}

static bool purge_some(struct events *e)
{
	const int64_t oldest = (int64_t)(clock_wall_ms() - e->settings.keep_ms);
	const bool too_large = used_bytes(e) > (int64_t)e->settings.max_size;
	/* seq, not time: the file is in the order of arrival, and a clock may have jumped */
	SQL_RUN(e->db,
		"DELETE FROM event WHERE seq IN (SELECT seq FROM event ORDER BY seq LIMIT ?) AND "
		"(time_ms < ? OR ?)",
		sql_int(PURGE_ROWS), sql_int(oldest), sql_int(too_large));
	const bool more = sql_changes(e->db) == PURGE_ROWS;
	if (!more)
		forget_unused(e);
	return more;
}

static void purge_due(struct loop_timer *t)
{
	events_purge(container_of(t, struct events, purge_timer));
}

void events_purge(struct events *e)
{
	const bool more = e->db && e->may_purge && purge_some(e);
	if (e->db)
		read_range(e);
	loop_timer_start(e->loop, &e->purge_timer, "events purge", more ? 0 : PURGE_MS, purge_due);
}

/* ---- life ---- */

int events_open(struct loop *loop, const char *dir, const struct events_settings *settings,
		struct events **out)
{
	struct opened opened;
	struct why why;
	const int err = migrate_open(DATABASE_EVENTS, dir, &opened, &why);
	if (err) {
		log_error("%s", why.text);
		return err;
	}
	struct events *e = mem_new(struct events);
	e->loop = loop;
	e->dir = dir;
	e->settings = *settings;
	e->db = opened.db;
	e->may_purge = true;
	list_init(&e->waiters);
	read_range(e);
	AUTO_CHAR aside = opened.set_aside;
	if (aside)
		told_aside(e, aside);
	loop_timer_start(loop, &e->purge_timer, "events purge", PURGE_MS, purge_due);
	*out = e;
	return 0;
}

void events_close(struct events *e)
{
	events_flush(e);
	loop_timer_stop(e->loop, &e->flush_timer);
	loop_timer_stop(e->loop, &e->sweep_timer);
	loop_timer_stop(e->loop, &e->purge_timer);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&e->sources, &at, &key, &value))
		free(value);
	map_fini(&e->sources);
	buf_fini(&e->pending);
	if (e->db)
		sql_close(e->db);
	free(e);
}

void events_set(struct events *e, const struct events_settings *settings)
{
	e->settings = *settings;
}

void events_set_purge(struct events *e, bool allowed)
{
	e->may_purge = allowed;
}

static void mark(struct events *e, const struct events_choice *c, struct sql_value now, bool undo)
{
	if (!c->name.p) {
		SQL_RUN(e->db,
			"UPDATE event SET acknowledgement = ?1 WHERE seq = ?3 AND "
			"(acknowledgement IS NULL) = ?2",
			now, sql_int(!undo), sql_int(c->seq));
		return;
	}
	SQL_RUN(e->db,
		"UPDATE event SET acknowledgement = ?1 WHERE (acknowledgement IS NULL) = ?2 AND "
		"name = ?3 AND seq <= ?4 AND (?5 IS NULL OR coalesce(device, actor) = ?5 OR "
		"(device IS NULL AND actor IS NULL AND (address = ?5 OR "
		"substr(address, 1, length(?5) + 1) = ?5 || ':'))) AND "
		"(?6 IS NULL OR coalesce(reason, '') = ?6)",
		now, sql_int(!undo), sql_str(c->name), sql_int(c->seq), sql_str(c->who),
		sql_str(c->reason));
}

int events_acknowledge(struct events *e, const struct events_choice *choice, const char *actor,
		       struct str note, bool undo, int64_t *n)
{
	struct sql_value id = sql_null();
	sql_begin(e->db);
	if (!undo) {
		SQL_RUN(e->db,
			"INSERT INTO acknowledgement(at, administrator, note) VALUES(?, ?, ?)",
			sql_int(clock_wall()), sql_text(actor), sql_str(note));
		id = sql_int(sql_last_id(e->db));
	}
	mark(e, choice, id, undo);
	const int64_t marked = sql_changes(e->db);
	forget_unused(e);
	const int err = sql_commit(e->db);
	if (!err)
		*n = marked;
	return err;
}

struct sql *events_db(struct events *e)
{
	return e->db;
}

int64_t events_last(const struct events *e)
{
	return e->last;
}

int64_t events_first(const struct events *e)
{
	return e->first;
}

void events_wait(struct events *e, struct events_waiter *w)
{
	list_append(&e->waiters, &w->node);
}

void events_unwait(struct events_waiter *w)
{
	list_remove(&w->node);
}
