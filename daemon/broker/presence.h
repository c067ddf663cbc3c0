/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store knows of the connected clients: who came, who went, and how much they moved,
 * gathered once a second. Comings and goings are all told, if need be over some seconds; the
 * traffic of clients that stay is told for a bounded number per second, in turn. A
 * connection of a device that began and ended between two times is told, too, up to as many as new
 * ones are: a sensor that wakes up, publishes and sleeps again was here.
 */
#pragma once

#include "daemon/broker/conn.h"

enum { PRESENCE_REFRESH = 100 /* clients per worker and second */ };

enum { PRESENCE_COMINGS = 4000 /* new ones told per worker and second; the rest follows */ };

/* The worker's thread: appends records of struct body_client. anew: as if the store knew nothing.
 */
void presence_collect(struct worker *w, bool anew, struct buf *clients);
/* An open connection ends; its stream is still there. */
void presence_gone(struct conn *c);
