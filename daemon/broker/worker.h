/* SPDX-License-Identifier: Apache-2.0
 *
 * What all of the broker shares (struct broker) and one of its workers (struct worker): a thread
 * with its own loop, listening sockets, connections, sessions, buffers and counters. A connection
 * and its session live on one worker; others name them by handle and reach them by a note to its
 * loop. Only what struct broker points to is touched by several threads, each by its own rules.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/broker/directory.h"
#include "daemon/broker/journal.h"
#include "daemon/broker/registry.h"
#include "daemon/broker/retain.h"
#include "daemon/broker/round.h"
#include "daemon/broker/sendq.h"
#include "daemon/broker/settings.h"
#include "daemon/broker/slab.h"
#include "daemon/broker/spool.h"
#include "daemon/broker/stats.h"
#include "daemon/broker/trie.h"
#include "daemon/net/listener.h"
#include "daemon/net/tls_handshake.h"

enum {
	WORKERS_MAX = 64,
	/* Bytes of messages on the way to one worker, above which publishers are read no more. */
	WORKER_BACKLOG_MAX = 32 * MiB,
	WORKER_PAUSE_MS = 2,   /* how long until they are looked at again */
	WORKER_BLOCKED_S = 60, /* a client that takes no byte for so long is cut off */
};

struct control;

/* Made by the control thread before the workers start; the pointers do not change afterwards. */
struct broker {
	struct loop *loop; /* the control thread's */
	struct control *control;
	struct registry *registry;
	struct directory *directory;
	struct limit *limit;
	struct epoch epoch;
	struct trie *trie;
	struct retain *retain;
	struct handshake_pool *handshakes;
	struct report *report;
	unsigned workers;
	struct worker *worker[WORKERS_MAX];
	_Atomic unsigned congested;  /* workers with too much on the way to them */
	uint64_t spool_epoch;        /* of this start, for the store */
	atomic_size_t spooled;       /* bytes for the store that have no answer */
	atomic_bool spool_behind;    /* told that these are too many */
	_Atomic uint64_t spool_made; /* the last session's */
};

struct promise;
struct promise_part;

/* The message that is routed, as far as its publisher waits for it (spool_promise.h). */
struct promising {
	bool on;
	struct promise *promise;   /* NULL: nothing is owed so far */
	struct promise_part *part; /* this worker's; NULL: no row so far */
	uint64_t sid;
	uint16_t packet_id;
	uint64_t skip; /* workers that have it from before the broker's last end, as bits */
	uint64_t ends; /* number of a session that ends: its messages go to others */
};

/* The last PUBLISH that was encoded, for the next receiver of the same message. */
struct encoded {
	const struct msg *msg;
	enum mqtt_version version;
	uint8_t qos;
	bool retain;
	uint16_t n;
	uint16_t packet_id_at;
	unsigned char bytes[1024];
};

struct worker {
	struct broker *broker;
	unsigned index;
	pthread_t thread;
	struct loop *loop;
	struct stream_scratch *scratch;
	struct arena arena; /* of the packet at hand */
	struct slab conns;
	struct slab sessions;
	struct settings *settings;
	struct list acceptors;
	struct sendq_store store;
	struct list dirty; /* connections with output of this turn */
	struct loop_task flush;
	struct list dead; /* ended in this turn */
	struct loop_task reap;
	struct list blocked; /* connections whose socket is full, longest first */
	struct list paused;  /* connections that are not read for a moment */
	struct loop_timer resume;
	struct list replaying; /* sessions that get the next piece of retained messages */
	struct loop_note replay;
	bool replay_posted;
	struct retain_cursor sweep; /* of the first worker: expired retained messages */
	struct loop_timer tick;
	struct epoch_reader reader;
	struct loop_task leave;
	struct trie_sub *target[WORKERS_MAX]; /* of the message being routed */
	size_t target_n[WORKERS_MAX];
	size_t target_cap[WORKERS_MAX];
	struct loop_batch outgoing[WORKERS_MAX]; /* messages to other workers, of this turn */
	struct loop_task dispatch;
	struct share_choice *share; /* members of groups that get it */
	size_t share_n;
	size_t share_cap;
	struct pick *pick; /* receivers of the message being delivered */
	size_t pick_n;
	size_t pick_cap;
	uint64_t publication; /* counts deliveries; a session's stamp says that it was picked */
	struct encoded encoded;
	struct spool spool;
	struct promising promising;
	struct promise *ending; /* of the session that ended last, while its end waits; or NULL */
	uint32_t aged;          /* sessions that were looked at for messages that are too old */
	atomic_size_t backlog;  /* bytes on the way to this worker */
	struct journal journal;
	struct trace_feed *trace; /* NULL: no trace is on (trace.h) */
	uint32_t trace_generation;
	struct map learned; /* topics of devices in learn mode (learn.h) */
	struct buf gone;    /* presence: connections that ended since the last time */
	unsigned passed;    /* presence: of these, connections that the store was never told of */
	uint32_t presence_at;
	struct stats stats;
	bool stopping;
};

/* Control thread: made with its loop and not yet running; started; joined after it was told to
 * stop. */
struct worker *worker_new(struct broker *b, unsigned index, struct settings *settings);
int worker_start(struct worker *w); /* 0 or ERR_IO */
void worker_join(struct worker *w);

/* Control thread. The worker accepts on the socket, which it takes, for the listener of that name.
 */
void worker_listen(struct worker *w, const char *name, int fd);

/* The worker's thread. */
void worker_unlisten(struct worker *w, struct str name); /* {NULL, 0}: all */
void worker_use_settings(struct worker *w, struct settings *s);
void worker_stop(struct worker *w); /* its loop ends after this turn */
/* Enters the epoch, once per turn, to match; leaves it to edit. */
void worker_enter(struct worker *w);
void worker_leave(struct worker *w);
/* For conn.c: the lists dirty and dead are worked off at the end of this turn. */
void worker_schedule_flush(struct worker *w);
void worker_schedule_reap(struct worker *w);
