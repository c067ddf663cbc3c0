/* SPDX-License-Identifier: Apache-2.0
 *
 * How a connection begins: see accept.h.
 */
#include "daemon/broker/accept.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/join.h"
#include "daemon/broker/proxied.h"
#include "daemon/ipc/rec.h"
#include "daemon/net/ban.h"

#include <stdlib.h>
#include <unistd.h>

static struct conn *conn_new(struct worker *w, const struct addr *peer)
{
	struct conn *c = mem_new(struct conn);
	c->handle = slab_add(&w->conns, c);
	if (!c->handle) {
		free(c);
		return NULL;
	}
	c->worker = w;
	c->io.fd = -1;
	list_init(&c->owed);
	c->settings = settings_ref(w->settings);
	c->peer = *peer;
	c->packet_max = UINT32_MAX;
	c->problem_information = true;
	c->accepted_ms = c->heard_ms = loop_now_ms(w->loop);
	w->stats.connections++;
	return c;
}

typedef enum limit_refusal admit_fn(struct limit *, const struct addr *, struct limit_hold *);

/* Counts the connection in by one of limit.h's three ways; LIMIT_OK, or the bound that refuses it.
 */
static enum limit_refusal admit(struct conn *c, admit_fn *count)
{
	const struct endpoint *e = c->endpoint;
	struct limit *l = c->worker->broker->limit;
	enum limit_refusal r = count(l, &c->peer, &c->hold);
	if (r == LIMIT_OK && e->config->tls && count != limit_accept_proxy)
		r = limit_handshake(l, &c->hold, loop_now_ms(c->worker->loop));
	if (r == LIMIT_OK && e->limit) {
		l = e->limit;
		r = count(l, &c->peer, &c->listener_hold);
	}
	if (r != LIMIT_OK) {
		c->worker->stats.refused++;
		bound_limited(c, l, r);
		conn_close(c, REASON_NORMAL_DISCONNECTION, limit_refusal_name(r));
	}
	return r;
}

struct handshake_wait {
	struct worker *worker;
	uint64_t conn;
};

static void tell_handshake(struct conn *c, const struct handshake_result *r)
{
	AUTO_BUF detail = {0};
	char name[REGISTRY_NAME];
	if (r->has_certificate) {
		rec_text(&detail, "subject", r->certificate.subject);
		rec_text(&detail, "issuer", r->certificate.issuer);
		rec_text(&detail, "serial", r->certificate.serial);
		rec_text(&detail, "fingerprint", r->certificate.fingerprint);
	}
	if (r->detail[0])
		rec_text(&detail, "detail", r->detail);
	c->device_id = r->device;
	/* Only a certificate that our trust verified gets as far as being unknown. */
	const enum event event =
		r->outcome == HANDSHAKE_UNKNOWN_DEVICE && !c->endpoint->config->client_ca[0]
			? EVENT_CERTIFICATE_UNKNOWN
			: EVENT_HANDSHAKE_REFUSED;
	registry_name_of(c->worker->broker->registry, r->device, name);
	conn_event_claimed(c, event, handshake_outcome_name(r->outcome), str_of(name), STR(""),
			   &detail);
}

/* The stream with what is spoken on it. Where both may be, ALPN decides if the client used it. */
static struct stream *speak(struct conn *c, struct stream *s)
{
	struct stream_info info;
	const enum config_protocol protocol = c->endpoint->config->protocol;
	stream_info(s, &info);
	c->undecided = protocol == CONFIG_PROTOCOL_AUTO && info.alpn.n == 0;
	if (protocol == CONFIG_PROTOCOL_WEBSOCKET ||
	    (protocol == CONFIG_PROTOCOL_AUTO && str_is(info.alpn, "http/1.1")))
		return stream_ws_new(s, NULL);
	return s;
}

static void certificate_of(struct conn *c, const struct handshake_result *r)
{
	struct stream_info info;
	stream_info(c->stream, &info);
	c->has_certificate = info.has_certificate;
	c->device_id = r->device;
	memcpy(c->fingerprint, info.fingerprint, sizeof(c->fingerprint));
}

static void handshake_done(struct handshake_result *result)
{
	AUTO(handshake_result) r = result;
	struct handshake_wait *wait = r->context;
	struct conn *c = conn_find(wait->worker, wait->conn);
	free(wait);
	if (!c)
		return;
	if (r->outcome != HANDSHAKE_DONE) {
		c->worker->stats.handshakes_failed++;
		if (r->outcome != HANDSHAKE_STOPPED)
			tell_handshake(c, r);
		if (c->endpoint->config->client_ca[0])
			join_tell(c, buf_view(&r->unknown));
		conn_close(c, REASON_NORMAL_DISCONNECTION, handshake_outcome_name(r->outcome));
		return;
	}
	c->stream = TAKE(r->stream);
	certificate_of(c, r);
	if (!conn_use_stream(c, speak(c, c->stream))) {
		conn_close(c, REASON_NORMAL_DISCONNECTION, "out of memory");
		return;
	}
	conn_watch(c);
	conn_read(c);
}

static void start_handshake(struct conn *c, int fd)
{
	struct handshake_wait *wait = mem_new(struct handshake_wait);
	const uint64_t age = loop_now_ms(c->worker->loop) - c->accepted_ms;
	const uint64_t max = c->settings->config->broker.connect_timeout;
	*wait = (struct handshake_wait){c->worker, c->handle};
	const struct handshake_request request = {
		.fd = fd,
		.address = c->peer,
		.credentials = c->endpoint->credentials,
		.timeout_ms = (uint32_t)(age < max ? max - age : 1),
		.reply_to = c->worker->loop,
		.done = handshake_done,
		.context = wait,
	};
	handshake_submit(c->worker->broker->handshakes, &request);
}

static void begin(struct conn *c, int fd)
{
	const struct endpoint *e = c->endpoint;
	c->state = CONN_HANDSHAKE;
	if (e->config->tls && e->credentials) {
		start_handshake(c, fd);
	} else if (!e->config->tls && conn_use_stream(c, speak(c, stream_tcp_new(fd, &c->peer)))) {
		conn_watch(c);
	} else {
		if (!c->stream)
			close(fd);
		conn_close(c, REASON_NORMAL_DISCONNECTION, "the listener is not ready");
	}
}

static bool is_banned(struct conn *c)
{
	if (!bans_refuse(&c->peer))
		return false;
	c->worker->stats.refused++;
	conn_event(c, EVENT_LOGIN_REFUSED, "the address is banned", NULL);
	conn_close(c, REASON_NORMAL_DISCONNECTION, "the address is banned");
	return true;
}

void accept_socket(struct worker *w, const struct endpoint *e, int socket, const struct addr *peer)
{
	AUTO_FD fd = socket;
	const bool proxied = e->config->proxy_protocol != CONFIG_PROXY_OFF;
	struct conn *c = conn_new(w, peer);
	if (!c)
		return;
	c->endpoint = e;
	if (!proxied && is_banned(c))
		return;
	if (admit(c, proxied ? limit_accept_proxy : limit_accept) != LIMIT_OK)
		return;
	if (proxied)
		proxied_accept(c, TAKE_FD(fd));
	else
		begin(c, TAKE_FD(fd));
}

void accept_stated(struct conn *c, int socket)
{
	AUTO_FD fd = socket;
	/* One that speaks for itself, as a health check of the proxy does, is the proxy. */
	if (c->proxy && is_banned(c))
		return;
	if (admit(c, limit_stated) == LIMIT_OK)
		begin(c, TAKE_FD(fd));
}

struct conn *accept_moved(struct worker *w, struct stream *stream)
{
	struct conn *c = conn_new(w, stream_peer(stream));
	if (c && conn_use_stream(c, stream))
		return c;
	if (c) {
		c->stream = NULL;
		conn_vanish(c);
	}
	stream_free(stream);
	return NULL;
}
