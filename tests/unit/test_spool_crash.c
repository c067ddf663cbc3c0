/* SPDX-License-Identifier: Apache-2.0
 *
 * The store is killed in the middle of its work, again and again: what it had answered is there,
 * and of what it had not answered whole batches or nothing. The spool runs in a process of its own;
 * this one is the broker, and looks at the file afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "db/sql.h"
#include "tests/unit/spool_rig.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { ROUNDS = 12, ANSWERS = 40, UNDER_WAY = 8, PATIENCE_MS = 20000, MILLION = 1000000 };

static void no_event(void *arg, enum event event, const char *reason, struct str detail)
{
	(void)arg;
	(void)event;
	(void)reason;
	(void)detail;
}

static void not_broken(void *arg, const char *why, bool misbehaved)
{
	(void)arg;
	(void)why;
	(void)misbehaved;
}

static void run_store(struct spool_rig *r, const int *fd)
{
	struct spool *spool;
	struct loop *loop = loop_new();
	const struct spool_hooks hooks = {loop, NULL, no_event, not_broken};
	if (spool_open(&hooks, r->dir.path, r->max_size, &spool))
		_exit(1);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_set_link(spool, w, fd[w]);
	loop_run(loop);
	_exit(1);
}

static pid_t start_store(struct spool_rig *r)
{
	int near_end[RIG_WORKERS];
	int far_end[RIG_WORKERS];
	uint64_t seq[RIG_WORKERS];
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		near_end[w] = pair[0];
		far_end[w] = pair[1];
		seq[w] = r->worker[w].done;
	}
	const pid_t pid = fork();
	if (pid == 0) {
		for (unsigned w = 0; w < RIG_WORKERS; w++)
			close(near_end[w]);
		run_store(r, far_end);
	}
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		close(far_end[w]);
		spool_rig_use(r, w, near_end[w]);
		r->worker[w].seq = r->worker[w].done = seq[w];
	}
	return pid;
}

static uint64_t sid_of(unsigned w, uint64_t seq)
{
	return (w + 1) * (uint64_t)MILLION + 2 * seq;
}

/* Two sessions, a message for both; the batch takes away what the second one before brought to the
 * first of its sessions. */
static void make_batch(unsigned w, uint64_t seq, struct buf *b)
{
	const uint64_t sid = sid_of(w, seq);
	put_session(b, sid, "a");
	put_session(b, sid + 1, "b");
	put_message(b, sid, "topic",
		    "some bytes that make up a message of a usual size for a device");
	put_queue(b, sid, 1, sid);
	put_queue(b, sid + 1, 1, sid);
	if (seq > 2)
		put_queue_gone(b, sid_of(w, seq - 2), 1, sid_of(w, seq - 2));
}

static void keep_busy(struct spool_rig *r)
{
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		struct rig_worker *worker = &r->worker[w];
		while (worker->link && worker->seq < worker->done + UNDER_WAY) {
			AUTO_BUF b = {0};
			make_batch(w, worker->seq + 1, &b);
			spool_rig_send(r, w, &b);
		}
	}
}

static uint64_t answered(const struct spool_rig *r)
{
	uint64_t n = 0;
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		n += r->worker[w].done;
	return n;
}

static int64_t count(struct sql *db, const char *text, uint64_t from, uint64_t to)
{
	const struct sql_value v[] = {sql_int((int64_t)from), sql_int((int64_t)to)};
	int64_t n = -1;
	assert_true(sql_get_int(db, &n, text, v, 2));
	return n;
}

/* The batches up to some number that is not below the last answer, and nothing else. */
static void check_worker(struct sql *db, const struct spool_rig *r, unsigned w)
{
	const uint64_t first = sid_of(w, 0);
	const uint64_t end = sid_of(w + 1, 0) - 1;
	const uint64_t seq = (uint64_t)count(
		db, "SELECT coalesce(max(seq), 0) FROM applied WHERE worker = ?1 AND ?2 = 0", w, 0);
	const uint64_t taken = seq > 2 ? seq - 2 : 0;
	assert_true(seq >= r->worker[w].done);
	assert_true(seq <= r->worker[w].seq);
	assert_int_equal(
		count(db, "SELECT count(*) FROM session WHERE sid BETWEEN ? AND ?", first, end),
		2 * seq);
	assert_int_equal(count(db, "SELECT count(*) FROM session WHERE sid BETWEEN ? AND ?",
			       sid_of(w, 1), sid_of(w, seq) + 1),
			 2 * seq);
	assert_int_equal(
		count(db, "SELECT count(*) FROM queue WHERE sid BETWEEN ? AND ?", first, end),
		2 * seq - taken);
	assert_int_equal(
		count(db, "SELECT count(*) FROM message WHERE mid BETWEEN ? AND ?", first, end),
		seq);
	assert_int_equal(
		count(db,
		      "SELECT count(*) FROM queue WHERE sid BETWEEN ? AND ? AND mid NOT IN "
		      "(SELECT mid FROM message)",
		      first, end),
		0);
}

static void check_file(struct spool_rig *r)
{
	struct sql *db;
	assert_int_equal(sql_open(scratch_file(&r->dir, "spool.db"), SQL_FULL, &db), 0);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		check_worker(db, r, w);
	sql_close(db);
}

/* The links end; what was answered before is still read. */
static void wait_broken(struct spool_rig *r)
{
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_until(r, &r->worker[w].broken);
}

static void what_was_answered_survives_a_kill(void **state)
{
	struct spool_rig *r = *state;
	spool_rig_close(r);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const uint64_t enough = answered(r) + ANSWERS + 13 * round;
		const uint64_t end = clock_mono_ms() + PATIENCE_MS;
		const pid_t pid = start_store(r);
		while (answered(r) < enough && clock_mono_ms() < end) {
			keep_busy(r);
			loop_turn(r->loop, 20);
		}
		assert_true(answered(r) >= enough);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		wait_broken(r);
		check_file(r);
	}
}

static int set_up(void **state)
{
	*state = spool_rig_new();
	return 0;
}

static int tear_down(void **state)
{
	spool_rig_free(*state);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_answered_survives_a_kill, set_up,
						tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
