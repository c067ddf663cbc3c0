/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling of bans: see bans.h.
 */
#include "db/bans.h"
#include "daemon/net/ban.h"
#include "db/store.h"

static const enum process peers[BANS_PEERS] = {PROCESS_BROKER, PROCESS_ADMIN, PROCESS_ENROL};

static void put_list(struct store *s, struct buf *out)
{
	AUTO_QUERY q =
		SQL_QUERY(s->registry, "SELECT network, until FROM ban WHERE until > ? LIMIT 1000",
			  sql_int(timefloor_now(&s->floor)));
	while (sql_next(&q)) {
		const struct body_ban b = {sql_at_str(&q, 0), (uint64_t)sql_at_int(&q, 1)};
		ENTRIES_PUT(out, ban, &b);
	}
}

static void wake(struct store *s)
{
	struct list *waiting = &s->bans.waiting;
	for (size_t i = 0; i < BANS_PEERS; i++)
		if (list_linked(&s->bans.ask[i].call.node) ||
		    loop_timer_running(&s->bans.ask[i].call.timer))
			return;
	while (waiting->next && !list_empty(waiting)) {
		struct bans_waiter *w = list_entry(waiting->next, struct bans_waiter, node);
		list_remove(&w->node);
		w->woken(w);
	}
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct bans_ask *a = container_of(call, struct bans_ask, call);
	struct bans_asks *all = &a->s->bans;
	struct buf *hits = &all->hits[a - all->ask];
	struct body_bans_done done;
	const bool ok = !err && body_bans_done_get(reply->body, &done) == 0;
	hits->n = 0;
	if (ok)
		buf_str(hits, done.hits);
	if (a->peer == PROCESS_BROKER) {
		all->closed = ok ? done.closed : 0;
		all->away = !ok;
	}
	wake(a->s);
}

static void tell(struct store *s, size_t i)
{
	struct bans_ask *a = &s->bans.ask[i];
	AUTO_BUF list = {0};
	a->s = s;
	a->peer = peers[i];
	link_call_cancel(&a->call);
	if (a->peer == PROCESS_BROKER)
		s->bans.away = true;
	if (!s->peer[a->peer].link)
		return;
	put_list(s, &list);
	const struct body_bans b = {buf_view(&list)};
	LINK_ASK(s->peer[a->peer].link, &a->call, BANS, bans, -1, &b, BANS_ANSWER_MS, answered);
}

void bans_tell(struct store *s, enum process peer)
{
	for (size_t i = 0; i < BANS_PEERS; i++)
		if (peers[i] == peer)
			tell(s, i);
}

void bans_tell_all(struct store *s, struct bans_waiter *w)
{
	if (!s->bans.waiting.next)
		list_init(&s->bans.waiting);
	list_append(&s->bans.waiting, &w->node);
	for (size_t i = 0; i < BANS_PEERS; i++)
		tell(s, i);
	wake(s);
}

void bans_unwait(struct bans_waiter *w)
{
	list_remove(&w->node);
}

uint64_t bans_refused(const struct store *s, struct str network, uint64_t *last_ms)
{
	uint64_t n = 0;
	*last_ms = 0;
	for (size_t i = 0; i < BANS_PEERS; i++) {
		struct cur c = cur_of(buf_view(&s->bans.hits[i]));
		struct str entry;
		while (entries_next(&c, &entry)) {
			struct body_ban_hits h;
			if (body_ban_hits_get(entry, &h) || !str_eq(h.network, network))
				continue;
			n += h.refused;
			*last_ms = MAX(*last_ms, h.last_ms);
		}
	}
	return n;
}

void bans_stop(struct store *s)
{
	for (size_t i = 0; i < BANS_PEERS; i++) {
		link_call_cancel(&s->bans.ask[i].call);
		buf_fini(&s->bans.hits[i]);
	}
}
