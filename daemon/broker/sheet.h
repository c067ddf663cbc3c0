/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages of the broker's own, such as those below $SYS: the control thread writes their
 * topics and payloads on a sheet, a worker publishes them. An empty payload takes the retained
 * message of its topic away. They are not bound by max-retained-messages.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/net/loop.h"

struct worker;

struct sheet {
	struct loop_note note;
	struct worker *worker;
	bool quiet;      /* subscribers are not told what is taken away */
	struct buf text; /* topic, payload, topic ...: strings, each with a 0 behind it */
};

/* An empty sheet for that worker, to be given away by sheet_post. Control thread. */
struct sheet *sheet_new(struct worker *worker);
/* The worker publishes it in its next turn, unless it is stopping, and frees it. */
void sheet_post(struct sheet *s);
