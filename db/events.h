/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of what happened: takes events from every process, limits them per kind and source,
 * writes a line to the journal, stores them in events.db in batches, forgets the old ones, and
 * wakes those who wait for new ones.
 *
 * Limit: [events] rate-per-source per second; the rest is counted, and once a second an event of
 * the same kind and source says "N more were not stored" (detail: suppressed = N).
 * A batch is written [events] commit-interval after its first event. When the disk is full up to
 * EVENTS_PENDING_MAX bytes wait, the rest is counted. A file that turns out to be damaged is set
 * aside. Main thread of the store.
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/ipc/frame.h"
#include "daemon/net/loop.h"
#include "db/sql.h"

enum { EVENTS_PENDING_MAX = 4 * MiB };

struct events_settings {
	uint64_t keep_ms;
	uint64_t max_size; /* bytes of the file */
	uint32_t rate_per_source;
	uint64_t commit_interval_ms;
	bool access; /* the ends of connections are lines of the level notice */
};

struct events;

/* Opens <dir>/events.db. Logs one line when it fails. dir must outlive it. */
int events_open(struct loop *loop, const char *dir, const struct events_settings *settings,
		struct events **out);
void events_close(struct events *e); /* writes what is pending */
DEFINE_AUTO(events, events_close)
void events_set(struct events *e, const struct events_settings *settings);
/* May old events be removed now? False while the clock is not to be trusted. */
void events_set_purge(struct events *e, bool allowed);
void events_purge(
	struct events *e); /* removes what is too old or too much; by itself once a minute */

/* Takes one event. fields->event must be below EVENT_COUNT. device is the name of fields->device_id
 * or empty. Strings are within the limits of messages.def. */
void events_add(struct events *e, const struct body_event *fields, struct str device);
/* How many were not stored since it was opened, because their source had caused too many. */
uint64_t events_suppressed(const struct events *e);
/* A plain event of the store itself. detail is a rec, may be empty. */
void events_raise(struct events *e, enum event event, const char *reason, struct str detail);

/* Marks what is stored as looked at by an administrator, or no longer (undo). Of `name` NULL the
 * one event `seq`, else all of that name up to seq, of `who` (device, actor, address without its
 * port; NULL: any) for `reason` ({NULL}: any, empty: none), that are not in that state yet. 0 with
 * their number, or the error of sql.h. */
struct events_choice {
	int64_t seq;
	struct str name;
	struct str who;
	struct str reason;
};
int events_acknowledge(struct events *e, const struct events_choice *choice, const char *actor,
		       struct str note, bool undo, int64_t *n);
int events_flush(struct events *e);      /* writes what is pending; 0 or the error of sql.h */
struct sql *events_db(struct events *e); /* for queries; flush first. Table event of the schema */
int64_t events_last(const struct events *e);  /* sequence number of the newest stored event, or 0 */
int64_t events_first(const struct events *e); /* of the oldest one, or 0 */

/* Someone who waits for the next stored event. woken() is called once, out of the waiting list. */
struct events_waiter {
	struct list node;
	void (*woken)(struct events_waiter *w);
};
void events_wait(struct events *e, struct events_waiter *w);
void events_unwait(struct events_waiter *w); /* nothing when not waiting */
