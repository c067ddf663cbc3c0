/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients of the load generator: see load_client.h. Buffers for what is read and what is queued are
 * shared by all clients: each uses them up before the next one has its turn.
 */
#include "tests/bench/load_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	WIRE = 64 * 1024,
	RECORD = 16 * 1024,
	KEEP_ALIVE_S = 3600,
	CONNECT = 0x10,
	CONNACK = 0x20,
	PUBLISH = 0x30,
	PUBACK = 0x40,
	PUBREC = 0x50,
	PUBREL = 0x62,
	PUBCOMP = 0x70,
	SUBSCRIBE = 0x82,
	SUBACK = 0x90,
	DISCONNECT = 0xe0,
};

/* Only what every broker under test has: the work is then the same for all. */
static const char priority[] =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519";

static unsigned char wire[WIRE]; /* of the client whose turn it is: one recv */
static size_t wire_at, wire_n;
static unsigned char plain[2 * WIRE]; /* decrypted, behind what was kept */
static unsigned char queue[CLIENT_OUT];
static size_t queue_n;

_Noreturn void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "load: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

gnutls_certificate_credentials_t client_credentials(const char *certificate, const char *key)
{
	gnutls_certificate_credentials_t c;
	gnutls_certificate_allocate_credentials(&c);
	const int e =
		gnutls_certificate_set_x509_key_file(c, certificate, key, GNUTLS_X509_FMT_PEM);
	if (e < 0)
		fail("%s, %s: %s", certificate, key, gnutls_strerror(e));
	return c;
}

/* ---- transport --------------------------------------------------------------------------------
 */

static void watch(struct client *c)
{
	const bool wants_write = c->out_n > 0;
	if (wants_write == c->wants_write)
		return;
	struct epoll_event e = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
	if (epoll_ctl(c->target->epoll, EPOLL_CTL_MOD, c->fd, &e) < 0)
		fail("epoll: %s", strerror(errno));
	c->wants_write = wants_write;
}

static void send_out(struct client *c)
{
	if (c->out_n == 0)
		return;
	ssize_t n = send(c->fd, c->out, c->out_n, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		fail("%s: send: %s", c->name, strerror(errno));
	n = n < 0 ? 0 : n;
	memmove(c->out, c->out + n, c->out_n - (size_t)n);
	c->out_n -= (size_t)n;
	if (c->out_n == 0) {
		free(c->out);
		c->out = NULL;
	}
	watch(c);
}

static void put_out(struct client *c, const void *p, size_t n)
{
	c->out = realloc(c->out, c->out_n + n);
	if (!c->out)
		fail("out of memory");
	memcpy(c->out + c->out_n, p, n);
	c->out_n += n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
	put_out(ptr, p, n);
	return (ssize_t)n;
}

static void receive(struct client *c)
{
	if (!c->readable)
		return;
	c->readable = false;
	const ssize_t n = recv(c->fd, wire, sizeof(wire), 0);
	if (n == 0)
		fail("%s: the broker closed the connection", c->name);
	if (n < 0 && errno != EAGAIN)
		fail("%s: recv: %s", c->name, strerror(errno));
	wire_at = 0;
	wire_n = n < 0 ? 0 : (size_t)n;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t size)
{
	struct client *c = ptr;
	if (wire_at == wire_n)
		receive(c);
	const size_t left = wire_n - wire_at;
	if (left == 0) {
		gnutls_transport_set_errno(c->tls, EAGAIN);
		return -1;
	}
	const size_t n = size < left ? size : left;
	memcpy(p, wire + wire_at, n);
	wire_at += n;
	return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	(void)ptr;
	(void)ms;
	return 1;
}

static void tls_begin(struct client *c)
{
	static gnutls_priority_t parsed;
	if (!parsed && gnutls_priority_init(&parsed, priority, NULL) < 0)
		fail("GnuTLS does not know the priority %s", priority);
	if (gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		fail("out of memory");
	gnutls_priority_set(c->tls, parsed);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->credentials);
	gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, "localhost", strlen("localhost"));
	gnutls_transport_set_ptr(c->tls, c);
	gnutls_transport_set_push_function(c->tls, push);
	gnutls_transport_set_pull_function(c->tls, pull);
	gnutls_transport_set_pull_timeout_function(c->tls, pull_timeout);
	if (c->resumption.size)
		gnutls_session_set_data(c->tls, c->resumption.data, c->resumption.size);
	c->handshaking = true;
}

bool client_resumed(const struct client *c)
{
	return c->tls && gnutls_session_is_resumed(c->tls);
}

bool client_can_resume(const struct client *c)
{
	return c->tls && gnutls_session_get_flags(c->tls) & GNUTLS_SFLAGS_SESSION_TICKET;
}

static void keep_resumption(struct client *c)
{
	gnutls_free(c->resumption.data);
	c->resumption = (gnutls_datum_t){NULL, 0};
	gnutls_session_get_data2(c->tls, &c->resumption);
}

/* ---- packets to the broker --------------------------------------------------------------------
 */

static void put(const void *p, size_t n)
{
	if (n > sizeof(queue) - queue_n)
		fail("more is sent in one turn than the generator can hold: use a smaller window");
	memcpy(queue + queue_n, p, n);
	queue_n += n;
}

static void put_u8(unsigned v)
{
	put(&(unsigned char){(unsigned char)v}, 1);
}

static void put_u16(unsigned v)
{
	put_u8(v >> 8);
	put_u8(v & 0xff);
}

static void put_str(const char *s)
{
	put_u16((unsigned)strlen(s));
	put(s, strlen(s));
}

static void put_header(unsigned first, size_t remaining)
{
	put_u8(first);
	do {
		put_u8((unsigned)(remaining & 0x7f) | (remaining > 0x7f ? 0x80 : 0));
		remaining >>= 7;
	} while (remaining);
}

static void queue_connect(const struct client *c)
{
	const struct target *t = c->target;
	const size_t login = t->user ? 4 + strlen(t->user) + strlen(t->password) : 0;
	put_header(CONNECT, 10 + 2 + strlen(c->name) + login);
	put_str("MQTT");
	put_u8(4);
	put_u8((c->persistent ? 0 : 0x02) | (t->user ? 0xc0 : 0)); /* clean session */
	put_u16(KEEP_ALIVE_S);
	put_str(c->name);
	if (t->user) {
		put_str(t->user);
		put_str(t->password);
	}
}

void client_subscribe(struct client *c, const char *filter, unsigned qos)
{
	(void)c;
	put_header(SUBSCRIBE, 2 + 2 + strlen(filter) + 1);
	put_u16(1);
	put_str(filter);
	put_u8(qos);
}

void client_publish(struct client *c, const char *topic, unsigned qos, uint16_t packet_id,
		    const unsigned char *payload, size_t n)
{
	(void)c;
	put_header(PUBLISH | qos << 1, 2 + strlen(topic) + (qos ? 2 : 0) + n);
	put_str(topic);
	if (qos)
		put_u16(packet_id);
	put(payload, n);
}

static void answer(unsigned type, unsigned packet_id)
{
	put_header(type, 2);
	put_u16(packet_id);
}

void client_acknowledge(struct client *c, unsigned qos, uint16_t packet_id)
{
	(void)c;
	if (qos)
		answer(qos == 1 ? PUBACK : PUBREC, packet_id);
}

void client_flush(struct client *c)
{
	if (queue_n == 0)
		return;
	if (!c->tls)
		put_out(c, queue, queue_n);
	for (size_t at = 0; c->tls && at < queue_n;) {
		const size_t left = queue_n - at;
		const ssize_t n =
			gnutls_record_send(c->tls, queue + at, left < RECORD ? left : RECORD);
		if (n < 0)
			fail("%s: %s", c->name, gnutls_strerror((int)n));
		at += (size_t)n;
	}
	queue_n = 0;
	send_out(c);
}

/* ---- packets from the broker ------------------------------------------------------------------
 */

static unsigned u16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void publish_received(struct client *c, unsigned first, const unsigned char *p, size_t n,
			     const struct client_events *tell)
{
	struct publish m = {.dup = first & 8, .qos = first >> 1 & 3};
	size_t at = n < 2 ? n : 2 + u16(p);
	if (at + (m.qos ? 2 : 0) > n)
		fail("%s: malformed PUBLISH", c->name);
	if (m.qos) {
		m.packet_id = (uint16_t)u16(p + at);
		at += 2;
	}
	m.payload = p + at;
	m.payload_n = n - at;
	tell->published(c, &m);
}

static void acknowledgement_received(struct client *c, unsigned type, const unsigned char *p,
				     size_t n, const struct client_events *tell)
{
	if (n != 2)
		fail("%s: malformed acknowledgement", c->name);
	if (type == PUBREC)
		answer(PUBREL, u16(p));
	else if (type == (PUBREL & 0xf0))
		answer(PUBCOMP, u16(p));
	else
		tell->acknowledged(c, (uint16_t)u16(p));
}

static void packet_received(struct client *c, unsigned first, const unsigned char *p, size_t n,
			    const struct client_events *tell)
{
	switch (first & 0xf0) {
	case CONNACK:
		if (n != 2 || p[1] != 0)
			fail("%s: CONNECT was refused with code %u", c->name, n == 2 ? p[1] : 0);
		c->state = CLIENT_CONNECTED;
		tell->connected(c);
		break;
	case SUBACK:
		if (n != 3 || p[2] > 2)
			fail("%s: SUBSCRIBE was refused", c->name);
		c->state = CLIENT_SUBSCRIBED;
		tell->subscribed(c);
		break;
	case PUBACK:
	case PUBREC:
	case PUBREL & 0xf0:
	case PUBCOMP:
		acknowledgement_received(c, first & 0xf0, p, n, tell);
		break;
	case PUBLISH:
		publish_received(c, first, p, n, tell);
		break;
	default:
		fail("%s: unexpected packet %02x", c->name, first);
	}
}

/* Bytes of the packet at p, with its header in *header; 0: not all of it is there. */
static size_t frame(const unsigned char *p, size_t n, size_t *header)
{
	size_t length = 0;
	for (size_t i = 1; i < n && i < 5; i++) {
		length |= (size_t)(p[i] & 0x7f) << 7 * (i - 1);
		if (p[i] & 0x80)
			continue;
		*header = i + 1;
		return n < *header + length ? 0 : *header + length;
	}
	return 0;
}

static size_t parse(struct client *c, const unsigned char *p, size_t n,
		    const struct client_events *tell)
{
	size_t at = 0, header, size;
	while (c->state != CLIENT_CLOSED && (size = frame(p + at, n - at, &header))) {
		packet_received(c, p[at], p + at + header, size - header, tell);
		at += size;
	}
	return at;
}

static void keep(struct client *c, const unsigned char *p, size_t n)
{
	unsigned char *kept = n ? malloc(n) : NULL;
	if (n && !kept)
		fail("out of memory");
	if (n)
		memcpy(kept, p, n);
	free(c->kept);
	c->kept = kept;
	c->kept_n = n;
}

static size_t decrypt(struct client *c, unsigned char *p, size_t size)
{
	size_t n = 0;
	for (;;) {
		const ssize_t r = gnutls_record_recv(c->tls, p + n, size - n);
		/* GnuTLS says so after a session ticket, too. */
		if (r == GNUTLS_E_AGAIN && wire_at == wire_n)
			return n;
		if (r > 0)
			n += (size_t)r;
		else if (r == 0)
			fail("%s: the broker closed the connection", c->name);
		else if (gnutls_error_is_fatal((int)r))
			fail("%s: %s", c->name, gnutls_strerror((int)r));
	}
}

static void read_packets(struct client *c, const struct client_events *tell)
{
	size_t n = c->kept_n;
	if (n)
		memcpy(plain, c->kept, n);
	if (c->tls) {
		n += decrypt(c, plain + n, sizeof(plain) - n);
	} else {
		receive(c);
		memcpy(plain + n, wire, wire_n);
		n += wire_n;
		wire_at = wire_n = 0;
	}
	const size_t used = parse(c, plain, n, tell);
	if (c->state == CLIENT_CLOSED)
		return;
	keep(c, plain + used, n - used);
	tell->turn_over(c);
	client_flush(c);
}

/* ---- life -------------------------------------------------------------------------------------
 */

void client_connect(struct client *c)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(c->target->port),
				       .sin_addr = {htonl(INADDR_LOOPBACK)}};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket: %s", strerror(errno));
	/* On loopback connect is done at once, or waits for a place in the broker's backlog. */
	if (connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect: %s", strerror(errno));
	const int on = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	if (epoll_ctl(c->target->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		fail("epoll: %s", strerror(errno));
	c->state = CLIENT_CONNECTING;
	if (c->target->tls) {
		tls_begin(c);
		client_ready(c, 0, NULL);
	} else {
		queue_connect(c);
		client_flush(c);
	}
}

static void handshake(struct client *c)
{
	const int e = gnutls_handshake(c->tls);
	if (e < 0 && gnutls_error_is_fatal(e))
		fail("%s: TLS handshake: %s", c->name, gnutls_strerror(e));
	if (e == 0) {
		c->handshaking = false;
		queue_connect(c);
		client_flush(c);
	} else {
		send_out(c);
	}
}

void client_ready(struct client *c, uint32_t events, const struct client_events *tell)
{
	if (events & EPOLLOUT)
		send_out(c);
	c->readable = events & (EPOLLIN | EPOLLHUP | EPOLLERR);
	wire_at = wire_n = 0;
	if (c->handshaking)
		handshake(c);
	/* The last flight may have brought more with it. */
	if (!c->handshaking && tell && (c->readable || wire_at < wire_n))
		read_packets(c, tell);
}

void client_close(struct client *c)
{
	put_header(DISCONNECT, 0);
	client_flush(c);
	if (c->resumes && client_can_resume(c))
		keep_resumption(c);
	if (c->tls) {
		gnutls_bye(c->tls, GNUTLS_SHUT_WR);
		send_out(c);
		gnutls_deinit(c->tls);
		c->tls = NULL;
	}
	close(c->fd);
	free(c->out);
	free(c->kept);
	c->out = c->kept = NULL;
	c->out_n = c->kept_n = 0;
	c->wants_write = false;
	c->state = CLIENT_CLOSED;
}
