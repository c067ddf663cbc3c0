/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking file descriptors: daemon/base/fd.h.
 */
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 1 * MiB };

static atomic_int interrupted; /* by a signal in one thread, read by another */

static void on_alarm(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* Reads only after the writer was interrupted in the middle of its bytes. */
static void *read_late(void *fd)
{
	const int from = *(const int *)fd;
	char *got = mem_alloc(SIZE);
	size_t n = 0;
	ssize_t more;
	while (!interrupted)
		usleep(1000);
	while (n < SIZE && (more = read(from, got + n, SIZE - n)) > 0)
		n += (size_t)more;
	assert_int_equal(n, SIZE);
	return got;
}

static void interruptions_lose_nothing(void **state)
{
	(void)state;
	int pipes[2];
	pthread_t reader;
	sigset_t alarm;
	void *got;
	AUTO_CHAR bytes = mem_alloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 / 5);
	const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
	sigaction(SIGALRM, &action, NULL);
	assert_int_equal(pipe(pipes), 0);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* the reader is not to be interrupted */
	assert_int_equal(pthread_create(&reader, NULL, read_late, &pipes[0]), 0);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	struct itimerval every = {{0, 2000}, {0, 2000}};
	setitimer(ITIMER_REAL, &every, NULL);
	assert_int_equal(fd_write(pipes[1], str_make(bytes, SIZE)), 0);
	every = (struct itimerval){0};
	setitimer(ITIMER_REAL, &every, NULL);
	assert_int_equal(pthread_join(reader, &got), 0);
	assert_memory_equal(got, bytes, SIZE);
	free(got);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_full_disk_is_told(void **state)
{
	(void)state;
	AUTO_FD fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(fd_write(fd, STR("x")), ERR_IO);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fd_write(fd, STR("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interruptions_lose_nothing),
		cmocka_unit_test(a_full_disk_is_told),
	};
	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
