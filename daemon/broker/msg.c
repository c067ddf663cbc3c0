/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: see msg.h.
 */
#include "daemon/broker/msg.h"

#include <stdlib.h>

static uint64_t expiry_of(const struct msg_parts *parts)
{
	if (!props_has(parts->props, PROPERTY_MESSAGE_EXPIRY_INTERVAL))
		return 0;
	return parts->now_ms + parts->props->message_expiry_interval * (uint64_t)1000;
}

struct msg *msg_new(const struct msg_parts *parts)
{
	const size_t shared =
		parts->properties.n ? parts->properties.n : publish_shared_size(parts->props);
	const size_t n = parts->topic.n + shared + parts->payload.n;
	struct msg *m = mem_try(sizeof(*m) + n);
	if (!m)
		return NULL;
	unsigned char *properties = m->bytes + parts->topic.n;
	unsigned char *payload = properties + shared;
	ref_init(&m->ref);
	atomic_init(&m->mid, 0);
	m->qos = parts->qos;
	m->retain = parts->retain;
	m->own = false;
	m->origin = parts->origin;
	m->expires_ms = expiry_of(parts);
	if (parts->topic.n)
		memcpy(m->bytes, parts->topic.p, parts->topic.n);
	if (parts->properties.n) {
		memcpy(properties, parts->properties.p, shared);
	} else if (shared) {
		struct out o = out_make(properties, shared);
		publish_shared_encode(parts->props, &o);
	}
	if (parts->payload.n)
		memcpy(payload, parts->payload.p, parts->payload.n);
	m->shared.topic = str_make(m->bytes, parts->topic.n);
	m->shared.properties = str_make(properties, shared);
	m->shared.payload = str_make(payload, parts->payload.n);
	return m;
}

struct msg *msg_ref(struct msg *m)
{
	ref_get(&m->ref);
	return m;
}

void msg_unref(struct msg *m)
{
	if (ref_put(&m->ref))
		free(m);
}

void msg_expiry_left(const struct msg *m, uint64_t now_ms, struct publish_receiver *r)
{
	if (!m->expires_ms)
		return;
	r->has_message_expiry = true;
	const uint64_t left = m->expires_ms > now_ms ? m->expires_ms - now_ms : 0;
	r->message_expiry = (uint32_t)((left + 999) / 1000);
}
