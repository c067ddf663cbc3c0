/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd and the gateway tell each other: readiness, reload, watchdog, and the listening
 * sockets that outlive a restart (FDNAME = "LISTENER/ADDRESS/INDEX"). Everything is a no-op outside
 * systemd. Parent only. sd_notify(3), systemd.service(5) FileDescriptorStoreMax=.
 */
#pragma once

#include "daemon/base/defs.h"

void sd_notify_state(const char *fmt, ...) PRINTF_LIKE(1, 2); /* "READY=1\nSTATUS=..." */
void sd_store_fd(const char *name, int fd); /* keeps the socket across a restart */
void sd_remove_fd(const char *name);        /* does so no more */
/* Takes the socket of that name out of those that were passed at the start. -1 when there is none.
 */
int sd_take_fd(const char *name);
/* Closes those that nobody took, here and in systemd's store: a socket that stays open there would
 * go on to get its share of the connections, and nobody would accept them. */
void sd_close_rest(void);
/* A socket to the journal, if that reads our error output; -1 else. systemd.exec(5) JOURNAL_STREAM.
 * Its number is above those that a child gets. */
int sd_journal(void);
uint64_t sd_watchdog_ms(void); /* how often to say WATCHDOG=1; 0 = never */
