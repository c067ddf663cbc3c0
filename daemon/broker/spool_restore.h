/* SPDX-License-Identifier: Apache-2.0
 *
 * After a start of the broker: sessions, queues and retained messages come back from the store,
 * before the gateway takes connections. The control thread reads messages and retained messages;
 * then each worker makes the sessions that are its own; then, when all are there, what was due
 * meanwhile happens: wills, ends of sessions. A session whose device is gone or disabled is not
 * restored. Control thread, but for what it says of workers.
 */
#pragma once

#include "daemon/broker/worker.h"

struct control;

/* The first worker, with every new link until it was answered: asks the store. */
void spool_restore_ask(struct worker *w);
/* The registry is there: whoever a session belongs to can be told. Begins as soon as the state is
 * there, too; control_progress() when it is over. */
void spool_restore_begin(struct control *k);
