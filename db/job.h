/* SPDX-License-Identifier: Apache-2.0
 *
 * Long work on the registry, in portions: between two of them the loop serves everybody else, above
 * all devices that log in. A job has a connection of its own. What it reads is the picture of one
 * moment, and what it writes nobody sees before its commit, which a thread of its own carries out.
 * While a portion runs, store->registry is that connection: handlers need not know.
 *
 * Jobs that read run side by side. One writes at a time, and nobody beside it, as SQLite has one
 * writer: it begins when every call that changes something has ended, and from then on what would
 * change something is kept back (job_keep_back), and done in its order when the job is over. Work
 * of the store's own timers looks at job_writes and comes back later.
 *
 * Of a registry in memory, and without a descriptor for one more connection, a job is done at once.
 * Main thread of the store.
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "daemon/net/loop.h"
#include "db/sql.h"

enum {
	JOB_PORTION_MS = 10,
	JOB_READERS_MAX = 4, /* at a time */
	JOB_KEPT_MAX = 1024, /* records that wait for a job that writes */
	JOB_KEPT_BYTES_MAX = 64 * MiB,
	JOB_RETRY_MS = 500 /* when a timer whose work was due looks again */
};

struct store;
struct job_commit;

struct job {
	struct list node;
	struct store *s;
	struct sql *db; /* NULL: store->registry itself */
	bool writes;
	bool first; /* before the others, and however many read */
	bool began;
	bool keeps; /* set by a portion before the last: what it wrote is committed, not taken back
		     */
	int error;  /* of the commit */
	struct loop_timer timer;
	struct job_commit *commit; /* with the thread */
	/* A little work. False: that was all. */
	bool (*portion)(struct job *j);
	/* It is over: committed, taken back, or error says why not. The job may be freed. */
	void (*over)(struct job *j);
};

/* Of a store. */
struct jobs {
	struct list active;  /* that have begun */
	struct list waiting; /* in their order */
	struct job *writer;  /* has begun, and is not over */
	bool entered;        /* a portion runs: store->registry is its connection */
	struct list kept;    /* struct kept: records, the oldest first */
	size_t kept_n;
	size_t kept_bytes;
	struct loop_timer timer; /* looks whether one can begin */
};

void jobs_init(struct jobs *jobs);
void jobs_fini(struct store *s); /* after the last call was cancelled */

/* portion, over, writes and first are set. It begins now or later, never before this returns. */
void job_start(struct store *s, struct job *j);
/* Ends it before its time: rolled back, and over is not called. A commit that is on its way is
 * waited for. Nothing when it does not run. */
void job_stop(struct job *j);
static inline bool job_runs(const struct job *j)
{
	return j->portion != NULL;
}

/* Does a job hold the registry, so that nobody else can write now? Not in its own portions. */
bool job_writes(const struct store *s);
/* A call has ended: perhaps a job can begin. */
void job_look(struct store *s);

typedef int job_handler(struct store *s, enum process peer, struct record *r);
/* Is a job that writes at work or due? Then a copy of the record is given to the handler
 * afterwards, unless its sender is gone by then or waits for the answer no more. False: there is
 * none, or too much is kept already
 * (*full). */
bool job_keep_back(struct store *s, enum process peer, struct record *r, job_handler *handle,
		   bool *full);
