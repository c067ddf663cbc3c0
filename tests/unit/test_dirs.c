/* SPDX-License-Identifier: Apache-2.0
 *
 * The state directory: what is made with which mode, what is refused, the lock, files written whole
 * or not at all, the secret of the tickets. As whoever runs the tests.
 */
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/proc/dirs.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <utime.h>

#include <cmocka.h>

static struct scratch dir;
static struct priv_user users[PROCESS_COUNT];
static char state[300], run[300];

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&dir);
	snprintf(state, sizeof(state), "%s/a/state", dir.path);
	snprintf(run, sizeof(run), "%s/run", dir.path);
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		users[i] = (struct priv_user){geteuid(), getegid()};
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	scratch_remove(&dir);
	return 0;
}

static unsigned mode_of(const char *name)
{
	struct stat st;
	char path[600];
	snprintf(path, sizeof(path), "%s/%s", state, name);
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* In a process of its own: the lock is held until it ends. */
static int prepare(void)
{
	int status = 0;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(-dirs_prepare(state, run, users));
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void everything_is_made(void **unused)
{
	(void)unused;
	assert_int_equal(prepare(), 0);
	assert_int_equal(mode_of("vault"), 0700);
	assert_int_equal(mode_of("store"), 0700);
	assert_int_equal(mode_of("pub"), 0755);
	assert_int_equal(mode_of("lock"), 0600);
	assert_int_equal(access(run, W_OK), 0);
	assert_int_equal(prepare(), 0); /* and it stays right */
}

static void what_others_may_write_or_read_is_refused(void **unused)
{
	char path[600];
	(void)unused;
	assert_int_equal(prepare(), 0);
	assert_int_equal(chmod(state, 0777), 0);
	assert_int_equal(prepare(), ERR_DENIED);
	assert_int_equal(chmod(state, 0755), 0);
	snprintf(path, sizeof(path), "%s/vault", state);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(prepare(), ERR_DENIED);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(prepare(), 0);
}

static void a_link_in_place_of_a_directory_is_refused(void **unused)
{
	char path[600];
	(void)unused;
	assert_int_equal(prepare(), 0);
	snprintf(path, sizeof(path), "%s/store", state);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("vault", path), 0);
	assert_int_equal(prepare(), ERR_IO);
}

static void another_users_directory_is_refused(void **unused)
{
	(void)unused;
	assert_int_equal(prepare(), 0);
	users[PROCESS_STORE].uid += 12345;
	assert_int_equal(prepare(), ERR_DENIED);
}

static void only_one_at_a_time(void **unused)
{
	char path[600];
	(void)unused;
	assert_int_equal(prepare(), 0);
	snprintf(path, sizeof(path), "%s/lock", state);
	AUTO_FD fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(prepare(), ERR_EXISTS);
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_int_equal(prepare(), 0);
}

static void a_file_is_written_whole(void **unused)
{
	char text[20] = "";
	(void)unused;
	const char *path = scratch_file(&dir, "file");
	assert_int_equal(dirs_write(path, STR("first"), 0644), 0);
	assert_int_equal(dirs_write(path, STR("second"), 0600), 0);
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	assert_int_equal(read(fd, text, sizeof(text) - 1), 6);
	assert_string_equal(text, "second");
	assert_true(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	assert_int_equal(scratch_size(&dir, "file.new"), -1);
}

static void a_file_that_cannot_be_written_stays(void **unused)
{
	(void)unused;
	scratch_write(&dir, "file", "old", 3, 0600);
	assert_int_equal(symlink("/dev/full", scratch_file(&dir, "file.new")), 0);
	char path[600];
	snprintf(path, sizeof(path), "%s/file", dir.path);
	assert_int_equal(dirs_write(path, STR("new"), 0600), ERR_IO);
	assert_int_equal(scratch_size(&dir, "file"), 3);
	assert_int_equal(dirs_write("/nonexistent/file", STR("new"), 0600), ERR_IO);
}

static void tickets_survive_a_restart_for_a_day(void **unused)
{
	unsigned char first[TICKET_SECRET], second[TICKET_SECRET];
	uint64_t epoch = 0, again = 0;
	(void)unused;
	assert_int_equal(dirs_ticket_secret(dir.path, first, &epoch), 0);
	assert_int_equal(dirs_ticket_secret(dir.path, second, &again), 0);
	assert_memory_equal(first, second, TICKET_SECRET);
	assert_true(epoch == again || epoch == again + 1 || epoch + 1 == again);
	const struct utimbuf yesterday = {time(NULL) - 86401, time(NULL) - 86401};
	assert_int_equal(utime(scratch_file(&dir, "ticket-secret"), &yesterday), 0);
	assert_int_equal(dirs_ticket_secret(dir.path, second, &again), 0);
	assert_memory_not_equal(first, second, TICKET_SECRET);
	assert_true(again >= epoch);
}

/* One that others could have read, or that is cut, opens no session. */
static void a_secret_that_is_none_is_replaced(void **unused)
{
	static const struct {
		size_t size;
		mode_t mode;
	} bad[] = {{TICKET_SECRET, 0644}, {TICKET_SECRET - 1, 0600}, {0, 0600}};
	unsigned char known[TICKET_SECRET] = {0}, got[TICKET_SECRET];
	uint64_t epoch;
	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		scratch_write(&dir, "ticket-secret", known, bad[i].size, bad[i].mode);
		assert_int_equal(dirs_ticket_secret(dir.path, got, &epoch), 0);
		assert_memory_not_equal(known, got, TICKET_SECRET);
		assert_int_equal(scratch_size(&dir, "ticket-secret"), TICKET_SECRET);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(everything_is_made),
		T(what_others_may_write_or_read_is_refused),
		T(a_link_in_place_of_a_directory_is_refused),
		T(another_users_directory_is_refused),
		T(only_one_at_a_time),
		T(a_file_is_written_whole),
		T(a_file_that_cannot_be_written_stays),
		T(tickets_survive_a_restart_for_a_day),
		T(a_secret_that_is_none_is_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
