/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the store process: what its parts share. One main thread with one loop; password
 * threads only hash (logins.h), and the spool has a thread and a file of its own (spool.h).
 *
 * What takes long is done in portions (job.h), so that a device never waits for a person.
 *
 * store.c owns the life of it all and the links; registry.h reads the tables, change.h makes one
 * audited change out of several statements, ops.h runs operations, op_*.c are the operations by
 * noun, logins.h judges passwords, presence.h knows who is connected and
 * seen.h who was, events.h keeps what happened.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/ipc/child.h"
#include "daemon/ipc/op.h"
#include "db/audit.h"
#include "db/backoff.h"
#include "db/bans.h"
#include "db/deltas.h"
#include "db/events.h"
#include "db/expiry.h"
#include "db/guard.h"
#include "db/job.h"
#include "db/lists.h"
#include "db/logins.h"
#include "db/logs.h"
#include "db/ocsp.h"
#include "db/presence.h"
#include "db/rate.h"
#include "db/security.h"
#include "db/seen.h"
#include "db/snapshot.h"
#include "db/spool.h"
#include "db/sql.h"
#include "db/timefloor.h"
#include "db/trace.h"

struct peer {
	struct link *link;   /* NULL: away */
	unsigned generation; /* of the link: an answer to an older one is dropped */
};

/* What the parent told of one process. */
struct process_info {
	bool known;
	uint8_t state; /* enum process_state */
	uint32_t pid;
	uint32_t restarts;
	uint64_t since_ms;
	char last_exit[129];
};

/* What the parent told of the gateway. */
struct gateway_info {
	char name[254];
	char version[65];
	char config_path[513];
	struct buf addresses; /* list of strings "NAME ADDRESS PROTOCOL" */
	uint64_t started_ms;
	struct buf certificates; /* out of files: as GATEWAY has them */
};

/* A server certificate out of a file. */
struct gateway_certificate {
	struct str name; /* "admin", "listener NAME" */
	struct str path;
	struct str fingerprint; /* hexadecimal */
	int64_t ends;           /* seconds since 1970 */
	bool is_public;
};
/* The next one of a view of gateway.certificates. */
bool gateway_certificate_next(struct str *list, struct gateway_certificate *out);

struct store_settings {
	struct events_settings events;
	struct audit_settings audit;
	unsigned password_threads;
	uint32_t scram_iterations;
	int approval;         /* enum config_approval */
	int64_t expiry_grace; /* struct expiry */
	uint64_t spool_max_size;
	uint32_t password_rate;  /* per second and source; 0: that of logins.h */
	uint32_t password_tries; /* 0: those of guard.h */
};

/* What is in force, defaults included: for those who ask. */
struct store_bounds {
	uint32_t password_rate;
	uint32_t password_tries;
	uint32_t events_per_source;
};

struct store {
	struct loop *loop;
	struct child *child; /* NULL in tests */
	struct link *parent; /* NULL: none, in tests */
	char *dir;           /* <state-dir>/store */
	int dir_fd;          /* for the figures of its disk */
	struct sql *registry;
	struct events *events;
	struct spool *spool; /* a thread of its own */
	struct timefloor floor;
	struct presence presence;
	struct seen seen;
	struct traces traces;
	struct logs *logs;
	int early_log[PROCESS_COUNT]; /* what came before there was one: descriptor + 1, 0: none */
	struct logins *logins;
	struct peer peer[PROCESS_COUNT];
	bool broker_synced; /* the broker has a snapshot over this link: deltas mean something */
	int64_t seq;        /* number of the last delta */
	struct snapshot snapshot;
	bool ready;
	bool disk_full;  /* told; the next commit that works ends it */
	bool clock_told; /* the clock is wrong, and that was told */
	struct loop_timer clock_timer;
	struct loop_timer renewal_timer;
	struct loop_timer learn_timer;
	int approval; /* enum config_approval: who may ask without a code */
	struct deltas deltas;
	struct link_call ca_call;
	struct lists lists;
	struct expiry expiry;
	struct audit audit;
	struct staples staples;
	struct jobs jobs;
	struct list calls; /* struct op_call in progress */
	unsigned calls_n;
	struct map checked;  /* fingerprints that the present ca.check has seen (op_ca_check.c) */
	uint64_t checked_to; /* how far it came: records of the journal */
	struct list login_asks; /* struct login_ask in progress (device_login.c) */
	struct backoff backoff; /* of people who log in */
	struct bans_asks bans;
	struct guard *guard; /* of devices that log in with a password */
	struct store_bounds bounds;
	struct security security[2]; /* the second with names */
	struct rates publishes;      /* of administrators (op_message.c) */
	struct rate refusals[ADMIN]; /* by callers below it that reach the audit log */
	struct rates watches;        /* that are begun (op_trace.c) */
	struct process_info process[PROCESS_COUNT];
	struct gateway_info gateway;
	bool backing_up;  /* op_backup.c */
	struct buf early; /* events that the parent sent before the databases were open */
	/* Called once when it serves, and when it cannot go on (after logging why). */
	void (*on_ready)(struct store *s);
	void (*on_failed)(struct store *s);
};

/* Opens the databases below dir (created by the parent, 0700, ours); logs one line when that
 * fails. It serves after the vault has told its authorities (on_ready). s is zeroed before, but
 * for the callbacks, child and parent. */
int store_open(struct store *s, struct loop *loop, const char *dir,
	       const struct store_settings *settings);
/* What can change while it runs: all but threads and iterations. */
void store_use_settings(struct store *s, const struct store_settings *settings);
void store_close(struct store *s);
void store_set_link(struct store *s, enum process peer, int fd); /* takes fd */
/* A link to a worker of the broker, for the spool; takes fd. */
void store_set_spool_link(struct store *s, unsigned worker, int fd);
/* PROCESS_STATE, GATEWAY and EVENTS of the parent. Returns like a link_handler. */
int store_parent_message(struct store *s, struct record *r);

/* A statement or transaction of the registry failed with err: logs and raises what the operator
 * must know, once; ends the process when the file is damaged (the next start sets it aside). */
void store_registry_failed(struct store *s, int err);
void store_registry_worked(struct store *s); /* a transaction was committed */
