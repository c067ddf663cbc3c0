/* SPDX-License-Identifier: Apache-2.0
 *
 * Long work in portions: see job.h.
 */
#include "db/job.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/thread.h"
#include "db/ops.h"

#include <stdlib.h>
#include <unistd.h>

/* A commit syncs all that a job wrote, and copies it into the file. */
struct job_commit {
	struct loop_note note;
	struct loop *loop;
	pthread_t thread;
	struct job *job; /* NULL: nobody waits any more */
	struct sql *db;
	int error;
};

/* A record that waits for a job that writes. */
struct kept {
	struct list node;
	enum process peer;
	unsigned generation; /* of its link */
	uint64_t until_ms;   /* its sender waits for the answer; 0: for none */
	struct record record;
	struct buf body;
	job_handler *handle;
};

void jobs_init(struct jobs *jobs)
{
	*jobs = (struct jobs){0};
	list_init(&jobs->active);
	list_init(&jobs->waiting);
	list_init(&jobs->kept);
}

/* ---- records that wait ---- */

static void free_kept(struct jobs *jobs, struct kept *k)
{
	list_remove(&k->node);
	jobs->kept_n--;
	jobs->kept_bytes -= k->body.n;
	if (k->record.fd >= 0)
		close(k->record.fd);
	secret_buf_fini(&k->body); /* it may hold a password */
	free(k);
}

static bool is_due(const struct jobs *jobs)
{
	list_each (it, &jobs->waiting)
		if (list_entry(it, struct job, node)->writes)
			return true;
	return jobs->writer != NULL;
}

bool job_keep_back(struct store *s, enum process peer, struct record *r, job_handler *handle,
		   bool *full)
{
	struct jobs *jobs = &s->jobs;
	*full = false;
	if (jobs->entered || (!is_due(jobs) && list_empty(&jobs->kept)))
		return false;
	*full = jobs->kept_n >= JOB_KEPT_MAX || jobs->kept_bytes + r->body.n > JOB_KEPT_BYTES_MAX;
	if (*full)
		return false;
	struct kept *k = mem_new(struct kept);
	k->peer = peer;
	k->generation = s->peer[peer].generation;
	k->until_ms = r->deadline_ms ? clock_mono_ms() + r->deadline_ms : 0;
	k->handle = handle;
	k->record = *r;
	k->record.fd = TAKE_FD(r->fd);
	buf_str(&k->body, r->body);
	list_append(&jobs->kept, &k->node);
	jobs->kept_n++;
	jobs->kept_bytes += k->body.n;
	return true;
}

static void give(struct store *s, struct kept *k)
{
	const struct peer *peer = &s->peer[k->peer];
	const bool own = k->peer == PROCESS_STORE || k->peer == PROCESS_PARENT;
	if (!own && (!peer->link || peer->generation != k->generation))
		return;
	/* Its caller was told that it failed, and may have asked again. */
	if (k->until_ms && clock_mono_ms() > k->until_ms)
		return;
	k->record.body = buf_view(&k->body);
	if (k->handle(s, k->peer, &k->record) && s->child)
		child_misbehaved(s->child, k->peer, "sent a malformed record");
}

/* One at a time: each may be long. What comes meanwhile stands behind them. */
static bool give_one(struct store *s)
{
	struct jobs *jobs = &s->jobs;
	if (list_empty(&jobs->kept))
		return false;
	struct kept *k = list_entry(jobs->kept.next, struct kept, node);
	jobs->entered = true; /* its handler does not keep it back again */
	give(s, k);
	jobs->entered = false;
	free_kept(jobs, k);
	return true;
}

/* ---- begin and end ---- */

static void turn(struct loop_timer *t);

static void begin(struct job *j)
{
	struct store *s = j->s;
	list_remove(&j->node);
	list_append(&s->jobs.active, &j->node);
	j->began = true;
	j->db = sql_open_again(s->registry);
	if (j->writes)
		s->jobs.writer = j;
	loop_timer_start(s->loop, &j->timer, "job", 0, turn);
}

static void leave(struct job *j)
{
	struct jobs *jobs = &j->s->jobs;
	loop_timer_stop(j->s->loop, &j->timer);
	list_remove(&j->node);
	if (jobs->writer == j)
		jobs->writer = NULL;
	j->portion = NULL;
	j->began = false;
	job_look(j->s);
}

/* Runs with the job's connection in the place of the store's. */
static bool within(struct job *j, bool (*run)(struct job *))
{
	struct store *s = j->s;
	struct sql *shared = s->registry;
	if (j->db)
		s->registry = j->db;
	s->jobs.entered = true;
	const bool more = run(j);
	s->jobs.entered = false;
	s->registry = shared;
	return more;
}

static bool run_over(struct job *j)
{
	j->over(j);
	return false;
}

static void end(struct job *j)
{
	struct sql *db = j->db;
	leave(j);
	within(j, run_over);
	if (db)
		sql_close(db);
}

/* ---- the commit ---- */

static void committed(struct loop_note *note)
{
	struct job_commit *commit = container_of(note, struct job_commit, note);
	struct job *j = commit->job;
	if (j) {
		pthread_join(commit->thread, NULL);
		j->error = commit->error;
		j->commit = NULL;
		end(j);
	}
	free(commit);
}

static void *commit_main(void *arg)
{
	struct job_commit *commit = arg;
	commit->error = sql_commit(commit->db);
	loop_post(commit->loop, &commit->note, committed);
	return NULL;
}

static void begin_commit(struct job *j)
{
	struct job_commit *commit = mem_new(struct job_commit);
	commit->loop = j->s->loop;
	commit->job = j;
	commit->db = j->db;
	j->commit = commit;
	if (thread_start(&commit->thread, commit_main, commit) == 0)
		return;
	free(TAKE(j->commit));
	j->error = sql_commit(j->db);
	end(j);
}

/* ---- portions ---- */

static bool work(struct job *j)
{
	const uint64_t until = clock_mono_ms() + JOB_PORTION_MS;
	struct sql *db = j->s->registry;
	bool more = true;
	if (!sql_in_transaction(db))
		(j->writes ? sql_begin : sql_begin_reading)(db);
	while (more && (!j->db || clock_mono_ms() < until))
		more = j->portion(j);
	if (more || (j->keeps && j->db))
		return more;
	if (j->keeps)
		j->error = sql_commit(db);
	else
		sql_rollback(db);
	return false;
}

static void turn(struct loop_timer *t)
{
	struct job *j = container_of(t, struct job, timer);
	if (within(j, work))
		loop_timer_start(j->s->loop, &j->timer, "job", 1, turn);
	else if (j->keeps && j->db)
		begin_commit(j);
	else
		end(j);
}

/* ---- whose turn it is ---- */

/* What is under way may commit any moment, a call whose job reads when that is over; one that waits
 * for its own job to write does nothing. */
static bool changes_under_way(const struct store *s)
{
	list_each (it, &s->calls) {
		const struct op_call *c = list_entry(it, struct op_call, node);
		const bool waits = job_runs(&c->job) && c->job.writes;
		if (!waits && (c->enrolment || op_spec(c->op)->effect == CHANGES))
			return true;
	}
	return link_call_waiting(&s->ca_call) || s->lists.asking;
}

static bool may_begin(struct store *s, const struct job *j)
{
	size_t readers = 0;
	list_each (it, &s->jobs.active)
		readers += !list_entry(it, struct job, node)->writes;
	if (!j->writes)
		return j->first || readers < JOB_READERS_MAX;
	return !s->jobs.writer && list_empty(&s->jobs.kept) && !changes_under_way(s);
}

static void look(struct loop_timer *t)
{
	struct jobs *jobs = container_of(t, struct jobs, timer);
	struct store *s = container_of(jobs, struct store, jobs);
	if (!jobs->writer && give_one(s)) {
		job_look(s);
		return;
	}
	bool wrote = false;
	list_each_safe (it, &jobs->waiting) {
		struct job *j = list_entry(it, struct job, node);
		if (j->writes && wrote)
			continue; /* in their order */
		wrote |= j->writes;
		if (may_begin(s, j))
			begin(j);
	}
}

void job_look(struct store *s)
{
	struct jobs *jobs = &s->jobs;
	if (!loop_timer_running(&jobs->timer) &&
	    (!list_empty(&jobs->waiting) || !list_empty(&jobs->kept)))
		loop_timer_start(s->loop, &jobs->timer, "jobs", 1, look);
}

bool job_writes(const struct store *s)
{
	return s->jobs.writer != NULL && !s->jobs.entered;
}

void job_start(struct store *s, struct job *j)
{
	CHECK(!j->began && j->portion && j->over);
	j->s = s;
	if (j->first)
		list_prepend(&s->jobs.waiting, &j->node);
	else
		list_append(&s->jobs.waiting, &j->node);
	job_look(s);
}

void job_stop(struct job *j)
{
	if (!job_runs(j))
		return;
	struct sql *db = j->db;
	if (j->commit) {
		pthread_join(j->commit->thread, NULL);
		j->commit->job = NULL; /* its note frees it */
		j->commit = NULL;
	} else if (db && sql_in_transaction(db)) {
		sql_rollback(db);
	}
	leave(j);
	if (db)
		sql_close(db);
}

void jobs_fini(struct store *s)
{
	struct jobs *jobs = &s->jobs;
	while (!list_empty(&jobs->kept))
		free_kept(jobs, list_entry(jobs->kept.next, struct kept, node));
	loop_timer_stop(s->loop, &jobs->timer);
}
