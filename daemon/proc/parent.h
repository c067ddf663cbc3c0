/* SPDX-License-Identifier: Apache-2.0
 *
 * The parent: it reads the configuration, binds the sockets, starts the processes, links them to
 * each other, watches over them and stops them in order. It parses nothing that comes from outside
 * but its own files and the records of its children. One thread, one loop. This header is for the
 * files of daemon/proc; main() calls parent_main.
 */
#pragma once

#include "daemon/conf/config.h"
#include "daemon/ipc/report.h"
#include "daemon/proc/accuse.h"
#include "daemon/proc/dirs.h"
#include "daemon/proc/files.h"
#include "daemon/proc/options.h"
#include "daemon/proc/sockets.h"

enum {
	STAGE_LAST = 2,
	LINK_FD = 3,       /* where a child finds its parent */
	JOURNAL_FD = 4,    /* where it finds the journal, if it is open */
	LOG_FD = 5,        /* where its log lines go for the store, if it is open */
	CHILD_FD_MIN = 10, /* what the parent keeps for a child on its way there */
};

struct parent;

/* One child process. */
struct unit {
	struct parent *parent;
	enum process self;
	int stage;
	const char *dir;   /* below the state directory, "" = none */
	pid_t pid;         /* 0 = not running */
	struct link *link; /* NULL = not running */
	enum process_state state;
	bool was_ready;    /* served at least once since the gateway started */
	uint64_t since_ms; /* wall time of the last change of state */
	uint64_t ready_mono_ms;
	uint32_t restarts;
	uint32_t backoff_ms;
	struct accusations accusations; /* that it has made */
	char last_exit[96];
	struct loop_timer timer; /* restart, or the bound on starting, stopping and ending */
	struct link_call config_call;
	unsigned config_number; /* which running configuration it was given */
};

/* A change of settings that is undone unless somebody keeps it. Until then settings.conf does not
 * have it: a restart undoes it too. */
struct setting_hold {
	char token[33];   /* "": none */
	struct buf undo;  /* list of strings: key and the value to go back to, as SETTING_SET */
	uint64_t ends_ms; /* of the monotonic clock */
	struct loop_timer timer;
};

struct parent {
	struct options options;
	struct config *config; /* as last read or set */
	struct config
		*running; /* what the processes work with: config without what needs a restart */
	unsigned config_number; /* counts the running ones */
	char *settings_path;
	struct setting_hold hold;
	struct loop *loop;
	struct loop_io signals;
	struct loop_timer watchdog;
	struct loop_timer tickets;
	struct sockets sockets;
	struct files files;
	struct priv_user user[PROCESS_COUNT];
	struct unit unit[PROCESS_COUNT];
	struct report report;
	struct list mends;             /* links that are made anew soon (unit.c) */
	int journal;                   /* socket, -1 = none */
	int log_source[PROCESS_COUNT]; /* logpipe.h: descriptor + 1, 0 = none */
	int exe;                       /* of this very program, to start children from */
	int stage;                     /* that is starting; > STAGE_LAST: the gateway serves */
	bool stopping;
	int status;
	uint64_t started_ms;
};

int parent_main(const struct options *options);

/* unit.c: one child. */
void unit_init(struct parent *p);
void unit_start(struct unit *u); /* spawn, links, everything it needs, START */
void unit_stop(struct unit *u);  /* STOP, then KILL after 10 s; nothing when not running */
void unit_exited(struct unit *u, int wait_status); /* the kernel says so */
void unit_tell_state(struct unit *u);              /* to the store */

/* give.c: what a child is given. */
void give_start(struct unit *u); /* everything up to START */
void give_config(struct unit *u, void (*done)(struct link_call *, int, struct record *));
/* Sockets that came or went since it started or was told last. */
void give_new_sockets(struct unit *u);
void give_machine(struct unit *vault); /* addresses may be others than before */
void give_ticket_secret(struct unit *u);
void give_gateway(struct unit *store); /* GATEWAY and all PROCESS_STATEs */

/* reload.c: a changed configuration. */
struct config *reload_read(const struct parent *p); /* NULL after logging every error */
void reload(struct parent *p);                      /* SIGHUP */
/* The same, asked for: 0, and what changed in *rec ({changed: [key], needs_restart: [key]}); or an
 * error with a line for each in *why, and nothing has changed. */
int reload_asked(struct parent *p, struct buf *rec, struct buf *why);
void reload_give(struct unit *u); /* the running configuration, again */
/* Makes c, which is taken on success, what the processes work with. save: also writes settings.conf
 * from this one (NULL: not). 0, or an error with one line for each in why; nothing has changed
 * then. dry: that much is only judged. */
int reload_use(struct parent *p, struct config *c, const struct config *save, bool dry,
	       struct buf *why);

/* setting.c: settings as the store asks for them. */
int setting_get(struct link *store, struct record *r);
int setting_set(struct link *store, struct record *r);
int setting_keep(struct link *store, struct record *r);
int setting_reload(struct link *store, struct record *r);
int setting_file(struct link *store, struct record *r);
void setting_drop_hold(struct parent *p); /* nothing is held any more; the values stay */

/* parent.c */
void parent_unit_ready(struct unit *u);
void parent_unit_down(struct unit *u, bool failed_start);

/* child_main.c: this program as one of the processes; fd is the parent link. Returns the exit
 * status. */
int child_main(const char *name, int fd);
/* probe.c: gatehoused --probe. Returns the exit status. */
int probe_main(struct parent *p, const char *probe);
