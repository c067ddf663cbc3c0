/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/stream: what happens, as Server-Sent Events for pages that stay open. However many
 * streams there are, the store is asked once: for new events as they come, for the status every
 * STREAM_STATUS_MS. Each asking uses the credentials of another stream in turn, so that the store
 * judges all of them again and again; a stream whose session has ended is closed.
 *
 *   event: status   data: the answer of /api/v1/status; not for a token that may not see it
 *   event: event    id: its seq   data: an item of /api/v1/events
 *   event: reset    what was missed is lost: load lists anew
 *   event: ended    the session has ended
 *
 * Nobody takes the last of STREAMS_MAX places from others (caller_refused).
 *
 * With Last-Event-ID (or the parameter since) it begins after that event. Main thread of admin and
 * ctl. HTML Living Standard 9.2.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/ipc/link.h"
#include "daemon/net/loop.h"
#include "daemon/web/http.h"

#include <jansson.h>

enum { STREAM_STATUS_MS = 2000, STREAMS_MAX = 128 };

struct web;
struct stream;

struct feed {
	struct web *web;
	struct list opening; /* struct stream that waits for its first answer */
	struct list streams;
	size_t n;       /* in both */
	int64_t cursor; /* seq of the last event that was told */
	struct link_call events;
	struct stream *events_by; /* whose credentials ask; NULL: it has left meanwhile */
	bool events_asked;
	struct link_call status;
	struct stream *status_by;
	bool status_asked;
	struct loop_timer timer;
};

void feed_init(struct feed *f, struct web *web);
/* True: the path was the stream's, and the request is answered or will be. */
bool feed_handle(struct feed *f, struct http_request *r);
/* Sessions or tokens were closed: every stream is asked about at once, not when its turn comes. */
void feed_recheck(struct feed *f);
/* Ends every stream; the store has gone away or the process stops. */
void feed_stop(struct feed *f);

/* The store's answer to an OP of a stream, of at most max bytes: the status of HTTP; for 200
 * *result, which the caller owns, for any other one a sentence in *why, which may be NULL. */
unsigned stream_answer(int err, struct record *reply, size_t max, json_t **result, struct buf *why);
