/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of the registry: see snapshot.h.
 */
#include "db/snapshot.h"
#include "daemon/base/log.h"
#include "db/store.h"

#include <errno.h>
#include <string.h>

static bool read_portion(struct job *j)
{
	struct snapshot *shot = container_of(j, struct snapshot, job);
	struct store *s = j->s;
	if (registry_walk(s->registry, &shot->walk, expiry_forgotten(s), &shot->entries))
		return true;
	j->error = shot->walk.rows.error;
	return false;
}

static void fini(struct snapshot *shot)
{
	registry_walk_end(&shot->walk);
	buf_fini(&shot->entries);
	buf_fini(&shot->later);
}

static void send(struct job *j)
{
	struct snapshot *shot = container_of(j, struct snapshot, job);
	struct store *s = j->s;
	const int err = j->error;
	buf_str(&shot->entries, buf_view(&shot->later));
	AUTO_FD fd = err ? -1 : memfd_make("registry", buf_view(&shot->entries));
	if (fd < 0) {
		/* Without an answer the broker asks again after its time-out. */
		log_error("no snapshot of the registry for the broker: %s",
			  err ? sql_why(s->registry) : strerror(errno));
		if (err)
			store_registry_failed(s, err);
	} else {
		const struct body_snapshot body = {(uint64_t)s->seq};
		s->broker_synced = LINK_SEND(s->peer[PROCESS_BROKER].link, SNAPSHOT, snapshot,
					     shot->id, fd, &body) == 0;
	}
	fini(shot);
}

static void begin(struct store *s, uint64_t id)
{
	struct snapshot *shot = &s->snapshot;
	snapshot_stop(s);
	s->broker_synced = false; /* deltas are for the snapshot from now on */
	deltas_drop(s);           /* sent behind it, they would put back what it says anew */
	*shot = (struct snapshot){.id = id};
	shot->job.first = true;
	shot->job.portion = read_portion;
	shot->job.over = send;
	job_start(s, &shot->job);
}

int snapshot_get(struct link *l, struct record *r)
{
	begin(link_owner(l), r->id);
	return 0;
}

void snapshot_add(struct store *s, struct str entries)
{
	if (job_runs(&s->snapshot.job))
		buf_str(&s->snapshot.later, entries);
}

void snapshot_again(struct store *s)
{
	if (job_runs(&s->snapshot.job))
		begin(s, s->snapshot.id);
}

void snapshot_stop(struct store *s)
{
	registry_walk_end(&s->snapshot.walk);
	job_stop(&s->snapshot.job);
	fini(&s->snapshot);
}
