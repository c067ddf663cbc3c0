/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds that are reached: see bound.h.
 */
#include "daemon/broker/bound.h"
#include "daemon/broker/conn.h"
#include "daemon/broker/session.h"
#include "daemon/ipc/rec.h"

#include <stddef.h>

enum { TELL_AGAIN_MS = 60 * 1000 };

static const char *const names[BOUNDS] = {
#define BOUND(ID, field, name, value) [BOUND_##ID] = name,
#include "daemon/broker/bound.def"
};

static const size_t counters[BOUNDS] = {
#define BOUND(ID, field, name, value) [BOUND_##ID] = offsetof(struct stats, bound_##field),
#include "daemon/broker/bound.def"
};

const char *bound_name(enum bound b)
{
	return names[b];
}

static uint64_t value_of(const struct settings *s, const struct config_listener *l,
			 enum bound bound)
{
	const struct config_broker *b = &s->config->broker;
	const uint64_t value[BOUNDS] = {
#define BOUND(ID, field, name, value) [BOUND_##ID] = (value),
#include "daemon/broker/bound.def"
	};
	return value[bound];
}

uint64_t bound_value(const struct settings *s, enum bound b)
{
	return value_of(s, NULL, b);
}

void bound_count(struct worker *w, enum bound b)
{
	uint64_t *counter = (uint64_t *)((char *)&w->stats + counters[b]);
	++*counter;
}

static void put(struct buf *detail, const char *name, uint64_t value)
{
	rec_text(detail, "limit", name);
	rec_int(detail, "value", (int64_t)MIN(value, (uint64_t)INT64_MAX));
}

void bound_reached(struct conn *c, enum bound b)
{
	AUTO_BUF detail = {0};
	bound_count(c->worker, b);
	put(&detail, names[b], value_of(c->settings, c->endpoint->config, b));
	conn_event(c, EVENT_LIMIT_REACHED, names[b], &detail);
}

void bound_dropped(struct session *s, enum bound b)
{
	struct worker *w = s->worker;
	const uint64_t now = loop_now_ms(w->loop);
	AUTO_BUF detail = {0};
	bound_count(w, b);
	s->dropped++;
	if (s->dropped_told_ms && now - s->dropped_told_ms < TELL_AGAIN_MS)
		return;
	s->dropped_told_ms = now;
	put(&detail, names[b], value_of(w->settings, NULL, b));
	rec_int(&detail, "dropped", (int64_t)s->dropped);
	if (s->conn) {
		conn_event(s->conn, EVENT_LIMIT_REACHED, names[b], &detail);
		return;
	}
	struct body_event e = {
		.device_id = s->identity->device_id,
		.actor = str_of(s->identity->name),
		.client_id = session_client_id(s),
		.reason = str_of(names[b]),
	};
	journal_event(&w->journal, EVENT_LIMIT_REACHED, s->handle, &e, &detail);
}

void bound_limited(struct conn *c, struct limit *by, enum limit_refusal r)
{
	AUTO_BUF detail = {0};
	put(&detail, limit_refusal_name(r), limit_bound(by, r));
	conn_event(c, EVENT_LIMIT_REACHED, limit_refusal_name(r), &detail);
}
