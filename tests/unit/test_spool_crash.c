/* SPDX-License-Identifier: Apache-2.0
 *
 * The store is killed in the middle of its work, or the power goes: what it had answered is there,
 * and of what it had not answered whole batches or nothing. For the kill the spool runs in a
 * process of its own, and this one is the broker and looks at the file afterwards. For the power
 * cut it runs here: whenever a file is synchronised, what is in it is copied to another directory,
 * which so has what the disk would have if it had been as lazy as it may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "db/sql.h"
#include "tests/unit/spool_rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
	ROUNDS = 12,
	POWER_CUTS = 8,
	ANSWERS = 40,
	UNDER_WAY = 8,
	PATIENCE_MS = 20000,
	MILLION = 1000000
};

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

static void check_file(struct spool_rig *r, struct scratch *where)
{
	struct sql *db;
	assert_int_equal(sql_open(scratch_file(where, "spool.db"), SQL_FULL, &db), 0);
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
		check_file(r, &r->dir);
	}
}

/* ---- the power goes ---- */

static struct {
	pthread_mutex_t lock;
	const char *dir; /* NULL: nothing is copied */
	unsigned copies;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void copy_file(int from, const char *path)
{
	static char bytes[64 * KiB];
	const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;
	off_t at = 0;
	if (to < 0)
		abort();
	while ((n = pread(from, bytes, sizeof(bytes), at)) > 0) {
		if (write(to, bytes, (size_t)n) != n)
			abort();
		at += n;
	}
	close(to);
}

/* The file of this descriptor, as it is now, is on the disk that outlives the power cut. */
static void reach_disk(int fd)
{
	char link[64];
	char path[512];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	const ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[MAX(n, 0)] = 0;
	const char *name = strrchr(path, '/');
	struct stat st;
	pthread_mutex_lock(&disk.lock);
	if (disk.dir && name && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		AUTO_CHAR to = mem_printf("%s%s", disk.dir, name);
		copy_file(fd, to);
		disk.copies++;
	}
	pthread_mutex_unlock(&disk.lock);
}

/* In place of those of the C library, for SQLite too. */
int fsync(int fd)
{
	reach_disk(fd);
	return 0;
}

int fdatasync(int fd)
{
	reach_disk(fd);
	return 0;
}

/* What is there already. */
static void begin_disk(struct spool_rig *r, struct scratch *other)
{
	AUTO_FD fd = open(scratch_file(&r->dir, "spool.db"), O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(scratch_size(&r->dir, "spool.db-wal"), -1);
	copy_file(fd, scratch_file(other, "spool.db"));
}

static void set_disk(const char *dir)
{
	pthread_mutex_lock(&disk.lock);
	disk.dir = dir;
	pthread_mutex_unlock(&disk.lock);
}

static void what_was_answered_survives_a_power_cut(void **state)
{
	struct spool_rig *r = *state;
	for (unsigned round = 0; round < POWER_CUTS; round++) {
		struct scratch other;
		scratch_make(&other);
		spool_rig_close(r);
		begin_disk(r, &other);
		set_disk(other.path);
		assert_int_equal(spool_rig_open(r), 0);
		for (unsigned w = 0; w < RIG_WORKERS; w++) {
			const uint64_t done = r->worker[w].done;
			spool_rig_link(r, w);
			r->worker[w].seq = r->worker[w].done = done;
		}
		const uint64_t enough = answered(r) + ANSWERS + 17 * round;
		const uint64_t end = clock_mono_ms() + PATIENCE_MS;
		while (answered(r) < enough && clock_mono_ms() < end) {
			keep_busy(r);
			loop_turn(r->loop, 20);
		}
		assert_true(answered(r) >= enough);
		set_disk(NULL);
		assert_true(disk.copies > round);
		check_file(r, &other);
		spool_rig_close(r);
		/* the machine starts again from what the disk has */
		scratch_remove(&r->dir);
		r->dir = other;
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
		cmocka_unit_test_setup_teardown(what_was_answered_survives_a_power_cut, set_up,
						tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
