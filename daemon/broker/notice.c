/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to one device: see notice.h.
 */
#include "daemon/broker/notice.h"
#include "daemon/acl/filter.h"
#include "daemon/base/err.h"
#include "daemon/broker/control.h"
#include "daemon/broker/session.h"
#include "daemon/broker/subscribe.h"

#include <stdlib.h>

struct notice {
	struct round round;
	uint64_t device_id;
	struct buf topic;
	struct buf payload;
};

/* The subscription through which it comes, NULL: none. */
static const struct subscription *way_to(struct session *s, const struct msg *m)
{
	size_t at = 0;
	struct str filter;
	for (void *value; map_next(&s->subscriptions, &at, &filter, &value);) {
		const struct subscription *sub = value;
		if (sub->active && filter_match(filter, NULL, m->shared.topic, NULL) &&
		    subscription_may_receive(s, sub, m, false))
			return sub;
	}
	return NULL;
}

static void deliver(struct worker *w, const struct notice *n, struct msg *m)
{
	uint32_t at = 0;
	for (struct session *s; (s = slab_next(&w->sessions, &at));) {
		if (!s->conn || s->identity->device_id != n->device_id)
			continue;
		const struct subscription *sub = way_to(s, m);
		const struct subscription_ids none = {NULL, 0};
		if (sub)
			session_deliver(s, m, MIN(sub->options & SUB_QOS, m->qos), false, none);
	}
}

/* Each worker has a message of its own: the spool numbers messages by worker. */
static void run(struct worker *w, struct round *r)
{
	const struct notice *n = container_of(r, struct notice, round);
	const struct msg_parts parts = {
		.topic = buf_view(&n->topic),
		.payload = buf_view(&n->payload),
		.props = &props_none,
		.qos = 1,
	};
	AUTO(msg) m = msg_new(&parts);
	w->encoded.msg = NULL; /* of a message that was perhaps at the same address */
	if (m)
		deliver(w, n, m);
}

static void done(struct round *r)
{
	struct notice *n = container_of(r, struct notice, round);
	buf_fini(&n->topic);
	buf_fini(&n->payload);
	free(n);
}

int notice_received(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	struct body_notice b;
	if (body_notice_get(r->body, &b) || b.device_id == 0)
		return ERR_MALFORMED;
	struct notice *n = mem_new(struct notice);
	n->device_id = b.device_id;
	buf_str(&n->topic, b.topic);
	buf_str(&n->payload, b.payload);
	round_start(&n->round, &k->broker, run, done);
	return 0;
}
