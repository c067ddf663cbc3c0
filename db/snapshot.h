/* SPDX-License-Identifier: Apache-2.0
 *
 * The snapshot of the registry that the broker asks for, at its start and when it has missed a
 * delta (ipc/messages.def, SNAPSHOT). With many devices it takes a while: it is read in portions of
 * a job (job.h). What is changed meanwhile stands behind it, so that it says what is so when it is
 * sent. Main thread of the store.
 */
#pragma once

#include "daemon/ipc/link.h"
#include "db/job.h"
#include "db/registry.h"

struct snapshot {
	struct job job;
	uint64_t id; /* of the question; the answer goes to the broker's link of now */
	struct registry_walk walk;
	struct buf entries;
	struct buf later; /* entries of deltas since it began */
};

/* SNAPSHOT_GET. Returns like a link_handler. */
int snapshot_get(struct link *l, struct record *r);
/* A delta that the broker is not sent now: for a snapshot that is being made. */
void snapshot_add(struct store *s, struct str entries);
/* What it should have is another now: begins again, if it is being made. */
void snapshot_again(struct store *s);
void snapshot_stop(struct store *s); /* the broker is away, or the store ends */
