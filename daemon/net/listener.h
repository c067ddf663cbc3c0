/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets. The parent binds them (it alone may use low ports) and hands the descriptors
 * to the broker, where each worker accepts on its own one (SO_REUSEPORT spreads the connections).
 * Accepting is budgeted per loop turn and pauses for 100 ms when descriptors run out, instead of
 * spinning. Peers outside allow-from are reset here, before anything else is spent on them.
 */
#pragma once

#include "daemon/net/addr.h"
#include "daemon/net/loop.h"

struct listener_bind {
	const char *name; /* of the listener, for error texts */
	struct addr address;
	bool reuse_port; /* several sockets on one address, all of this user */
	bool first;      /* first of them: fails when anyone else holds the address already */
	int backlog;     /* 0 = SOMAXCONN */
};

/* Bound, listening, nonblocking, close-on-exec. 0, or ERR_IO / ERR_EXISTS (address in use) /
 * ERR_DENIED (port needs a privilege) / ERR_NOT_FOUND (no such local address), with *error = a
 * sentence that names the listener, the address and what to do; the caller frees it. */
int listener_bind(const struct listener_bind *b, char **error, int *fd);

struct listener_stats {
	uint64_t accepted;
	uint64_t not_allowed; /* allow-from */
	uint64_t paused;      /* times that descriptors or memory ran out */
};

/* Intrusive: embedded by the worker, which fills the first part and owns it. */
struct listener {
	const char *name;         /* outlives the listener */
	const struct cidr *allow; /* allow-from; outlives the listener */
	size_t allow_n;           /* 0 = everyone */
	/* A new peer. The socket is nonblocking, TCP_NODELAY is set; the callee takes it. */
	void (*accepted)(struct listener *l, int fd, const struct addr *peer);
	/* A peer outside allow-from was reset; for events. May be NULL. */
	void (*not_allowed)(struct listener *l, const struct addr *peer);

	struct listener_stats stats;
	struct loop *loop;
	struct loop_io io;
	struct loop_timer pause;
	uint64_t logged_ms;
};

int listener_start(struct listener *l, struct loop *loop, int fd); /* takes fd; 0 or ERR_IO */
void listener_stop(struct listener *l); /* closes its descriptor; nothing when not started */
