/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets of the gateway: bound once by the parent, kept in systemd's store, handed
 * to the processes each time they start. Parent only.
 */
#pragma once

#include "daemon/conf/config.h"

#include <sys/types.h>

struct sockets_entry {
	enum process process; /* who accepts on it */
	char name[33];        /* listener name; "admin", "enrol", "control" */
	char address[ADDR_TEXT];
	unsigned index; /* broker: address number * workers + worker */
	int fd;
};

struct sockets {
	struct sockets_entry *entry;
	size_t n;
};

/* Binds everything that the configuration names and the control socket RUN_DIR/control.sock (0660,
 * that group). All problems are logged, one line each. 0, or ERR_EXISTS, ERR_DENIED, ERR_IO: the
 * first of them. */
int sockets_bind(const struct config *c, gid_t control_group, struct sockets *out);
void sockets_close(struct sockets *s); /* closes them and removes the control socket's file */
/* List of "NAME ADDRESS PROTOCOL" for `gatehouse status`, each address once. */
void sockets_describe(const struct sockets *s, const struct config *c, struct buf *list);
