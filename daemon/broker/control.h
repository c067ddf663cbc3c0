/* SPDX-License-Identifier: Apache-2.0
 *
 * What the broker's control thread holds: the links to store and vault, the sockets and files that
 * the parent gave, the chains of the listeners. Shared by the files of the control thread
 * (process.c, storelink.c, endpoints.c) and by nobody else. Everything here belongs to that thread.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/broker/sys.h"
#include "daemon/broker/vaultlink.h"
#include "daemon/broker/worker.h"
#include "daemon/ipc/child.h"

enum {
	CONTROL_VAULTLINKS_MAX = 16,
	CONTROL_TRACES_MAX = 16,
	TICKET_MASTER_BYTES = TLS_TICKET_MASTER
};

/* The answer of the vault for the listeners that use one set of certificates. */
struct chain_ask {
	struct link_call call;
	struct control *control;
	char *name;        /* of the listener; "" = the gateway's own certificate */
	struct buf chains; /* records of struct body_chain, empty until it answered */
	bool asked;
	bool again; /* asked for while it was asked: the answer under way may be the old one */
	bool failed;
	bool unfit; /* its key is not that of the listener's certificate; told once */
};

/* Certificates that the parent read for a listener. */
struct listener_files {
	char *name;
	struct buf certificate; /* DER, each behind a 32-bit length */
	struct buf client_ca;
	struct buf crl_file; /* as the parent read it; parsed when its authorities are known */
	char *crl_path;
	struct crl_set *crl; /* NULL: none, or not parsed yet */
};

struct restored;

struct socket_given {
	struct list node;
	struct child_listener listener;
};

struct control {
	struct broker broker;
	struct child *child;
	struct report report;
	struct settings *settings;
	struct link *store;
	struct link *vault;
	int store_fd; /* given before start(), -1 = none */
	int vault_fd;
	struct vaultlink vaultlink[CONTROL_VAULTLINKS_MAX];
	struct list sockets; /* not yet with a worker */
	struct map limits;   /* listener name -> struct limit */
	struct map chains;   /* listener name or "" -> struct chain_ask */
	struct map files;    /* listener name -> struct listener_files */
	bool unfit;          /* a listener waits for a key that fits its new certificate */
	unsigned char ticket_master[TICKET_MASTER_BYTES];
	bool has_ticket_master;
	unsigned store_generation; /* counts the links to the store */
	struct link_call snapshot;
	bool snapshot_asked;     /* the call is under way */
	bool snapshot_due;       /* a change is missing until the next snapshot */
	struct list owed;        /* deltas that are answered by the next snapshot */
	struct loop_timer retry; /* what was asked for in vain is asked for again */
	struct loop_timer second;
	uint64_t seconds;
	uint64_t settled_ms;
	struct loop_timer settle; /* between the last goodbye and the end */
	struct map revoked;       /* fingerprints on $gw/pki/revoked: revoked.h */
	bool revoked_full;        /* told */
	struct link_call roots_call;
	struct buf roots; /* on $gw/pki/roots: roots.h */
	struct sys sys;
	struct traces *traces; /* that are on; NULL: none */
	struct trace_lost {
		uint64_t id;
		uint32_t n;
	} trace_lost[CONTROL_TRACES_MAX]; /* lines that the store could not take */
	struct buf told;                  /* figures as last sent */
	bool collecting;
	bool presence_anew; /* the store knows of no client */
	bool registry_loaded;
	struct restored *restored; /* sessions that wait for the registry */
	bool sessions_restored;
	int spool_fd[WORKERS_MAX]; /* given before start(), -1 = none */
	bool started;
	bool serving;
	bool stopping;
};

/* process.c: something that serving waits for has arrived. */
void control_progress(struct control *k);
/* Any thread: a link of a worker or of a handshake thread has ended; index as in LINK. */
void control_link_broken(struct control *k, enum process peer, unsigned index, const char *why,
			 bool misbehaved);
/* process.c: asks again, soon, for the snapshot or the chains that are still missing. */
void control_retry(struct control *k);
