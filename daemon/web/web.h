/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a web process share. Main thread.
 */
#pragma once

#include "daemon/conf/config.h"
#include "daemon/ipc/child.h"
#include "daemon/ipc/report.h"
#include "daemon/web/api_reply.h"
#include "daemon/web/aside.h"
#include "daemon/web/bundle.h"
#include "daemon/web/enrol_rest.h"
#include "daemon/web/est.h"
#include "daemon/web/fold.h"
#include "daemon/web/http.h"
#include "daemon/web/repeat.h"
#include "daemon/web/status_pages.h"
#include "daemon/web/stream.h"
#include "daemon/web/watch.h"

/* The sockets that there can be at once, and as many that still end. */
enum { WEB_SERVERS_MAX = 2 * CONFIG_LIST_MAX };

struct web_socket {
	struct http_server *server; /* NULL: it waits for what requests need */
	int fd;                     /* of one that waits */
	char address[65];           /* "": it is closed, and its last requests end */
};

struct web {
	struct child *child;
	struct loop *loop;
	struct link *store;         /* NULL while the store is away */
	struct link *vault;         /* chains; NULL while away, and always in ctl */
	struct loop_note sign_lost; /* the link for signatures turned out to be dead */
	struct link_call chains;
	struct buf file_chain; /* certificates of the interface out of a file; entries of DER */
	bool file_public;
	struct loop_timer chains_again;
	struct report report;
	struct est est; /* in enrol alone */
	struct web_socket socket[WEB_SERVERS_MAX];
	size_t sockets;
	struct list pending; /* struct api_call */
	struct repeats repeats;
	struct list bundles; /* struct bundle_call */
	struct aside aside;
	struct list enrolling; /* struct rest_call */
	struct status_pages status;
	struct feed feed;
	struct watches watches;
	struct fold fold;      /* handshakes that browsers break off */
	struct fold strangers; /* who may not connect */
	struct config *config; /* whose access the servers have */
	bool has_chains;
	bool ready; /* it serves */
	bool stopping;
};

/* api.c: answers /api/v1/... by asking the store. */
void api_handle(struct web *w, struct http_request *r);
/* May the large body come of a request of which only the head is there? */
void api_large(struct web *w, struct http_request *r);
/* True when the path was /metrics, which is answered with the figures of status (metrics.h); the
 * caller needs the level for that operation. */
bool api_metrics(struct web *w, struct http_request *r);
/* Answers every open request with 503. */
void api_stop(struct web *w);
/* The same request of the same caller (Idempotency-Key): false, and it has been answered; else it
 * is to be done, and *repeat names it for repeat.h (0: it has no key). args: all that it asks for.
 */
bool api_begin(struct web *w, struct http_request *r, enum op op, struct str args,
	       uint64_t *repeat);
/* Is the body JSON, as far as its head says? False: 415 was answered. */
bool api_takes_type(struct http_request *r);
/* Asks the store for an operation as the caller of r. False: it is away. */
bool api_ask(struct web *w, struct http_request *r, enum op op, struct str args,
	     struct link_call *call, void (*done)(struct link_call *, int, struct record *));
/* health.c: true when the path was /healthz or /readyz and is answered. */
bool health_handle(struct web *w, struct http_request *r);
