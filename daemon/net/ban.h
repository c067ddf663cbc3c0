/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks that an administrator has banned, as a process with a network face knows them: one list
 * for the process, told by the store whenever it changes. Each face asks it first of all about a
 * peer. Loopback and unix peers are never banned; nor is a proxy, about which nobody asks: what
 * counts is the address that it states.
 *
 * It enforces in the daemon, after the kernel has accepted the connection. Any thread: a mutex is
 * held for one look through the list, and none while it is empty.
 */
#pragma once

#include "daemon/net/addr.h"

enum { BANS_MAX = 1000 };

struct ban {
	struct cidr network;
	int64_t until;    /* seconds since 1970; it ends by itself */
	uint64_t refused; /* connections and requests, since this process knows of it */
	uint64_t last_ms; /* the last of them, 0: none */
};

/* The whole list, at most BANS_MAX; its figures do not count. Those of networks that stay are kept.
 */
void bans_set(const struct ban *list, size_t n);
/* Is this peer banned? bans_refuse counts it. */
bool bans_hold(const struct addr *peer);
bool bans_refuse(const struct addr *peer);
/* A copy, into BANS_MAX places. How many. */
size_t bans_copy(struct ban *out);
