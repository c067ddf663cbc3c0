/* SPDX-License-Identifier: Apache-2.0
 *
 * Reclamation by epochs: see epoch.h for who may call what.
 *
 * Why it is safe: a thing is unpublished, then tagged with the epoch of that moment, then the epoch
 * advances. A reader publishes the epoch it saw before it loads the shared pointer; all four steps
 * are sequentially consistent, so either the collector sees the reader, or the reader sees the new
 * pointer. A reader with a later epoch than the tag entered after the thing was unpublished.
 */
#include "daemon/base/epoch.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct epoch_retired {
	void (*fn)(void *);
	void *what;
	unsigned long long tag; /* epoch in which it was retired */
};

enum {
	BATCH = 64,             /* freed outside the lock at a time */
	WAIT_NS = 1000 * 1000L, /* a writer at the bound looks again after so long */
};

void epoch_init(struct epoch *e)
{
	*e = (struct epoch){0};
	atomic_init(&e->now, 1);
	CHECK(pthread_mutex_init(&e->lock, NULL) == 0);
	list_init(&e->readers);
}

void epoch_fini(struct epoch *e)
{
	CHECK(list_empty(&e->readers));
	CHECK(epoch_collect(e) == 0);
	pthread_mutex_destroy(&e->lock);
	free(e->retired);
}

void epoch_reader_add(struct epoch *e, struct epoch_reader *r)
{
	atomic_init(&r->at, 0);
	r->epoch = e;
	pthread_mutex_lock(&e->lock);
	list_append(&e->readers, &r->node);
	pthread_mutex_unlock(&e->lock);
}

void epoch_reader_remove(struct epoch_reader *r)
{
	CHECK(!epoch_inside(r));
	pthread_mutex_lock(&r->epoch->lock);
	list_remove(&r->node);
	pthread_mutex_unlock(&r->epoch->lock);
}

void epoch_enter(struct epoch_reader *r)
{
	CHECK(!epoch_inside(r));
	atomic_store(&r->at, atomic_load(&r->epoch->now));
}

void epoch_leave(struct epoch_reader *r)
{
	CHECK(epoch_inside(r));
	atomic_store_explicit(&r->at, 0, memory_order_release);
}

bool epoch_inside(const struct epoch_reader *r)
{
	return atomic_load_explicit(&r->at, memory_order_relaxed) != 0;
}

/* The smallest epoch that a reader is in. Under the lock. */
static unsigned long long oldest_reader(struct epoch *e)
{
	unsigned long long oldest = ~0ull;
	list_each (it, &e->readers) {
		const struct epoch_reader *r = list_entry(it, struct epoch_reader, node);
		const unsigned long long at = atomic_load(&r->at);
		if (at && at < oldest)
			oldest = at;
	}
	return oldest;
}

/* Moves up to BATCH things that no reader can hold to out. */
static size_t take_batch(struct epoch *e, struct epoch_retired *out)
{
	pthread_mutex_lock(&e->lock);
	const unsigned long long oldest = oldest_reader(e);
	size_t n = 0;
	while (n < MIN(e->count, (size_t)BATCH) && e->retired[n].tag < oldest)
		n++;
	if (n) {
		memcpy(out, e->retired, n * sizeof(*out));
		memmove(e->retired, e->retired + n, (e->count - n) * sizeof(*out));
		e->count -= n;
	}
	pthread_mutex_unlock(&e->lock);
	return n;
}

size_t epoch_collect(struct epoch *e)
{
	struct epoch_retired batch[BATCH];
	size_t n;
	do {
		n = take_batch(e, batch);
		for (size_t i = 0; i < n; i++)
			batch[i].fn(batch[i].what);
	} while (n == BATCH);
	pthread_mutex_lock(&e->lock);
	const size_t left = e->count;
	pthread_mutex_unlock(&e->lock);
	return left;
}

static void append(struct epoch *e, struct epoch_retired thing)
{
	pthread_mutex_lock(&e->lock);
	if (e->count == e->cap) {
		e->cap = e->cap ? e->cap * 2 : BATCH;
		e->retired = mem_grow(e->retired, e->cap * sizeof(*e->retired));
	}
	thing.tag = atomic_fetch_add(&e->now, 1);
	e->retired[e->count++] = thing;
	pthread_mutex_unlock(&e->lock);
}

void epoch_retire(struct epoch *e, void (*fn)(void *), void *what)
{
	append(e, (struct epoch_retired){fn, what, 0});
	while (epoch_collect(e) >= EPOCH_PENDING_MAX)
		nanosleep(&(struct timespec){0, WAIT_NS}, NULL);
}
