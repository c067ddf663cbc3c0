/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections: see conn.h.
 */
#include "daemon/broker/conn.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/alias.h"
#include "daemon/broker/auth.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/connect.h"
#include "daemon/broker/describe.h"
#include "daemon/broker/presence.h"
#include "daemon/broker/proxied.h"
#include "daemon/broker/publish.h"
#include "daemon/broker/route.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_promise.h"
#include "daemon/broker/subscribe.h"
#include "daemon/broker/takeover.h"
#include "daemon/broker/throttle.h"
#include "daemon/broker/trace.h"
#include "daemon/broker/will.h"
#include "daemon/ipc/rec.h"
#include "daemon/mqtt/decode.h"

#include <stdlib.h>
#include <unistd.h>

enum { IOV_MAX_PIECES = 64, WEBSOCKET_NORMAL = 1000, WEBSOCKET_POLICY = 1008 };

/* ---- events -----------------------------------------------------------------------------------
 */

void conn_event_claimed(struct conn *c, enum event event, const char *reason, struct str actor,
			struct str client_id, struct buf *detail)
{
	char address[ADDR_TEXT];
	struct body_event e = {
		.device_id = c->device_id,
		.actor = actor,
		.client_id = client_id,
		.address = str_of(addr_format(&c->peer, address)),
		.listener = str_of(c->endpoint->config->name),
		.reason = str_of(reason),
	};
	const uint64_t source = c->device_id ? c->device_id : addr_key(&c->peer);
	c->explained = true;
	journal_event(&c->worker->journal, event, source, &e, detail);
}

void conn_event(struct conn *c, enum event event, const char *reason, struct buf *detail)
{
	const struct session *s = c->session;
	conn_event_claimed(c, event, reason, s ? str_of(s->identity->name) : STR(""),
			   s ? session_client_id(s) : STR(""), detail);
}

static void tell_end(struct conn *c, enum reason reason, const char *why, struct buf *detail)
{
	describe_traffic(c, detail);
	if (reason_is_error(reason))
		rec_text(detail, "reason_code", reason_text(reason));
	conn_event(c, c->state == CONN_OPEN ? EVENT_CLIENT_DISCONNECTED : EVENT_CONNECTION_CLOSED,
		   why, detail);
}

/* ---- input ------------------------------------------------------------------------------------
 */

/* A client whose messages or subscriptions are not stored yet. MQTT 5 tells publishers how many may
 * be under way; others stop here, and all of them once the store holds back too much. */
static bool owes_much(const struct conn *c)
{
	const uint32_t n = c->owed_n + c->answers_n;
	return n &&
	       (n >= c->settings->config->broker.max_inflight || spool_is_full(c->worker->broker));
}

static bool wants_input(const struct conn *c)
{
	return (c->state == CONN_WAITING || c->state == CONN_AUTH || c->state == CONN_OPEN) &&
	       !list_linked(&c->paused) && !throttle_active(c) && !owes_much(c) &&
	       conn_backlog(c) < c->settings->config->broker.max_output_bytes;
}

static void update_events(struct conn *c)
{
	if (c->state == CONN_CLOSED || !c->stream)
		return;
	const uint32_t events = stream_events(c->stream) & ~(uint32_t)EPOLLIN;
	loop_set_events(c->worker->loop, &c->io, events | (wants_input(c) ? EPOLLIN : 0));
}

static enum reason disconnect_received(struct conn *c, const struct packet *p)
{
	struct session *s = c->session;
	if (props_has(&p->props, PROPERTY_SESSION_EXPIRY_INTERVAL)) {
		const uint32_t expiry = p->props.session_expiry_interval;
		/* [MQTT-3.14.2-2]: not from zero to something. */
		if (s->expiry_s == 0 && expiry)
			return REASON_PROTOCOL_ERROR;
		s->expiry_s = (uint32_t)MIN(expiry,
					    c->settings->config->broker.max_session_expiry / 1000);
	}
	if (p->disconnect.reason == REASON_NORMAL_DISCONNECTION)
		will_drop(s); /* [MQTT-3.14.4-3] */
	conn_close(c, REASON_NORMAL_DISCONNECTION, "the client disconnected");
	return REASON_SUCCESS;
}

static enum reason ping_received(struct conn *c, const struct packet *p)
{
	(void)p;
	conn_send(c, &(struct packet){.type = PACKET_PINGRESP, .props = props_none});
	return REASON_SUCCESS;
}

/* Packets that only the other side may send. */
static enum reason unexpected(struct conn *c, const struct packet *p)
{
	(void)c;
	(void)p;
	return REASON_PROTOCOL_ERROR;
}

static enum reason handle(struct conn *c, const struct packet *p)
{
	static enum reason (*const handler[16])(struct conn *, const struct packet *) = {
		[PACKET_PUBLISH] = publish_received,
		[PACKET_PUBACK] = acknowledge_received,
		[PACKET_PUBREC] = acknowledge_received,
		[PACKET_PUBCOMP] = acknowledge_received,
		[PACKET_PUBREL] = release_received,
		[PACKET_SUBSCRIBE] = subscribe_received,
		[PACKET_UNSUBSCRIBE] = unsubscribe_received,
		[PACKET_PINGREQ] = ping_received,
		[PACKET_DISCONNECT] = disconnect_received,
		[PACKET_AUTH] = auth_received,
	};
	return (handler[p->type] ? handler[p->type] : unexpected)(c, p);
}

/* Before CONNACK, from a client that was asked to answer. */
static enum reason handle_auth(struct conn *c, const struct packet *p)
{
	if (p->type == PACKET_AUTH)
		return auth_received(c, p);
	if (p->type != PACKET_DISCONNECT)
		return REASON_PROTOCOL_ERROR; /* [MQTT-3.1.2-30] */
	conn_close(c, REASON_NORMAL_DISCONNECTION, "the client disconnected");
	return REASON_SUCCESS;
}

static void broken_packet(struct conn *c, const void *p, size_t n, enum reason reason)
{
	if (c->state == CONN_WAITING) {
		connect_refuse_bytes(c, p, n, reason);
		return;
	}
	const bool large = reason == REASON_PACKET_TOO_LARGE;
	const char *why = reason_text(reason);
	c->worker->stats.malformed++;
	if (large)
		bound_count(c->worker, BOUND_PACKET);
	if (reason == REASON_RECEIVE_MAXIMUM_EXCEEDED)
		bound_count(c->worker, BOUND_INFLIGHT);
	AUTO_BUF detail = {0};
	rec_text(&detail, "packet", packet_name(n ? *(const unsigned char *)p >> 4 : 0));
	conn_event(c, large ? EVENT_PACKET_TOO_LARGE : EVENT_PACKET_MALFORMED, why, &detail);
	if (c->state == CONN_AUTH)
		connect_refuse_reason(c, reason);
	conn_close(c, reason, why);
}

/* One whole packet. False: it stays in the input (it is a CONNECT that waits). */
static bool one_packet(struct conn *c, const unsigned char *p, size_t n)
{
	struct worker *w = c->worker;
	w->stats.packets_in++;
	if (c->state == CONN_WAITING) {
		if (trace_on(c))
			trace_connect(c, p, n);
		connect_received(c, p, n);
		arena_reset(&w->arena);
		/* An exchange keeps its own copy. */
		return c->state == CONN_OPEN || c->state == CONN_STORING ||
		       (c->state == CONN_LOGIN && c->auth);
	}
	struct packet packet;
	enum reason reason = packet_decode(c->version, SENDER_CLIENT, p, n, &w->arena, &packet);
	if (reason != REASON_SUCCESS) {
		broken_packet(c, p, n, reason);
	} else {
		if (trace_on(c))
			trace_packet(c, false, &packet, n);
		reason = c->state == CONN_AUTH ? handle_auth(c, &packet) : handle(c, &packet);
		if (reason_is_error(reason))
			broken_packet(c, p, n, reason);
	}
	arena_reset(&w->arena);
	return true;
}

/* Handles all whole packets; returns how many bytes they took. */
static size_t packets(struct conn *c, const unsigned char *p, size_t n)
{
	const uint64_t max = c->endpoint->config->max_packet;
	size_t at = 0;
	while (at < n &&
	       (c->state == CONN_WAITING || c->state == CONN_AUTH || c->state == CONN_OPEN)) {
		size_t size;
		/* Another protocol on our port: its bytes are no length that is worth waiting for.
		 */
		if (c->state == CONN_WAITING && p[at] >> 4 != PACKET_CONNECT) {
			broken_packet(c, p + at, n - at, REASON_PROTOCOL_ERROR);
			break;
		}
		const int err = packet_frame(p + at, n - at, max, &size);
		if (err == ERR_AGAIN)
			break;
		if (err) {
			broken_packet(c, p + at, n - at,
				      err == ERR_LIMIT ? REASON_PACKET_TOO_LARGE
						       : REASON_MALFORMED_PACKET);
			break;
		}
		if (c->state == CONN_OPEN && p[at] >> 4 == PACKET_PUBLISH &&
		    throttle_publish(c, size))
			break;
		if (!one_packet(c, p + at, size))
			break;
		/* Whole packets count, not bytes [MQTT-3.1.2-22]. */
		c->heard_ms = loop_now_ms(c->worker->loop);
		at += size;
	}
	return at;
}

/* Keeps bytes for later. Before CONNECT they come from a pool that all strangers share. */
static bool keep(struct conn *c, const unsigned char *p, size_t n)
{
	const enum limit_refusal r =
		c->state == CONN_OPEN || c->state == CONN_STORING
			? LIMIT_OK
			: limit_pre_connect(c->worker->broker->limit, &c->hold, n);
	if (r != LIMIT_OK) {
		bound_limited(c, c->worker->broker->limit, r);
		conn_close(c, REASON_QUOTA_EXCEEDED, limit_refusal_name(r));
		return false;
	}
	buf_put(&c->in, p, n);
	return true;
}

static void parse_kept(struct conn *c)
{
	const size_t used = packets(c, (const unsigned char *)c->in.p, c->in.n);
	if (c->state == CONN_CLOSED)
		return;
	buf_consume(&c->in, used);
	if (c->in.n == 0)
		buf_fini(&c->in);
}

static void take_input(struct conn *c, struct str data)
{
	const unsigned char *p = (const unsigned char *)data.p;
	c->bytes_in += data.n;
	c->worker->stats.bytes_in += data.n;
	if (c->in.n) {
		if (keep(c, p, data.n))
			parse_kept(c);
	} else {
		const size_t used = packets(c, p, data.n);
		if (c->state != CONN_CLOSED && used < data.n)
			keep(c, p + used, data.n - used);
	}
	if (c->state == CONN_MOVING)
		takeover_move(c, c->move_to);
}

/* On a port for both: an HTTP request begins with GET, an MQTT connection with 0x10. */
static int choose_protocol(struct conn *c, struct str *data)
{
	c->undecided = false;
	if (data->p[0] != 'G')
		return 0;
	c->stream = stream_ws_new(c->stream, NULL);
	return stream_ws_take(c->stream, c->worker->scratch, *data, data);
}

static void read_stream(struct conn *c)
{
	struct str data;
	int err = stream_read(c->stream, c->worker->scratch, &data);
	if (err == 0 && c->undecided)
		err = choose_protocol(c, &data);
	if (err == 0)
		take_input(c, data);
	else if (err == ERR_EOF)
		conn_close(c, REASON_NORMAL_DISCONNECTION, "the client closed the connection");
	else if (err != ERR_AGAIN)
		conn_close(c, REASON_NORMAL_DISCONNECTION, stream_error(c->stream));
}

void conn_read(struct conn *c)
{
	read_stream(c);
	update_events(c);
}

/* Some worker is behind: what its publishers send stays in their sockets for a moment. */
static void resume(struct loop_timer *t)
{
	struct worker *w = container_of(t, struct worker, resume);
	if (route_congested(w)) {
		loop_timer_start(w->loop, t, "resume", WORKER_PAUSE_MS, resume);
		return;
	}
	while (!list_empty(&w->paused)) {
		struct conn *c = list_entry(w->paused.next, struct conn, paused);
		list_remove(&c->paused);
		update_events(c);
	}
}

static void pause_input(struct conn *c)
{
	struct worker *w = c->worker;
	list_append(&w->paused, &c->paused);
	if (!loop_timer_running(&w->resume))
		loop_timer_start(w->loop, &w->resume, "resume", WORKER_PAUSE_MS, resume);
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct conn *c = container_of(io, struct conn, io);
	if (events & EPOLLOUT)
		conn_flush(c);
	if (c->state == CONN_CLOSED)
		return;
	if (events & (EPOLLERR | EPOLLHUP) && !wants_input(c)) {
		conn_close(c, REASON_NORMAL_DISCONNECTION, "the connection was reset");
		return;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		if (c->state == CONN_OPEN && route_congested(c->worker))
			pause_input(c);
		else
			read_stream(c);
	}
	update_events(c);
}

void conn_resume(struct conn *c)
{
	parse_kept(c);
	if (c->state == CONN_MOVING)
		takeover_move(c, c->move_to);
	else
		update_events(c);
}

/* ---- output -----------------------------------------------------------------------------------
 */

size_t conn_backlog(const struct conn *c)
{
	return c->out.bytes + (c->stream ? stream_pending(c->stream) : 0);
}

void conn_paid(struct conn *c)
{
	update_events(c);
}

void conn_wrote(struct conn *c)
{
	if (list_linked(&c->dirty) || c->state == CONN_CLOSED || c->state == CONN_STORING)
		return;
	list_append(&c->worker->dirty, &c->dirty);
	worker_schedule_flush(c->worker);
}

bool conn_send(struct conn *c, struct packet *p)
{
	if (!c->problem_information)
		packet_drop_problem_information(p);
	const size_t n = packet_fit(c->version, p, c->packet_max);
	if (n == 0 || c->state == CONN_CLOSED)
		return false;
	if (trace_on(c))
		trace_packet(c, true, p, n);
	if (n <= SENDQ_BLOCK) {
		struct out o = out_make(sendq_room(&c->out, &c->worker->store, n), n);
		CHECK(packet_encode(c->version, p, &o));
		sendq_wrote(&c->out, n);
	} else {
		unsigned char *bytes = mem_alloc(n);
		struct out o = out_make(bytes, n);
		CHECK(packet_encode(c->version, p, &o));
		sendq_put(&c->out, &c->worker->store, bytes, n);
		free(bytes);
	}
	c->worker->stats.packets_out++;
	conn_wrote(c);
	return true;
}

void packet_explain(struct packet *p, const char *why)
{
	if (!why || !why[0])
		return;
	p->props.reason_string = str_of(why);
	props_mark(&p->props, PROPERTY_REASON_STRING);
}

void conn_send_ack(struct conn *c, enum packet_type type, uint16_t packet_id, enum reason reason)
{
	conn_send_ack_why(c, type, packet_id, reason, NULL);
}

void conn_send_ack_why(struct conn *c, enum packet_type type, uint16_t packet_id,
		       enum reason reason, const char *why)
{
	if (reason != REASON_SUCCESS && c->version == MQTT_5) {
		struct packet p = {.type = type, .props = props_none, .ack = {packet_id, reason}};
		packet_explain(&p, why);
		conn_send(c, &p);
		return;
	}
	/* Without a reason all four are the same four bytes in every version; bit 1 is set in
	 * PUBREL [MQTT-3.6.1-1]. */
	const unsigned char bytes[4] = {
		(unsigned char)(type << 4 | (type == PACKET_PUBREL ? 2 : 0)), 2,
		(unsigned char)(packet_id >> 8), (unsigned char)packet_id};
	sendq_put(&c->out, &c->worker->store, bytes, sizeof(bytes));
	if (trace_on(c))
		trace_packet(c, true,
			     &(struct packet){.type = type,
					      .props = props_none,
					      .ack = {packet_id, REASON_SUCCESS}},
			     sizeof(bytes));
	c->worker->stats.packets_out++;
	conn_wrote(c);
}

/* Hands the queue to the stream until one of them is empty or full. 0, or ERR_IO. */
static int write_out(struct conn *c)
{
	while (c->out.bytes) {
		struct iovec iov[IOV_MAX_PIECES];
		const size_t n = sendq_iov(&c->out, iov, IOV_MAX_PIECES);
		size_t taken;
		const int err = stream_write(c->stream, c->worker->scratch, iov, n, &taken);
		if (err == ERR_AGAIN)
			return 0;
		if (err)
			return err;
		sendq_taken(&c->out, &c->worker->store, taken);
		c->bytes_out += taken;
		c->worker->stats.bytes_out += taken;
		c->blocked_ms = loop_now_ms(c->worker->loop);
		list_remove(&c->blocked);
	}
	return 0;
}

void conn_flush(struct conn *c)
{
	if (c->state == CONN_CLOSED || !c->stream)
		return;
	const size_t before = stream_pending(c->stream);
	int err = before ? stream_flush(c->stream, c->worker->scratch) : 0;
	if (err == ERR_AGAIN)
		err = 0;
	if (before > stream_pending(c->stream)) {
		c->blocked_ms = loop_now_ms(c->worker->loop);
		list_remove(&c->blocked);
	}
	if (err == 0)
		err = write_out(c);
	if (err) {
		conn_close(c, REASON_NORMAL_DISCONNECTION, stream_error(c->stream));
		return;
	}
	if (conn_backlog(c) == 0) {
		list_remove(&c->blocked);
		if (c->session)
			session_pump(c->session);
	} else if (!list_linked(&c->blocked)) {
		c->blocked_ms = loop_now_ms(c->worker->loop);
		list_append(&c->worker->blocked, &c->blocked);
	}
	update_events(c);
}

/* ---- deadlines --------------------------------------------------------------------------------
 */

static int64_t now_s(void)
{
	return MAX(clock_wall(), build_time());
}

static uint64_t until_expiry_ms(const struct conn *c)
{
	const int64_t left = c->certificate_until - now_s();
	return left > 0 ? (uint64_t)left * 1000 : 0;
}

/* A client that is not read cannot be heard. */
static uint64_t silence_left(const struct conn *c)
{
	const uint64_t silence = loop_now_ms(c->worker->loop) - c->heard_ms;
	return throttle_active(c) ? c->silence_ms : c->silence_ms - MIN(silence, c->silence_ms);
}

static void late(struct loop_timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	if (!list_empty(&c->owed) || c->answers_n)
		c->heard_ms = loop_now_ms(c->worker->loop); /* it may be us who do not listen */
	if (c->state == CONN_LOGIN)
		return; /* the client did its part; the question to the store has its own limit */
	if (c->state == CONN_STORING) {
		connect_not_stored(c, REASON_SERVER_UNAVAILABLE, "the store is away");
	} else if (c->state == CONN_PROXY) {
		proxied_late(c);
	} else if (c->state != CONN_OPEN) {
		bound_count(c->worker, BOUND_CONNECT_TIMEOUT);
		AUTO_BUF detail = {0};
		describe_way(c, &detail);
		describe_traffic(c, &detail);
		conn_event(c, EVENT_LOGIN_REFUSED, "no CONNECT in time", &detail);
		conn_close(c, REASON_NORMAL_DISCONNECTION, "no CONNECT in time");
	} else if (c->certificate_until && until_expiry_ms(c) == 0) {
		conn_close(c, REASON_ADMINISTRATIVE_ACTION, "the certificate expired");
	} else if (c->silence_ms && silence_left(c) == 0) {
		conn_close(c, REASON_KEEP_ALIVE_TIMEOUT, "nothing was heard within the keep alive");
	} else {
		conn_watch(c);
	}
}

void conn_watch(struct conn *c)
{
	struct loop *l = c->worker->loop;
	uint64_t wait = UINT64_MAX;
	if (c->state == CONN_HANDSHAKE)
		return; /* the pool keeps the time, and tells more of what it saw */
	if (c->state == CONN_STORING) {
		wait = c->settings->config->broker.connect_timeout;
	} else if (c->state != CONN_OPEN) {
		const uint64_t age = loop_now_ms(l) - c->accepted_ms;
		const uint64_t max = c->settings->config->broker.connect_timeout;
		wait = age < max ? max - age : 0;
	} else {
		if (c->silence_ms)
			wait = silence_left(c);
		if (c->certificate_until)
			wait = MIN(wait, until_expiry_ms(c));
	}
	if (wait == UINT64_MAX)
		loop_timer_stop(l, &c->timer);
	else
		loop_timer_start(l, &c->timer, "connection", wait, late);
}

/* ---- what it is ----------------------------------------------------------------------------
 */

bool conn_use_stream(struct conn *c, struct stream *stream)
{
	c->stream = stream;
	c->state = CONN_WAITING;
	return loop_add(c->worker->loop, &c->io, "connection", stream_fd(stream), EPOLLIN, ready) ==
	       0;
}

enum handshake_verdict conn_judge_certificate(const struct conn *c, uint64_t *device_id,
					      int64_t *not_after)
{
	const struct endpoint *now =
		settings_endpoint(c->worker->settings, str_of(c->endpoint->config->name));
	const struct endpoint *e = now ? now : c->endpoint;
	struct str chain[TLS_CHAIN_MAX];
	const struct client_certificate certificate = {
		.fingerprint = c->fingerprint,
		.chain = chain,
		.chain_n = e->policy ? stream_peer_chain(c->stream, chain, TLS_CHAIN_MAX) : 0,
		.now = now_s(),
	};
	return client_policy_judge(e->policy, c->worker->broker->registry, &certificate, device_id,
				   not_after, NULL);
}

/* ---- end --------------------------------------------------------------------------------------
 */

static void free_aliases(struct conn *c)
{
	alias_free(c);
	auth_free(TAKE(c->auth));
	for (size_t i = 0; c->alias && i < CONN_ALIASES; i++)
		free(c->alias[i]);
	free(c->alias);
}

/* Gives back all but the memory of the struct itself, which goes at the end of the turn. */
static void leave_worker(struct conn *c)
{
	struct worker *w = c->worker;
	c->state = CONN_CLOSED;
	loop_timer_stop(w->loop, &c->timer);
	loop_timer_stop(w->loop, &c->throttle);
	list_remove(&c->dirty);
	list_remove(&c->blocked);
	list_remove(&c->paused);
	promise_orphan(c);
	sendq_clear(&c->out, &w->store);
	secret_buf_fini(&c->in); /* may hold a password */
	free_aliases(c);
	free(c->proxy);
	limit_release(w->broker->limit, &c->hold);
	if (c->endpoint && c->endpoint->limit)
		limit_release(c->endpoint->limit, &c->listener_hold);
	slab_remove(&w->conns, c->handle);
	w->stats.connections--;
	list_append(&w->dead, &c->dirty);
	worker_schedule_reap(w);
}

static void say_goodbye(struct conn *c, enum reason reason, const char *why)
{
	if (!c->stream)
		return;
	if (c->state == CONN_STORING)
		sendq_clear(&c->out, &c->worker->store); /* a CONNACK that does not hold */
	if (reason_is_error(reason) && c->state == CONN_OPEN && c->version == MQTT_5) {
		struct packet p = {
			.type = PACKET_DISCONNECT, .props = props_none, .disconnect = {reason}};
		if (strcmp(why, reason_text(reason)) != 0)
			packet_explain(&p, why);
		conn_send(c, &p);
	}
	write_out(c);
	loop_remove(c->worker->loop, &c->io);
	/* Who is thrown out and does not read gets a reset: nothing else would reach it. */
	if (reason_is_error(reason) && stream_pending(c->stream)) {
		stream_abort(TAKE(c->stream));
		return;
	}
	stream_close(TAKE(c->stream), c->worker->loop, c->worker->scratch,
		     reason_is_error(reason) ? WEBSOCKET_POLICY : WEBSOCKET_NORMAL);
}

void conn_close(struct conn *c, enum reason reason, const char *why)
{
	if (c->state == CONN_CLOSED)
		return;
	AUTO_BUF detail = {0};
	describe_way(c, &detail);
	if (c->state == CONN_OPEN)
		presence_gone(c);
	say_goodbye(c, reason, why);
	if (c->state == CONN_OPEN || !c->explained)
		tell_end(c, reason, why, &detail);
	if (trace_on(c))
		trace_closed(c, why);
	if (c->state == CONN_OPEN)
		c->worker->stats.clients--;
	struct session *s = TAKE(c->session);
	leave_worker(c);
	if (s)
		session_detach(s);
}

void conn_vanish(struct conn *c)
{
	CHECK(!c->stream && !c->session);
	leave_worker(c);
}
