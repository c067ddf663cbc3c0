/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of an administrator: see console.h.
 */
#include "daemon/broker/console.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/control.h"
#include "daemon/broker/replay.h"
#include "daemon/broker/route.h"
#include "daemon/ipc/rec.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

/* A piece of the walk, and how far one answer goes: every step holds the lock for a moment. */
enum { PIECE = 3, STEPS_MAX = 64, ITEMS_ENOUGH = 24 * KiB, ITEMS_FULL = 40 * KiB };

/* ---- as a person reads it ---- */

static void put_payload(struct buf *rec, struct str payload)
{
	const struct str shown = str_head(payload, CONSOLE_PAYLOAD);
	if (str_is_utf8(shown)) {
		rec_str(rec, "text", shown);
		rec_null(rec, "hex");
	} else {
		rec_null(rec, "text");
		rec_bytes(rec, "hex", shown);
	}
	rec_bool(rec, "cut", shown.n < payload.n);
}

static void hide_payload(struct buf *rec)
{
	rec_null(rec, "text");
	rec_null(rec, "hex");
	rec_bool(rec, "cut", false);
}

void console_put_message(struct buf *rec, const struct msg *m, bool retain, bool payload)
{
	rec_str(rec, "topic", str_head(m->shared.topic, CONSOLE_TOPIC));
	rec_int(rec, "qos", m->qos);
	rec_bool(rec, "retain", retain);
	rec_int(rec, "size", (int64_t)m->shared.payload.n);
	if (payload)
		put_payload(rec, m->shared.payload);
	else
		hide_payload(rec);
	rec_bool(rec, "hidden", !payload);
}

static struct acl_who who_of(const struct identity *id)
{
	const struct str name = str_of(id->name);
	return (struct acl_who){
		.clientid = name, .device = name, .group = id->group, .group_n = id->group_n};
}

bool console_may_get(const struct identity *id, struct str topic, struct acl_how how)
{
	const struct acl_who who = who_of(id);
	return acl_check(id->acl, &who, ACL_SUBSCRIBE, topic, how, NULL) &&
	       acl_check(id->acl, &who, ACL_RECEIVE, topic, how, NULL);
}

/* ---- publishing ---- */

struct order {
	struct round round;
	struct control *control;
	unsigned generation; /* of the link */
	uint64_t id;
	uint64_t device_id;
	struct buf topic;
	struct buf payload;
	uint8_t qos;
	bool retain;
	bool must_retain;
	struct body_publish_done done;
};

static bool is_reserved(struct str topic)
{
	return str_prefix(topic, STR("$gw/")) || str_prefix(topic, STR("$SYS/"));
}

static bool is_retained(struct retain *retain, struct str topic)
{
	struct retain_cursor cursor = {0};
	struct msg *m = NULL;
	const struct retain_room one = {1, SIZE_MAX};
	const size_t n = retain_next(retain, topic, &cursor, clock_mono_ms(), one, &m);
	retain_cursor_fini(&cursor);
	if (n)
		msg_unref(m);
	return n > 0;
}

static enum publish_status judge(struct worker *w, struct order *o)
{
	const struct config_broker *b = &w->settings->config->broker;
	const struct str topic = buf_view(&o->topic);
	if (!topic_name_valid(topic) || topic.n > b->max_topic_length ||
	    topic_levels(topic) > b->max_topic_levels)
		return PUBLISH_TOPIC;
	if (is_reserved(topic))
		return PUBLISH_RESERVED;
	if (b->max_payload && o->payload.n > b->max_payload)
		return PUBLISH_LARGE;
	if (o->must_retain && !is_retained(w->broker->retain, topic))
		return PUBLISH_NOTHING;
	if (!o->device_id)
		return PUBLISH_SENT;
	AUTO(identity) id = registry_identity(w->broker->registry, o->device_id);
	struct acl_verdict verdict;
	if (!id)
		return PUBLISH_NOBODY;
	const struct acl_who who = who_of(id);
	const struct acl_how how = {o->qos, o->retain};
	if (acl_check(id->acl, &who, ACL_PUBLISH, topic, how, &verdict))
		return PUBLISH_SENT;
	o->done.rule = verdict.rule;
	return PUBLISH_DENIED;
}

static enum publish_status publish(struct worker *w, struct order *o)
{
	const struct msg_parts parts = {
		.topic = buf_view(&o->topic),
		.payload = buf_view(&o->payload),
		.props = &props_none,
		.qos = o->qos,
		.retain = o->retain,
		.now_ms = loop_now_ms(w->loop),
	};
	const enum publish_status status = judge(w, o);
	if (status != PUBLISH_SENT)
		return status;
	AUTO(msg) m = msg_new(&parts);
	if (!m || (m->retain && !replay_keep(w, m, CONFIG_DURABILITY_FULL)))
		return PUBLISH_FULL;
	const size_t receivers = route_publish(w, m);
	o->done.receivers = (uint32_t)MIN(receivers, (size_t)UINT32_MAX);
	return PUBLISH_SENT;
}

static void run(struct worker *w, struct round *r)
{
	struct order *o = container_of(r, struct order, round);
	if (w->index != 0)
		return;
	w->encoded.msg = NULL; /* of a message that was perhaps at the same address */
	o->done.status = (uint8_t)publish(w, o);
	arena_reset(&w->arena);
}

static void done(struct round *r)
{
	struct order *o = container_of(r, struct order, round);
	struct control *k = o->control;
	if (k->store && o->generation == k->store_generation)
		LINK_SEND(k->store, PUBLISH_DONE, publish_done, o->id, -1, &o->done);
	buf_fini(&o->topic);
	buf_fini(&o->payload);
	free(o);
}

int console_publish_asked(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	struct body_publish b;
	if (body_publish_get(r->body, &b) || b.qos > 2)
		return ERR_MALFORMED;
	struct order *o = mem_new(struct order);
	o->control = k;
	o->generation = k->store_generation;
	o->id = r->id;
	o->device_id = b.device_id;
	o->qos = b.qos;
	o->retain = b.retain;
	o->must_retain = b.must_retain;
	buf_str(&o->topic, b.topic);
	buf_str(&o->payload, b.payload);
	round_start(&o->round, &k->broker, run, done);
	return 0;
}

/* ---- retained messages ---- */

struct look {
	struct retain *retain;
	struct str filter;
	struct identity *as; /* NULL: all are shown */
	bool payload;
	struct retain_cursor cursor;
	size_t left; /* messages that are still wanted */
	struct buf items;
};

static void show(struct look *k, const struct msg *m)
{
	const struct acl_how how = {m->qos, true};
	if (k->as && !console_may_get(k->as, m->shared.topic, how))
		return;
	rec_object(&k->items, "");
	console_put_message(&k->items, m, true, k->payload);
	rec_end(&k->items);
	k->left -= k->left > 0;
}

/* A place in the tree that is too long to be told is walked past. */
static bool goes_on(const struct look *k, unsigned steps)
{
	if (k->cursor.over)
		return false;
	return k->cursor.path.n > CONSOLE_TOPIC ||
	       (k->left && k->items.n < ITEMS_ENOUGH && steps < STEPS_MAX);
}

static void walk(struct look *k)
{
	struct msg *m[PIECE];
	for (unsigned steps = 0; steps == 0 || goes_on(k, steps); steps++) {
		const size_t wanted = k->left ? MIN(k->left, (size_t)PIECE) : 1;
		const struct retain_room room = {wanted, SIZE_MAX};
		const size_t n =
			retain_next(k->retain, k->filter, &k->cursor, clock_mono_ms(), room, m);
		for (size_t i = 0; i < n; i++) {
			if (k->items.n < ITEMS_FULL)
				show(k, m[i]);
			msg_unref(m[i]);
		}
	}
}

int console_retained_asked(struct link *l, struct record *r)
{
	struct control *c = link_owner(l);
	struct body_retained_get b;
	if (body_retained_get_get(r->body, &b) || !topic_filter_valid(b.filter) || b.max == 0)
		return ERR_MALFORMED;
	struct look k = {.retain = c->broker.retain,
			 .filter = b.filter,
			 .left = b.max,
			 .payload = b.payload};
	AUTO(identity) as = b.device_id ? registry_identity(c->broker.registry, b.device_id) : NULL;
	k.as = as;
	k.cursor.begun = b.after.n > 0;
	buf_str(&k.cursor.path, b.after);
	if (!b.device_id || as)
		walk(&k);
	else
		k.cursor.over = true; /* a device that is disabled receives nothing */
	const struct body_retained answer = {
		.after = k.cursor.over ? STR("") : buf_view(&k.cursor.path),
		.items = buf_view(&k.items),
	};
	LINK_SEND(l, RETAINED, retained, r->id, -1, &answer);
	buf_fini(&k.items);
	retain_cursor_fini(&k.cursor);
	return 0;
}
