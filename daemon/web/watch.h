/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/watches/{id}/stream: the messages of a watch (watch.start) as they come, as
 * Server-Sent Events, with the credentials of whoever opened the stream at every question.
 *
 *   event: message   id: its seq   data: an item of /api/v1/watches/{id}
 *   event: dropped   data: how many were left out so far: more came than the gateway or this client
 *                    could take
 *   event: ended     data: why, as JSON text; the stream ends
 *
 * A client that reads too slowly loses messages, never its stream. One whose stream broke begins
 * another watch: what was on its way is lost, and nobody can say how much. Main thread of admin and
 * ctl.
 */
#pragma once

#include "daemon/base/list.h"

enum { WATCH_STREAMS_MAX = 16 }; /* nobody takes the last one from others (caller_refused) */

struct web;
struct http_request;

struct watches {
	struct web *web;
	struct list streams; /* struct watch */
	size_t n;
};

void watches_init(struct watches *all, struct web *web);
/* True: the path was such a stream's, and the request is answered or will be. */
bool watches_handle(struct watches *all, struct http_request *r);
/* Asks anew, so that those end whose credentials count no more. */
void watches_recheck(struct watches *all);
/* Ends every stream: the process stops. */
void watches_stop(struct watches *all);
