/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups. backup.* are those that a browser or a program may take away: keys, journal, registry
 * and settings in one file, which the vault encrypts under the passphrase of root
 * (certs/vault_backup.h). For ca.backup, which root's command line writes, there is a copy of the
 * registry. One at a time; main thread of the store, in portions (job.h).
 *
 * backup.show   ready (bool): one can be made; why (str or null) it cannot; last (time or null),
 *               last_actor (str or null): the newest one that was made, by whichever way
 * backup.add    the file itself
 * ca.copy       path: str, a copy of the registry beside it, which the caller removes
 */
#pragma once

#include "db/ops.h"

/* When the last backup was made, 0: never; by whom into actor, which may be NULL. */
int64_t backup_last(struct store *s, struct buf *actor);
