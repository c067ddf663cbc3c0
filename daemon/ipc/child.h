/* SPDX-License-Identifier: Apache-2.0
 *
 * A child process as its own code sees it: what the parent gave it, and what it owes the parent.
 * Runs in the main thread of the process, on its main loop.
 *
 * Life: child_run() collects what the parent sends (configuration, sockets, links) until START,
 * confines itself, and calls hooks->start. The process builds its state and calls child_ready()
 * as soon as it serves. From then on changes arrive through the other hooks. STOP, or the end of
 * the parent link, calls hooks->stop; the process ends its work and calls child_stopped().
 */
#pragma once

#include "daemon/base/events.h"
#include "daemon/ipc/link.h"

struct child;

/* A listening socket from the parent. Owned by the process that received it. */
struct child_listener {
	char name[65];
	char address[65];
	unsigned index;
	int fd;
};

struct child_hooks {
	enum process self;
	/* Everything is there: the configuration, and the initial link(), listener(), message()
	 * calls were made. Returns 0, or an error after having logged one clear line: the process
	 * exits and the gateway does not start. child_ready() may be called in here or later. */
	int (*start)(struct child *p);
	/* A new end of a link to a peer: index < 0x10000 counts them. The first one or its
	 * replacement. Takes fd. Called before start() for the initial ones: just keep the
	 * descriptor then. */
	void (*link)(struct child *p, enum process peer, unsigned index, int fd);
	/* A listening socket. Takes l->fd. Before start() for the initial ones. NULL for processes
	 * without a network. */
	void (*listener)(struct child *p, const struct child_listener *l);
	/* Nothing is accepted any more: on all sockets of the listener, or where address is not
	 * empty (web processes) on that one. */
	void (*listener_close)(struct child *p, struct str name, struct str address);
	/* A changed configuration (slice text). 0, or an error and one line in why: nothing was
	 * changed then. */
	int (*reload)(struct child *p, struct str config, struct buf *why);
	/* Any other message of the parent that the table allows: MACHINE, SEAL, LISTENER_KEY,
	 * LISTENER_FILES, TICKET_MASTER, PROCESS_STATE, GATEWAY, SETTING_DONE. Returns like a
	 * link_handler. May come before start(). NULL: none expected. */
	int (*message)(struct child *p, struct record *r);
	/* Stop in order, then child_stopped(). The parent kills after 10 s. */
	void (*stop)(struct child *p);
};

/* Runs a child to its end; returns the exit status. fd is the parent link. confine applies the
 * sandbox and the user of the process; it comes from above (daemon/proc), returns 0 or an error
 * after logging. */
int child_run(const struct child_hooks *hooks, int fd, int (*confine)(struct child *p));

struct loop *child_loop(struct child *p);
struct link *child_parent(struct child *p);     /* to send to the parent */
struct str child_config(const struct child *p); /* the slice as text: config_parse_slice() */
void child_set_context(struct child *p, void *context);
void *child_context(const struct child *p); /* NULL until set */
enum process child_self(const struct child *p);

void child_ready(struct child *p);   /* once */
void child_stopped(struct child *p); /* leaves the loop; child_run returns 0 */
void child_fail(struct child *p);    /* leaves the loop; child_run returns 1 (after logging why) */
/* For the `broken` hook of a peer's link 0: reports MISBEHAVED or LINK_LOST and frees the link. */
void child_link_broken(struct child *p, struct link *l, const char *why, bool misbehaved);
/* The same for a link that another thread has. */
void child_misbehaved(struct child *p, enum process peer, const char *what);
/* A link ended without a breach of the rules. If both processes live on they get a new one. */
void child_link_lost(struct child *p, enum process peer, unsigned index);
