/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets that the log lines of the processes take to the store (daemon/ipc/logline.h). Each
 * start of a process makes a new one; the parent keeps the end that is read, so that a store which
 * is started again gets what was said while it was away. Parent; it reads none of them.
 */
#pragma once

#include "daemon/base/processes.h"

struct parent;
struct unit;

/* A new one for this process: the end that is written to, which does not block, with a number above
 * those that a child finds its links on; the caller closes it. ERR_IO: none; the process goes
 * without. */
int logpipe_make(struct parent *p, enum process self);
/* The process was started: the store gets what it is to read, if it is the store of all. */
void logpipe_give(struct unit *u);
