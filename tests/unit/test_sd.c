/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told to systemd and taken from it, with a datagram socket in its place. Each test runs in
 * a process of its own: descriptors are passed once in a process's life.
 */
#include "daemon/base/str.h"
#include "daemon/proc/sd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int manager = -1;

/* An abstract socket of the kernel's choice; its name in NOTIFY_SOCKET. */
static int set_up(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t n = sizeof(sa_family_t);
	char name[64];
	(void)state;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (manager < 0 || bind(manager, (struct sockaddr *)&at, n))
		return -1;
	n = sizeof(at);
	if (getsockname(manager, (struct sockaddr *)&at, &n))
		return -1;
	snprintf(name, sizeof(name), "@%.*s", (int)(n - sizeof(sa_family_t) - 1), at.sun_path + 1);
	return setenv("NOTIFY_SOCKET", name, 1);
}

static int tear_down(void **state)
{
	(void)state;
	close(manager);
	return 0;
}

/* The next message, and the descriptor that came with it or -1. False: nothing was said. */
static bool hear(char text[256], int *fd)
{
	struct iovec iov = {text, 255};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	const ssize_t n = recvmsg(manager, &m, 0);
	*fd = -1;
	if (n < 0)
		return false;
	text[n] = '\0';
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return true;
}

static void states_are_told(void **state)
{
	char text[256];
	int fd;
	(void)state;
	sd_notify_state("READY=1\nSTATUS=%d", 5);
	assert_true(hear(text, &fd));
	assert_string_equal(text, "READY=1\nSTATUS=5");
	assert_int_equal(fd, -1);
}

static void nothing_without_systemd(void **state)
{
	char text[256];
	int fd;
	(void)state;
	static const char *const bad[] = {"", "relative", "/nonexistent/socket", "@"};
	unsetenv("NOTIFY_SOCKET");
	sd_notify_state("READY=1");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		setenv("NOTIFY_SOCKET", bad[i], 1);
		sd_notify_state("READY=1");
		sd_store_fd("x", STDIN_FILENO);
	}
	assert_false(hear(text, &fd));
}

static bool same_file(int a, int b)
{
	struct stat x, y;
	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static void sockets_are_stored(void **state)
{
	char text[256];
	int fd, pipes[2];
	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	sd_store_fd("mqtts/0.0.0.0_8883/0", pipes[0]);
	assert_true(hear(text, &fd));
	assert_string_equal(text, "FDSTORE=1\nFDNAME=mqtts/0.0.0.0_8883/0");
	assert_true(same_file(fd, pipes[0]));
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

/* As systemd starts a service: descriptors from 3 on, and the variables. */
static void pass(int n, const char *names, pid_t pid)
{
	char text[32];
	for (int i = 0; i < n; i++) {
		const int fd = memfd_create("passed", 0);
		if (dup2(fd, 3 + i) < 0)
			abort();
	}
	snprintf(text, sizeof(text), "%d", n);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", (int)pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static int take_what_was_passed(void)
{
	pass(4, "a:b:c:d", getpid());
	if (sd_take_fd("none") != -1 || sd_take_fd("b") != 4 || sd_take_fd("b") != -1)
		return 1;
	if (!(fcntl(4, F_GETFD) & FD_CLOEXEC) || getenv("LISTEN_FDS") || getenv("LISTEN_PID"))
		return 2;
	if (sd_take_fd("d") != 6)
		return 3;
	sd_close_rest();
	/* a and c are closed, b and d ours. */
	return fcntl(3, F_GETFD) < 0 && fcntl(5, F_GETFD) < 0 && fcntl(4, F_GETFD) >= 0 &&
			       fcntl(6, F_GETFD) >= 0
		       ? 0
		       : 4;
}

static int take_what_is_anothers(void)
{
	pass(1, "a", getpid() + 1);
	if (sd_take_fd("a") != -1)
		return 1;
	sd_close_rest();
	return fcntl(3, F_GETFD) >= 0 ? 0 : 2;
}

static int take_more_than_names(void)
{
	pass(3, "a", getpid());
	if (sd_take_fd("a") != 3)
		return 1;
	sd_close_rest();
	return fcntl(4, F_GETFD) < 0 && fcntl(5, F_GETFD) < 0 ? 0 : 2;
}

static void in_a_process_of_its_own(int (*run)(void))
{
	int status = 0;
	fflush(stdout);
	const pid_t pid = fork();
	if (pid == 0)
		_exit(run());
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void passed_sockets_are_taken_by_name(void **state)
{
	char text[256];
	int fd;
	(void)state;
	in_a_process_of_its_own(take_what_was_passed);
	assert_true(hear(text, &fd));
	assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=a");
	assert_true(hear(text, &fd));
	assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=c");
	assert_false(hear(text, &fd));
}

static void what_was_meant_for_another_process(void **state)
{
	char text[256];
	int fd;
	(void)state;
	in_a_process_of_its_own(take_what_is_anothers);
	assert_false(hear(text, &fd));
}

static void sockets_without_a_name_are_closed(void **state)
{
	(void)state;
	in_a_process_of_its_own(take_more_than_names);
}

static void the_watchdog_is_fed_twice_in_its_time(void **state)
{
	(void)state;
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(sd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "nonsense", 1);
	assert_int_equal(sd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(sd_watchdog_ms(), 15000);
	unsetenv("WATCHDOG_USEC");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(states_are_told),
		T(nothing_without_systemd),
		T(sockets_are_stored),
		T(passed_sockets_are_taken_by_name),
		T(what_was_meant_for_another_process),
		T(sockets_without_a_name_are_closed),
		T(the_watchdog_is_fed_twice_in_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
