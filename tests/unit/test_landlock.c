/* SPDX-License-Identifier: Apache-2.0
 *
 * Landlock: below the directory everything that a database needs, elsewhere nothing; descriptors
 * that are open stay usable. Each test confines a process of its own.
 */
#include "daemon/base/defs.h"
#include "daemon/base/err.h"
#include "daemon/proc/landlock.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct scratch inside, outside;

static int set_up(void **state)
{
	(void)state;
	scratch_make(&inside);
	scratch_make(&outside);
	scratch_write(&inside, "file", "in", 2, 0600);
	scratch_write(&outside, "file", "out", 3, 0600);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_remove(&inside);
	scratch_remove(&outside);
	return 0;
}

/* The number of the first step that went wrong, 0 when none did. */
#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

static bool can_open(struct scratch *s, const char *name, int flags)
{
	AUTO_FD fd = open(scratch_file(s, name), flags | O_CLOEXEC, 0600);
	return fd >= 0;
}

static int below_a_directory(void)
{
	char from[600], to[600];
	AUTO_FD before = open(scratch_file(&outside, "file"), O_RDONLY | O_CLOEXEC);
	char text[4] = "";
	STEP(1, landlock_confine(inside.path) == 0);
	STEP(2, can_open(&inside, "file", O_RDWR));
	STEP(3, can_open(&inside, "new", O_RDWR | O_CREAT | O_EXCL));
	STEP(4, can_open(&inside, "file", O_RDWR | O_TRUNC));
	snprintf(from, sizeof(from), "%s/new", inside.path);
	snprintf(to, sizeof(to), "%s/renamed", inside.path);
	STEP(5, rename(from, to) == 0 && unlink(to) == 0);
	snprintf(from, sizeof(from), "%s/folder", inside.path);
	STEP(6, mkdir(from, 0700) == 0 && rmdir(from) == 0);
	/* Neither through a link that leads out, nor by making one. */
	STEP(7, symlink(outside.path, from) != 0 && errno == EACCES);
	STEP(8, !can_open(&outside, "file", O_RDONLY) && errno == EACCES);
	STEP(9, !can_open(&outside, "new", O_RDWR | O_CREAT));
	STEP(10, unlink(scratch_file(&outside, "file")) != 0);
	STEP(11, open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0);
	snprintf(from, sizeof(from), "%s/file", inside.path);
	snprintf(to, sizeof(to), "%s/moved", outside.path);
	STEP(12, rename(from, to) != 0);
	STEP(13, read(before, text, 3) == 3 && memcmp(text, "out", 3) == 0);
	return 0;
}

static int nowhere(void)
{
	STEP(1, landlock_confine(NULL) == 0);
	STEP(2, !can_open(&inside, "file", O_RDONLY));
	STEP(3, !can_open(&outside, "file", O_RDONLY));
	STEP(4, open("/", O_RDONLY | O_CLOEXEC) < 0);
	STEP(5, open("/proc/self/mem", O_RDWR | O_CLOEXEC) < 0);
	return 0;
}

static int what_is_not_there(void)
{
	STEP(1, landlock_confine(scratch_file(&inside, "nothing")) == ERR_IO);
	return 0;
}

static void confined(int (*run)(void))
{
	int status = 0;
	fflush(stdout);
	const pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(run());
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void only_below_its_directory(void **state)
{
	(void)state;
	confined(below_a_directory);
}

static void no_file_at_all(void **state)
{
	(void)state;
	confined(nowhere);
}

static void a_directory_that_is_not_there(void **state)
{
	(void)state;
	confined(what_is_not_there);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(only_below_its_directory),
		T(no_file_at_all),
		T(a_directory_that_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
