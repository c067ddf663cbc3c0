/* SPDX-License-Identifier: Apache-2.0
 *
 * Live traces: see trace.h. The list of those that are on is immutable and counted; the control
 * thread makes a new one for each change and every worker takes it. A connection remembers which of
 * them concern it (trace_mask) for as long as neither the list nor its session is another.
 */
#include "daemon/broker/trace.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/console.h"
#include "daemon/broker/renew.h"
#include "daemon/broker/session.h"
#include "daemon/broker/trace_text.h"
#include "daemon/ipc/rec.h"
#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

enum { QUEUED_MAX = 1 * MiB /* to the store: beyond it lines would crowd out what matters */ };

struct spec {
	uint64_t id;
	uint64_t device_id;
	struct buf client_id;
	struct buf filter;
	bool payload;
	bool messages; /* not packets */
	struct buf publisher;
	uint64_t as_device_id;
};

struct traces {
	struct ref ref;
	size_t n;
	struct spec spec[TRACES_MAX];
};

/* Through whose eyes messages are seen; as_device_id of the trace at the same place. */
struct eyes {
	struct identity *identity; /* NULL: there is no such device now */
	uint64_t generation;       /* of the registry, plus 1; 0: never asked */
};

/* Of one worker. */
struct trace_feed {
	struct worker *worker;
	struct traces *list;
	struct eyes eyes[TRACES_MAX];
	struct buf lines; /* records of struct body_trace_line */
	uint32_t dropped[TRACES_MAX];
	struct loop_timer timer;
};

static void traces_unref(struct traces *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	for (size_t i = 0; i < t->n; i++) {
		buf_fini(&t->spec[i].client_id);
		buf_fini(&t->spec[i].filter);
		buf_fini(&t->spec[i].publisher);
	}
	free(t);
}

/* ---- lines on their way -----------------------------------------------------------------------
 */

struct parcel {
	struct loop_note note;
	struct control *control;
	struct buf lines;
};

static void lose(struct control *k, uint64_t id, uint32_t n)
{
	struct trace_lost *free_place = NULL;
	for (size_t i = 0; i < TRACES_MAX; i++) {
		struct trace_lost *l = &k->trace_lost[i];
		if (l->n && l->id == id) {
			l->n += n;
			return;
		}
		if (!l->n)
			free_place = l;
	}
	if (free_place)
		*free_place = (struct trace_lost){id, n};
}

static void lose_all(struct control *k, struct str lines)
{
	struct cur c = cur_of(lines);
	struct str record;
	struct body_trace_line b;
	while (entries_next(&c, &record))
		if (body_trace_line_get(record, &b) == 0)
			lose(k, b.id, b.dropped + (b.line.n > 0));
}

static void arrived(struct loop_note *note)
{
	struct parcel *p = container_of(note, struct parcel, note);
	struct control *k = p->control;
	const bool room = k->store && link_queued(k->store) <= QUEUED_MAX;
	for (size_t i = 0; room && i < TRACES_MAX; i++) {
		const struct body_trace_line b = {.id = k->trace_lost[i].id,
						  .dropped = k->trace_lost[i].n};
		if (b.dropped)
			ENTRIES_PUT(&p->lines, trace_line, &b);
		k->trace_lost[i].n = 0;
	}
	const struct body_trace_lines b = {buf_view(&p->lines)};
	if (!room || LINK_SEND(k->store, TRACE_LINES, trace_lines, 0, -1, &b))
		lose_all(k, buf_view(&p->lines));
	buf_fini(&p->lines);
	free(p);
}

static void put_dropped(struct trace_feed *f)
{
	for (size_t i = 0; i < f->list->n; i++) {
		const struct body_trace_line b = {.id = f->list->spec[i].id,
						  .dropped = f->dropped[i]};
		if (f->dropped[i])
			ENTRIES_PUT(&f->lines, trace_line, &b);
		f->dropped[i] = 0;
	}
}

static void hand_over(struct trace_feed *f)
{
	struct broker *b = f->worker->broker;
	put_dropped(f);
	if (f->lines.n == 0)
		return;
	struct parcel *p = mem_new(struct parcel);
	p->control = b->control;
	p->lines = f->lines;
	f->lines = (struct buf){0};
	loop_post(b->loop, &p->note, arrived);
}

static void due(struct loop_timer *t)
{
	hand_over(container_of(t, struct trace_feed, timer));
}

static void put_line(struct trace_feed *f, size_t i, struct str line)
{
	const struct body_trace_line b = {.id = f->list->spec[i].id, .line = line};
	if (!loop_timer_running(&f->timer))
		loop_timer_start(f->worker->loop, &f->timer, "trace", TRACE_EVERY_MS, due);
	if (f->lines.n + line.n > TRACE_LINES_MAX)
		f->dropped[i]++;
	else
		ENTRIES_PUT(&f->lines, trace_line, &b);
}

/* ---- what concerns whom -----------------------------------------------------------------------
 */

static uint32_t mask_for(const struct traces *t, struct str client_id, uint64_t device_id)
{
	uint32_t mask = 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct spec *s = &t->spec[i];
		const bool hit = (s->client_id.n && str_eq(buf_view(&s->client_id), client_id)) ||
				 (s->device_id && s->device_id == device_id) || s->filter.n;
		mask |= (uint32_t)(hit && !s->messages) << i;
	}
	return mask;
}

/* The traces that may want something of this connection. */
static uint32_t mask_of(struct conn *c)
{
	const uint32_t key = 2 * c->worker->trace_generation + (c->session != NULL);
	if (c->trace_key == key)
		return c->trace_mask;
	/* Before it has a session its CONNECT has told who it is. */
	if (c->session || c->trace_key / 2 != key / 2) {
		const struct str who = c->session ? session_client_id(c->session) : STR("");
		c->trace_mask = mask_for(c->worker->trace->list, who, c->device_id);
	}
	c->trace_key = key;
	return c->trace_mask;
}

static bool names(const struct packet *p, struct str filter)
{
	if (p->type == PACKET_SUBSCRIBE)
		for (size_t i = 0; i < p->subscribe.n; i++) {
			const struct str f =
				topic_share_split(p->subscribe.subscriptions[i].filter).filter;
			if (str_eq(f, filter) || topic_matches(filter, f))
				return true;
		}
	if (p->type == PACKET_UNSUBSCRIBE)
		for (size_t i = 0; i < p->unsubscribe.n; i++) {
			const struct str f = topic_share_split(p->unsubscribe.filters[i]).filter;
			if (str_eq(f, filter) || topic_matches(filter, f))
				return true;
		}
	return false;
}

static bool wants(const struct spec *s, const struct packet *p)
{
	if (s->filter.n == 0)
		return true;
	if (!p)
		return false;
	if (p->type == PACKET_PUBLISH)
		return topic_matches(buf_view(&s->filter), p->publish.topic);
	return names(p, buf_view(&s->filter));
}

/* A request for a certificate may hold the enrolment code in its place. */
static bool shows_payload(const struct spec *s, const struct packet *p)
{
	return s->payload && !(p->type == PACKET_PUBLISH && renew_topic(p->publish.topic));
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static void begin_line(struct buf *rec, const struct conn *c, const char *direction)
{
	char address[ADDR_TEXT];
	rec_time(rec, "time", (int64_t)clock_wall_ms());
	rec_text(rec, "direction", direction);
	rec_text(rec, "address", addr_format(&c->peer, address));
	if (!c->session)
		return;
	const struct str id = session_client_id(c->session);
	if (str_is_utf8(id))
		rec_str(rec, "client_id", id);
	else
		rec_bytes(rec, "client_id", id);
	if (c->session->identity->name[0])
		rec_text(rec, "device", c->session->identity->name);
}

static void tell(struct conn *c, uint32_t mask, const char *direction, const struct packet *p,
		 size_t size)
{
	struct trace_feed *f = c->worker->trace;
	for (size_t i = 0; i < f->list->n; i++) {
		AUTO_BUF rec = {0};
		if (!(mask >> i & 1) || !wants(&f->list->spec[i], p))
			continue;
		begin_line(&rec, c, direction);
		trace_text(&rec, p, shows_payload(&f->list->spec[i], p));
		rec_int(&rec, "size", (int64_t)size);
		put_line(f, i, buf_view(&rec));
	}
}

void trace_packet(struct conn *c, bool sent, const struct packet *p, size_t size)
{
	const uint32_t mask = mask_of(c);
	struct packet named = *p;
	if (!mask)
		return;
	if (c->version != MQTT_5)
		named.props = props_none; /* what an answer says to clients of MQTT 5 alone */
	/* A PUBLISH with a topic alias alone. */
	const uint16_t alias = p->type == PACKET_PUBLISH && !sent ? p->props.topic_alias : 0;
	if (alias && p->publish.topic.n == 0 && c->alias && alias <= CONN_ALIASES &&
	    c->alias[alias - 1])
		named.publish.topic = str_of(c->alias[alias - 1]);
	tell(c, mask, sent ? "out" : "in", &named, size);
}

void trace_publish(struct conn *c, const struct msg *m, const struct publish_receiver *r)
{
	const uint32_t mask = mask_of(c);
	struct arena arena = {0};
	struct packet p = {
		.type = PACKET_PUBLISH,
		.props = props_none,
		.publish = {.topic = m->shared.topic,
			    .payload = m->shared.payload,
			    .packet_id = r->packet_id,
			    .qos = r->qos,
			    .retain = r->retain,
			    .dup = r->dup},
	};
	if (!mask)
		return;
	if (r->version == MQTT_5) {
		if (props_decode_body(m->shared.properties, PACKET_PUBLISH, &arena, &p.props))
			p.props = props_none;
		p.props.message_expiry_interval = r->message_expiry;
		p.props.topic_alias = r->topic_alias;
		p.props.subscription_ids = r->ids;
		if (r->has_message_expiry)
			props_mark(&p.props, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
		if (r->topic_alias)
			props_mark(&p.props, PROPERTY_TOPIC_ALIAS);
	}
	tell(c, mask, "out", &p, publish_size(&m->shared, r));
	arena_fini(&arena);
}

void trace_connect(struct conn *c, const void *bytes, size_t n)
{
	struct arena arena = {0};
	struct packet p;
	if (c->trace_connected)
		return;
	c->trace_connected = true;
	if (packet_decode(MQTT_UNKNOWN, SENDER_CLIENT, bytes, n, &arena, &p) == REASON_SUCCESS &&
	    p.type == PACKET_CONNECT) {
		c->trace_key = 2 * c->worker->trace_generation;
		c->trace_mask = mask_for(c->worker->trace->list, p.connect.client_id, c->device_id);
		tell(c, c->trace_mask, "in", &p, n);
	}
	arena_fini(&arena);
}

void trace_closed(struct conn *c, const char *why)
{
	struct trace_feed *f = c->worker->trace;
	const uint32_t mask = mask_of(c);
	for (size_t i = 0; i < f->list->n; i++) {
		AUTO_BUF rec = {0};
		if (!(mask >> i & 1) || !wants(&f->list->spec[i], NULL))
			continue;
		begin_line(&rec, c, "end");
		rec_text(&rec, "reason", why);
		put_line(f, i, buf_view(&rec));
	}
}

/* ---- messages ---------------------------------------------------------------------------------
 */

/* Takes the rights of now. */
static void look_again(struct trace_feed *f, size_t i)
{
	struct registry *registry = f->worker->broker->registry;
	const struct spec *s = &f->list->spec[i];
	struct eyes *e = &f->eyes[i];
	const uint64_t generation = registry_generation(registry);
	if (e->generation == generation + 1)
		return;
	if (e->identity)
		identity_unref(e->identity);
	e->identity = registry_identity(registry, s->as_device_id);
	e->generation = generation + 1;
}

static bool is_seen(struct trace_feed *f, size_t i, const struct msg *m)
{
	const struct acl_how how = {m->qos, false};
	if (!f->list->spec[i].as_device_id)
		return true;
	look_again(f, i);
	const struct identity *id = f->eyes[i].identity;
	return id && console_may_get(id, m->shared.topic, how);
}

static void put_message(struct buf *rec, const struct msg *m, const struct session *from,
			bool payload)
{
	const struct str id = from ? session_client_id(from) : STR("");
	rec_time(rec, "time", (int64_t)clock_wall_ms());
	console_put_message(rec, m, m->retain, payload);
	if (from && from->identity->name[0])
		rec_text(rec, "device", from->identity->name);
	else
		rec_null(rec, "device");
	if (from && str_is_utf8(id))
		rec_str(rec, "client_id", id);
	else
		rec_null(rec, "client_id");
}

void trace_message(struct worker *w, const struct msg *m)
{
	struct trace_feed *f = w->trace;
	const struct session *from = m->origin ? session_find(w, m->origin) : NULL;
	for (size_t i = 0; i < f->list->n; i++) {
		const struct spec *s = &f->list->spec[i];
		AUTO_BUF rec = {0};
		if (!s->messages || !topic_matches(buf_view(&s->filter), m->shared.topic) ||
		    (s->publisher.n &&
		     (!from || !str_is(buf_view(&s->publisher), from->identity->name))) ||
		    !is_seen(f, i, m))
			continue;
		put_message(&rec, m, from, s->payload);
		put_line(f, i, buf_view(&rec));
	}
}

/* Another list: whoever looked does so no more. */
static void close_eyes(struct trace_feed *f)
{
	for (size_t i = 0; i < TRACES_MAX; i++)
		if (f->eyes[i].identity)
			identity_unref(f->eyes[i].identity);
	memset(f->eyes, 0, sizeof(f->eyes));
}

bool trace_reaches(const struct control *k, struct str level)
{
	for (size_t i = 0; k->traces && i < k->traces->n; i++) {
		struct str filter = buf_view(&k->traces->spec[i].filter);
		if (k->traces->spec[i].messages && str_eq(str_split(&filter, '/'), level))
			return true;
	}
	return false;
}

/* ---- on and off -------------------------------------------------------------------------------
 */

struct change {
	struct round round;
	struct control *control;
	struct traces *list; /* NULL: none is on any more */
	unsigned generation; /* of the link */
	uint64_t id;         /* of the question that is answered when all have it; 0: none */
};

static void change_run(struct worker *w, struct round *r)
{
	const struct change *change = container_of(r, struct change, round);
	struct trace_feed *f = w->trace;
	w->trace_generation++;
	if (f) {
		hand_over(f);
		close_eyes(f);
		traces_unref(f->list);
	}
	if (!change->list) {
		if (f)
			loop_timer_stop(w->loop, &f->timer);
		free(f);
		w->trace = NULL;
		return;
	}
	if (!f) {
		f = w->trace = mem_new(struct trace_feed);
		f->worker = w;
	}
	f->list = change->list;
	ref_get(&f->list->ref);
}

static void change_done(struct round *r)
{
	struct change *change = container_of(r, struct change, round);
	struct control *k = change->control;
	if (change->id && k->store && change->generation == k->store_generation)
		LINK_SEND(k->store, TRACE_STARTED, trace_started, change->id, -1,
			  &(struct body_trace_started){});
	traces_unref(change->list);
	free(change);
}

/* Takes the list. id: of the question that is answered when every worker has it, or 0. */
static void use(struct control *k, struct traces *list, uint64_t id)
{
	struct change *change = mem_new(struct change);
	change->control = k;
	change->generation = k->store_generation;
	change->id = id;
	traces_unref(k->traces);
	k->traces = list;
	if (list)
		ref_get(&list->ref);
	change->list = list;
	round_start(&change->round, &k->broker, change_run, change_done);
}

/* The list of now without one of them; NULL when none is left. */
static struct traces *without(const struct traces *now, uint64_t id)
{
	struct traces *t = mem_new(struct traces);
	ref_init(&t->ref);
	for (size_t i = 0; now && i < now->n; i++) {
		const struct spec *s = &now->spec[i];
		if (s->id == id)
			continue;
		struct spec *copy = &t->spec[t->n++];
		copy->id = s->id;
		copy->device_id = s->device_id;
		copy->payload = s->payload;
		copy->messages = s->messages;
		copy->as_device_id = s->as_device_id;
		buf_str(&copy->client_id, buf_view(&s->client_id));
		buf_str(&copy->filter, buf_view(&s->filter));
		buf_str(&copy->publisher, buf_view(&s->publisher));
	}
	return t;
}

int trace_start_asked(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	struct body_trace_start b;
	if (body_trace_start_get(r->body, &b) || (b.filter.n && !topic_filter_valid(b.filter)) ||
	    (b.messages && b.filter.n == 0))
		return ERR_MALFORMED;
	struct traces *t = without(k->traces, b.id);
	if (t->n == TRACES_MAX) {
		traces_unref(t);
		return ERR_MALFORMED;
	}
	struct spec *s = &t->spec[t->n++];
	s->id = b.id;
	s->device_id = b.device_id;
	s->payload = b.payload;
	s->messages = b.messages;
	s->as_device_id = b.as_device_id;
	buf_str(&s->client_id, b.client_id);
	buf_str(&s->filter, b.filter);
	buf_str(&s->publisher, b.publisher);
	use(k, t, r->id);
	return 0;
}

int trace_stop_asked(struct link *l, struct record *r)
{
	struct control *k = link_owner(l);
	struct body_trace_stop b;
	if (body_trace_stop_get(r->body, &b))
		return ERR_MALFORMED;
	struct traces *t = without(k->traces, b.id);
	if (t->n == 0) {
		traces_unref(t);
		t = NULL;
	}
	if (t || k->traces)
		use(k, t, 0);
	return 0;
}

void trace_stop_all(struct control *k)
{
	if (k->traces)
		use(k, NULL, 0);
}
