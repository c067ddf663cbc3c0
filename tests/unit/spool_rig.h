/* SPDX-License-Identifier: Apache-2.0
 *
 * A spool with a directory of its own and the far ends of its links, as the workers of a broker
 * have them; and batches in short words. Tests ask for what is kept as text, a line per record. One
 * thread beside that of the spool.
 */
#pragma once

#include "daemon/base/mem.h"
#include "daemon/ipc/link.h"
#include "daemon/ipc/spool.h"
#include "db/spool.h"
#include "tests/unit/scratch.h"

enum { RIG_WORKERS = 3, RIG_REFUSALS = 64 };

struct rig_worker {
	struct spool_rig *rig;
	struct link *link;
	uint64_t seq;  /* of the last batch sent */
	uint64_t done; /* highest number that was answered */
	uint64_t refused[RIG_REFUSALS];
	uint8_t status[RIG_REFUSALS];
	size_t refusals;
	unsigned answers;
	bool lost;   /* SPOOL_LOST came */
	bool broken; /* by the spool */
};

struct spool_rig {
	struct loop *loop;
	struct scratch dir;
	struct spool *spool;
	uint64_t epoch;
	uint64_t max_size;
	struct rig_worker worker[RIG_WORKERS];
	struct link_call call;
	bool state_came;
	uint8_t state_status;
	struct buf state; /* text */
	unsigned events[EVENT_COUNT];
	char detail[512]; /* of the last event */
	unsigned misbehaved;
};

struct spool_rig *spool_rig_new(void); /* opened, all workers linked */
void spool_rig_free(struct spool_rig *r);
int spool_rig_open(struct spool_rig *r); /* the spool alone */
void spool_rig_close(struct spool_rig *r);
void spool_rig_link(struct spool_rig *r, unsigned worker);
/* A socket to a worker's place of a spool elsewhere. */
void spool_rig_use(struct spool_rig *r, unsigned worker, int fd);

/* Turns the loop until *flag or *number >= at_least, at most 20 s. */
void spool_rig_until(struct spool_rig *r, const bool *flag);
void spool_rig_answered(struct spool_rig *r, unsigned worker, uint64_t seq);

/* Sends the batch, empties it; its number. */
uint64_t spool_rig_send(struct spool_rig *r, unsigned worker, struct buf *batch);
/* The same under this number. */
void spool_rig_send_as(struct spool_rig *r, unsigned worker, uint64_t seq, struct str batch);
/* And waits for the answer: enum spool_status. */
int spool_rig_store(struct spool_rig *r, unsigned worker, struct buf *batch);
/* A new broker asks; the text of everything. Valid until the next call. */
const char *spool_rig_state(struct spool_rig *r);

/* Records. */
void put_session(struct buf *b, uint64_t sid, const char *client_id);
void put_session_gone(struct buf *b, uint64_t sid);
void put_sub(struct buf *b, uint64_t sid, const char *filter);
void put_sub_gone(struct buf *b, uint64_t sid, const char *filter);
void put_message(struct buf *b, uint64_t mid, const char *topic, const char *payload);
void put_queue(struct buf *b, uint64_t sid, uint64_t place, uint64_t mid);
void put_sent(struct buf *b, uint64_t sid, uint64_t place, uint16_t packet_id, uint8_t state);
void put_queue_gone(struct buf *b, uint64_t sid, uint64_t place, uint64_t mid);
void put_received(struct buf *b, uint64_t sid, uint16_t packet_id, uint64_t workers);
void put_received_gone(struct buf *b, uint64_t sid, uint16_t packet_id);
void put_retain(struct buf *b, const char *topic, uint64_t version, uint64_t mid);
void put_retain_gone(struct buf *b, const char *topic, uint64_t version);
