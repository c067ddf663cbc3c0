/* SPDX-License-Identifier: Apache-2.0
 *
 * The link to the store: see storelink.h.
 */
#include "daemon/broker/storelink.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/console.h"
#include "daemon/broker/inspect.h"
#include "daemon/broker/learn.h"
#include "daemon/broker/notice.h"
#include "daemon/broker/presence.h"
#include "daemon/broker/revoke.h"
#include "daemon/broker/revoked.h"
#include "daemon/broker/roots.h"
#include "daemon/broker/trace.h"
#include "daemon/ipc/banlist.h"
#include "daemon/ipc/rec.h"
#include "daemon/ipc/staples.h"

#include <stdio.h>
#include <stdlib.h>

enum { SNAPSHOT_MAX = 1024 * MiB, SNAPSHOT_TIMEOUT_MS = 10000, PRESENCE_MAX = 60000 };

static void ask_snapshot(struct control *k);

/* ---- changes that bite ------------------------------------------------------------------------
 */

/* A DELTA that the store waits for. */
struct owed {
	struct list node;
	unsigned generation; /* of the link that it came over */
	uint64_t id;
	uint64_t seq;
};

/* A change on its way through the workers; then the store is answered. */
struct bite {
	struct round round;
	struct control *control;
	struct registry_change change;
	struct list owed;
};

static struct owed *take_owed(struct list *from)
{
	struct owed *o = list_entry(from->next, struct owed, node);
	list_remove(&o->node);
	return o;
}

static void bite_run(struct worker *w, struct round *r)
{
	const struct bite *b = container_of(r, struct bite, round);
	if (b->change.rights_lost)
		atomic_fetch_add(&r->count, revoke_connections(w));
	if (b->change.access || b->change.rights_lost)
		revoke_rejudge(w);
}

static void bite_done(struct round *r)
{
	struct bite *b = container_of(r, struct bite, round);
	struct control *k = b->control;
	while (!list_empty(&b->owed)) {
		struct owed *o = take_owed(&b->owed);
		const struct body_delta_done done = {o->seq, atomic_exchange(&r->count, 0)};
		/* On a newer link this number may be that of another question. */
		if (k->store && o->generation == k->store_generation)
			LINK_SEND(k->store, DELTA_DONE, delta_done, o->id, -1, &done);
		free(o);
	}
	free(b);
}

/* Moves what is in owed to the bite. */
static void bite(struct control *k, const struct registry_change *change, struct list *owed)
{
	struct bite *b = mem_new(struct bite);
	b->control = k;
	b->change = *change;
	list_init(&b->owed);
	while (!list_empty(owed))
		list_append(&b->owed, &take_owed(owed)->node);
	revoked_update(k);
	if (change->authorities && k->serving)
		control_progress(k);
	round_start(&b->round, &k->broker, bite_run, bite_done);
}

static struct owed *owe(const struct control *k, uint64_t id, uint64_t seq)
{
	struct owed *o = mem_new(struct owed);
	o->generation = k->store_generation;
	o->id = id;
	o->seq = seq;
	return o;
}

static int on_delta(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	struct body_delta b;
	struct registry_change change = {0};
	struct list owed;
	if (body_delta_get(r->body, &b))
		return ERR_MALFORMED;
	const int err = registry_apply(k->broker.registry, b.seq, b.entries, &change);
	if (err == ERR_MALFORMED)
		return err;
	if (err == ERR_CONFLICT) {
		/* A gap: what this change says is in the next snapshot, and it is answered when
		 * that has bitten: whoever revokes takes the answer for "closed". */
		list_append(&k->owed, &owe(k, r->id, b.seq)->node);
		ask_snapshot(k);
		return 0;
	}
	list_init(&owed);
	list_append(&owed, &owe(k, r->id, b.seq)->node);
	bite(k, &change, &owed);
	return 0;
}

static int load_snapshot(struct control *k, const struct record *reply,
			 struct registry_change *change)
{
	struct body_snapshot b;
	AUTO_BUF entries = {0};
	if (body_snapshot_get(reply->body, &b) || reply->fd < 0)
		return ERR_MALFORMED;
	const int err = memfd_read(reply->fd, SNAPSHOT_MAX, &entries);
	return err ? err : registry_load(k->broker.registry, b.seq, buf_view(&entries), change);
}

static void snapshot_arrived(struct link_call *call, int err, struct record *reply)
{
	struct control *k = container_of(call, struct control, snapshot);
	struct registry_change change;
	k->snapshot_asked = false;
	if (!err) {
		err = load_snapshot(k, reply, &change);
		if (err)
			log_error("the registry that the store sent cannot be read: %s",
				  err_text(err));
	}
	if (err) {
		control_retry(k);
		return;
	}
	k->snapshot_due = false;
	k->registry_loaded = true;
	bite(k, &change, &k->owed);
	control_progress(k);
}

/* One that was asked for and has not come holds all that the store has sent until now. */
static void ask_snapshot(struct control *k)
{
	k->snapshot_due = true;
	if (k->snapshot_asked)
		return;
	k->snapshot_asked = true;
	LINK_ASK(k->store, &k->snapshot, SNAPSHOT_GET, snapshot_get, -1,
		 &(struct body_snapshot_get){}, SNAPSHOT_TIMEOUT_MS, snapshot_arrived);
}

void storelink_retry(struct control *k)
{
	if (k->store && k->snapshot_due)
		ask_snapshot(k);
}

/* ---- orders -----------------------------------------------------------------------------------
 */

struct kick {
	struct round round;
	struct control *control;
	unsigned generation; /* of the link */
	uint64_t id;
	uint64_t device_id;
	uint8_t reason;
	size_t n;
	char client_id[];
};

static void kick_run(struct worker *w, struct round *r)
{
	const struct kick *k = container_of(r, struct kick, round);
	atomic_fetch_add(&r->count, revoke_kick(w, str_make(k->client_id, k->n), k->device_id,
						(enum reason)k->reason));
}

static void kick_done(struct round *r)
{
	struct kick *k = container_of(r, struct kick, round);
	const struct body_kick_done done = {atomic_load(&r->count)};
	if (k->control->store && k->generation == k->control->store_generation)
		LINK_SEND(k->control->store, KICK_DONE, kick_done, k->id, -1, &done);
	free(k);
}

static int on_kick(struct link *l, struct record *r)
{
	struct control *c = link_owner(l);
	struct body_kick b;
	if (body_kick_get(r->body, &b))
		return ERR_MALFORMED;
	struct kick *k = mem_alloc(sizeof(*k) + b.client_id.n);
	k->control = c;
	k->generation = c->store_generation;
	k->id = r->id;
	k->device_id = b.device_id;
	k->reason = reason_allowed(b.reason, PACKET_DISCONNECT, SENDER_SERVER)
			    ? b.reason
			    : REASON_ADMINISTRATIVE_ACTION;
	k->n = b.client_id.n;
	if (k->n)
		memcpy(k->client_id, b.client_id.p, k->n);
	round_start(&k->round, &c->broker, kick_run, kick_done);
	return 0;
}

struct banning {
	struct round round;
	struct control *control;
	unsigned generation; /* of the link */
	uint64_t id;
};

static void banning_run(struct worker *w, struct round *r)
{
	atomic_fetch_add(&r->count, revoke_banned(w));
}

static void banning_done(struct round *r)
{
	struct banning *b = container_of(r, struct banning, round);
	if (b->control->store && b->generation == b->control->store_generation)
		banlist_answer(b->control->store, b->id, atomic_load(&r->count));
	free(b);
}

static int on_bans(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	if (banlist_take(r))
		return ERR_MALFORMED;
	struct banning *b = mem_new(struct banning);
	b->control = k;
	b->generation = k->store_generation;
	b->id = r->id;
	round_start(&b->round, &k->broker, banning_run, banning_done);
	return 0;
}

/* ---- figures ----------------------------------------------------------------------------------
 */

struct second {
	struct round round;
	struct control *control;
	bool anew;
	bool sys;     /* somebody subscribes to a topic below $SYS */
	bool learned; /* the store is there to be told */
	struct buf clients[WORKERS_MAX];
	struct buf topics[WORKERS_MAX];
	struct stats stats[WORKERS_MAX];
};

static void second_run(struct worker *w, struct round *r)
{
	struct second *s = container_of(r, struct second, round);
	presence_collect(w, s->anew, &s->clients[w->index]);
	if (s->learned)
		learn_collect(w, &s->topics[w->index]);
	w->stats.sessions = w->sessions.live;
	if (w->index == 0) {
		const struct retain_size retained = retain_size(w->broker->retain);
		w->stats.retained = retained.messages;
		w->stats.retained_bytes = retained.bytes;
		worker_enter(w);
		s->sys = trie_begins_with(trie_load(w->broker->trie), STR("$SYS"));
	}
	w->stats.events_suppressed = w->journal.suppressed;
	s->stats[w->index] = w->stats;
}

/* What does not get through leaves the store with a wrong list: then all is told again. */
static void send_presence(struct control *k, struct str clients, bool anew)
{
	if (clients.n == 0 && !anew)
		return;
	do {
		const size_t n = entries_head(clients, PRESENCE_MAX).n;
		const struct body_presence b = {anew, {clients.p, n}};
		if (LINK_SEND(k->store, PRESENCE, presence, 0, -1, &b))
			k->presence_anew = true;
		anew = false;
		clients = n ? (struct str){clients.p + n, clients.n - n} : (struct str){NULL, 0};
	} while (clients.n);
}

/* What the bounds of single listeners refused. */
static void add_listeners(const struct control *k, struct limit_stats *sum)
{
	size_t at = 0;
	struct str name;
	for (void *l; map_next(&k->limits, &at, &name, &l);) {
		struct limit_stats own;
		limit_stats(l, &own);
		for (unsigned i = 0; i < LIMIT_REFUSALS; i++)
			sum->refused[i] += own.refused[i];
	}
}

/* What is counted once for all workers. */
static void put_shared(struct control *k, struct buf *rec)
{
	struct limit_stats limit;
	struct handshake_stats handshakes;
	char name[64];
	limit_stats(k->broker.limit, &limit);
	add_listeners(k, &limit);
	handshake_pool_stats(k->broker.handshakes, &handshakes);
	rec_int(rec, "connections.half-open", limit.half_open);
	for (unsigned i = 0; i < BOUNDS; i++) {
		snprintf(name, sizeof(name), "limit.%s", bound_name((enum bound)i));
		rec_int(rec, name, (int64_t)bound_value(k->settings, (enum bound)i));
	}
	for (enum limit_refusal r = LIMIT_OK + 1; r < LIMIT_REFUSALS; r++) {
		snprintf(name, sizeof(name), "limit.%s", limit_refusal_name(r));
		rec_int(rec, name, (int64_t)limit_bound(k->broker.limit, r));
		snprintf(name, sizeof(name), "limits.refused.%s", limit_refusal_name(r));
		rec_int(rec, name, (int64_t)limit.refused[r]);
	}
	rec_int(rec, "handshakes.resumed", (int64_t)handshakes.resumed);
	for (unsigned i = 0; i < HANDSHAKE_OUTCOMES; i++) {
		snprintf(name, sizeof(name), "handshakes.outcome.%s",
			 handshake_outcome_name((enum handshake_outcome)i));
		rec_int(rec, name, (int64_t)handshakes.outcome[i]);
	}
}

/* With the values of the limits, which change while nothing is counted. */
static void send_counters(struct control *k, const struct stats *sum)
{
	AUTO_BUF rec = {0};
	stats_put(sum, &rec);
	if (!k->stopping)
		put_shared(k, &rec);
	if (str_eq(buf_view(&rec), buf_view(&k->told)))
		return;
	k->told.n = 0;
	buf_str(&k->told, buf_view(&rec));
	const struct body_counters b = {buf_view(&rec)};
	LINK_SEND(k->store, COUNTERS, counters, 0, -1, &b);
}

static void second_done(struct round *r)
{
	struct second *s = container_of(r, struct second, round);
	struct control *k = s->control;
	AUTO_BUF clients = {0};
	struct stats sum = {0};
	for (unsigned i = 0; i < k->broker.workers; i++) {
		buf_str(&clients, buf_view(&s->clients[i]));
		buf_fini(&s->clients[i]);
		if (k->store)
			learn_send(k->store, buf_view(&s->topics[i]));
		buf_fini(&s->topics[i]);
		stats_add(&sum, &s->stats[i]);
	}
	k->collecting = false;
	if (k->store) {
		send_presence(k, buf_view(&clients), s->anew);
		send_counters(k, &sum);
	} else {
		k->presence_anew = true;
	}
	if (!k->stopping)
		sys_second(k, &sum, s->sys || trace_reaches(k, STR("$SYS")));
	free(s);
}

/* Nobody waits for this. */
static void end_learning(struct control *k)
{
	const struct registry_change change = {.access = true};
	struct list nobody;
	list_init(&nobody);
	if (registry_end_learning(k->broker.registry, clock_wall()))
		bite(k, &change, &nobody);
}

void storelink_second(struct control *k)
{
	if (k->collecting)
		return;
	end_learning(k);
	struct second *s = mem_new(struct second);
	s->control = k;
	s->anew = k->presence_anew;
	s->learned = k->store != NULL;
	k->presence_anew = false;
	k->collecting = true;
	round_start(&s->round, &k->broker, second_run, second_done);
}

/* ---- the link ---------------------------------------------------------------------------------
 */

static void broken(struct link *l, const char *why, bool misbehaved)
{
	struct control *k = link_owner(l);
	k->store = NULL;
	report_set_link(&k->report, NULL);
	child_link_broken(k->child, l, why, misbehaved);
}

static const link_handler handlers[MSG_COUNT] = {
	[MSG_DELTA] = on_delta,
	[MSG_NOTICE] = notice_received,
	[MSG_STAPLES] = staples_received,
	[MSG_AUTHORITIES_CHANGED] = roots_changed,
	[MSG_KICK] = on_kick,
	[MSG_BANS] = on_bans,
	[MSG_CLIENT_GET] = inspect_asked,
	[MSG_TRACE_START] = trace_start_asked,
	[MSG_TRACE_STOP] = trace_stop_asked,
	[MSG_PUBLISH] = console_publish_asked,
	[MSG_RETAINED_GET] = console_retained_asked,
};

void storelink_use(struct control *k, int fd)
{
	const struct link_config config = {
		.self = PROCESS_BROKER,
		.peer = PROCESS_STORE,
		.handler = handlers,
		.owner = k,
		.broken = broken,
	};
	link_call_cancel(&k->snapshot);
	k->snapshot_asked = false;
	if (k->store)
		link_free(k->store);
	k->store = link_new(k->broker.loop, fd, &config);
	k->store_generation++;
	k->presence_anew = true;
	k->told.n = 0;
	report_set_link(&k->report, k->store);
	trace_stop_all(k);
	ask_snapshot(k);
	roots_ask(k);
}
