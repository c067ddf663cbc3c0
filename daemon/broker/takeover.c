/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections that move to another worker: see takeover.h.
 */
#include "daemon/broker/takeover.h"
#include "daemon/broker/accept.h"
#include "daemon/broker/auth.h"

#include <stdlib.h>

struct move {
	struct loop_note note;
	struct worker *to;
	struct stream *stream;
	struct settings *settings;
	struct conn was; /* what it knew; its links are void */
	struct buf in;
};

/* What a connection has learnt before its CONNECT was answered. */
static void carry(struct conn *c, const struct conn *was)
{
	c->hold = was->hold;
	c->listener_hold = was->listener_hold;
	c->accepted_ms = was->accepted_ms;
	c->heard_ms = was->heard_ms;
	c->bytes_in = was->bytes_in;
	c->device_id = was->device_id;
	c->proved_device = was->proved_device;
	c->login_result = was->login_result;
	c->auth = was->auth;
	c->proxy = was->proxy;
	c->explained = was->explained;
	c->trace_connected = was->trace_connected;
	c->has_certificate = was->has_certificate;
	memcpy(c->fingerprint, was->fingerprint, sizeof(c->fingerprint));
}

static void arrived(struct loop_note *note)
{
	struct move *m = container_of(note, struct move, note);
	struct conn *c = accept_moved(m->to, m->stream);
	if (c) {
		settings_unref(c->settings);
		c->settings = m->settings;
		c->endpoint = m->was.endpoint;
		carry(c, &m->was);
		c->in = m->in;
		conn_watch(c);
		conn_resume(c);
	} else {
		limit_release(m->to->broker->limit, &m->was.hold);
		if (m->was.endpoint->limit)
			limit_release(m->was.endpoint->limit, &m->was.listener_hold);
		settings_unref(m->settings);
		secret_buf_fini(&m->in);
		auth_free(m->was.auth);
		free(m->was.proxy);
	}
	free(m);
}

void takeover_move(struct conn *c, unsigned to)
{
	struct worker *w = c->worker;
	struct move *m = mem_new(struct move);
	loop_remove(w->loop, &c->io);
	m->to = w->broker->worker[to];
	m->was = *c;
	m->stream = TAKE(c->stream);
	m->settings = settings_ref(c->settings);
	m->in = c->in;
	c->in = (struct buf){0};
	c->auth = NULL;
	c->proxy = NULL;
	c->hold = c->listener_hold = (struct limit_hold){0};
	conn_vanish(c);
	loop_post(m->to->loop, &m->note, arrived);
}
