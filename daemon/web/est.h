/* SPDX-License-Identifier: Apache-2.0
 *
 * EST (RFC 7030, RFC 8951) as the process enrol serves it: cacerts, csrattrs, simpleenroll,
 * simplereenroll, serverkeygen. A request is parsed and judged here; whether it may have a
 * certificate is for the store to say, which redeems the authority that came along: a code or
 * password (HTTP Basic, or challengePassword), or the certificate that the client showed. Nothing
 * is kept between requests. Main thread; the forms on the wire are in est_wire.h.
 */
#pragma once

#include "daemon/ipc/report.h"
#include "daemon/web/anchors.h"
#include "daemon/web/fold.h"
#include "daemon/web/http.h"

/* What the administrator set for it (section enrol). */
struct est_settings {
	bool server_keygen;
	bool require_binding;
	bool strangers; /* who has nothing to show may ask, and waits for a person */
};

struct est {
	struct link *store; /* NULL while it is away */
	struct report *report;
	struct anchors anchors;
	struct est_settings settings;
	struct list pending; /* struct est_call, that wait for the store */
	struct fold lost;    /* who asked for what there is not */
	struct fold empty;   /* who showed nothing */
};

void est_init(struct est *est, struct loop *loop, struct report *report,
	      void (*changed)(struct anchors *));
void est_fini(struct est *est);
/* NULL: the store is away. */
void est_set_link(struct est *est, struct link *store);
/* Answers every request that waits with 503. */
void est_stop(struct est *est);

/* Answers a request whose path begins with EST_PATH; false when it does not. */
bool est_handle(struct est *est, struct http_request *r);
/* A body was too large: the event. */
void est_too_large(struct est *est, const char *source);
