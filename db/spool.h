/* SPDX-License-Identifier: Apache-2.0
 *
 * The spool: a thread of the store that keeps what must outlive the broker, with one link to each
 * worker of it and spool.db (spool_tables.h) to itself. It takes everything that waits on all
 * links into one transaction, commits once and answers all; the next group forms meanwhile in the
 * sockets. There is no timer in that path.
 *
 * A disk without space, or any other trouble with the file, refuses batches and is told once as an
 * event; every further batch tries again. A damaged file is set aside and a new one begun; the
 * broker is asked to send again what it has. Nothing of that ends the process.
 *
 * The functions here are for the main thread of the store; what the spool has to tell comes through
 * the hooks in that thread.
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/base/processes.h"
#include "daemon/net/loop.h"

struct spool;

struct spool_hooks {
	struct loop *loop; /* of the caller */
	void *arg;
	/* Something that the operator must know; it was logged. detail is a rec. */
	void (*event)(void *arg, enum event event, const char *reason, struct str detail);
	/* A link is gone; misbehaved: the broker sent what it may not. */
	void (*broken)(void *arg, const char *why, bool misbehaved);
};

/* Opens <dir>/spool.db and starts the thread. max_size: bytes of the file. 0, or an error after
 * logging one line: the file is of a newer version. A file that cannot be opened for another reason
 * is tried again later. */
int spool_open(const struct spool_hooks *hooks, const char *dir, uint64_t max_size,
	       struct spool **out);
/* Takes what still waits on the links, commits it, closes. */
void spool_close(struct spool *s);
DEFINE_AUTO(spool, spool_close)

/* The link to worker 0, 1, ... of the broker, the first or a new one; takes fd. */
void spool_set_link(struct spool *s, unsigned worker, int fd);
void spool_set_max(struct spool *s, uint64_t max_size);

enum spool_health { SPOOL_WORKS, SPOOL_IS_FULL, SPOOL_IS_BROKEN };

struct spool_figures {
	enum spool_health health;
	uint64_t sessions;
	uint64_t messages; /* each once, whoever waits for it */
	uint64_t queued;   /* for all sessions together */
	uint64_t retained;
	uint64_t bytes; /* in use in the file; at most a second old */
	uint64_t file_bytes;
	uint64_t max_bytes;
	/* Since the start of the store. */
	uint64_t commits;
	uint64_t batches;
	uint64_t refused;   /* batches */
	uint64_t cancelled; /* messages for a session that had them before they were written */
};
void spool_figures(struct spool *s, struct spool_figures *out);
