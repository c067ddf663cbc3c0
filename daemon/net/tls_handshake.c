/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake pool: see tls_handshake.h. A handshake belongs to one thread of the pool from its
 * start note to its result; the socket, then the TLS stream, are its own until the result carries
 * the stream away. Failed streams are closed in order here, so that the peer reads the alert.
 */
#include "daemon/net/tls_handshake.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/thread.h"
#include "daemon/net/tls_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	THREADS_MAX = 64,
	VERIFIED_DEFAULT = 4096,
	FIRST_BYTE_TLS = 22,    /* handshake record, RFC 8446 section 5.1 */
	FIRST_BYTE_MQTT = 0x10, /* CONNECT */
};

struct worker {
	struct handshake_pool *pool;
	size_t index;
	struct loop *loop;
	struct stream_scratch *scratch;
	void *context;
	struct list running;
	struct loop_note stop;
	bool stopping;
	pthread_t thread;
};

struct handshake_pool {
	struct handshake_pool_settings set;
	struct tls_verified *verified;
	atomic_size_t next;
	atomic_uint_fast64_t running, full, resumed, hits, misses;
	atomic_uint_fast64_t outcome[HANDSHAKE_OUTCOMES];
	size_t started;
	struct worker worker[];
};

struct handshake {
	struct list node;
	struct loop_note start;
	struct loop_io io;
	struct loop_timer deadline;
	struct worker *worker;
	struct tls_credentials *credentials;
	struct loop *reply_to;
	uint64_t due_ms;
	int fd;          /* until there is a stream */
	struct tls *tls; /* NULL until the first bytes look like TLS */
	bool checked;
	struct handshake_result *result;
};

static const struct {
	const char *name;
	gnutls_alert_description_t alert; /* where GnuTLS does not choose it */
} outcomes[HANDSHAKE_OUTCOMES] = {
	[HANDSHAKE_DONE] = {"done", 0},
	[HANDSHAKE_NO_CERTIFICATE] = {"no-certificate", GNUTLS_A_CERTIFICATE_REQUIRED},
	[HANDSHAKE_UNKNOWN_CA] = {"unknown-ca", GNUTLS_A_UNKNOWN_CA},
	[HANDSHAKE_EXPIRED] = {"expired", GNUTLS_A_CERTIFICATE_EXPIRED},
	[HANDSHAKE_NOT_YET_VALID] = {"not-yet-valid", GNUTLS_A_BAD_CERTIFICATE},
	[HANDSHAKE_BAD_PURPOSE] = {"bad-purpose", GNUTLS_A_UNSUPPORTED_CERTIFICATE},
	[HANDSHAKE_BAD_CERTIFICATE] = {"bad-certificate", GNUTLS_A_BAD_CERTIFICATE},
	[HANDSHAKE_REVOKED] = {"revoked", GNUTLS_A_CERTIFICATE_REVOKED},
	[HANDSHAKE_DISABLED] = {"disabled", GNUTLS_A_ACCESS_DENIED},
	[HANDSHAKE_UNKNOWN_DEVICE] = {"unknown-device", GNUTLS_A_CERTIFICATE_UNKNOWN},
	[HANDSHAKE_NOT_TLS] = {"not-tls", 0},
	[HANDSHAKE_UNSUPPORTED_VERSION] = {"unsupported-version", 0},
	[HANDSHAKE_NO_COMMON_CIPHER] = {"no-common-cipher", 0},
	[HANDSHAKE_PROTOCOL_ERROR] = {"protocol-error", 0},
	[HANDSHAKE_ABORTED] = {"aborted", 0},
	[HANDSHAKE_TIMEOUT] = {"timeout", 0},
	[HANDSHAKE_SIGNATURE_FAILED] = {"signature-failed", 0},
	[HANDSHAKE_STOPPED] = {"stopped", 0},
};

const char *handshake_outcome_name(enum handshake_outcome o)
{
	return (unsigned)o < HANDSHAKE_OUTCOMES ? outcomes[o].name : "unknown";
}

static void count(atomic_uint_fast64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* The result. */

static void run_done(struct loop_note *note)
{
	struct handshake_result *r = container_of(note, struct handshake_result, note);
	r->done(r);
}

void handshake_result_free(struct handshake_result *r)
{
	if (r->stream)
		stream_abort(r->stream);
	buf_fini(&r->unknown);
	free(r);
}

/* Sends the result on its way and ends the handshake. */
static void deliver(struct handshake *h, enum handshake_outcome outcome)
{
	struct handshake_pool *p = h->worker->pool;
	struct loop *reply_to = h->reply_to;
	struct handshake_result *r = h->result;
	if (list_linked(&h->node))
		atomic_fetch_sub_explicit(&p->running, 1, memory_order_relaxed);
	list_remove(&h->node);
	loop_timer_stop(h->worker->loop, &h->deadline);
	count(&p->outcome[outcome]);
	r->outcome = outcome;
	tls_credentials_unref(h->credentials);
	free(h);
	loop_post(reply_to, &r->note, run_done);
}

static size_t peer_chain(const struct tls *t, struct str chain[TLS_CHAIN_MAX + 1])
{
	/* One more than allowed, so that a longer one is seen to be longer. */
	return stream_peer_chain(&t->base, chain, TLS_CHAIN_MAX + 1);
}

static void describe_peer(struct handshake *h, enum handshake_outcome outcome)
{
	struct str chain[TLS_CHAIN_MAX + 1];
	if (!h->tls || peer_chain(h->tls, chain) == 0)
		return;
	h->result->has_certificate = tls_describe(chain[0], &h->result->certificate) == 0;
	if (outcome == HANDSHAKE_UNKNOWN_DEVICE)
		buf_str(&h->result->unknown, chain[0]);
}

static void detail(struct handshake *h, const char *text)
{
	snprintf(h->result->detail, sizeof(h->result->detail), "%s", text);
}

/* Closes what there is (an alert may be queued) and tells the asker. */
static void fail(struct handshake *h, enum handshake_outcome outcome)
{
	struct worker *w = h->worker;
	describe_peer(h, outcome);
	loop_remove(w->loop, &h->io);
	if (h->tls) {
		h->result->bytes_in = h->tls->bytes_in;
		h->result->bytes_out = h->tls->bytes_out + h->tls->base.unsent.n;
		stream_close(&h->tls->base, w->loop, w->scratch, 0);
	} else {
		stream_free(stream_tcp_new(h->fd, &h->result->address));
	}
	deliver(h, outcome);
}

/* We say nothing until CONNECT has come, so the client's last flight would be acknowledged 40 ms
 * late, and Nagle's algorithm in the client keeps CONNECT back for as long. */
static void acknowledge_now(int fd)
{
	const int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static void succeed(struct handshake *h)
{
	struct handshake_pool *p = h->worker->pool;
	struct handshake_result *r = h->result;
	struct tls *t = h->tls;
	loop_remove(h->worker->loop, &h->io);
	tls_stream_established(t);
	acknowledge_now(t->base.fd);
	r->resumed = gnutls_session_is_resumed(t->session);
	r->has_certificate = t->has_certificate;
	r->bytes_in = t->bytes_in;
	r->bytes_out = t->bytes_out;
	r->stream = &t->base;
	count(r->resumed ? &p->resumed : &p->full);
	deliver(h, HANDSHAKE_DONE);
}

/* The peer's certificate. */

static enum handshake_outcome of_verdict(enum handshake_verdict v)
{
	switch (v) {
	case VERDICT_ALLOW:
		return HANDSHAKE_DONE;
	case VERDICT_REVOKED:
		return HANDSHAKE_REVOKED;
	case VERDICT_DISABLED:
		return HANDSHAKE_DISABLED;
	case VERDICT_EXPIRED:
		return HANDSHAKE_EXPIRED;
	case VERDICT_REFUSED:
		return HANDSHAKE_BAD_CERTIFICATE;
	default:
		return HANDSHAKE_UNKNOWN_DEVICE;
	}
}

static enum handshake_outcome verify(struct handshake *h, const struct str *chain, size_t n)
{
	struct handshake_pool *p = h->worker->pool;
	int64_t until = 0;
	if (tls_verified_has(p->verified, h->credentials, h->tls->fingerprint, tls_now())) {
		count(&p->hits);
		return HANDSHAKE_DONE;
	}
	count(&p->misses);
	const enum handshake_outcome o =
		tls_verify_chain(h->credentials, chain, n, &until, h->result->detail);
	if (o == HANDSHAKE_DONE)
		tls_verified_add(p->verified, h->credentials, h->tls->fingerprint, until);
	return o;
}

static enum handshake_outcome authorise(struct handshake *h, const struct str *chain, size_t n)
{
	const struct handshake_pool_settings *set = &h->worker->pool->set;
	const struct handshake_peer peer = {
		.credentials = h->credentials,
		.address = &h->result->address,
		.fingerprint = h->tls->fingerprint,
		.chain = chain,
		.chain_n = n,
		.resumed = gnutls_session_is_resumed(h->tls->session),
		.context = h->result->context,
		.detail = h->result->detail,
	};
	if (!set->authorise)
		return HANDSHAKE_DONE;
	return of_verdict(set->authorise(h->worker->context, &peer, &h->result->device));
}

/* Everything that decides about the peer's certificate, or about there being none. */
static enum handshake_outcome check_peer(struct handshake *h)
{
	struct str chain[TLS_CHAIN_MAX + 1];
	const size_t n = peer_chain(h->tls, chain);
	h->checked = true;
	if (h->credentials->client_certificate == TLS_CLIENT_NONE)
		return HANDSHAKE_DONE;
	if (n == 0)
		return h->credentials->client_certificate == TLS_CLIENT_REQUIRE
			       ? HANDSHAKE_NO_CERTIFICATE
			       : HANDSHAKE_DONE;
	tls_sha256(chain[0], h->tls->fingerprint);
	h->tls->has_certificate = true;
	const enum handshake_outcome o = verify(h, chain, n);
	return o == HANDSHAKE_DONE ? authorise(h, chain, n) : o;
}

/* Called by GnuTLS in a full handshake, before the peer's Finished is taken; not on resumption. */
static int verify_callback(gnutls_session_t session)
{
	struct tls *t = gnutls_session_get_ptr(session);
	struct handshake *h = t->owner;
	h->result->outcome = check_peer(h);
	return h->result->outcome == HANDSHAKE_DONE ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

/* The steps. */

static enum handshake_outcome classify(struct handshake *h, int e)
{
	switch (e) {
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return HANDSHAKE_NO_CERTIFICATE;
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
	case GNUTLS_E_INAPPROPRIATE_FALLBACK:
		return HANDSHAKE_UNSUPPORTED_VERSION;
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_NO_COMMON_KEY_SHARE:
	case GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM:
	case GNUTLS_E_INSUFFICIENT_SECURITY:
	case GNUTLS_E_ECC_UNSUPPORTED_CURVE:
		detail(h, "no TLS version, cipher suite, group or signature in common");
		return HANDSHAKE_NO_COMMON_CIPHER;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		snprintf(h->result->detail, sizeof(h->result->detail),
			 "the peer sent the alert: %s",
			 gnutls_alert_get_name(gnutls_alert_get(h->tls->session)));
		return HANDSHAKE_ABORTED;
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
		if (h->tls->bytes_in > HANDSHAKE_BYTES_MAX) {
			detail(h, "the handshake is longer than 64 KiB");
			return HANDSHAKE_PROTOCOL_ERROR;
		}
		detail(h, "the peer closed the connection");
		return HANDSHAKE_ABORTED;
	case GNUTLS_E_PUSH_ERROR:
		detail(h, "the peer closed the connection");
		return HANDSHAKE_ABORTED;
	case GNUTLS_E_DECRYPTION_FAILED:
		/* OpenSSL sends its alert about our certificate unencrypted in TLS 1.3. */
		detail(h, "an unreadable record: perhaps the client refused our certificate (its "
			  "root certificate, the name it connects to)");
		return HANDSHAKE_PROTOCOL_ERROR;
	default:
		detail(h, gnutls_strerror(e));
		return HANDSHAKE_PROTOCOL_ERROR;
	}
}

static void refuse(struct handshake *h, enum handshake_outcome o)
{
	gnutls_alert_description_t alert = outcomes[o].alert;
	/* RFC 5246 section 7.4.6: TLS 1.2 has no word of its own for it. */
	if (o == HANDSHAKE_NO_CERTIFICATE &&
	    gnutls_protocol_get_version(h->tls->session) != GNUTLS_TLS1_3)
		alert = GNUTLS_A_HANDSHAKE_FAILURE;
	tls_alert(h->tls, alert);
	fail(h, o);
}

/* gnutls_handshake failed for good. */
static void failed(struct handshake *h, int e)
{
	if (h->checked && h->result->outcome != HANDSHAKE_DONE) {
		refuse(h, h->result->outcome);
		return;
	}
	const bool ours = tls_key_failed();
	const enum handshake_outcome o = ours ? HANDSHAKE_SIGNATURE_FAILED : classify(h, e);
	if (o == HANDSHAKE_NO_CERTIFICATE) {
		refuse(h, o);
		return;
	}
	h->tls->broken = true;
	if (ours)
		detail(h, "the process that keeps the listener's key did not sign");
	if (o != HANDSHAKE_ABORTED)
		gnutls_alert_send_appropriate(h->tls->session, e);
	fail(h, o);
}

static void finished(struct handshake *h)
{
	const enum handshake_outcome o = h->checked ? HANDSHAKE_DONE : check_peer(h);
	if (o == HANDSHAKE_DONE)
		succeed(h);
	else
		refuse(h, o);
}

static void drive(struct handshake *h)
{
	struct tls *t = h->tls;
	int e;
	tls_key_failed();
	do
		e = gnutls_handshake(t->session);
	while (e == GNUTLS_E_INTERRUPTED || e == GNUTLS_E_WARNING_ALERT_RECEIVED);
	const size_t before = t->base.unsent.n;
	const int flushed = stream_flush_unsent(&t->base, h->worker->scratch);
	t->bytes_out += before - t->base.unsent.n;
	if (e == 0)
		finished(h);
	else if (e != GNUTLS_E_AGAIN)
		failed(h, e);
	else if (flushed == ERR_IO)
		failed(h, GNUTLS_E_PUSH_ERROR);
	else
		loop_set_events(h->worker->loop, &h->io, stream_events(&t->base));
}

/* What came instead of TLS, for whoever has to find the wrong port or the missing option. */
static void describe_first_byte(struct handshake *h, unsigned char first)
{
	if (first == FIRST_BYTE_MQTT)
		detail(h, "MQTT without TLS; this port speaks TLS only");
	else if (first >= 'A' && first <= 'Z')
		detail(h, "text, perhaps HTTP without TLS; this port speaks TLS only");
	else
		snprintf(h->result->detail, sizeof(h->result->detail),
			 "the first byte is 0x%02x; this port speaks TLS only", first);
}

/* Looks before GnuTLS spends 10 KiB on a session. */
static bool first_bytes(struct handshake *h)
{
	unsigned char first;
	const ssize_t n = recv(h->fd, &first, 1, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		detail(h, "the peer closed the connection before it sent anything");
		fail(h, HANDSHAKE_ABORTED);
		return false;
	}
	if (first != FIRST_BYTE_TLS) {
		describe_first_byte(h, first);
		fail(h, HANDSHAKE_NOT_TLS);
		return false;
	}
	h->tls = tls_stream_new(h->fd, &h->result->address, h->credentials);
	if (!h->tls) {
		detail(h, "no memory for a TLS session");
		fail(h, HANDSHAKE_STOPPED);
		return false;
	}
	h->tls->owner = h;
	gnutls_session_set_verify_function(h->tls->session, verify_callback);
	return true;
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct handshake *h = container_of(io, struct handshake, io);
	(void)events;
	if (h->tls || first_bytes(h))
		drive(h);
}

static void expired(struct loop_timer *t)
{
	struct handshake *h = container_of(t, struct handshake, deadline);
	detail(h,
	       h->tls ? "the peer did not finish the handshake in time" : "the peer sent nothing");
	if (h->tls)
		h->tls->broken = true;
	fail(h, HANDSHAKE_TIMEOUT);
}

static void start(struct loop_note *note)
{
	struct handshake *h = container_of(note, struct handshake, start);
	struct worker *w = h->worker;
	const uint64_t now = clock_mono_ms();
	if (w->stopping || loop_add(w->loop, &h->io, "handshake", h->fd, EPOLLIN, ready) < 0) {
		fail(h, HANDSHAKE_STOPPED);
		return;
	}
	list_append(&w->running, &h->node);
	atomic_fetch_add_explicit(&w->pool->running, 1, memory_order_relaxed);
	loop_timer_start(w->loop, &h->deadline, "handshake", h->due_ms > now ? h->due_ms - now : 0,
			 expired);
}

void handshake_submit(struct handshake_pool *p, const struct handshake_request *q)
{
	struct handshake *h = mem_new(struct handshake);
	struct handshake_result *r = mem_new(struct handshake_result);
	const size_t turn = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
	*h = (struct handshake){
		.worker = &p->worker[turn % p->started],
		.credentials = tls_credentials_ref(q->credentials),
		.reply_to = q->reply_to,
		.due_ms = clock_mono_ms() + q->timeout_ms,
		.fd = q->fd,
		.io = {.fd = -1},
		.result = r,
	};
	r->address = q->address;
	r->context = q->context;
	r->done = q->done;
	loop_post(h->worker->loop, &h->start, start);
}

/* The pool. */

static void stop(struct loop_note *note)
{
	struct worker *w = container_of(note, struct worker, stop);
	w->stopping = true;
	list_each_safe (it, &w->running)
		fail(list_entry(it, struct handshake, node), HANDSHAKE_STOPPED);
	loop_stop(w->loop);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	const struct handshake_pool_settings *set = &w->pool->set;
	pthread_setname_np(pthread_self(), "handshake");
	w->context = set->thread_start ? set->thread_start(set->arg, w->index, w->loop) : set->arg;
	tls_key_thread_context(w->context);
	loop_run(w->loop);
	if (set->thread_stop)
		set->thread_stop(w->context);
	return NULL;
}

static int worker_start(struct handshake_pool *p, size_t index)
{
	struct worker *w = &p->worker[index];
	*w = (struct worker){.pool = p, .index = index};
	list_init(&w->running);
	w->loop = loop_new();
	w->scratch = stream_scratch_new();
	if (thread_start(&w->thread, worker_main, w)) {
		stream_scratch_free(w->scratch);
		loop_free(w->loop);
		return ERR_IO;
	}
	return 0;
}

int handshake_pool_new(const struct handshake_pool_settings *set, struct handshake_pool **out)
{
	CHECK(set->threads >= 1 && set->threads <= THREADS_MAX);
	AUTO(handshake_pool)
	p = mem_alloc(sizeof(*p) + set->threads * sizeof(struct worker));
	p->set = *set;
	p->verified = tls_verified_new(set->verified_max ? set->verified_max : VERIFIED_DEFAULT);
	for (; p->started < set->threads; p->started++) {
		const int e = worker_start(p, p->started);
		if (e < 0)
			return e;
	}
	*out = TAKE(p);
	return 0;
}

void handshake_pool_free(struct handshake_pool *p)
{
	for (size_t i = 0; i < p->started; i++)
		loop_post(p->worker[i].loop, &p->worker[i].stop, stop);
	for (size_t i = 0; i < p->started; i++) {
		struct worker *w = &p->worker[i];
		pthread_join(w->thread, NULL);
		/* Start notes that came after the stop are answered while the loop is freed. */
		stream_scratch_free(w->scratch);
		w->scratch = NULL;
		loop_free(w->loop);
	}
	tls_verified_free(p->verified);
	free(p);
}

void handshake_pool_stats(struct handshake_pool *p, struct handshake_stats *out)
{
	*out = (struct handshake_stats){
		.running = atomic_load(&p->running),
		.full = atomic_load(&p->full),
		.resumed = atomic_load(&p->resumed),
		.cache_hits = atomic_load(&p->hits),
		.cache_misses = atomic_load(&p->misses),
	};
	for (size_t i = 0; i < HANDSHAKE_OUTCOMES; i++)
		out->outcome[i] = atomic_load(&p->outcome[i]);
}
