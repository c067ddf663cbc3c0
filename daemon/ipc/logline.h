/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of a process's log on their way to the store, which keeps the newest for the interface
 * and `gatehouse log list`; the journal stays the archive. Each process has the writing end of a
 * socket of its own, whose other end the parent gives to the store: so a line may be written in any
 * thread, before the process serves, and as its last word, and what comes while the store is away
 * waits in the socket.
 *
 * Nobody ever waits for it: what the socket does not take, and what is more than LOGLINE_RATE a
 * second, is left out, counted, and told with the next line. One per process; any thread.
 */
#pragma once

enum { LOGLINE_RATE = 100 };

/* From now on, for the life of the process. The descriptor must not block, and stays open. */
void logline_begin(int fd);
