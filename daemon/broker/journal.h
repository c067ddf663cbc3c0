/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of one worker: collected during a loop turn, handed to the control thread at its end,
 * which reports them to the store. A flood costs a look into a small table: per second only so many
 * events of one kind and one source pass, the next one that does tells how many were left out.
 * One thread: that of the worker.
 */
#pragma once

#include "daemon/ipc/report.h"

enum {
	JOURNAL_PER_SECOND = 20,  /* of one kind and one source */
	JOURNAL_SOURCES = 1024,   /* kinds and sources remembered; power of two */
	JOURNAL_WAITING = 1 * MiB /* bytes on the way to the control thread */
};

struct journal_source {
	uint64_t key;
	uint64_t second;
	uint32_t passed;
	uint32_t suppressed;
};

struct journal {
	struct loop *loop;
	struct loop *control;
	struct report *report; /* the control thread's */
	struct loop_task task;
	struct buf pending;
	_Atomic size_t on_the_way;
	uint64_t suppressed; /* in all, for the statistics */
	struct journal_source source[JOURNAL_SOURCES];
};

enum { JOURNAL_TOPIC_MAX = 1024 /* bytes of a topic in an event; longer ones are cut */ };

/* Appends a topic or filter to the details of an event. */
void journal_topic(struct buf *detail, struct str topic);

void journal_init(struct journal *j, struct loop *loop, struct loop *control,
		  struct report *report);
void journal_fini(struct journal *j);
/* source names who caused it (a hash of the address or device); strings over their limit in
 * messages.def are cut. detail is a rec or NULL; "suppressed" may be appended to it. */
void journal_event(struct journal *j, enum event event, uint64_t source, struct body_event *fields,
		   struct buf *detail);
