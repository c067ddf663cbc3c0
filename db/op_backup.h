/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups that a browser or a program may take away: keys, journal, registry and settings in one
 * file, which the vault encrypts under the passphrase of root (certs/vault_backup.h). Main thread
 * of the store, one at a time.
 *
 * backup.show   ready (bool): one can be made; why (str or null) it cannot; last (time or null),
 *               last_actor (str or null): the newest one that was made, by whichever way
 * backup.add    the file itself
 */
#pragma once

#include "db/ops.h"

/* When the last backup was made, 0: never; by whom into actor, which may be NULL. */
int64_t backup_last(struct store *s, struct buf *actor);
