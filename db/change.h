/* SPDX-License-Identifier: Apache-2.0
 *
 * One change of the registry on behalf of an operation: the statements, the audit row, the
 * revisions of what changed and the next numbers of the registry are one transaction. After its
 * commit the events are raised and the entries go to the broker as deltas; the caller is answered
 * when every worker of the broker has acted on them, or after DELTAS_MS.
 *
 *   change_begin(c);
 *   SQL_RUN(...); change_entry...; change_event(...); change_revision(...);
 *   change_commit(c);            answers, whatever happened
 *
 * Many events are raised some at a time, so that nobody waits for them (the call does).
 *
 * Result fields it appends when the broker had to be told: broker ("done", or "away": it will learn
 * from its next snapshot), sessions_closed (int). Main thread of the store.
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/base/list.h"
#include "daemon/base/str.h"

struct op_call;
struct store;

struct change {
	bool open;
	int64_t audit_id;
	struct buf entries; /* records of struct body_entry: registry_put_*(db, id, &entries) */
	struct buf events;  /* per event: device name (strs), body_event (entries) */
	struct list asks;   /* struct delta_ask on their way */
	bool credentials;   /* sessions or tokens are closed by it: who serves them is told */
	bool told;          /* deltas were due */
	bool away;          /* a part did not reach the broker */
	uint64_t closed;    /* sessions */
	size_t raised;      /* bytes of events that were raised */
};

void change_init(struct change *ch);
void change_fini(struct change *ch); /* asks on their way are cancelled */

void change_begin(struct op_call *c);
/* An event to raise after the commit. device may be empty; detail is a rec or empty. */
void change_event(struct op_call *c, enum event event, int64_t device_id, struct str device,
		  struct str detail);
/* What an object was and is, as recs; empty: it was not there before, or is not after. */
void change_revision(struct op_call *c, const char *kind, struct str object, struct str before,
		     struct str after);
/* Appends "version": the number of the last revision of an object, 0 without one. What nobody sets
 * (figures, certificates, connections) changes without it. */
void change_put_version(struct store *s, const char *kind, struct str object, struct buf *out);
/* The argument "version": is the object still of it? False: somebody changed it; refused. */
bool change_is_current(struct op_call *c, const char *kind, struct str object);
/* Commits and answers; c may be gone when it returns. 0, or the error: the call was refused. */
int change_commit(struct op_call *c);
/* The two ends of it, for a commit by a job: the last statement before, and all that comes after.
 */
void change_count(struct op_call *c);
void change_committed(struct op_call *c);

/* The broker has taken a part of the entries, or is away. */
void change_told(struct op_call *c, bool away, uint64_t closed);
