/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages of the broker's own: see sheet.h.
 */
#include "daemon/broker/sheet.h"
#include "daemon/base/mem.h"
#include "daemon/broker/route.h"

#include <stdlib.h>

static void publish_one(const struct sheet *s, const char *topic, const char *payload)
{
	static const struct retain_limits any = {SIZE_MAX, SIZE_MAX};
	const struct msg_parts parts = {
		.topic = str_of(topic),
		.payload = str_of(payload),
		.props = &props_none,
		.qos = 2, /* everyone gets it with the QoS of the subscription */
		.retain = true,
	};
	struct retain_change change;
	AUTO(msg) m = msg_new(&parts);
	if (m)
		m->own = true;
	if (!m || retain_set(s->worker->broker->retain, m, &any, false, &change))
		return;
	if (m->shared.payload.n || !s->quiet)
		route_publish(s->worker, m);
}

static void publish(struct loop_note *note)
{
	struct sheet *s = container_of(note, struct sheet, note);
	for (size_t at = 0; at < s->text.n && !s->worker->stopping;) {
		const char *topic = s->text.p + at;
		const char *payload = topic + strlen(topic) + 1;
		publish_one(s, topic, payload);
		arena_reset(&s->worker->arena);
		at = (size_t)(payload + strlen(payload) + 1 - s->text.p);
	}
	buf_fini(&s->text);
	free(s);
}

struct sheet *sheet_new(struct worker *worker)
{
	struct sheet *s = mem_new(struct sheet);
	s->worker = worker;
	return s;
}

void sheet_post(struct sheet *s)
{
	loop_post(s->worker->loop, &s->note, publish);
}
