/* SPDX-License-Identifier: Apache-2.0
 *
 * Users of the processes and the privileges of the parent. Parent only (priv_drop_to runs in the
 * forked child).
 */
#pragma once

#include "daemon/base/processes.h"

#include <sys/types.h>

struct priv_user {
	uid_t uid;
	gid_t gid;
};

/* Looks up PREFIX + process name. An empty prefix, or a start as another user than root: everyone
 * is the caller. 0, or ERR_NOT_FOUND after one clear log line. */
int priv_lookup(const char *prefix, struct priv_user user[PROCESS_COUNT]);
/* Group id by name; the caller's own group when not root or when there is no such group (logged).
 */
gid_t priv_group(const char *name);
/* Keeps only what the parent needs: to switch users, bind low ports, own the state directories,
 * signal its children. */
void priv_reduce_parent(void);
/* No core dump of this process and no look into its memory by others of its user: it holds keys,
 * passwords or the secret of the tickets. */
void priv_hide_memory(void);
/* Between fork and exec: becomes that user, without any capability, for good. 0 or -1 (errno). */
int priv_drop_to(const struct priv_user *user);
