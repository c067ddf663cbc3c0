/* SPDX-License-Identifier: Apache-2.0
 *
 * Password threads and the queue before them: see logins.h.
 *
 * The main thread decides what is hashed next and hands over at most one job per thread; so all the
 * bookkeeping is its own, and the lock covers only that hand-over.
 */
#include "db/logins.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/thread.h"
#include "daemon/net/addr.h"
#include "db/hash.h"
#include "db/rate.h"
#include "db/scram.h"

#include <stdio.h>
#include <stdlib.h>

enum { SWEEP_MS = 10 * 1000, KEY_SIZE = 32, THREADS_MAX = 16 };

/* Whose turn it is: the lower first. */
enum kind { KNOWN, STRANGER, SUSPECT, KINDS };

struct source {
	uint64_t key;
	struct list node[KINDS]; /* in `turns` while it has such jobs */
	struct list jobs[KINDS];
	struct rate rate;
	uint64_t suspect_until_ms;
};

struct job {
	struct list node;
	struct loop_note note;
	struct logins *logins;
	struct buf password;
	char verifier[VERIFIER_MAX]; /* to check against; the result of making one */
	uint64_t source;
	enum kind kind;
	bool make;
	bool ok;
	void *arg; /* NULL: cancelled */
	void (*checked)(void *arg, enum login_result result);
	void (*made)(void *arg, const char *verifier, struct str scram);
	unsigned char scram[SCRAM_RECORD];
};

struct logins {
	struct loop *loop;
	struct map sources;       /* of addresses */
	struct list turns[KINDS]; /* sources with jobs, the next one first */
	struct list first;        /* jobs that go before */
	struct list flying;       /* every job that is or was with a thread, until its note ran */
	size_t queued[KINDS];
	unsigned strangers; /* in a row, while suspects wait */
	struct logins_stats stats;
	unsigned in_flight;
	struct map verified; /* HMACs of right passwords; the value means nothing */
	char key[KEY_SIZE];
	uint32_t scram_iterations;
	uint32_t rate; /* per second and source */
	struct loop_timer sweep_timer;
	bool stopping;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *handed[THREADS_MAX]; /* jobs for the threads, the first `handed_n` */
	unsigned handed_n;
	bool quit;
	pthread_t thread[THREADS_MAX];
	unsigned threads;
};

static void free_job(struct job *j)
{
	secret_buf_fini(&j->password);
	secret_wipe(j->verifier, sizeof(j->verifier));
	secret_wipe(j->scram, sizeof(j->scram));
	free(j);
}

static void free_logins(struct logins *l)
{
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	secret_wipe(l->key, sizeof(l->key));
	free(l);
}

/* ---- remembered passwords ---- */

static void mac(const struct logins *l, struct str password, const char *verifier,
		unsigned char out[SHA256_SIZE])
{
	AUTO_SECRET text = {0};
	buf_put(&text, verifier, strlen(verifier) + 1);
	buf_str(&text, password);
	hash_hmac_sha256(str_make(l->key, KEY_SIZE), buf_view(&text), out);
}

bool logins_remembered(const struct logins *l, struct str password, const char *verifier)
{
	unsigned char m[SHA256_SIZE];
	if (!verifier[0])
		return false;
	mac(l, password, verifier, m);
	return map_get(&l->verified, str_make(m, sizeof(m))) != NULL;
}

static void remember(struct logins *l, struct str password, const char *verifier)
{
	unsigned char m[SHA256_SIZE];
	if (l->verified.n >= LOGINS_CACHE_MAX)
		map_fini(&l->verified);
	mac(l, password, verifier, m);
	map_set(&l->verified, str_make(m, sizeof(m)), l);
}

/* ---- the threads ---- */

static void dispatch(struct logins *l);

/* Its source is told how it went, if it is still there. */
static void settle(struct logins *l, uint64_t source, bool right, bool paid)
{
	struct source *s = map_get(&l->sources, MAP_KEY(source));
	if (right)
		l->stats.right++;
	else
		l->stats.wrong++;
	if (s && right && paid)
		rate_give(&s->rate, l->rate);
	if (s && !right)
		s->suspect_until_ms = clock_mono_ms() + LOGINS_SUSPECT_S * 1000;
}

static void job_done(struct loop_note *note)
{
	struct job *j = container_of(note, struct job, note);
	struct logins *l = j->logins;
	list_remove(&j->node);
	l->in_flight--;
	if (l->stopping) {
		free_job(j);
		if (l->in_flight == 0)
			free_logins(l);
		return;
	}
	if (!j->make)
		settle(l, j->source, j->ok, j->kind != KNOWN);
	dispatch(l);
	if (!j->make && j->ok)
		remember(l, buf_view(&j->password), j->verifier);
	if (j->arg && j->make)
		j->made(j->arg, j->ok ? j->verifier : NULL, str_make(j->scram, sizeof(j->scram)));
	else if (j->arg)
		j->checked(j->arg, j->ok ? LOGIN_RIGHT : LOGIN_WRONG_PASSWORD);
	free_job(j);
}

static void work(struct job *j)
{
	if (j->make)
		j->ok = password_make(buf_view(&j->password), j->verifier) == 0 &&
			scram_make(buf_view(&j->password), j->logins->scram_iterations, j->scram);
	else
		j->ok = password_check(buf_view(&j->password), j->verifier);
	loop_post(j->logins->loop, &j->note, job_done);
}

static struct job *next_handed(struct logins *l)
{
	pthread_mutex_lock(&l->lock);
	while (l->handed_n == 0 && !l->quit)
		pthread_cond_wait(&l->wake, &l->lock);
	struct job *j = l->quit ? NULL : l->handed[--l->handed_n];
	pthread_mutex_unlock(&l->lock);
	return j;
}

static void *thread_main(void *arg)
{
	struct job *j;
	while ((j = next_handed(arg)))
		work(j);
	return NULL;
}

static void hand_over(struct logins *l, struct job *j)
{
	list_append(&l->flying, &j->node);
	l->in_flight++;
	pthread_mutex_lock(&l->lock);
	l->handed[l->handed_n++] = j;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
}

/* ---- the queue ---- */

static struct job *take_first(struct list *jobs)
{
	struct job *j = list_entry(jobs->next, struct job, node);
	list_remove(&j->node);
	return j;
}

/* KINDS: nobody waits. */
static enum kind next_kind(struct logins *l)
{
	const bool suspects = l->queued[SUSPECT] > 0;
	if (l->queued[KNOWN])
		return KNOWN;
	if (l->queued[STRANGER] && (!suspects || ++l->strangers < LOGINS_SUSPECT_TURN))
		return STRANGER;
	l->strangers = 0;
	return suspects ? SUSPECT : KINDS;
}

static struct job *next_job(struct logins *l)
{
	if (!list_empty(&l->first))
		return take_first(&l->first);
	const enum kind kind = next_kind(l);
	if (kind == KINDS)
		return NULL;
	struct list *turns = &l->turns[kind];
	struct source *s = container_of(turns->next, struct source, node[kind]);
	struct job *j = take_first(&s->jobs[kind]);
	list_remove(&s->node[kind]);
	if (!list_empty(&s->jobs[kind]))
		list_append(turns, &s->node[kind]);
	l->queued[kind]--;
	return j;
}

static void dispatch(struct logins *l)
{
	while (l->in_flight < l->threads) {
		struct job *j = next_job(l);
		if (!j)
			return;
		hand_over(l, j);
	}
}

static uint64_t source_key(struct str source)
{
	struct addr addr;
	return addr_parse_ip(source, &addr) == 0 ? addr_key(&addr) : hash_str(source);
}

static bool has_jobs(const struct source *s)
{
	return !list_empty(&s->jobs[KNOWN]) || !list_empty(&s->jobs[STRANGER]) ||
	       !list_empty(&s->jobs[SUSPECT]);
}

static void sweep(struct loop_timer *t)
{
	struct logins *l = container_of(t, struct logins, sweep_timer);
	const uint64_t now_us = clock_mono_ms() * 1000;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&l->sources, &at, &key, &value)) {
		struct source *s = value;
		if (has_jobs(s) || !rate_idle(&s->rate, now_us) ||
		    s->suspect_until_ms * 1000 > now_us)
			continue;
		map_remove(&l->sources, key);
		free(s);
	}
	if (l->sources.n)
		loop_timer_start(l->loop, &l->sweep_timer, "login sources", SWEEP_MS, sweep);
}

static struct source *find_source(struct logins *l, struct str name)
{
	const uint64_t key = source_key(name);
	struct source *s = map_get(&l->sources, MAP_KEY(key));
	if (s || l->sources.n >= LOGINS_SOURCES_MAX)
		return s;
	s = mem_new(struct source);
	s->key = key;
	for (unsigned i = 0; i < KINDS; i++)
		list_init(&s->jobs[i]);
	map_set(&l->sources, MAP_KEY(key), s);
	if (!loop_timer_running(&l->sweep_timer))
		loop_timer_start(l->loop, &l->sweep_timer, "login sources", SWEEP_MS, sweep);
	return s;
}

static struct job *new_job(struct logins *l, struct str password, void *arg)
{
	struct job *j = mem_new(struct job);
	j->logins = l;
	j->arg = arg;
	buf_str(&j->password, password);
	return j;
}

static void enqueue(struct logins *l, struct source *s, struct job *j)
{
	j->source = s->key;
	if (list_empty(&s->jobs[j->kind]))
		list_append(&l->turns[j->kind], &s->node[j->kind]);
	list_append(&s->jobs[j->kind], &j->node);
	l->queued[j->kind]++;
	dispatch(l);
}

static void check(struct logins *l, struct str password, const char *verifier, struct str source,
		  bool known, void (*done)(void *arg, enum login_result result), void *arg)
{
	if (logins_remembered(l, password, verifier)) {
		l->stats.remembered++;
		done(arg, LOGIN_RIGHT);
		return;
	}
	const uint64_t now_ms = clock_mono_ms();
	struct source *s = find_source(l, source);
	const enum kind kind = known                               ? KNOWN
			       : s && s->suspect_until_ms > now_ms ? SUSPECT
								   : STRANGER;
	if (!s || l->queued[kind] >= LOGINS_QUEUE_MAX ||
	    (!known && !rate_take(&s->rate, l->rate, l->rate * LOGINS_BURST_S, now_ms * 1000))) {
		l->stats.refused++;
		done(arg, LOGIN_TOO_MANY);
		return;
	}
	struct job *j = new_job(l, password, arg);
	snprintf(j->verifier, sizeof(j->verifier), "%s", verifier);
	j->checked = done;
	j->kind = kind;
	enqueue(l, s, j);
}

void logins_check(struct logins *l, struct str password, const char *verifier, struct str source,
		  void (*done)(void *arg, enum login_result result), void *arg)
{
	check(l, password, verifier, source, false, done, arg);
}

void logins_check_known(struct logins *l, struct str password, const char *verifier,
			struct str source, void (*done)(void *arg, enum login_result result),
			void *arg)
{
	check(l, password, verifier, source, true, done, arg);
}

bool logins_admit(struct logins *l, struct str source)
{
	struct source *s = find_source(l, source);
	const bool admitted =
		s && rate_take(&s->rate, l->rate, l->rate * LOGINS_BURST_S, clock_mono_ms() * 1000);
	l->stats.refused += !admitted;
	return admitted;
}

void logins_judged(struct logins *l, struct str source, bool right)
{
	settle(l, source_key(source), right, true);
}

const struct logins_stats *logins_stats(const struct logins *l)
{
	return &l->stats;
}

void logins_make(struct logins *l, struct str password,
		 void (*done)(void *arg, const char *verifier, struct str scram), void *arg)
{
	struct job *j = new_job(l, password, arg);
	j->make = true;
	j->made = done;
	list_append(&l->first, &j->node);
	dispatch(l);
}

static void cancel_in(struct list *jobs, const void *arg)
{
	list_each (it, jobs) {
		struct job *j = list_entry(it, struct job, node);
		if (j->arg == arg)
			j->arg = NULL;
	}
}

void logins_cancel(struct logins *l, const void *arg)
{
	cancel_in(&l->first, arg);
	cancel_in(&l->flying, arg);
	for (unsigned k = 0; k < KINDS; k++)
		list_each (it, &l->turns[k])
			cancel_in(&container_of(it, struct source, node[k])->jobs[k], arg);
}

/* ---- life ---- */

void logins_set_rate(struct logins *l, uint32_t per_second)
{
	l->rate = per_second;
}

uint32_t logins_scram_iterations(const struct logins *l)
{
	return l->scram_iterations;
}

struct logins *logins_new(struct loop *loop, unsigned threads, uint32_t scram_iterations)
{
	CHECK(threads <= THREADS_MAX);
	struct logins *l = mem_new(struct logins);
	l->loop = loop;
	l->scram_iterations = scram_iterations;
	l->rate = LOGINS_RATE;
	for (unsigned i = 0; i < KINDS; i++)
		list_init(&l->turns[i]);
	list_init(&l->first);
	list_init(&l->flying);
	secret_random(l->key, sizeof(l->key));
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	for (; l->threads < threads; l->threads++)
		CHECK(thread_start(&l->thread[l->threads], thread_main, l) == 0);
	return l;
}

static void free_jobs(struct list *jobs)
{
	while (!list_empty(jobs))
		free_job(take_first(jobs));
}

static void free_sources(struct logins *l)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&l->sources, &at, &key, &value)) {
		struct source *source = value;
		for (unsigned i = 0; i < KINDS; i++)
			free_jobs(&source->jobs[i]);
		free(source);
	}
	map_fini(&l->sources);
}

/* Jobs that a thread had finished still have a note in the loop's inbox: the last one frees. */
void logins_free(struct logins *l)
{
	pthread_mutex_lock(&l->lock);
	l->quit = true;
	pthread_cond_broadcast(&l->wake);
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->threads; i++)
		pthread_join(l->thread[i], NULL);
	loop_timer_stop(l->loop, &l->sweep_timer);
	for (unsigned i = 0; i < l->handed_n; i++) {
		list_remove(&l->handed[i]->node);
		free_job(l->handed[i]);
		l->in_flight--;
	}
	free_jobs(&l->first);
	free_sources(l);
	map_fini(&l->verified);
	l->stopping = true;
	if (l->in_flight == 0)
		free_logins(l);
}
