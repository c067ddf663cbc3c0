/* SPDX-License-Identifier: Apache-2.0
 *
 * A session in full: see inspect.h.
 */
#include "daemon/broker/inspect.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/conn.h"
#include "daemon/broker/session.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

struct look {
	struct round round;
	struct control *control;
	unsigned generation; /* of the link */
	uint64_t id;
	struct buf rec; /* of the worker that found it first */
	size_t n;
	char client_id[];
};

static void put_text(struct buf *rec, const char *name, const char *text)
{
	if (text)
		rec_text(rec, name, text);
	else
		rec_null(rec, name);
}

static void put_connection(const struct conn *c, struct buf *rec)
{
	struct stream_info info;
	stream_info(c->stream, &info);
	const uint64_t silent_ms = loop_now_ms(c->worker->loop) - c->heard_ms;
	rec_text(rec, "transport", info.transport);
	put_text(rec, "tls_version", info.version);
	put_text(rec, "cipher", info.cipher);
	put_text(rec, "group", info.group);
	if (info.alpn.n && str_is_utf8(info.alpn))
		rec_str(rec, "alpn", info.alpn);
	else
		rec_null(rec, "alpn");
	rec_bool(rec, "resumed", info.resumed);
	rec_int(rec, "receive_maximum", c->receive_maximum);
	if (c->packet_max != UINT32_MAX)
		rec_int(rec, "packet_max", c->packet_max);
	else
		rec_null(rec, "packet_max");
	rec_int(rec, "messages_in", (int64_t)c->messages_in);
	rec_int(rec, "messages_out", (int64_t)c->messages_out);
	rec_int(rec, "bytes_in", (int64_t)c->bytes_in);
	rec_int(rec, "bytes_out", (int64_t)c->bytes_out);
	rec_int(rec, "unsent_bytes", (int64_t)conn_backlog(c));
	rec_time(rec, "heard", (int64_t)(clock_wall_ms() - silent_ms));
}

static void put_subscription(const struct subscription *s, struct buf *rec)
{
	rec_object(rec, "");
	rec_str(rec, "filter", subscription_filter(s));
	rec_int(rec, "qos", s->options & SUB_QOS);
	rec_bool(rec, "no_local", s->options & SUB_NO_LOCAL);
	rec_bool(rec, "retain_as_published", s->options & SUB_RETAIN_AS_PUBLISHED);
	rec_int(rec, "identifier", s->identifier);
	rec_bool(rec, "active", s->active);
	rec_bool(rec, "partial", s->options & SUB_PARTIAL);
	rec_end(rec);
}

static void put_subscriptions(const struct session *s, struct buf *rec)
{
	size_t at = 0, n = 0;
	void *value;
	AUTO_BUF list = {0};
	while (n < INSPECT_SUBSCRIPTIONS && list.n < INSPECT_BYTES &&
	       map_next(&s->subscriptions, &at, NULL, &value)) {
		put_subscription(value, &list);
		n++;
	}
	rec_int(rec, "subscriptions_left_out", (int64_t)(s->subscriptions.n - n));
	rec_list(rec, "subscription_list");
	buf_str(rec, buf_view(&list));
	rec_end(rec);
}

static void put_session(const struct session *s, struct buf *rec)
{
	rec_bool(rec, "is_connected", s->conn != NULL);
	if (s->expiry_s == UINT32_MAX)
		rec_null(rec, "session_expiry");
	else
		rec_int(rec, "session_expiry", s->expiry_s);
	rec_int(rec, "subscriptions", (int64_t)s->subscriptions.n);
	rec_int(rec, "queued_now", s->out.waiting_n);
	rec_int(rec, "queued_bytes", (int64_t)s->out.waiting_bytes);
	rec_int(rec, "in_flight", s->out.under_way_n);
	rec_int(rec, "received", (int64_t)s->received_n);
	rec_int(rec, "dropped", (int64_t)s->dropped);
	rec_bool(rec, "will", s->will != NULL);
	rec_text(rec, "durability",
		 !s->sid ? "none" : (s->durability == CONFIG_DURABILITY_FULL ? "full" : "relaxed"));
	if (s->conn)
		put_connection(s->conn, rec);
	put_subscriptions(s, rec);
}

static void look_run(struct worker *w, struct round *r)
{
	struct look *k = container_of(r, struct look, round);
	uint32_t at = 0;
	for (struct session *s; (s = slab_next(&w->sessions, &at));) {
		if (!str_eq(session_client_id(s), str_make(k->client_id, k->n)))
			continue;
		/* One that moves just now may be seen by two workers. */
		if (atomic_fetch_add(&r->count, 1) == 0)
			put_session(s, &k->rec);
		return;
	}
}

static void look_done(struct round *r)
{
	struct look *k = container_of(r, struct look, round);
	const struct body_client_get_done done = {atomic_load(&r->count) > 0, buf_view(&k->rec)};
	if (k->control->store && k->generation == k->control->store_generation)
		LINK_SEND(k->control->store, CLIENT_GET_DONE, client_get_done, k->id, -1, &done);
	buf_fini(&k->rec);
	free(k);
}

int inspect_asked(struct link *l, struct record *r)
{
	struct control *c = link_owner(l);
	struct body_client_get b;
	if (body_client_get_get(r->body, &b))
		return ERR_MALFORMED;
	struct look *k = mem_alloc(sizeof(*k) + b.client_id.n);
	k->control = c;
	k->generation = c->store_generation;
	k->id = r->id;
	k->n = b.client_id.n;
	if (k->n)
		memcpy(k->client_id, b.client_id.p, k->n);
	round_start(&k->round, &c->broker, look_run, look_done);
	return 0;
}
