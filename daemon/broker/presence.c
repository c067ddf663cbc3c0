/* SPDX-License-Identifier: Apache-2.0
 *
 * The client list as the store gets it: see presence.h.
 */
#include "daemon/broker/presence.h"
#include "daemon/broker/describe.h"
#include "daemon/broker/session.h"

#include <stdio.h>

enum { TLS_TEXT = 64 };

static void put_client(const struct conn *c, struct buf *clients)
{
	const struct session *s = c->session;
	struct stream_info info;
	char address[ADDR_TEXT];
	char tls[TLS_TEXT] = "";
	stream_info(c->stream, &info);
	if (info.version)
		snprintf(tls, sizeof(tls), "%s %s", info.version, info.cipher);
	addr_format(&c->peer, address);
	const struct body_client b = {
		.handle = c->handle,
		.device_id = c->device_id,
		.client_id = session_client_id(s),
		.address = {address, strnlen(address, 64)},
		.listener = str_of(c->endpoint->config->name),
		.protocol = str_of(describe_protocol(c)),
		.tls = str_of(tls),
		.fingerprint = {(const char *)c->fingerprint,
				c->has_certificate ? STREAM_FINGERPRINT : 0},
		.connected_ms = c->connected_ms,
		.keep_alive = c->keep_alive,
		.subscriptions = (uint32_t)s->subscriptions.n,
		.queued = s->out.waiting_n,
		.messages_in = c->messages_in,
		.messages_out = c->messages_out,
		.bytes_in = c->bytes_in,
		.bytes_out = c->bytes_out,
	};
	ENTRIES_PUT(clients, client, &b);
}

/* It came and went since the last time: a device that wakes up for a moment. */
static void put_passed(struct conn *c)
{
	struct worker *w = c->worker;
	if (c->device_id == 0 || !c->session || w->passed == PRESENCE_COMINGS)
		return;
	put_client(c, &w->gone);
	c->announced = true;
	w->passed++;
}

static void put(struct conn *c, struct buf *clients)
{
	put_client(c, clients);
	c->announced = true;
	c->told = c->bytes_in + c->bytes_out;
}

static void forget_told(struct worker *w)
{
	uint32_t at = 0;
	for (struct conn *c; (c = slab_next(&w->conns, &at));)
		c->announced = false;
}

static void put_new(struct worker *w, struct buf *clients)
{
	uint32_t at = 0;
	unsigned n = 0;
	for (struct conn *c; n < PRESENCE_COMINGS && (c = slab_next(&w->conns, &at));) {
		if (c->state != CONN_OPEN || c->announced)
			continue;
		put(c, clients);
		n++;
	}
}

static void put_changed(struct worker *w, struct buf *clients)
{
	unsigned n = 0;
	struct conn *c;
	while (n < PRESENCE_REFRESH && (c = slab_next(&w->conns, &w->presence_at))) {
		if (!c->announced || c->told == c->bytes_in + c->bytes_out)
			continue;
		put(c, clients);
		n++;
	}
	if (n < PRESENCE_REFRESH)
		w->presence_at = 0;
}

void presence_collect(struct worker *w, bool anew, struct buf *clients)
{
	if (anew)
		forget_told(w);
	/* Anew, too: that one went of whom the store knows nothing is nothing to it. */
	buf_put(clients, w->gone.p, w->gone.n);
	buf_fini(&w->gone);
	w->passed = 0;
	put_new(w, clients);
	put_changed(w, clients);
}

void presence_gone(struct conn *c)
{
	if (!c->announced)
		put_passed(c);
	if (!c->announced)
		return;
	const struct body_client b = {.handle = c->handle, .gone = 1};
	ENTRIES_PUT(&c->worker->gone, client, &b);
}
