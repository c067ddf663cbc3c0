/* SPDX-License-Identifier: Apache-2.0
 *
 * A message on its way: topic, properties and payload, made once when it is published and shared
 * by all who receive it. Immutable; a reference count, any thread. The bytes are laid out so that
 * one block serves receivers of all protocol versions (mqtt/encode.h). Sections 3.3 and 4.3.
 */
#pragma once

#include "daemon/base/ref.h"
#include "daemon/mqtt/encode.h"

struct msg {
	struct ref ref;
	_Atomic uint64_t mid; /* number in the spool; 0 = none yet */
	uint8_t qos;          /* as published */
	bool retain;          /* as published; for retain-as-published */
	bool own;             /* of the gateway itself: retained it counts for nothing */
	uint64_t expires_ms;  /* monotonic; 0 = never [MQTT-3.3.2-5] */
	uint64_t origin;      /* session that published it, for no-local; 0 = none */
	struct publish_shared shared;
	unsigned char bytes[]; /* topic, shared properties, payload */
};

/* What a new message is made of: everything is copied. */
struct msg_parts {
	struct str topic;
	struct str payload;
	const struct props *props; /* of the PUBLISH or the will */
	struct str properties;     /* or encoded already, as the shared ones of another message */
	uint8_t qos;
	bool retain;
	uint64_t origin;
	uint64_t now_ms; /* monotonic: the message expiry interval counts from here */
};

/* NULL when there is no memory. */
struct msg *msg_new(const struct msg_parts *parts) MUST_CHECK;
struct msg *msg_ref(struct msg *m);
void msg_unref(struct msg *m);
DEFINE_AUTO(msg, msg_unref)

static inline bool msg_expired(const struct msg *m, uint64_t now_ms)
{
	return m->expires_ms && m->expires_ms <= now_ms;
}

/* Fills what a receiver is told of the expiry: the interval less the time that the message waited
 * [MQTT-3.3.2-6]; 0 for one that expired while it was under way and is sent again. */
void msg_expiry_left(const struct msg *m, uint64_t now_ms, struct publish_receiver *r);

/* Bytes that a queue is charged for it. */
static inline size_t msg_size(const struct msg *m)
{
	return sizeof(*m) + m->shared.topic.n + m->shared.properties.n + m->shared.payload.n;
}
