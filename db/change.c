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

enum { EVENTS_AT_ONCE = 500 };

void change_init(struct change *ch)
{
	*ch = (struct change){0};
	list_init(&ch->asks);
}

void change_fini(struct change *ch)
{
	deltas_forget(&ch->asks);
	buf_fini(&ch->entries);
	buf_fini(&ch->events);
}

void change_begin(struct op_call *c)
{
	if (c->batch)
		return; /* its job has begun */
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

static bool is_raised(const struct op_call *c)
{
	return c->change.raised == c->change.events.n;
}

/* The answer waits for the last event and for the last worker of the broker. */
static void finish_if_done(struct op_call *c)
{
	if (is_raised(c) && list_empty(&c->change.asks))
		finish(c);
}

static void raise_more(struct loop_timer *t);

static void raise_events(struct op_call *c)
{
	const struct buf *events = &c->change.events;
	for (size_t i = 0; i < EVENTS_AT_ONCE && !is_raised(c); i++) {
		struct str rest =
			str_make(events->p + c->change.raised, events->n - c->change.raised);
		struct str device;
		struct str entry;
		struct body_event fields;
		CHECK(strs_next(&rest, &device));
		struct cur cur = cur_of(rest);
		CHECK(entries_next(&cur, &entry) && body_event_get(entry, &fields) == 0);
		c->change.raised = events->n - cur_left(&cur);
		events_add(c->s->events, &fields, device);
	}
	if (!is_raised(c))
		loop_timer_start(c->s->loop, &c->timer, "events of a change", 1, raise_more);
}

static void raise_more(struct loop_timer *t)
{
	struct op_call *c = container_of(t, struct op_call, timer);
	raise_events(c);
	finish_if_done(c);
}

void change_told(struct op_call *c, bool away, uint64_t closed)
{
	c->change.away |= away;
	c->change.closed += closed;
	finish_if_done(c);
}

void change_count(struct op_call *c)
{
	SQL_RUN(c->s->registry, "UPDATE meta SET value = value + ? WHERE name = 'registry-seq'",
		sql_int(deltas_count(buf_view(&c->change.entries))));
}

void change_committed(struct op_call *c)
{
	struct store *s = c->s;
	store_registry_worked(s);
	lists_changed(s);
	raise_events(c);
	if (c->change.credentials && s->peer[PROCESS_ADMIN].link)
		LINK_SEND(s->peer[PROCESS_ADMIN].link, CREDENTIALS_CHANGED, credentials_changed, 0,
			  -1, &(struct body_credentials_changed){});
	c->change.told = c->change.entries.n > 0;
	deltas_send(s, c, buf_view(&c->change.entries));
	finish_if_done(c);
}

int change_commit(struct op_call *c)
{
	if (c->batch)
		return 0; /* when all steps are done */
	change_count(c);
	const int err = sql_commit(c->s->registry);
	c->change.open = false;
	if (err)
		op_refuse_sql(c, err);
	else
		change_committed(c);
	return err;
}
