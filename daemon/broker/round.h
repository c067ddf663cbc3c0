/* SPDX-License-Identifier: Apache-2.0
 *
 * One piece of work for every worker, and what the control thread does when all have done it: a
 * revocation that must have closed its connections, a new configuration, the figures of the last
 * second. Started by the control thread; run() runs once in each worker, done() once in the control
 * thread. Embedded in what the work needs to know.
 */
#pragma once

#include "daemon/net/loop.h"

#include <stdatomic.h>

struct broker;
struct worker;
struct round_part;

struct round {
	struct broker *broker;
	void (*run)(struct worker *w, struct round *r); /* several at a time */
	void (*done)(struct round *r);                  /* owns the round from then on */
	atomic_uint left;
	atomic_uint count; /* for run() to add to */
	struct round_part *part;
	struct loop_note finished;
};

/* The caller has zeroed the round. */
void round_start(struct round *r, struct broker *broker,
		 void (*run)(struct worker *w, struct round *r), void (*done)(struct round *r));
