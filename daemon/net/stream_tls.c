/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams over TLS: see stream.h. GnuTLS keeps the record layer; the bytes come from one recv into
 * the thread's buffer and leave, all records of one call together, with one send. GnuTLS itself
 * keeps a half received record. The stream owns the session and a reference to the credentials.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/tls_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct tls *tls_of(struct stream *s)
{
	return container_of(s, struct tls, base);
}

/* GnuTLS's transport. */

static ssize_t pull_socket(struct tls *t, void *p, size_t size)
{
	if (t->bytes_in > HANDSHAKE_BYTES_MAX) {
		gnutls_transport_set_errno(t->session, EMSGSIZE);
		return -1;
	}
	const ssize_t n = recv(t->base.fd, p, size, 0);
	if (n > 0)
		t->bytes_in += (uint64_t)n;
	else if (n < 0)
		gnutls_transport_set_errno(t->session, errno);
	return n;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t size)
{
	struct tls *t = ptr;
	if (t->handshaking)
		return pull_socket(t, p, size);
	if (t->in_n == 0) {
		gnutls_transport_set_errno(t->session, EAGAIN);
		return -1;
	}
	const size_t n = MIN(size, t->in_n);
	memcpy(p, t->in, n);
	t->in += n;
	t->in_n -= n;
	return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	(void)ptr;
	(void)ms;
	return 1; /* pull says EAGAIN by itself; deadlines are the caller's */
}

enum { RECORD_CHANGE_CIPHER_SPEC = 20, RECORD_HANDSHAKE = 22, RECORD_HEADER = 5 };

static size_t record_limit(const struct tls *t)
{
	const size_t negotiated = gnutls_record_get_max_size(t->session);
	return MIN(MIN(negotiated, (size_t)t->credentials->record_max), (size_t)SCRATCH_RECORD);
}

/* Puts a plain handshake record out in several of at most limit bytes. */
static void put_fragments(struct buf *out, const unsigned char *record, size_t n, size_t limit)
{
	for (size_t at = RECORD_HEADER; at < n;) {
		const size_t part = MIN(n - at, limit);
		const unsigned char length[2] = {(unsigned char)(part >> 8), (unsigned char)part};
		buf_put(out, record, RECORD_HEADER - sizeof(length));
		buf_put(out, length, sizeof(length));
		buf_put(out, record + at, part);
		at += part;
	}
}

/* One record of the handshake. On TLS 1.2 GnuTLS forgets a negotiated max_fragment_length before it
 * sends the session ticket, which is not encrypted yet and so can still be cut. */
static void push_handshake(struct tls *t, const unsigned char *p, size_t n)
{
	const size_t limit = record_limit(t);
	t->ciphers_changed |= n && p[0] == RECORD_CHANGE_CIPHER_SPEC;
	if (!t->ciphers_changed && n > RECORD_HEADER + limit && p[0] == RECORD_HANDSHAKE)
		put_fragments(&t->base.unsent, p, n, limit);
	else
		buf_put(&t->base.unsent, p, n);
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
	struct tls *t = ptr;
	if (t->handshaking) {
		push_handshake(t, p, n);
	} else if (!t->sink) {
		buf_put(&t->base.unsent, p, n);
	} else {
		CHECK(n <= SCRATCH_BATCH - t->sink->batch_n);
		memcpy(t->sink->batch + t->sink->batch_n, p, n);
		t->sink->batch_n += n;
	}
	return (ssize_t)n;
}

/* Reading. */

static const char *end_phrase(int e)
{
	switch (e) {
	case GNUTLS_E_REHANDSHAKE:
		return "the peer asked for a TLS renegotiation";
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return "the peer sent a fatal TLS alert";
	case GNUTLS_E_DECRYPTION_FAILED:
		return "a TLS record could not be decrypted";
	default:
		return "a TLS record is malformed";
	}
}

/* What a failed gnutls_record_recv means for the stream; an alert may be queued. */
static void take_end(struct tls *t, int e)
{
	if (e == 0) {
		t->end = ERR_EOF;
		t->end_text = "";
		return;
	}
	t->end = ERR_MALFORMED;
	t->end_text = end_phrase(e);
	t->broken = true;
	if (e == GNUTLS_E_REHANDSHAKE)
		gnutls_alert_send(t->session, GNUTLS_AL_FATAL, GNUTLS_A_NO_RENEGOTIATION);
	else if (e != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(t->session, e);
}

static bool is_transient(int e)
{
	/* After a key update GnuTLS says "again" although records follow. */
	return e == GNUTLS_E_INTERRUPTED || e == GNUTLS_E_WARNING_ALERT_RECEIVED ||
	       e == GNUTLS_E_AGAIN;
}

/* All records that are there; sets t->end at an end. */
static size_t decrypt(struct tls *t, unsigned char *out, size_t size)
{
	size_t n = 0;
	while (n < size) {
		const ssize_t r = gnutls_record_recv(t->session, out + n, size - n);
		if (r > 0) {
			n += (size_t)r;
		} else if (r == GNUTLS_E_AGAIN && t->in_n == 0) {
			break;
		} else if (!is_transient((int)r)) {
			take_end(t, (int)r);
			break;
		}
	}
	return n;
}

static int tls_end(struct stream *s)
{
	const struct tls *t = tls_of(s);
	s->error = t->end_text;
	return t->end;
}

static int tls_read(struct stream *s, struct stream_scratch *scratch, struct str *out)
{
	struct tls *t = tls_of(s);
	size_t n;
	if (t->end)
		return tls_end(s);
	const int e = stream_recv(s, scratch->wire, SCRATCH_WIRE, &n);
	if (e < 0)
		return e;
	t->in = scratch->wire;
	t->in_n = n;
	/* Plain text is never longer than its records, so all of it fits. */
	n = decrypt(t, scratch->plain, STREAM_READ_MAX);
	t->in_n = 0;
	if (s->unsent.n && stream_flush_unsent(s, scratch) == ERR_IO)
		return ERR_IO;
	if (n == 0)
		return t->end ? tls_end(s) : ERR_AGAIN;
	if (t->end)
		stream_wake_reader(s);
	*out = str_make(scratch->plain, n);
	return 0;
}

/* Writing. */

struct gather {
	const struct iovec *iov;
	size_t n;
	size_t at;   /* slice */
	size_t skip; /* bytes of it */
	size_t left; /* that this call may still take */
};

/* The next at most max bytes in one piece: where they are, or copied together into room. */
static struct str gather_next(struct gather *g, unsigned char *room, size_t max)
{
	size_t n = 0;
	max = MIN(max, g->left);
	while (g->at < g->n && g->iov[g->at].iov_len == g->skip) {
		g->at++;
		g->skip = 0;
	}
	if (max && g->at < g->n && g->iov[g->at].iov_len - g->skip >= max) {
		const struct str whole =
			str_make((const char *)g->iov[g->at].iov_base + g->skip, max);
		g->skip += max;
		g->left -= max;
		return whole;
	}
	while (n < max && g->at < g->n) {
		const size_t part = MIN(g->iov[g->at].iov_len - g->skip, max - n);
		if (part)
			memcpy(room + n, (const char *)g->iov[g->at].iov_base + g->skip, part);
		n += part;
		g->skip += part;
		if (g->skip == g->iov[g->at].iov_len) {
			g->at++;
			g->skip = 0;
		}
	}
	g->left -= n;
	return str_make(room, n);
}

/* Encrypts into the sink; GnuTLS may make several records of it. */
static int encrypt(struct tls *t, struct str data)
{
	while (data.n) {
		const ssize_t r = gnutls_record_send(t->session, data.p, data.n);
		if (r < 0 && r != GNUTLS_E_AGAIN && r != GNUTLS_E_INTERRUPTED) {
			t->broken = true;
			t->base.error = "TLS encryption failed";
			return ERR_IO;
		}
		if (r > 0) {
			data.p += r;
			data.n -= (size_t)r;
		}
	}
	return 0;
}

static int tls_write(struct stream *s, struct stream_scratch *scratch, const struct iovec *iov,
		     size_t n, size_t *taken)
{
	struct tls *t = tls_of(s);
	struct gather g = {.iov = iov, .n = n, .left = STREAM_WRITE_MAX};
	/* A ticket or an answer to a key update may wait here without having been refused. */
	int e = stream_flush_unsent(s, scratch);
	if (e < 0)
		return e;
	if (t->broken) {
		s->error = t->end_text;
		return ERR_IO;
	}
	t->sink = scratch;
	scratch->batch_n = 0;
	while (e == 0) {
		const struct str part = gather_next(&g, scratch->record, t->record_max);
		if (part.n == 0)
			break;
		e = encrypt(t, part);
	}
	t->sink = NULL;
	if (e == 0)
		e = stream_send_or_keep(s, scratch->batch, scratch->batch_n);
	if (e < 0)
		return e;
	*taken = STREAM_WRITE_MAX - g.left;
	return 0;
}

static void tls_finish(struct stream *s, struct stream_scratch *scratch, unsigned code)
{
	struct tls *t = tls_of(s);
	(void)scratch;
	(void)code;
	if (!t->handshaking && !t->broken)
		gnutls_bye(t->session, GNUTLS_SHUT_WR);
}

static void tls_info(const struct stream *s, struct stream_info *out)
{
	const struct tls *t = container_of(s, const struct tls, base);
	gnutls_datum_t alpn = {NULL, 0};
	out->transport = "tls";
	out->version = gnutls_protocol_get_name(gnutls_protocol_get_version(t->session));
	out->cipher = gnutls_cipher_get_name(gnutls_cipher_get(t->session));
	out->group = gnutls_group_get_name(gnutls_group_get(t->session));
	if (gnutls_alpn_get_selected_protocol(t->session, &alpn) == 0)
		out->alpn = str_make(alpn.data, alpn.size);
	out->resumed = gnutls_session_is_resumed(t->session);
	out->has_certificate = t->has_certificate;
	memcpy(out->fingerprint, t->fingerprint, sizeof(out->fingerprint));
}

static size_t tls_chain(const struct stream *s, struct str *chain, size_t max)
{
	const struct tls *t = container_of(s, const struct tls, base);
	unsigned n = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(t->session, &n);
	const size_t take = list ? MIN((size_t)n, max) : 0;
	for (size_t i = 0; i < take; i++)
		chain[i] = str_make(list[i].data, list[i].size);
	return take;
}

static void tls_ticket(struct stream *s, int64_t valid_s)
{
	struct tls *t = tls_of(s);
	if (valid_s < TICKET_MIN_S || t->credentials->ticket_life == 0 || t->broken)
		return;
	/* On failure the peer just gets none. The life of a ticket cannot differ from the
	 * listener's: GnuTLS derives the ticket key of the hour from it. */
	if (gnutls_protocol_get_version(t->session) == GNUTLS_TLS1_3)
		gnutls_session_ticket_send(t->session, 1, 0);
}

static void tls_free(struct stream *s)
{
	struct tls *t = tls_of(s);
	gnutls_deinit(t->session);
	tls_credentials_unref(t->credentials);
	free(t);
}

static const struct stream_ops tls_ops = {
	.read = tls_read,
	.write = tls_write,
	.flush = stream_flush_unsent,
	.pending = stream_unsent,
	.finish = tls_finish,
	.info = tls_info,
	.chain = tls_chain,
	.ticket = tls_ticket,
	.free = tls_free,
};

/* Setting up. */

static void set_tickets(gnutls_session_t session, const struct tls_credentials *c)
{
	if (c->ticket_life == 0)
		return;
	const gnutls_datum_t key = {(unsigned char *)c->ticket_key, sizeof(c->ticket_key)};
	/* The life first: the rotation of the key is computed from it. */
	gnutls_db_set_cache_expiration(session, (int)c->ticket_life);
	gnutls_session_ticket_enable_server(session, &key);
}

static void set_alpn(gnutls_session_t session, const struct tls_credentials *c)
{
	const gnutls_datum_t names[] = {{(unsigned char *)"mqtt", 4},
					{(unsigned char *)"http/1.1", 8}};
	gnutls_alpn_set_protocols(session, names, c->alpn_http ? 2 : 1,
				  GNUTLS_ALPN_SERVER_PRECEDENCE);
}

static gnutls_certificate_request_t request_of(enum tls_client_certificate c)
{
	return c == TLS_CLIENT_REQUIRE   ? GNUTLS_CERT_REQUIRE
	       : c == TLS_CLIENT_REQUEST ? GNUTLS_CERT_REQUEST
					 : GNUTLS_CERT_IGNORE;
}

static gnutls_session_t session_new(struct tls *t, const struct tls_credentials *c)
{
	gnutls_session_t session;
	unsigned flags =
		GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_AUTO_SEND_TICKET;
	if (c->ticket_life == 0)
		flags |= GNUTLS_NO_TICKETS;
	if (gnutls_init(&session, flags) < 0)
		return NULL;
	gnutls_priority_set(session, c->priority);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, c->own);
	gnutls_certificate_server_set_request(session, request_of(c->client_certificate));
	/* The list of our CAs is not sent: it costs bytes on every handshake, and a device that
	 * would choose by it could not be told, nor recorded, why its certificate is refused. */
	gnutls_certificate_send_x509_rdn_sequence(session, 1);
	gnutls_handshake_set_max_packet_length(session, HANDSHAKE_MESSAGE_MAX);
	gnutls_handshake_set_timeout(session, GNUTLS_INDEFINITE_TIMEOUT);
	if (c->record_max < TLS_RECORD_MAX)
		gnutls_record_set_max_size(session, c->record_max);
	set_alpn(session, c);
	set_tickets(session, c);
	gnutls_session_set_ptr(session, t);
	gnutls_transport_set_ptr(session, t);
	gnutls_transport_set_push_function(session, push);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_pull_timeout_function(session, pull_timeout);
	return session;
}

struct tls *tls_stream_new(int fd, const struct addr *peer, struct tls_credentials *credentials)
{
	struct tls *t = mem_new(struct tls);
	t->session = session_new(t, credentials);
	if (!t->session) {
		free(t);
		return NULL;
	}
	t->base.ops = &tls_ops;
	t->base.error = t->end_text = "";
	t->base.fd = fd;
	t->base.peer = *peer;
	t->credentials = tls_credentials_ref(credentials);
	t->handshaking = true;
	return t;
}

void tls_stream_established(struct tls *t)
{
	/* GnuTLS does not keep to a negotiated max_fragment_length on TLS 1.2 when it sends. */
	t->record_max = record_limit(t);
	t->handshaking = false;
	t->owner = NULL;
}

void tls_alert(struct tls *t, gnutls_alert_description_t alert)
{
	t->broken = true;
	gnutls_alert_send(t->session, GNUTLS_AL_FATAL, alert);
}
