/* SPDX-License-Identifier: Apache-2.0
 *
 * Live traces: every packet of one client, one device or one topic, in and out, as a person reads
 * it (trace_text.h), while somebody looks on; or a watch: every message that is published to some
 * topics, once, whoever published it, as far as the rules let the device get
 * it through whose eyes it is seen (console.h). The store asks for them (TRACE_START, TRACE_STOP)
 * and gets the lines (TRACE_LINES), several at a time and at most TRACE_LINES_MAX bytes of them per
 * worker and TRACE_EVERY_MS; what is beyond is left out and counted. The lines of one client are in
 * order; those of clients on different workers may change places within TRACE_EVERY_MS.
 *
 * Each worker has the traces that are on; without any its `trace` is NULL, and a packet costs the
 * one branch of trace_on(). Workers call the functions about packets; the control thread the
 * others.
 */
#pragma once

#include "daemon/broker/conn.h"
#include "daemon/broker/control.h"
#include "daemon/broker/msg.h"
#include "daemon/ipc/link.h"

enum { TRACES_MAX = CONTROL_TRACES_MAX, TRACE_EVERY_MS = 50, TRACE_LINES_MAX = 48 * KiB };

static inline bool trace_on(const struct conn *c)
{
	return __builtin_expect(c->worker->trace != NULL, 0);
}

/* A packet that was decoded, or is sent; size: bytes on the wire. */
void trace_packet(struct conn *c, bool sent, const struct packet *p, size_t size);
/* A PUBLISH to a client that was encoded from a message. */
void trace_publish(struct conn *c, const struct msg *m, const struct publish_receiver *r);
/* A CONNECT, before it is judged; it may come here several times, and is told once. */
void trace_connect(struct conn *c, const void *bytes, size_t n);
void trace_closed(struct conn *c, const char *why);
/* A message that is routed on this worker; only while w->trace is not NULL. */
void trace_message(struct worker *w, const struct msg *m);

/* TRACE_START and TRACE_STOP of the store. 0 or ERR_MALFORMED. */
int trace_start_asked(struct link *l, struct record *r);
int trace_stop_asked(struct link *l, struct record *r);
/* Whether somebody watches topics of this first level, by name. */
bool trace_reaches(const struct control *k, struct str level);
/* The store is another one: it asks anew for those that it wants. */
void trace_stop_all(struct control *k);
