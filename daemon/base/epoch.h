/* SPDX-License-Identifier: Apache-2.0
 *
 * Reclamation by epochs: readers use a shared snapshot without locks or reference counts; whoever
 * replaces it retires the old one, which is freed when every reader has moved on.
 *
 * A reader is one thread. It enters at the start of a loop turn and leaves before it sleeps;
 * pointers that it loaded inside are valid until it leaves. A writer first unpublishes (exchanges
 * the shared pointer, memory_order_seq_cst) and then retires. The shared pointer is loaded with
 * memory_order_seq_cst. What is retired and not freed yet is bounded: at EPOCH_PENDING_MAX the
 * writer waits for the slowest reader, so a writer must not be inside itself.
 *
 * Owns the readers' registrations and what was retired. It does not know what it frees.
 */
#pragma once

#include "daemon/base/defs.h"
#include "daemon/base/list.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	EPOCH_PENDING_MAX = 4096, /* retired things that wait for readers */
};

struct epoch_retired;

struct epoch {
	atomic_ullong now; /* starts at 1 */
	pthread_mutex_t lock;
	struct list readers;
	struct epoch_retired *retired; /* oldest first */
	size_t count;
	size_t cap;
};

/* Embedded in what its thread owns. The alignment keeps readers off each other's cache lines. */
struct epoch_reader {
	_Alignas(64) atomic_ullong at; /* the epoch it entered in, 0 = outside */
	struct epoch *epoch;
	struct list node;
};

void epoch_init(struct epoch *e);
void epoch_fini(struct epoch *e); /* all readers removed; frees what is still retired */

/* Any thread; the reader starts outside. */
void epoch_reader_add(struct epoch *e, struct epoch_reader *r);
void epoch_reader_remove(struct epoch_reader *r); /* must be outside */

/* The reader's own thread. Entering inside, or leaving outside, is a mistake of the caller. */
void epoch_enter(struct epoch_reader *r);
void epoch_leave(struct epoch_reader *r);
bool epoch_inside(const struct epoch_reader *r);

/* fn(what) runs once, on some thread that retires or collects, when no reader can hold what any
 * more. The caller is outside. */
void epoch_retire(struct epoch *e, void (*fn)(void *), void *what);
/* Frees what can be freed now; number of things that still wait. Any thread, inside or outside. */
size_t epoch_collect(struct epoch *e);
