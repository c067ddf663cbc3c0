/* SPDX-License-Identifier: Apache-2.0
 *
 * BANS of the store in a process with a network face: into the list of daemon/net/ban.h. Main
 * thread.
 */
#pragma once

#include "daemon/ipc/link.h"

/* Returns like a link_handler; the caller answers, when it has acted on it. */
int banlist_take(const struct record *r);
/* The answer, with what was refused so far. */
void banlist_answer(struct link *store, uint64_t id, uint32_t closed);
