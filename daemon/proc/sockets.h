/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets of the gateway: bound by the parent, kept in systemd's store, handed to the
 * processes each time they start, and to running ones when a reload brings others. Parent only.
 */
#pragma once

#include "daemon/conf/config.h"

#include <sys/types.h>

struct sockets_entry {
	enum process process;    /* who accepts on it */
	char name[33];           /* listener name; "admin", "enrol", "control" */
	char address[ADDR_TEXT]; /* as the kernel states it */
	char wanted[ADDR_TEXT];  /* as the configuration names it */
	char stored[192];        /* its name in systemd's store */
	unsigned index;          /* broker: address number * workers + worker */
	unsigned worker;
	int fd;
	bool given; /* to the process that runs */
	bool stays; /* in the plan for what comes next */
};

struct sockets {
	struct sockets_entry *entry;
	size_t n;
	/* Lists (frame.h) of what each is to close first: the broker names of listeners, a web
	 * process addresses. */
	struct buf gone[PROCESS_COUNT];
};

/* Binds everything that the configuration names and the control socket RUN_DIR/control.sock (0660,
 * that group). All problems are logged, one line each. 0, or ERR_EXISTS, ERR_DENIED, ERR_IO: the
 * first of them. */
int sockets_bind(const struct config *c, gid_t control_group, struct sockets *out);
/* What c needs while `now` serves: sockets that are there already under the same address, whatever
 * the listener's name, and new ones. 0, or the first error of those that cannot be bound, with a
 * line for each in why; then nothing has changed. The control socket stays
 * as it is. */
int sockets_plan(struct sockets *now, const struct config *c, struct sockets *next,
		 struct buf *why);
/* Makes the plan what is: closes what does not stay, and marks what the processes have to be given.
 */
void sockets_switch(struct sockets *now, struct sockets *next);
void sockets_plan_drop(struct sockets *next); /* closes the new ones of a plan */
void sockets_close(struct sockets *s); /* closes them and removes the control socket's file */
/* List of "NAME ADDRESS PROTOCOL" for `gatehouse status`, each address once. */
void sockets_describe(const struct sockets *s, const struct config *c, struct buf *list);
