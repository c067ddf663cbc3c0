/* SPDX-License-Identifier: Apache-2.0
 *
 * event.list. Main thread of the store.
 *
 * Fields of an event:
 *   seq                int, grows; the cursor ("since") of whoever follows
 *   time               time
 *   event              str, name of events.def;  severity: str
 *   device             str or null, its name at that time
 *   actor              str or null: device, claimed user name, administrator or process
 *   client_id, address, listener, reason      str or null
 *   detail             object: further fields of the event, may be empty
 *   acknowledged       null, or {time, actor: str, note: str}: who has looked at it
 *
 * event.list         items: list of events, oldest first
 *                    next: int, the "since" of the next call: nothing in between is missed
 *                    reset: bool, the numbers began anew (events.db was set aside): "since" was
 *                    beyond the last one, the answer begins with the oldest
 * Without since: the newest `last`. With since and wait: held until there is an event that passes
 * the filters, or the time is over (empty items). At most 1000 items.
 */
#include "daemon/base/err.h"
#include "db/ops.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 1000, LAST_DEFAULT = 50 };

struct filter {
	bool following; /* since was given */
	int64_t since;
	int64_t limit;
	bool reset;
	struct str device;
	struct str name;
	int64_t severity;
	int64_t state;       /* 0 any, 1 open, 2 acknowledged */
	char prefix_low[66]; /* "client." <= name < "client/" */
	char prefix_high[66];
};

#define EVENT_COLUMNS                                                                        \
	"SELECT seq, time_ms, name, severity, device, actor, client_id, address, listener, " \
	"reason, detail, at, administrator, note FROM event LEFT JOIN acknowledgement ON "   \
	"acknowledgement.id = event.acknowledgement WHERE "
#define NAMED    "(name = ?4 OR (name >= ?5 AND name < ?6)) "
#define IN_STATE "(?8 = 0 OR (?8 = 1) = (event.acknowledgement IS NULL)) "
#define PASSES   "seq > ?1 AND severity >= ?2 AND (?4 IS NULL OR " NAMED ") AND " IN_STATE

/* Of a device in either of its two columns, each with an index of its own that is in the order of
 * numbers: no more rows are looked at than there are of this device. */
#define OF_ONE(column, order) \
	"SELECT seq FROM (SELECT seq FROM event WHERE " column " = ?3 AND " PASSES order ")"
#define OF_DEVICE(order) \
	"seq IN (" OF_ONE("device", order) " UNION " OF_ONE("actor", order) ") " order
#define OF_RARE                                                               \
	PASSES "AND seq IN (SELECT seq FROM event WHERE name = ?4 UNION ALL " \
	       "SELECT seq FROM event WHERE name >= ?5 AND name < ?6) " NEWEST
#define OLDEST       "ORDER BY seq LIMIT ?7"
#define NEWEST       "ORDER BY seq DESC LIMIT ?7"
#define TURNED(text) "SELECT * FROM (" text ") ORDER BY seq"

static bool take_severity(struct op_call *c, struct filter *f)
{
	struct str word;
	enum severity severity;
	f->severity = SEVERITY_DEBUG;
	if (!op_str(c, "severity", &word))
		return true;
	if (severity_by_name(word, &severity) == 0) {
		f->severity = severity;
		return true;
	}
	op_refuse(c, OP_INVALID, "severity",
		  "\"%.*s\" is no severity; allowed are debug, info, notice, warning, error, "
		  "critical",
		  STR_ARG(word));
	return false;
}

static bool take_state(struct op_call *c, struct filter *f)
{
	struct str word;
	if (!op_str(c, "state", &word))
		return true;
	f->state = str_is(word, "open") ? 1 : str_is(word, "acknowledged") ? 2 : 0;
	if (f->state)
		return true;
	op_refuse(c, OP_INVALID, "state", "\"%.*s\" is no state; allowed are open, acknowledged",
		  STR_ARG(word));
	return false;
}

static bool take_range(struct op_call *c, struct filter *f)
{
	int64_t wait;
	f->limit = LAST_DEFAULT;
	f->following = op_int(c, "since", &f->since);
	const bool last = op_int(c, "last", &f->limit);
	if (f->following && last) {
		op_refuse(c, OP_INVALID, "last", "give either since or last, not both");
		return false;
	}
	if (!f->following && op_int(c, "wait", &wait)) {
		op_refuse(c, OP_INVALID, "wait", "wait needs since");
		return false;
	}
	if (f->following)
		f->limit = PAGE;
	f->reset = f->following && f->since > events_last(c->s->events);
	if (f->reset)
		f->since = 0;
	return true;
}

static bool take_filter(struct op_call *c, struct filter *f)
{
	*f = (struct filter){0};
	op_str(c, "device", &f->device);
	if (op_str(c, "name", &f->name)) {
		snprintf(f->prefix_low, sizeof(f->prefix_low), "%.*s.", STR_ARG(f->name));
		snprintf(f->prefix_high, sizeof(f->prefix_high), "%.*s/", STR_ARG(f->name));
	}
	return take_severity(c, f) && take_state(c, f) && take_range(c, f);
}

static void put_text(const struct sql_query *q, int column, const char *name, struct buf *out)
{
	const struct str s = sql_at_str(q, column);
	if (s.n && str_is_utf8(s))
		rec_str(out, name, s);
	else if (s.n)
		rec_bytes(out, name, s);
	else
		rec_null(out, name);
}

static void put_acknowledged(const struct sql_query *q, struct buf *out)
{
	if (sql_at_null(q, 11)) {
		rec_null(out, "acknowledged");
		return;
	}
	rec_object(out, "acknowledged");
	op_put_time(out, "time", sql_at_int(q, 11));
	rec_str(out, "actor", sql_at_str(q, 12));
	rec_str(out, "note", sql_at_str(q, 13));
	rec_end(out);
}

static void put_event(const struct sql_query *q, struct buf *out)
{
	rec_object(out, "");
	rec_int(out, "seq", sql_at_int(q, 0));
	rec_time(out, "time", sql_at_int(q, 1));
	put_text(q, 2, "event", out);
	rec_text(out, "severity", severity_name((enum severity)sql_at_int(q, 3)));
	put_text(q, 4, "device", out);
	put_text(q, 5, "actor", out);
	put_text(q, 6, "client_id", out);
	put_text(q, 7, "address", out);
	put_text(q, 8, "listener", out);
	put_text(q, 9, "reason", out);
	rec_object(out, "detail");
	buf_str(out, sql_at_str(q, 10));
	rec_end(out);
	put_acknowledged(q, out);
	rec_end(out);
}

/* Rows of so few are found by their name and sorted; of more, one is met soon on the way back from
 * the newest. */
static bool is_rare(struct op_call *c, const struct filter *f)
{
	int64_t n = 0;
	if (f->following || !f->name.p)
		return false;
	SQL_GET_INT(events_db(c->s->events), &n,
		    "SELECT count(*) FROM (SELECT 1 FROM event WHERE name = ?1 OR (name >= ?2 AND "
		    "name < ?3) LIMIT 2000)",
		    sql_str(f->name), sql_text(f->prefix_low), sql_text(f->prefix_high));
	return n < 2000;
}

static const char *statement(struct op_call *c, const struct filter *f)
{
	if (f->device.p)
		return f->following ? EVENT_COLUMNS OF_DEVICE(OLDEST)
				    : TURNED(EVENT_COLUMNS OF_DEVICE(NEWEST));
	if (is_rare(c, f))
		return TURNED(EVENT_COLUMNS OF_RARE);
	return f->following ? EVENT_COLUMNS PASSES OLDEST : TURNED(EVENT_COLUMNS PASSES NEWEST);
}

static struct sql_query run(struct op_call *c, const struct filter *f)
{
	return SQL_QUERY(events_db(c->s->events), statement(c, f), sql_int(f->since),
			 sql_int(f->severity), sql_str(f->device), sql_str(f->name),
			 sql_text(f->prefix_low), sql_text(f->prefix_high), sql_int(f->limit),
			 sql_int(f->state));
}

/* How many events were put. When the page is not full, everything up to the newest was looked at.
 */
static int64_t put_events(struct op_call *c, const struct filter *f, int *err)
{
	AUTO_QUERY q = run(c, f);
	int64_t n = 0;
	int64_t next = f->since;
	c->result.n = 0;
	rec_list(&c->result, "items");
	for (; sql_next(&q); n++) {
		next = sql_at_int(&q, 0);
		put_event(&q, &c->result);
	}
	rec_end(&c->result);
	if (!f->following || n < f->limit)
		next = MAX(next, events_last(c->s->events));
	rec_int(&c->result, "next", next);
	rec_bool(&c->result, "reset", f->reset);
	*err = q.error;
	return n;
}

static void refuse_unreadable(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL,
		  "the events cannot be read now: see the journal of the gateway");
}

static void again(struct events_waiter *w);

static void wait_expired(struct loop_timer *t)
{
	op_done(container_of(t, struct op_call, timer));
}

/* Answers, or waits for the next event. */
static void look(struct op_call *c)
{
	struct filter f;
	int64_t wait = 0;
	int err;
	if (!take_filter(c, &f))
		return;
	const int64_t n = put_events(c, &f, &err);
	op_int(c, "wait", &wait);
	if (err) {
		refuse_unreadable(c);
	} else if (n || wait == 0 || f.reset) {
		op_done(c);
	} else {
		c->waiter.woken = again;
		events_wait(c->s->events, &c->waiter);
		if (!loop_timer_running(&c->timer))
			loop_timer_start(c->s->loop, &c->timer, "event wait", (uint64_t)wait,
					 wait_expired);
	}
}

static void again(struct events_waiter *w)
{
	look(container_of(w, struct op_call, waiter));
}

void op_event_list(struct op_call *c)
{
	/* What is pending counts as happened. Only what a full disk keeps out is not shown. */
	events_flush(c->s->events);
	if (!events_db(c->s->events))
		refuse_unreadable(c);
	else
		look(c);
}
