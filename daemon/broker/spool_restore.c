/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions from the store: see spool_restore.h.
 */
#include "daemon/broker/spool_restore.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/broker/control.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_session.h"
#include "daemon/broker/subscribe.h"
#include "daemon/broker/will.h"

#include <stdlib.h>

enum { ANSWER_MS = 60000, AGAIN_MS = 1000, VERSIONS_PER_MS = 20 /* bits */ };

/* The session of a client identifier that was made last. There may be another one: its end was on
 * the way to the disk over another worker's link. */
struct newest {
	uint64_t sid;
	uint64_t made;
};

struct restored {
	struct round round;
	struct loop_note note;
	struct control *control;
	struct buf state;
	struct map messages; /* number -> struct msg */
	struct map newest;   /* client identifier -> struct newest */
	uint64_t highest;    /* number of a session or message */
	uint64_t version;
	uint64_t made;
	uint64_t wall_ms; /* both now */
	uint64_t mono_ms;
};

/* ---- asking -----------------------------------------------------------------------------------
 */

static void arrived(struct loop_note *note)
{
	struct restored *r = container_of(note, struct restored, note);
	struct control *k = r->control;
	k->restored = r;
	if (k->registry_loaded)
		spool_restore_begin(k);
}

static void ask_again(struct loop_timer *t)
{
	struct spool *s = container_of(t, struct spool, again);
	if (s->link)
		spool_restore_ask(s->worker);
}

static int read_state(const struct record *reply, struct buf *state, struct str *why)
{
	struct body_spool_state b;
	*why = STR("the answer cannot be read");
	if (body_spool_state_get(reply->body, &b))
		return ERR_MALFORMED;
	if (b.status != SPOOL_STORED || reply->fd < 0) {
		*why = b.why;
		return ERR_IO;
	}
	return memfd_read(reply->fd, SIZE_MAX, state);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct spool *s = container_of(call, struct spool, state);
	struct broker *b = s->worker->broker;
	struct buf state = {0};
	struct str why = str_of(err_text(err));
	if (!err)
		err = read_state(reply, &state, &why);
	if (err) {
		if (s->link) { /* else a new one comes */
			log_error("what the store keeps of sessions cannot be had: %.*s",
				  STR_ARG(why));
			loop_timer_start(s->worker->loop, &s->again, "spool", AGAIN_MS, ask_again);
		}
		return;
	}
	s->is_asked = true;
	struct restored *r = mem_new(struct restored);
	r->control = b->control;
	r->state = state;
	loop_post(b->loop, &r->note, arrived);
}

void spool_restore_ask(struct worker *w)
{
	struct spool *s = &w->spool;
	const struct body_spool_get get = {w->broker->spool_epoch};
	if (!s->is_asked)
		LINK_ASK(s->link, &s->state, SPOOL_GET, spool_get, -1, &get, ANSWER_MS, answered);
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static struct msg *message_of(const struct restored *r, uint64_t mid)
{
	return map_get(&r->messages, MAP_KEY(mid));
}

static void restore_message(struct restored *r, const struct body_spool_message *b)
{
	const struct msg_parts parts = {
		.topic = b->topic,
		.properties = b->properties,
		.props = &props_none,
		.payload = b->payload,
		.qos = b->qos,
		.retain = b->retain,
	};
	struct msg *m = msg_new(&parts);
	if (!m) {
		log_error("no memory for a stored message of %zu bytes", b->payload.n);
		return;
	}
	atomic_store(&m->mid, b->mid);
	if (b->expires_ms)
		m->expires_ms =
			b->expires_ms > r->wall_ms ? r->mono_ms + (b->expires_ms - r->wall_ms) : 1;
	struct msg *twice = map_set(&r->messages, MAP_KEY(b->mid), m);
	if (twice)
		msg_unref(twice);
}

static void restore_retained(struct restored *r, const struct body_spool_retain *b)
{
	struct msg *m = message_of(r, b->mid);
	r->version = MAX(r->version, b->version);
	if (m)
		retain_restore(r->control->broker.retain, m, b->version);
}

static bool read_more(struct str bytes, struct spool_more *more)
{
	struct cur c = cur_of(bytes);
	const uint8_t first = cur_u8(&c);
	more->durability = (enum config_durability)(first & ~SPOOL_MORE_MADE);
	more->workers = cur_u8(&c);
	more->made = first & SPOOL_MORE_MADE ? cur_u64le(&c) : 0;
	more->address = cur_str16(&c);
	more->cn = cur_str16(&c);
	more->sans = cur_bytes(&c, cur_left(&c));
	return cur_ok(&c) && more->durability < CONFIG_DURABILITY_NONE;
}

static void find_newest(struct restored *r, const struct body_spool_session *b)
{
	struct spool_more more;
	struct newest *n = map_get(&r->newest, b->client_id);
	if (!read_more(b->more, &more))
		return;
	r->made = MAX(r->made, more.made);
	if (!n) {
		n = mem_new(struct newest);
		map_set(&r->newest, b->client_id, n);
	}
	if (more.made > n->made || (more.made == n->made && b->sid > n->sid))
		*n = (struct newest){b->sid, more.made};
}

static bool is_newest(const struct restored *r, const struct body_spool_session *b)
{
	const struct newest *n = map_get(&r->newest, b->client_id);
	return n && n->sid == b->sid;
}

static void read_shared(struct restored *r)
{
	struct cur c = cur_of(buf_view(&r->state));
	struct spool_record record;
	while (spool_next(&c, &record)) {
		if (record.kind == SPOOL_KIND_MESSAGE) {
			r->highest = MAX(r->highest, record.message.mid);
			restore_message(r, &record.message);
		} else if (record.kind == SPOOL_KIND_SESSION) {
			r->highest = MAX(r->highest, record.session.sid);
			find_newest(r, &record.session);
		} else if (record.kind == SPOOL_KIND_RETAIN) {
			restore_retained(r, &record.retain);
		}
	}
	if (!cur_ok(&c))
		log_error("what the store keeps of sessions is damaged: the rest of it is lost");
	retain_number_from(r->control->broker.retain,
			   MAX(r->version, r->wall_ms << VERSIONS_PER_MS));
	atomic_store(&r->control->broker.spool_made, MAX(r->made, r->wall_ms << VERSIONS_PER_MS));
}

/* ---- sessions, in their workers ---------------------------------------------------------------
 */

/* What one worker needs while it reads. */
struct reading {
	struct worker *worker;
	const struct restored *all;
	struct map sessions; /* number -> struct session */
	struct trie_edit edit;
	struct delivery *last; /* QUEUE, for the SENT behind it */
	struct session *last_of;
};

static bool is_mine(const struct worker *w, uint64_t sid)
{
	return sid % WORKERS_MAX % w->broker->workers == w->index;
}

static struct session *session_of(const struct reading *r, uint64_t sid)
{
	return map_get(&r->sessions, MAP_KEY(sid));
}

static void forget(struct worker *w, uint64_t sid)
{
	const struct body_spool_session_gone body = {sid};
	SPOOL_ADD(&w->spool, SESSION_GONE, session_gone, &body);
}

static struct session *make_session(struct worker *w, const struct body_spool_session *b)
{
	struct directory *d = w->broker->directory;
	struct owner owner;
	AUTO(identity) id = registry_identity(w->broker->registry, b->device_id);
	if (!id ||
	    directory_claim(d, b->client_id, b->device_id, w->index, SIZE_MAX, &owner) != CLAIM_NEW)
		return NULL;
	struct session *s = session_new(w, b->client_id, id);
	if (!s)
		directory_drop(d, b->client_id);
	return s;
}

static void restore_session(struct reading *r, const struct body_spool_session *b)
{
	struct worker *w = r->worker;
	struct spool_more more;
	struct session *s =
		is_newest(r->all, b) && read_more(b->more, &more) ? make_session(w, b) : NULL;
	if (!s) {
		forget(w, b->sid);
		return;
	}
	if (b->expiry)
		s->sid = b->sid;
	else
		s->will_sid = b->sid;
	s->made = more.made;
	s->is_new = false;
	s->durability = (uint8_t)more.durability;
	s->same_workers = more.workers == w->broker->workers;
	s->expiry_s = b->expiry;
	s->disconnected_ms = b->disconnected_ms;
	certnames_restore(&s->names, more.cn, more.sans);
	addr_parse(more.address, &s->address);
	if (b->will.n)
		will_load(s, b->will, b->will_due_ms);
	map_set(&r->sessions, MAP_KEY(b->sid), s);
}

static void restore_subscription(struct reading *r, const struct body_spool_sub *b)
{
	struct session *s = session_of(r, b->sid);
	if (!s)
		return;
	struct subscription *sub = session_subscription(s, b->filter);
	sub->identifier = b->identifier;
	sub->options = b->options;
	sub->active = subscription_judge(s, b->filter, &sub->options, NULL);
	const struct trie_sub entry = session_index_entry(s, sub);
	bool replaced;
	if (sub->active && trie_subscribe(&r->edit, b->filter, &entry, &replaced))
		session_unsubscribed(s, sub);
}

static void restore_received(const struct reading *r, const struct body_spool_received *b)
{
	struct session *s = session_of(r, b->sid);
	if (!s || session_received(s, b->packet_id))
		return;
	/* With another number of workers the bits say nothing: it counts as complete. */
	session_receive(s, b->packet_id)->workers = s->same_workers ? b->workers : 0;
}

static void restore_queue(struct reading *r, const struct body_spool_queue *b)
{
	struct session *s = session_of(r, b->sid);
	struct msg *m = message_of(r->all, b->mid);
	r->last = NULL;
	if (!s || !m)
		return;
	const size_t ids_n = b->ids.n / sizeof(uint32_t);
	uint32_t *ids = arena_alloc(&r->worker->arena, b->ids.n + 1);
	struct cur c = cur_of(b->ids);
	for (size_t i = 0; i < ids_n; i++)
		ids[i] = cur_u32le(&c);
	const uint64_t waited_s =
		r->all->wall_ms > b->queued_ms ? (r->all->wall_ms - b->queued_ms) / 1000 : 0;
	struct delivery *d =
		session_restore_delivery(s, m, b, (struct subscription_ids){ids, ids_n});
	d->queued_s = (uint32_t)(r->all->mono_ms / 1000) - (uint32_t)waited_s;
	r->last = d;
	r->last_of = s;
	arena_reset(&r->worker->arena);
}

static void restore_sent(const struct reading *r, const struct body_spool_sent *b)
{
	struct delivery *d = r->last;
	if (!d || r->last_of->sid != b->sid || d->row->place != b->place)
		return;
	if (b->packet_id == 0)
		d->dup = true; /* see spool_doubt */
	if (!inflight_resume(&r->last_of->out, d, b->packet_id))
		return;
	d->row->has_id = true;
	d->received = b->state == DELIVERY_RELEASED;
}

/* For no-local subscriptions to what is retained. */
static void restore_origin(const struct reading *r, const struct body_spool_message *b)
{
	const struct session *s = b->origin ? session_of(r, b->origin) : NULL;
	struct msg *m = s ? message_of(r->all, b->mid) : NULL;
	if (m)
		m->origin = s->handle;
}

static void restore_one(struct reading *r, const struct spool_record *record)
{
	switch (record->kind) {
	case SPOOL_KIND_SESSION:
		if (is_mine(r->worker, record->session.sid))
			restore_session(r, &record->session);
		break;
	case SPOOL_KIND_SUB:
		restore_subscription(r, &record->sub);
		break;
	case SPOOL_KIND_RECEIVED:
		restore_received(r, &record->received);
		break;
	case SPOOL_KIND_MESSAGE:
		restore_origin(r, &record->message);
		break;
	case SPOOL_KIND_QUEUE:
		restore_queue(r, &record->queue);
		break;
	case SPOOL_KIND_SENT:
		restore_sent(r, &record->sent);
		break;
	default:
		break;
	}
}

static void read_run(struct worker *w, struct round *round)
{
	struct reading r = {.worker = w, .all = container_of(round, struct restored, round)};
	struct cur c = cur_of(buf_view(&r.all->state));
	struct spool_record record;
	loop_excuse(w->loop);
	spool_number_from(&w->spool, r.all->highest);
	worker_leave(w);
	trie_edit_begin(w->broker->trie, &w->reader, &r.edit);
	while (spool_next(&c, &record))
		restore_one(&r, &record);
	trie_edit_commit(&r.edit);
	map_fini(&r.sessions);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void wake_run(struct worker *w, struct round *round)
{
	uint32_t at = 0;
	(void)round;
	for (struct session *s; (s = slab_next(&w->sessions, &at));)
		session_wake(s);
}

static void wake_done(struct round *round)
{
	struct restored *r = container_of(round, struct restored, round);
	struct control *k = r->control;
	free(r);
	k->sessions_restored = true;
	control_progress(k);
}

static void read_done(struct round *round)
{
	struct restored *r = container_of(round, struct restored, round);
	size_t at = 0;
	for (void *m; map_next(&r->messages, &at, NULL, &m);)
		msg_unref(m);
	map_fini(&r->messages);
	at = 0;
	for (void *n; map_next(&r->newest, &at, NULL, &n);)
		free(n);
	map_fini(&r->newest);
	buf_fini(&r->state);
	r->round = (struct round){0};
	round_start(&r->round, &r->control->broker, wake_run, wake_done);
}

void spool_restore_begin(struct control *k)
{
	struct restored *r = TAKE(k->restored);
	if (!r)
		return;
	r->wall_ms = clock_wall_ms();
	r->mono_ms = loop_now_ms(k->broker.loop);
	loop_excuse(k->broker.loop);
	read_shared(r);
	round_start(&r->round, &k->broker, read_run, read_done);
}
