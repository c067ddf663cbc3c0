/* SPDX-License-Identifier: Apache-2.0
 *
 * Work for every worker: see round.h.
 */
#include "daemon/broker/round.h"
#include "daemon/base/mem.h"
#include "daemon/broker/worker.h"

#include <stdlib.h>

struct round_part {
	struct loop_note note;
	struct round *round;
	struct worker *worker;
};

static void finished(struct loop_note *note)
{
	struct round *r = container_of(note, struct round, finished);
	free(r->part);
	r->part = NULL;
	r->done(r);
}

static void run_part(struct loop_note *note)
{
	struct round_part *part = container_of(note, struct round_part, note);
	struct round *r = part->round;
	r->run(part->worker, r);
	if (atomic_fetch_sub(&r->left, 1) == 1)
		loop_post(r->broker->loop, &r->finished, finished);
}

void round_start(struct round *r, struct broker *broker,
		 void (*run)(struct worker *w, struct round *r), void (*done)(struct round *r))
{
	r->broker = broker;
	r->run = run;
	r->done = done;
	atomic_store(&r->left, broker->workers);
	r->part = mem_array(struct round_part, broker->workers);
	/* The last worker may finish, and the round be gone, before the loop below would look at
	 * it again. */
	struct round_part *part = r->part;
	const unsigned n = broker->workers;
	for (unsigned i = 0; i < n; i++) {
		part[i].round = r;
		part[i].worker = broker->worker[i];
	}
	for (unsigned i = 0; i < n; i++)
		loop_post(broker->worker[i]->loop, &part[i].note, run_part);
}
