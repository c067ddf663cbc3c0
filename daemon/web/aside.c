/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread for long work: see aside.h.
 */
#include "daemon/web/aside.h"
#include "daemon/base/check.h"
#include "daemon/base/thread.h"

static void finished(struct loop_note *note)
{
	struct aside_job *j = container_of(note, struct aside_job, note);
	j->done(j);
}

static struct aside_job *next_job(struct aside *w)
{
	pthread_mutex_lock(&w->lock);
	while (list_empty(&w->waiting) && !w->quit)
		pthread_cond_wait(&w->wake, &w->lock);
	struct aside_job *j = NULL;
	if (!list_empty(&w->waiting)) {
		j = list_entry(w->waiting.next, struct aside_job, node);
		list_remove(&j->node);
	}
	pthread_mutex_unlock(&w->lock);
	return j;
}

static void *thread_main(void *arg)
{
	struct aside *w = arg;
	struct aside_job *j;
	while ((j = next_job(w))) {
		j->work(j);
		pthread_mutex_lock(&w->lock);
		w->n--;
		pthread_mutex_unlock(&w->lock);
		loop_post(w->loop, &j->note, finished);
	}
	return NULL;
}

void aside_init(struct aside *w, struct loop *loop)
{
	*w = (struct aside){.loop = loop};
	list_init(&w->waiting);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
}

static void start(struct aside *w)
{
	CHECK(thread_start(&w->thread, thread_main, w) == 0);
	w->started = true;
}

bool aside_give(struct aside *w, struct aside_job *j)
{
	if (!w->started)
		start(w);
	pthread_mutex_lock(&w->lock);
	const bool taken = w->n < ASIDE_MAX && !w->quit;
	if (taken) {
		list_append(&w->waiting, &j->node);
		w->n++;
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return taken;
}

void aside_stop(struct aside *w)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	w->quit = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
}
