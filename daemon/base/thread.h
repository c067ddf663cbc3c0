/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads beside a main thread: signals stay with that one, which reads them from its loop.
 */
#pragma once

#include <pthread.h>
#include <signal.h>

/* As pthread_create with default attributes, all signals blocked in the new thread: 0 or an errno.
 */
static inline int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int error = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}
