/* SPDX-License-Identifier: Apache-2.0
 *
 * The state directory and what the parent keeps in it: the lock of this instance, directories of
 * the processes, published root certificates, the master secret of session tickets, the key of this
 * host that seals the vault's files, settings.conf.
 * Parent only.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/proc/priv.h"

enum { TICKET_SECRET = 64, HOST_KEY = 32, HOST_KEYS_MAX = 2 };

/* Makes the directories with their owners and modes and takes the lock (held until exit). 0, or an
 * error after one clear line: another instance runs, wrong owner or mode, no permission. */
int dirs_prepare(const char *state_dir, const char *run_dir,
		 const struct priv_user user[PROCESS_COUNT]);
/* Writes a file whole or not at all: temporary file, fsync, rename. 0 or ERR_IO (errno). */
int dirs_write(const char *path, struct str bytes, unsigned mode);
/* The ticket master secret, kept over restarts, made anew when it is older than 24 h. *epoch counts
 * them. 0 or ERR_IO after a log line. */
int dirs_ticket_secret(const char *state_dir, unsigned char secret[TICKET_SECRET], uint64_t *epoch);
/* The keys of this host for the vault's files, the one to seal with first: systemd's credential
 * gatehouse-seal where there is one (sealed by the TPM or the host, see systemd-creds(1)), and the
 * file host.key in the state directory, which is made when there is neither. 32 bytes each. How
 * many, or ERR_IO, ERR_DENIED or ERR_INVALID after a log line. */
int dirs_host_keys(const char *state_dir, unsigned char key[HOST_KEYS_MAX][HOST_KEY]);
