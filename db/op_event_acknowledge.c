/* SPDX-License-Identifier: Apache-2.0
 *
 * event.acknowledge: somebody has looked at one event, or at all of one kind, by one actor, for one
 * reason. events: int, how many were marked. Main thread of the store.
 *
 * Events and the audit log are two files: the mark is made first, so that a row of the audit log
 * never tells of one that is not there.
 */
#include "daemon/base/err.h"
#include "db/ops.h"

#include <stdio.h>

static bool take_choice(struct op_call *c, struct events_choice *choice)
{
	const bool one = op_int(c, "seq", &choice->seq);
	const bool many = op_str(c, "name", &choice->name);
	if (one == many) {
		op_refuse(c, OP_INVALID, "seq",
			  "give either seq, for one event, or name, for many");
		return false;
	}
	op_str(c, "who", &choice->who);
	op_str(c, "reason", &choice->reason);
	if (many && !op_int(c, "through", &choice->seq))
		choice->seq = events_last(c->s->events);
	if (one)
		snprintf(c->target, sizeof(c->target), "event %lld", (long long)choice->seq);
	else
		snprintf(c->target, sizeof(c->target), "%.*s%s%.*s", STR_ARG(choice->name),
			 choice->who.n ? " of " : "", STR_ARG(choice->who));
	return true;
}

static void raise_event(struct op_call *c, const struct events_choice *choice, struct str note,
			bool undo, int64_t n)
{
	AUTO_BUF detail = {0};
	rec_int(&detail, choice->name.p ? "through" : "seq", choice->seq);
	if (choice->name.p)
		rec_str(&detail, "name", choice->name);
	if (choice->who.n)
		rec_str(&detail, "who", choice->who);
	rec_int(&detail, "events", n);
	if (note.n)
		rec_str(&detail, "note", note);
	if (undo)
		rec_bool(&detail, "undo", true);
	change_event(c, EVENT_EVENT_ACKNOWLEDGED, 0, STR(""), buf_view(&detail));
}

void op_event_acknowledge(struct op_call *c)
{
	struct events_choice choice = {0};
	bool undo = false;
	int64_t n;
	const struct str note = op_text(c, "note", "");
	events_flush(c->s->events);
	if (!take_choice(c, &choice))
		return;
	op_bool(c, "undo", &undo);
	if (!events_db(c->s->events) ||
	    events_acknowledge(c->s->events, &choice, c->actor, note, undo, &n)) {
		op_refuse(c, OP_FAILED, NULL,
			  "the events cannot be written now: see the journal of the gateway");
		return;
	}
	if (n == 0 && !choice.name.p) {
		op_refuse(c, OP_NOT_FOUND, "seq", "there is no event %lld that is %s",
			  (long long)choice.seq, undo ? "acknowledged" : "open");
		return;
	}
	change_begin(c);
	if (n)
		raise_event(c, &choice, note, undo, n);
	rec_int(&c->result, "events", n);
	change_commit(c);
}
