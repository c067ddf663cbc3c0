/* SPDX-License-Identifier: Apache-2.0
 *
 * spool.db: what the broker wants kept, as tables, and the one way to change them: a group of
 * batches in one transaction. Who refers to a message is counted in memory; a message goes with the
 * last row that refers to it. What is put and taken away again within a group is never written, nor
 * is a message that nothing refers to.
 *
 * It remembers the last batch of each worker, in the same transaction: a batch that comes again
 * after a restart of the store is not applied twice, and one that was refused stays refused.
 * Thread of the spool (spool.h); it sends nothing and logs only what it had to drop.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/base/why.h"
#include "daemon/ipc/spool.h"
#include "db/idmap.h"
#include "db/sql.h"

enum { SPOOL_WORKERS_MAX = 64, SPOOL_RANGES_MAX = 16 };

/* A batch that waits to be committed; whoever makes it frees it with spool_batch_free. */
struct spool_batch {
	struct list node;
	void *from; /* of the caller */
	unsigned worker;
	uint64_t epoch;
	uint64_t seq;
	struct buf records; /* valid (spool_valid) */
};

void spool_batch_free(struct spool_batch *b);

struct spool_range {
	uint64_t first;
	uint64_t last;
};

/* What was done with the batches of one worker. */
struct spool_applied {
	uint64_t epoch;
	uint64_t seq; /* the last one in the tables */
	struct spool_range refused[SPOOL_RANGES_MAX];
	size_t refused_n;
};

struct spool_counts {
	uint64_t queued;   /* rows of queue */
	uint64_t retained; /* topics */
};

struct spool_tables {
	char *dir;
	struct sql *db; /* NULL: could not be opened */
	uint64_t max_size;
	struct idmap messages; /* mid -> rows that refer to it */
	struct idmap sessions; /* sid -> 1 */
	struct spool_counts counts;
	struct spool_applied applied[SPOOL_WORKERS_MAX];
	/* of the group that is being applied */
	struct idmap offered; /* mid -> address of its record */
	struct idmap gone;    /* sid, place -> where in the group it is taken away */
	struct buf undo;      /* struct spool_undo: what memory was before */
	uint64_t at;          /* records of this group so far */
	uint64_t cancelled;   /* rows that were never written, in all */
	uint64_t unknown;     /* rows that referred to no message, in all */
};

/* max_size: bytes of the file. dir must outlive it. Opens nothing yet. */
void spool_tables_init(struct spool_tables *t, const char *dir, uint64_t max_size);
void spool_tables_fini(struct spool_tables *t);

/* Opens <dir>/spool.db; a damaged one is set aside, its new name in *aside (the caller frees it),
 * else NULL. 0, or an error with one line in *why: t->db is NULL then; try again later. */
int spool_tables_open(struct spool_tables *t, char **aside, struct why *why);
/* The file was damaged while in use: sets it aside and begins a new, empty one. As above. */
int spool_tables_replace(struct spool_tables *t, char **aside, struct why *why);
void spool_tables_set_max(struct spool_tables *t, uint64_t max_size);

/* Has this batch been dealt with before? */
enum spool_seen { SPOOL_NEW, SPOOL_IS_APPLIED, SPOOL_IS_REFUSED };
enum spool_seen spool_tables_seen(const struct spool_tables *t, const struct spool_batch *b);
/* Applies the batches of the list, all or none: 0, or the error of sql.h. Batches of one worker are
 * in the order of their numbers. */
int spool_tables_apply(struct spool_tables *t, const struct list *batches);
/* It will not be applied: when it comes again, it is known as refused. */
void spool_tables_refuse(struct spool_tables *t, const struct spool_batch *b);

/* A new broker: forgets the batches of earlier ones, removes what refers to nothing. 0 or the error
 * of sql.h. */
int spool_tables_tidy(struct spool_tables *t);
/* Forgets that topics were cleared, when that was long ago: no batch from before can still come. */
void spool_tables_forget(struct spool_tables *t);
/* Gives a piece of the file back to the disk when much of it is unused. */
void spool_tables_shrink(struct spool_tables *t);
/* Everything as records, in the order that SPOOL_GET promises: a sealed memfd in *fd. 0, the error
 * of sql.h, or ERR_IO. */
int spool_tables_state(struct spool_tables *t, int *fd);

struct spool_bytes {
	uint64_t used; /* of the file, in use */
	uint64_t file; /* its size */
};
struct spool_bytes spool_tables_bytes(struct spool_tables *t);
