/* SPDX-License-Identifier: Apache-2.0
 *
 * BACKUP: the store gives a copy of the registry, the vault writes it and its own directory into
 * one encrypted file (backup.h). The key of that file is backup.key in the vault's directory: root
 * alone puts it there, from a passphrase that no process of the gateway knows (gatehouse backup
 * set). So whoever may ask for a backup, or takes over who may, gets bytes that only root's
 * passphrase opens. Main thread of the vault.
 */
#pragma once

#include "certs/keystore.h"
#include "daemon/ipc/link.h"

/* Handler of the link to the store; returns like a link_handler. */
int vault_backup_make(struct keystore *ks, struct link *l, struct record *r);
