/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread beside the loop of a web process, for arithmetic that takes long: keys of RSA,
 * PKCS#12. It starts with the first job, does one after the other, and no more than ASIDE_MAX
 * wait. What belongs to a job is the thread's until done is called, in the loop.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/net/loop.h"

#include <pthread.h>

enum { ASIDE_MAX = 8 };

struct aside_job {
	struct list node;
	struct loop_note note;
	void (*work)(struct aside_job *j); /* in the thread */
	void (*done)(struct aside_job *j); /* in the loop, afterwards */
};

struct aside {
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list waiting; /* struct aside_job */
	size_t n;            /* of them, with the one in hand */
	bool started;
	bool quit;
};

void aside_init(struct aside *w, struct loop *loop);
/* work and done of the job are set. False: too many wait. */
bool aside_give(struct aside *w, struct aside_job *j);
/* Does what waits and ends the thread; done of each follows in the next turn of the loop. */
void aside_stop(struct aside *w);
