/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of the spool: see spool_tables.h.
 */
#include "db/spool_tables.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "db/migrate.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	CACHE_KIB = 8192,
	CHECKPOINT_PAGES = 4000, /* of the log: 16 MiB */
	TOMBSTONE_S = 600,
	SPARE_MAX = 16 * MiB,  /* of the file, unused */
	UNKNOWN_TOLD_MAX = 10, /* log lines about rows that referred to nothing */
};

struct spool_undo {
	struct idmap *map;
	uint64_t key;
	uint64_t before; /* 0: it was not there */
};

void spool_batch_free(struct spool_batch *b)
{
	buf_fini(&b->records);
	free(b);
}

/* ---- memory that goes back when the transaction fails ---- */

static void set(struct idmap *map, uint64_t key, uint64_t value)
{
	if (value)
		*idmap_add(map, key, 0) = value;
	else
		idmap_remove(map, key, 0);
}

static uint64_t get(const struct idmap *map, uint64_t key)
{
	const uint64_t *v = idmap_find(map, key, 0);
	return v ? *v : 0;
}

static void change(struct spool_tables *t, struct idmap *map, uint64_t key, uint64_t value)
{
	const struct spool_undo u = {map, key, get(map, key)};
	buf_put(&t->undo, &u, sizeof(u));
	set(map, key, value);
}

static void undo(struct spool_tables *t)
{
	for (size_t n = t->undo.n; n; n -= sizeof(struct spool_undo)) {
		struct spool_undo u;
		memcpy(&u, t->undo.p + n - sizeof(u), sizeof(u));
		set(u.map, u.key, u.before);
	}
}

/* ---- messages and who refers to them ---- */

static void insert_message(struct spool_tables *t, uint64_t mid, const char *record)
{
	struct cur c = cur_make(record, sizeof(uint32_t));
	struct spool_record r;
	c = cur_make(record, sizeof(uint32_t) + cur_u32le(&c));
	CHECK(spool_next(&c, &r));
	const struct body_spool_message *m = &r.message;
	SQL_RUN(t->db, "INSERT OR REPLACE INTO message VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		sql_int((int64_t)mid), sql_int(m->qos), sql_int(m->retain),
		sql_int((int64_t)m->expires_ms), sql_int((int64_t)m->origin), sql_blob(m->topic),
		sql_blob(m->properties), sql_blob(m->payload));
}

/* Makes sure that the message is in its table, for a row that will refer to it. */
static bool have_message(struct spool_tables *t, uint64_t mid)
{
	if (idmap_find(&t->messages, mid, 0))
		return true;
	const uint64_t *record = idmap_find(&t->offered, mid, 0);
	if (record) {
		insert_message(t, mid, (const char *)(uintptr_t)*record);
		return true;
	}
	if (t->unknown++ < UNKNOWN_TOLD_MAX)
		log_error("the broker wants message %llu kept for a receiver, but never sent it: "
			  "dropped",
			  (unsigned long long)mid);
	return false;
}

static void refer(struct spool_tables *t, uint64_t mid)
{
	change(t, &t->messages, mid, get(&t->messages, mid) + 1);
}

static void unrefer(struct spool_tables *t, uint64_t mid)
{
	const uint64_t n = get(&t->messages, mid);
	if (n == 0)
		return;
	change(t, &t->messages, mid, n - 1);
	if (n == 1)
		SQL_RUN(t->db, "DELETE FROM message WHERE mid = ?", sql_int((int64_t)mid));
}

/* ---- records ---- */

static void put_session(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_session *s = &r->session;
	SQL_RUN(t->db, "INSERT OR REPLACE INTO session VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		sql_int((int64_t)s->sid), sql_int((int64_t)s->device_id), sql_int(s->expiry),
		sql_int((int64_t)s->disconnected_ms), sql_int((int64_t)s->will_due_ms),
		sql_blob(s->client_id), sql_blob(s->will), sql_blob(s->more));
	if (!idmap_find(&t->sessions, s->sid, 0))
		change(t, &t->sessions, s->sid, 1);
}

static void drop_session(struct spool_tables *t, const struct spool_record *r)
{
	const struct sql_value sid = sql_int((int64_t)r->session_gone.sid);
	AUTO_QUERY q = SQL_QUERY(t->db, "SELECT mid FROM queue WHERE sid = ?", sid);
	while (sql_next(&q)) {
		unrefer(t, (uint64_t)sql_at_int(&q, 0));
		t->counts.queued--;
	}
	SQL_RUN(t->db, "DELETE FROM queue WHERE sid = ?", sid);
	SQL_RUN(t->db, "DELETE FROM received WHERE sid = ?", sid);
	SQL_RUN(t->db, "DELETE FROM subscription WHERE sid = ?", sid);
	SQL_RUN(t->db, "DELETE FROM session WHERE sid = ?", sid);
	change(t, &t->sessions, r->session_gone.sid, 0);
}

static bool is_session(const struct spool_tables *t, uint64_t sid)
{
	return idmap_find(&t->sessions, sid, 0) != NULL;
}

static void put_sub(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_sub *s = &r->sub;
	if (!is_session(t, s->sid))
		return;
	SQL_RUN(t->db, "INSERT OR REPLACE INTO subscription VALUES(?, ?, ?, ?)",
		sql_int((int64_t)s->sid), sql_blob(s->filter), sql_int(s->options),
		sql_int(s->identifier));
}

static void drop_sub(struct spool_tables *t, const struct spool_record *r)
{
	SQL_RUN(t->db, "DELETE FROM subscription WHERE sid = ? AND filter = ?",
		sql_int((int64_t)r->sub_gone.sid), sql_blob(r->sub_gone.filter));
}

static void offer_message(struct spool_tables *t, const struct spool_record *r)
{
	(void)t;
	(void)r; /* apply_batch has noted where it stands; it is written when a row refers to it */
}

/* Is this row taken away later in the group? */
static bool cancelled(const struct spool_tables *t, uint64_t sid, uint64_t place)
{
	const uint64_t *at = idmap_find(&t->gone, sid, place);
	return at && *at > t->at;
}

static struct sql_value blob_or_null(struct str s)
{
	return s.n ? sql_blob(s) : sql_null();
}

static void put_queue(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_queue *q = &r->queue;
	if (cancelled(t, q->sid, q->place)) {
		t->cancelled++;
		return;
	}
	if (!is_session(t, q->sid) || !have_message(t, q->mid))
		return;
	SQL_RUN(t->db,
		"INSERT OR IGNORE INTO queue(sid, place, mid, queued_ms, qos, retain, share, ids) "
		"VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		sql_int((int64_t)q->sid), sql_int((int64_t)q->place), sql_int((int64_t)q->mid),
		sql_int((int64_t)q->queued_ms), sql_int(q->qos), sql_int(q->retain),
		blob_or_null(q->share), blob_or_null(q->ids));
	if (sql_changes(t->db) == 0)
		return;
	refer(t, q->mid);
	t->counts.queued++;
}

static void put_sent(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_sent *s = &r->sent;
	if (cancelled(t, s->sid, s->place))
		return;
	SQL_RUN(t->db, "UPDATE queue SET packet_id = ?, state = ? WHERE sid = ? AND place = ?",
		sql_int(s->packet_id), sql_int(s->state), sql_int((int64_t)s->sid),
		sql_int((int64_t)s->place));
}

static void drop_queue(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_queue_gone *q = &r->queue_gone;
	SQL_RUN(t->db, "DELETE FROM queue WHERE sid = ? AND place = ?", sql_int((int64_t)q->sid),
		sql_int((int64_t)q->place));
	if (sql_changes(t->db) == 0)
		return;
	unrefer(t, q->mid);
	t->counts.queued--;
}

static void put_received(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_received *n = &r->received;
	if (!is_session(t, n->sid))
		return;
	SQL_RUN(t->db,
		"INSERT INTO received VALUES(?, ?, ?) "
		"ON CONFLICT DO UPDATE SET workers = workers | excluded.workers",
		sql_int((int64_t)n->sid), sql_int(n->packet_id), sql_int((int64_t)n->workers));
}

static void drop_received(struct spool_tables *t, const struct spool_record *r)
{
	SQL_RUN(t->db, "DELETE FROM received WHERE sid = ? AND packet_id = ?",
		sql_int((int64_t)r->received_gone.sid), sql_int(r->received_gone.packet_id));
}

/* What the topic has: its mid, 0 for none. False when that is newer than version. */
static bool retained_before(struct spool_tables *t, struct str topic, uint64_t version,
			    uint64_t *mid)
{
	AUTO_QUERY q = SQL_QUERY(t->db, "SELECT mid, version FROM retain WHERE topic = ?",
				 sql_blob(topic));
	*mid = 0;
	if (!sql_next(&q))
		return true;
	*mid = (uint64_t)sql_at_int(&q, 0);
	return (uint64_t)sql_at_int(&q, 1) < version;
}

static void put_retain(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_retain *n = &r->retain;
	uint64_t before;
	if (!retained_before(t, n->topic, n->version, &before) || !have_message(t, n->mid))
		return;
	SQL_RUN(t->db, "INSERT OR REPLACE INTO retain VALUES(?, ?, ?, NULL)", sql_blob(n->topic),
		sql_int((int64_t)n->mid), sql_int((int64_t)n->version));
	refer(t, n->mid);
	t->counts.retained++;
	if (before) {
		unrefer(t, before);
		t->counts.retained--;
	}
}

static void drop_retain(struct spool_tables *t, const struct spool_record *r)
{
	const struct body_spool_retain_gone *g = &r->retain_gone;
	uint64_t before;
	if (!retained_before(t, g->topic, g->version, &before))
		return;
	SQL_RUN(t->db, "INSERT OR REPLACE INTO retain VALUES(?, NULL, ?, ?)", sql_blob(g->topic),
		sql_int((int64_t)g->version), sql_int(clock_wall()));
	if (before) {
		unrefer(t, before);
		t->counts.retained--;
	}
}

static void (*const apply[SPOOL_KIND_COUNT])(struct spool_tables *t,
					     const struct spool_record *r) = {
	[SPOOL_KIND_SESSION] = put_session,   [SPOOL_KIND_SESSION_GONE] = drop_session,
	[SPOOL_KIND_SUB] = put_sub,           [SPOOL_KIND_SUB_GONE] = drop_sub,
	[SPOOL_KIND_MESSAGE] = offer_message, [SPOOL_KIND_QUEUE] = put_queue,
	[SPOOL_KIND_SENT] = put_sent,         [SPOOL_KIND_QUEUE_GONE] = drop_queue,
	[SPOOL_KIND_RECEIVED] = put_received, [SPOOL_KIND_RECEIVED_GONE] = drop_received,
	[SPOOL_KIND_RETAIN] = put_retain,     [SPOOL_KIND_RETAIN_GONE] = drop_retain,
};

/* ---- batches ---- */

/* Notes where in the group rows are taken away. */
static void note_gone(struct spool_tables *t, struct str records)
{
	struct cur c = cur_of(records);
	struct str entry;
	while (entries_next(&c, &entry)) {
		struct body_spool_queue_gone g;
		t->at++;
		if (entry.p[0] == SPOOL_KIND_QUEUE_GONE &&
		    body_spool_queue_gone_get(str_make(entry.p + 1, entry.n - 1), &g) == 0)
			*idmap_add(&t->gone, g.sid, g.place) = t->at;
	}
}

static void apply_batch(struct spool_tables *t, struct str records)
{
	struct cur c = cur_of(records);
	struct spool_record r;
	for (const unsigned char *start = c.p; spool_next(&c, &r); start = c.p) {
		t->at++;
		if (r.kind == SPOOL_KIND_MESSAGE)
			*idmap_add(&t->offered, r.message.mid, 0) = (uintptr_t)start;
		apply[r.kind](t, &r);
	}
}

static bool range_has(const struct spool_range *r, uint64_t seq)
{
	return seq >= r->first && seq <= r->last;
}

enum spool_seen spool_tables_seen(const struct spool_tables *t, const struct spool_batch *b)
{
	const struct spool_applied *a = &t->applied[b->worker];
	if (a->epoch != b->epoch)
		return SPOOL_NEW;
	for (size_t i = 0; i < a->refused_n; i++)
		if (range_has(&a->refused[i], b->seq))
			return SPOOL_IS_REFUSED;
	return b->seq <= a->seq ? SPOOL_IS_APPLIED : SPOOL_NEW;
}

void spool_tables_refuse(struct spool_tables *t, const struct spool_batch *b)
{
	struct spool_applied *a = &t->applied[b->worker];
	if (a->epoch != b->epoch)
		*a = (struct spool_applied){.epoch = b->epoch};
	struct spool_range *last = a->refused_n ? &a->refused[a->refused_n - 1] : NULL;
	if (last && last->last + 1 == b->seq) {
		last->last = b->seq;
		return;
	}
	/* The oldest were answered long ago. */
	if (a->refused_n == SPOOL_RANGES_MAX)
		memmove(a->refused, a->refused + 1, --a->refused_n * sizeof(a->refused[0]));
	a->refused[a->refused_n++] = (struct spool_range){b->seq, b->seq};
}

static void write_applied(struct spool_tables *t, unsigned worker, uint64_t epoch, uint64_t seq)
{
	const struct spool_applied *a = &t->applied[worker];
	const bool same = a->epoch == epoch;
	const struct str refused =
		str_make(a->refused, same ? a->refused_n * sizeof(a->refused[0]) : 0);
	SQL_RUN(t->db, "INSERT OR REPLACE INTO applied VALUES(?, ?, ?, ?)", sql_int(worker),
		sql_int((int64_t)epoch), sql_int((int64_t)seq), blob_or_null(refused));
}

/* The last batch of each worker in the group. */
static void last_batches(const struct list *batches, const struct spool_batch **last)
{
	list_each (it, batches) {
		const struct spool_batch *b = list_entry(it, struct spool_batch, node);
		last[b->worker] = b;
	}
}

static void committed(struct spool_tables *t, const struct spool_batch *const *last)
{
	for (unsigned w = 0; w < SPOOL_WORKERS_MAX; w++) {
		struct spool_applied *a = &t->applied[w];
		if (!last[w])
			continue;
		if (a->epoch != last[w]->epoch)
			*a = (struct spool_applied){.epoch = last[w]->epoch};
		a->seq = last[w]->seq;
	}
}

int spool_tables_apply(struct spool_tables *t, const struct list *batches)
{
	const struct spool_batch *last[SPOOL_WORKERS_MAX] = {0};
	const struct spool_counts before = t->counts;
	last_batches(batches, last);
	t->undo.n = 0;
	t->at = 0;
	list_each (it, batches)
		note_gone(t, buf_view(&list_entry(it, struct spool_batch, node)->records));
	t->at = 0;
	sql_begin(t->db);
	list_each (it, batches)
		apply_batch(t, buf_view(&list_entry(it, struct spool_batch, node)->records));
	for (unsigned w = 0; w < SPOOL_WORKERS_MAX; w++)
		if (last[w])
			write_applied(t, w, last[w]->epoch, last[w]->seq);
	const int err = sql_commit(t->db);
	if (err) {
		undo(t);
		t->counts = before;
	} else {
		committed(t, last);
	}
	idmap_clear(&t->offered);
	idmap_clear(&t->gone);
	return err;
}

/* ---- life ---- */

static void forget_memory(struct spool_tables *t)
{
	idmap_fini(&t->messages);
	idmap_fini(&t->sessions);
	t->counts = (struct spool_counts){0};
	memset(t->applied, 0, sizeof(t->applied));
}

static int load_references(struct spool_tables *t)
{
	AUTO_QUERY q = SQL_QUERY(t->db, "SELECT mid FROM queue");
	while (sql_next(&q)) {
		++*idmap_add(&t->messages, (uint64_t)sql_at_int(&q, 0), 0);
		t->counts.queued++;
	}
	AUTO_QUERY r = SQL_QUERY(t->db, "SELECT mid FROM retain WHERE mid IS NOT NULL");
	while (sql_next(&r)) {
		++*idmap_add(&t->messages, (uint64_t)sql_at_int(&r, 0), 0);
		t->counts.retained++;
	}
	AUTO_QUERY s = SQL_QUERY(t->db, "SELECT sid FROM session");
	while (sql_next(&s))
		*idmap_add(&t->sessions, (uint64_t)sql_at_int(&s, 0), 0) = 1;
	return q.error ? q.error : r.error ? r.error : s.error;
}

static int load_applied(struct spool_tables *t)
{
	AUTO_QUERY q = SQL_QUERY(t->db, "SELECT worker, epoch, seq, refused FROM applied");
	while (sql_next(&q)) {
		const int64_t worker = sql_at_int(&q, 0);
		const struct str refused = sql_at_str(&q, 3);
		if (worker < 0 || worker >= SPOOL_WORKERS_MAX)
			continue;
		struct spool_applied *a = &t->applied[worker];
		a->epoch = (uint64_t)sql_at_int(&q, 1);
		a->seq = (uint64_t)sql_at_int(&q, 2);
		a->refused_n = MIN(refused.n / sizeof(a->refused[0]), (size_t)SPOOL_RANGES_MAX);
		if (a->refused_n)
			memcpy(a->refused, refused.p, a->refused_n * sizeof(a->refused[0]));
	}
	return q.error;
}

/* Takes the open file: its bounds, and what is counted in memory. */
static int use(struct spool_tables *t, struct sql *opened)
{
	char text[160];
	forget_memory(t);
	t->db = opened;
	snprintf(text, sizeof(text), "PRAGMA cache_size=-%d; PRAGMA wal_autocheckpoint=%d;",
		 CACHE_KIB, CHECKPOINT_PAGES);
	sql_script(t->db, text);
	spool_tables_set_max(t, t->max_size);
	int err = load_references(t);
	if (!err)
		err = load_applied(t);
	return err;
}

static int replace_with(struct spool_tables *t, char **aside, struct why *why)
{
	struct opened opened;
	sql_close(TAKE(t->db));
	const int err = migrate_replace(DATABASE_SPOOL, t->dir, &opened, why);
	if (err) {
		forget_memory(t);
		return err;
	}
	*aside = opened.set_aside;
	return use(t, opened.db);
}

int spool_tables_replace(struct spool_tables *t, char **aside, struct why *why)
{
	*aside = NULL;
	return replace_with(t, aside, why);
}

int spool_tables_open(struct spool_tables *t, char **aside, struct why *why)
{
	struct opened opened;
	*aside = NULL;
	int err = migrate_open(DATABASE_SPOOL, t->dir, &opened, why);
	if (err)
		return err;
	*aside = opened.set_aside;
	err = use(t, opened.db);
	if (err == ERR_MALFORMED)
		return replace_with(t, aside, why);
	if (err) {
		why_set(why, err, "%s cannot be read: %s", sql_path(t->db), sql_why(t->db));
		sql_close(TAKE(t->db));
	}
	return err;
}

void spool_tables_set_max(struct spool_tables *t, uint64_t max_size)
{
	int64_t page = 4096;
	char text[64];
	t->max_size = max_size;
	if (!t->db)
		return;
	SQL_GET_INT(t->db, &page, "PRAGMA page_size");
	snprintf(text, sizeof(text), "PRAGMA max_page_count=%llu",
		 (unsigned long long)(max_size / (uint64_t)page));
	sql_script(t->db, text);
}

void spool_tables_init(struct spool_tables *t, const char *dir, uint64_t max_size)
{
	*t = (struct spool_tables){.dir = mem_strdup(dir), .max_size = max_size};
}

void spool_tables_fini(struct spool_tables *t)
{
	if (t->db)
		sql_close(t->db);
	forget_memory(t);
	idmap_fini(&t->offered);
	idmap_fini(&t->gone);
	buf_fini(&t->undo);
	free(t->dir);
}

/* Messages that nothing refers to go. True when there is one for every reference. */
static bool drop_unreferenced(struct spool_tables *t)
{
	AUTO_BUF unreferenced = {0};
	size_t found = 0;
	AUTO_QUERY q = SQL_QUERY(t->db, "SELECT mid FROM message");
	while (sql_next(&q)) {
		const int64_t mid = sql_at_int(&q, 0);
		if (idmap_find(&t->messages, (uint64_t)mid, 0))
			found++;
		else
			buf_put(&unreferenced, &mid, sizeof(mid));
	}
	for (size_t at = 0; at < unreferenced.n; at += sizeof(int64_t)) {
		int64_t mid;
		memcpy(&mid, unreferenced.p + at, sizeof(mid));
		SQL_RUN(t->db, "DELETE FROM message WHERE mid = ?", sql_int(mid));
	}
	return found == t->messages.n;
}

static void reload(struct spool_tables *t)
{
	forget_memory(t);
	load_references(t);
}

int spool_tables_tidy(struct spool_tables *t)
{
	sql_begin(t->db);
	sql_script(t->db, "DELETE FROM applied; DELETE FROM retain WHERE mid IS NULL;");
	sql_script(t->db, "DELETE FROM queue WHERE sid NOT IN (SELECT sid FROM session);"
			  "DELETE FROM subscription WHERE sid NOT IN (SELECT sid FROM session);"
			  "DELETE FROM received WHERE sid NOT IN (SELECT sid FROM session);");
	reload(t);
	if (!drop_unreferenced(t)) { /* never seen; it takes long when there is much */
		sql_script(t->db, "DELETE FROM queue WHERE mid NOT IN (SELECT mid FROM message);"
				  "DELETE FROM retain WHERE mid NOT IN (SELECT mid FROM message);");
		reload(t);
	}
	const int err = sql_commit(t->db);
	if (err)
		reload(t);
	return err;
}

void spool_tables_shrink(struct spool_tables *t)
{
	const struct spool_bytes b = spool_tables_bytes(t);
	const uint64_t spare = b.file - b.used;
	if (spare > SPARE_MAX && spare > b.used)
		sql_script(t->db, "PRAGMA incremental_vacuum(2048)");
}

void spool_tables_forget(struct spool_tables *t)
{
	SQL_RUN(t->db, "DELETE FROM retain WHERE gone_at < ?", sql_int(clock_wall() - TOMBSTONE_S));
}

struct spool_bytes spool_tables_bytes(struct spool_tables *t)
{
	int64_t pages = 0;
	int64_t unused = 0;
	int64_t size = 0;
	if (!t->db)
		return (struct spool_bytes){0};
	SQL_GET_INT(t->db, &pages, "PRAGMA page_count");
	SQL_GET_INT(t->db, &unused, "PRAGMA freelist_count");
	SQL_GET_INT(t->db, &size, "PRAGMA page_size");
	return (struct spool_bytes){(uint64_t)((pages - unused) * size), (uint64_t)(pages * size)};
}
