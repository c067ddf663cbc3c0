/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's files as root sees them on its disk: for what must not travel through the gateway,
 * the root key that leaves the machine and the backup. One thread.
 */
#pragma once

#include "certs/key.h"
#include "ctl/ctl.h"

#include <sys/types.h>

/* The state directory: --state-dir, or what the running gateway says. The caller frees it; NULL
 * after a message. */
char *host_state_dir(struct invocation *in);

#define STATE_DIR_DEFAULT "/var/lib/gatehouse"
/* The same of a gateway that does not run: --state-dir, or the package's. NULL after a message: the
 * socket is that of another gateway. Not to be freed. */
const char *host_state_dir_stopped(const struct invocation *in);
/* The lock that the parent of a running gateway holds. A descriptor, which the caller closes; -1
 * with errno EWOULDBLOCK (it runs) or another one. Says nothing. */
int host_lock_try(const char *state_dir);
/* The same, with a message. */
int host_lock(const char *state_dir);

enum { HOST_KEYS = 2, HOST_KEY_BYTES = 32 };
struct host_keys {
	size_t n;
	unsigned char key[HOST_KEYS][HOST_KEY_BYTES];
};
/* Only root reads the files of the package's gateway: false, after a message, for others. A gateway
 * of one's own, with another socket, is left to the files' owners. */
bool host_may_read(const struct invocation *in) MUST_CHECK;
/* The keys that seal the vault's files: host.key, and systemd's credential gatehouse-seal when
 * there is one. Perhaps none. The caller wipes them. */
void host_keys_read(const char *state_dir, struct host_keys *keys);

/* A key file of the vault ("root.key") as PEM, not sealed. file is also its name in the seal. False
 * after a message. */
bool host_read_key(const char *state_dir, const struct host_keys *keys, const char *file,
		   struct buf *pem) MUST_CHECK;
/* Whose the directory of that process ("vault") below the state directory is, or is to be. */
uid_t host_owner(const char *state_dir, const char *name);
/* Writes a new file that only root may read, syncs, reads it again and compares. False after a
 * message; then nothing is left of it. */
bool host_write_secret(const char *path, struct str bytes) MUST_CHECK;
