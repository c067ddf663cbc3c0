/* SPDX-License-Identifier: Apache-2.0
 *
 * log.list: the newest lines of the log of every process (logs.h). Main thread of the store.
 *
 * items   list of {seq: int, grows; time; process: str; level: str; text: str;
 *         left_out: int, lines of this process just before it that were too many to be kept}, the
 *         oldest first
 * next    int, the "since" of the next call: nothing in between is missed
 *
 * Without since: the newest `last`. With since and wait: held until there is a line that passes the
 * filters, or the time is over (empty items).
 */
#include "db/ops.h"

enum { PAGE = 1000, LAST_DEFAULT = 100 };

struct wish {
	struct logs_filter filter;
	bool following; /* since was given */
	int64_t limit;
};

static bool take_level(struct op_call *c, struct wish *w)
{
	const struct str word = op_text(c, "level", "debug");
	for (enum log_level l = LOG_LEVEL_ERROR; l <= LOG_LEVEL_DEBUG; l++) {
		w->filter.level = l;
		if (str_is(word, log_level_name(l)))
			return true;
	}
	op_refuse(c, OP_INVALID, "level",
		  "\"%.*s\" is no level; allowed are error, warning, notice, info, debug",
		  STR_ARG(word));
	return false;
}

static bool take_process(struct op_call *c, struct wish *w)
{
	struct str name;
	w->filter.process = PROCESS_COUNT;
	if (!op_str(c, "process", &name) || process_by_name(name, &w->filter.process) == 0)
		return true;
	op_refuse(c, OP_INVALID, "process",
		  "\"%.*s\" is no process; they are parent, broker, admin, enrol, ctl, store, "
		  "vault",
		  STR_ARG(name));
	return false;
}

static bool take_range(struct op_call *c, struct wish *w)
{
	int64_t since = 0;
	int64_t wait;
	w->following = op_int(c, "since", &since);
	w->filter.since = (uint64_t)since;
	w->limit = LAST_DEFAULT;
	if (op_int(c, "last", &w->limit) && w->following) {
		op_refuse(c, OP_INVALID, "last", "give either since or last, not both");
		return false;
	}
	if (!w->following && op_int(c, "wait", &wait)) {
		op_refuse(c, OP_INVALID, "wait", "wait needs since");
		return false;
	}
	if (w->following)
		w->limit = PAGE;
	return true;
}

static bool take_wish(struct op_call *c, struct wish *w)
{
	*w = (struct wish){.filter.match = op_text(c, "match", "")};
	return take_level(c, w) && take_process(c, w) && take_range(c, w);
}

static void put_line(const struct logs_line *line, struct buf *out)
{
	rec_object(out, "");
	rec_int(out, "seq", (int64_t)line->seq);
	rec_time(out, "time", (int64_t)line->time_ms);
	rec_text(out, "process", process_name(line->process));
	rec_text(out, "level", log_level_name(line->level));
	rec_str(out, "text", line->text);
	rec_int(out, "left_out", line->left_out);
	rec_end(out);
}

/* How many lines were put. When the page is not full, everything up to the newest was looked at. */
static size_t put_lines(struct op_call *c, const struct wish *w)
{
	const struct logs_line *line[PAGE];
	const struct logs *all = c->s->logs;
	const size_t n = logs_find(all, &w->filter, !w->following,
				   (size_t)MIN(w->limit, (int64_t)PAGE), line);
	c->result.n = 0;
	rec_list(&c->result, "items");
	for (size_t i = 0; i < n; i++)
		put_line(line[i], &c->result);
	rec_end(&c->result);
	rec_int(&c->result, "next",
		(int64_t)(w->following && n == PAGE ? line[n - 1]->seq : logs_last(all)));
	return n;
}

static void again(struct logs_waiter *w);

static void wait_expired(struct loop_timer *t)
{
	op_done(container_of(t, struct op_call, timer));
}

void op_log_list(struct op_call *c)
{
	struct wish w;
	int64_t wait = 0;
	if (!take_wish(c, &w))
		return;
	op_int(c, "wait", &wait);
	if (put_lines(c, &w) || wait == 0) {
		op_done(c);
		return;
	}
	c->log_waiter.woken = again;
	logs_wait(c->s->logs, &c->log_waiter);
	if (!loop_timer_running(&c->timer))
		loop_timer_start(c->s->loop, &c->timer, "log wait", (uint64_t)wait, wait_expired);
}

static void again(struct logs_waiter *w)
{
	op_log_list(container_of(w, struct op_call, log_waiter));
}
