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
	struct msg *msg;
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

static void run(struct worker *w, struct round *r)
{
	const struct notice *n = container_of(r, struct notice, round);
	uint32_t at = 0;
	w->encoded.msg = NULL; /* of a message that was perhaps at the same address */
	for (struct session *s; (s = slab_next(&w->sessions, &at));) {
		if (!s->conn || s->identity->device_id != n->device_id)
			continue;
		const struct subscription *sub = way_to(s, n->msg);
		const struct subscription_ids none = {NULL, 0};
		if (sub)
			session_deliver(s, n->msg, MIN(sub->options & SUB_QOS, n->msg->qos), false,
					none);
	}
}

static void done(struct round *r)
{
	struct notice *n = container_of(r, struct notice, round);
	msg_unref(n->msg);
	free(n);
}

int notice_received(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	struct body_notice b;
	if (body_notice_get(r->body, &b) || b.device_id == 0)
		return ERR_MALFORMED;
	const struct msg_parts parts = {
		.topic = b.topic, .payload = b.payload, .props = &props_none, .qos = 1};
	struct msg *m = msg_new(&parts);
	if (!m)
		return 0;
	struct notice *n = mem_new(struct notice);
	n->device_id = b.device_id;
	n->msg = m;
	round_start(&n->round, &k->broker, run, done);
	return 0;
}
