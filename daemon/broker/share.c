/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared subscriptions: see share.h.
 */
#include "daemon/broker/share.h"
#include "daemon/base/map.h"
#include "daemon/broker/route.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_promise.h"
#include "daemon/broker/subscribe.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

enum { SHARE_HOPS = 8 };

struct share_choice {
	struct trie_sub member;
	uint64_t key;
};

/* The next one in turn; somebody who is away only when all are. NULL: nobody but except. */
static const struct trie_sub *choose(const struct trie_group *g, uint64_t except)
{
	const size_t n = subs_count(g->members);
	const size_t start = atomic_fetch_add_explicit(g->turn, 1, memory_order_relaxed);
	const struct trie_sub *away = NULL;
	for (size_t i = 0; i < n; i++) {
		const struct trie_sub *member = subs_at(g->members, (start + i) % n);
		if (member->handle == except)
			continue;
		if (!(member->options & SUB_AWAY))
			return member;
		away = away ? away : member;
	}
	return away;
}

void share_matched(void *ctx, const struct trie_group *group)
{
	struct worker *w = ctx;
	if (w->share_n == w->share_cap) {
		w->share_cap = w->share_cap ? w->share_cap * 2 : 16;
		w->share = mem_grow(w->share, w->share_cap * sizeof(*w->share));
	}
	w->share[w->share_n++] = (struct share_choice){*choose(group, 0), group->key};
}

static void send_to(struct worker *w, struct msg *m, const struct share_choice *c, unsigned hops)
{
	const unsigned to = handle_worker(c->member.handle);
	if (promise_has(w, to))
		return;
	if (to == w->index)
		share_deliver(w, m, &c->member, c->key, hops);
	else
		route_consign(w, to, m, &c->member, 1, (struct route_share){c->key, hops});
}

void share_publish(struct worker *w, struct msg *m)
{
	/* The choice is copied: handing on may make others. */
	for (size_t i = 0; i < w->share_n; i++) {
		const struct share_choice c = w->share[i];
		send_to(w, m, &c, 0);
	}
	w->share_n = 0;
}

/* One match anew, for one group. */
struct anew {
	uint64_t except;
	struct share_choice choice;
	bool found;
};

static void no_subs(void *ctx, const struct trie_sub *run, size_t n)
{
	(void)ctx;
	(void)run;
	(void)n;
}

static void matched_anew(void *ctx, const struct trie_group *g)
{
	struct anew *a = ctx;
	const struct trie_sub *member = g->key == a->choice.key ? choose(g, a->except) : NULL;
	if (!member)
		return;
	a->choice.member = *member;
	a->found = true;
}

bool share_again(struct worker *w, struct msg *m, uint64_t key, uint64_t except, unsigned hops)
{
	struct anew a = {.except = except, .choice.key = key};
	const struct trie_visitor visitor = {.subs = no_subs, .group = matched_anew, .ctx = &a};
	worker_enter(w);
	trie_match(trie_load(w->broker->trie), m->shared.topic, &visitor);
	if (a.found)
		send_to(w, m, &a.choice, hops);
	return a.found;
}

/* The subscription behind an entry of the group; NULL: it has ended since. */
static const struct subscription *membership(const struct session *s, const struct trie_sub *t,
					     uint64_t key)
{
	const struct subscription *sub =
		s && t->identifier < s->places ? s->place[t->identifier] : NULL;
	return sub && sub->active && hash_str(subscription_filter(sub)) == key ? sub : NULL;
}

/* Room, and still as connected as when it was chosen. */
static bool takes(const struct session *s, const struct trie_sub *member, const struct msg *m,
		  uint8_t qos)
{
	return session_takes(s, m, qos) && (s->conn || member->options & SUB_AWAY);
}

void share_deliver(struct worker *w, struct msg *m, const struct trie_sub *member, uint64_t key,
		   unsigned hops)
{
	struct session *s = session_find(w, member->handle);
	const struct subscription *sub = membership(s, member, key);
	bool may = sub != NULL;
	if (sub && sub->options & SUB_JUDGE && !subscription_may_receive(s, sub, m, false)) {
		w->stats.denied++;
		may = false;
	}
	const uint8_t qos = may ? MIN(m->qos, sub->options & SUB_QOS) : 0; /* [MQTT-4.8.2-3] */
	if (!may || !takes(s, member, m, qos)) {
		if (hops < SHARE_HOPS && share_again(w, m, key, member->handle, hops + 1))
			return;
		if (!may)
			return;
	}
	const struct subscription_ids ids = {&sub->identifier, sub->identifier ? 1 : 0};
	const bool retain = m->retain && sub->options & SUB_RETAIN_AS_PUBLISHED;
	w->encoded.msg = NULL; /* memory of a message that it knew may be that of another now */
	session_deliver_shared(s, m, qos, retain, ids, key);
}
