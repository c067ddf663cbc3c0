/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the registry: see change.h.
 */
#include "db/change.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/authorise.h"
#include "db/registry.h"

#include <stdio.h>
#include <stdlib.h>

enum { DELTA_BYTES = 60000, NUDGE_MS = 1000 };

struct delta_ask {
	struct list node; /* in change->asks */
	struct link_call call;
	struct store *s;
	struct op_call *op;
};

void change_init(struct change *ch)
{
	*ch = (struct change){0};
	list_init(&ch->asks);
}

void change_fini(struct change *ch)
{
	list_each_safe (it, &ch->asks) {
		struct delta_ask *ask = list_entry(it, struct delta_ask, node);
		link_call_cancel(&ask->call);
		list_remove(&ask->node);
		free(ask);
	}
	buf_fini(&ch->entries);
	buf_fini(&ch->events);
}

void change_begin(struct op_call *c)
{
	if (c->batch)
		return; /* it has begun */
	sql_begin(c->s->registry);
	c->change.open = true;
	c->change.audit_id = authorise_audit(c, "ok", "");
}

void change_event(struct op_call *c, enum event event, int64_t device_id, struct str device,
		  struct str detail)
{
	const struct body_event fields = {
		.event = (uint16_t)event,
		.time_ms = clock_wall_ms(),
		.device_id = (uint64_t)device_id,
		.actor = str_of(c->actor),
		.address = c->enrolment ? str_of(c->source) : STR(""),
		.detail = detail,
	};
	strs_put(&c->change.events, device);
	ENTRIES_PUT(&c->change.events, event, &fields);
}

void change_revision(struct op_call *c, const char *kind, struct str object, struct str before,
		     struct str after)
{
	SQL_RUN(c->s->registry,
		"INSERT INTO revision(audit_id, kind, object, before, after) VALUES(?, ?, ?, ?, ?)",
		sql_int(c->change.audit_id), sql_text(kind), sql_str(object),
		before.n ? sql_blob(before) : sql_null(), after.n ? sql_blob(after) : sql_null());
}

static int64_t version_of(struct store *s, const char *kind, struct str object)
{
	int64_t version = 0;
	SQL_GET_INT(s->registry, &version,
		    "SELECT coalesce(max(id), 0) FROM revision WHERE kind = ? AND object = ?",
		    sql_text(kind), sql_str(object));
	return version;
}

void change_put_version(struct store *s, const char *kind, struct str object, struct buf *out)
{
	rec_int(out, "version", version_of(s, kind, object));
}

bool change_is_current(struct op_call *c, const char *kind, struct str object)
{
	int64_t wanted;
	if (!op_int(c, "version", &wanted))
		return true;
	const int64_t version = version_of(c->s, kind, object);
	if (wanted == version)
		return true;
	op_refuse(
		c, OP_CONFLICT, "version",
		"the %s \"%.*s\" was changed meanwhile: it has version %lld, not %lld; look at it "
		"again",
		kind, STR_ARG(object), (long long)version, (long long)wanted);
	return false;
}

/* ---- after the commit ---- */

static void raise_events(struct op_call *c)
{
	struct cur cur = cur_of(buf_view(&c->change.events));
	while (cur_left(&cur)) {
		struct str rest = str_make(cur.p, cur_left(&cur));
		struct str device;
		struct str entry;
		struct body_event fields;
		CHECK(strs_next(&rest, &device));
		cur = cur_of(rest);
		CHECK(entries_next(&cur, &entry) && body_event_get(entry, &fields) == 0);
		events_add(c->s->events, &fields, device);
	}
}

static void finish(struct op_call *c)
{
	if (c->change.told) {
		rec_text(&c->result, "broker", c->change.away ? "away" : "done");
		rec_int(&c->result, "sessions_closed", (int64_t)c->change.closed);
	}
	if (c->then)
		c->then(c);
	else
		op_done(c);
}

/* A delta found no room in the queue to a broker that does not read now. No later one may come for
 * long, so the gap is shown to it: otherwise a revocation would wait for the next change. */
static void nudge(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, nudge_timer);
	const struct body_delta missed = {.seq = 0};
	if (!s->broker_synced)
		return; /* its snapshot will say it */
	if (LINK_SEND(s->peer[PROCESS_BROKER].link, DELTA, delta, 0, -1, &missed))
		loop_timer_start(s->loop, t, "nudge", NUDGE_MS, nudge);
}

void change_missed(struct store *s)
{
	if (s->broker_synced && !loop_timer_running(&s->nudge_timer))
		loop_timer_start(s->loop, &s->nudge_timer, "nudge", 0, nudge);
}

static void delta_done(struct link_call *call, int err, struct record *reply)
{
	struct delta_ask *ask = container_of(call, struct delta_ask, call);
	struct op_call *c = ask->op;
	struct body_delta_done done;
	if (err == ERR_UNAVAILABLE && !loop_timer_running(&ask->s->nudge_timer))
		loop_timer_start(ask->s->loop, &ask->s->nudge_timer, "nudge", NUDGE_MS, nudge);
	if (!c) {
		free(ask);
		return;
	}
	if (!err && body_delta_done_get(reply->body, &done) == 0)
		c->change.closed += done.closed;
	else
		c->change.away = true;
	list_remove(&ask->node);
	free(ask);
	if (list_empty(&c->change.asks))
		finish(c);
}

/* c NULL: nobody waits. */
static void send_delta(struct store *s, struct op_call *c, struct str entries)
{
	s->seq++;
	if (!s->broker_synced) {
		if (c)
			c->change.away = true;
		return;
	}
	struct delta_ask *ask = mem_new(struct delta_ask);
	ask->s = s;
	ask->op = c;
	if (c)
		list_append(&c->change.asks, &ask->node);
	const struct body_delta body = {(uint64_t)s->seq, entries};
	LINK_ASK(s->peer[PROCESS_BROKER].link, &ask->call, DELTA, delta, -1, &body,
		 CHANGE_BROKER_MS, delta_done);
}

/* Bytes of whole entries at the start that fit one message. */
static size_t part_size(struct str entries)
{
	struct cur c = cur_of(entries);
	struct str entry;
	size_t n = 0;
	while (entries_next(&c, &entry) && entries.n - cur_left(&c) <= DELTA_BYTES)
		n = entries.n - cur_left(&c);
	CHECK(n > 0);
	return n;
}

int64_t change_parts(struct str entries)
{
	int64_t parts = 0;
	for (; entries.n; parts++) {
		const size_t n = part_size(entries);
		entries = str_make(entries.p + n, entries.n - n);
	}
	return parts;
}

static void tell_broker(struct store *s, struct op_call *c, struct str left)
{
	while (left.n) {
		const size_t n = part_size(left);
		send_delta(s, c, str_make(left.p, n));
		left = str_make(left.p + n, left.n - n);
	}
}

void change_tell(struct store *s, struct str entries)
{
	tell_broker(s, NULL, entries);
}

int change_commit(struct op_call *c)
{
	struct store *s = c->s;
	if (c->batch)
		return 0; /* when all steps are done */
	const int64_t parts = change_parts(buf_view(&c->change.entries));
	SQL_RUN(s->registry, "UPDATE meta SET value = value + ? WHERE name = 'registry-seq'",
		sql_int(parts));
	const int err = sql_commit(s->registry);
	c->change.open = false;
	if (err) {
		op_refuse_sql(c, err);
		return err;
	}
	store_registry_worked(s);
	lists_changed(s);
	raise_events(c);
	if (c->change.credentials && s->peer[PROCESS_ADMIN].link)
		LINK_SEND(s->peer[PROCESS_ADMIN].link, CREDENTIALS_CHANGED, credentials_changed, 0,
			  -1, &(struct body_credentials_changed){});
	c->change.told = parts > 0;
	tell_broker(s, c, buf_view(&c->change.entries));
	if (list_empty(&c->change.asks))
		finish(c);
	return 0;
}
