/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP server on libmicrohttpd: see http.h; http_stream.c has the answers without an end,
 * http_notes.c what the main loop is told beside requests. The library's thread owns a request
 * until it is suspended and again from http_reply on; in between it belongs to the main loop.
 */
#include "daemon/web/http.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/net/ban.h"
#include "daemon/web/forwarded.h"
#include "daemon/web/http_access.h"
#include "daemon/web/http_head.h"
#include "daemon/web/http_notes.h"
#include "daemon/web/http_own.h"
#include "daemon/web/http_peers.h"
#include "daemon/web/http_tls.h"

#include <malloc.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEAD_MAX = 32 * KiB,
	FILE_BYTES_PER_MS = 32,
	LARGE_ANSWER = 1 * MiB /* from here on its memory is given back to the system */
};

static atomic_bool strict;

struct http_server {
	struct http_config config;
	struct MHD_Daemon *daemon;
	bool local;
	struct loop_timer sweep;
	struct http_peers peers;
	int retired_fd; /* the socket of one that is retired, which the library has left; -1 */
	void (*ended)(void *owner, struct http_server *s);
	struct loop_note note;
	pthread_mutex_t lock; /* of what is below */
	struct http_access access;
	bool refuses;
};

/* One that the library has accepted. */
struct http_connection {
	struct http_peer peer;
	struct http_tls_progress tls;
	bool refused;
};

struct http_request {
	struct loop_note note;
	struct http_server *server;
	struct MHD_Connection *connection;
	struct http_peer *peer;
	char *method;
	char *path;
	struct buf body;
	uint64_t body_n; /* bytes that came */
	bool asking;     /* whether its body may come */
	bool too_large;
	bool handed_over;
	struct MHD_Response *response; /* set by the main loop while the connection is suspended */
	unsigned status;
	struct http_tls_peer peer_tls; /* where the server asks for certificates */
	struct {
		const char *name;
		char *value;
	} add[HTTP_HEADERS_MAX];
	size_t adds;
	char source[ADDR_TEXT];
};

/* None for a local peer. */
static struct addr address_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	const socklen_t len = !sa                         ? 0
			      : sa->sa_family == AF_INET  ? sizeof(struct sockaddr_in)
			      : sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							  : 0;
	struct addr a;
	if (len == 0 || addr_from_sockaddr(sa, len, &a))
		a.len = 0;
	return a;
}

/* ---- who may --------------------------------------------------------------------------------
 * With the lock of the server. */

static bool is_proxy(const struct http_server *s, const struct addr *a)
{
	return http_access_is_proxy(&s->access, a);
}

static bool is_allowed(const struct http_server *s, const struct addr *a)
{
	return s->local || (!bans_hold(a) && http_access_allows(&s->access, a));
}

/* Counts it. */
static const char *why_not(const struct addr *a)
{
	return bans_refuse(a) ? "the address is banned" : "the address is not in allow-from";
}

static enum MHD_Result join_forwarded(void *cls, enum MHD_ValueKind kind, const char *name,
				      const char *value)
{
	struct buf *list = cls;
	(void)kind;
	if (strcasecmp(name, "X-Forwarded-For") == 0 && value)
		buf_printf(list, "%s%s", list->n ? "," : "", value);
	return MHD_YES;
}

static void fill_source(struct http_request *r)
{
	const struct http_server *s = r->server;
	AUTO_BUF list = {0};
	r->peer->from = r->peer->address;
	if (is_proxy(s, &r->peer->address)) {
		MHD_get_connection_values(r->connection, MHD_HEADER_KIND, join_forwarded, &list);
		forwarded_for(buf_view(&list), s->access.proxy, s->access.proxy_n, &r->peer->from);
	}
	strcpy(r->source, "control socket");
	if (!s->local && r->peer->from.len)
		addr_format_ip(&r->peer->from, r->source);
}

/* ---- requests --------------------------------------------------------------------------------
 */

static void run_large(struct loop_note *note)
{
	struct http_request *r = container_of(note, struct http_request, note);
	r->server->config.large(r->server->config.owner, r);
}

static void run_handler(struct loop_note *note)
{
	struct http_request *r = container_of(note, struct http_request, note);
	r->server->config.handle(r->server->config.owner, r);
}

static void *begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct http_request *r = mem_new(struct http_request);
	r->server = cls;
	r->connection = connection;
	struct http_connection *c =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
			->socket_context;
	r->peer = &c->peer;
	r->path = str_dup(http_head_path(str_of(uri)));
	http_peers_begin(&r->server->peers, r->peer);
	return r;
}

static void end(void *cls, struct MHD_Connection *connection, void **context,
		enum MHD_RequestTerminationCode code)
{
	struct http_request *r = *context;
	(void)cls;
	(void)connection;
	(void)code;
	if (!r)
		return;
	const bool large = http_peers_end(&r->server->peers, r->peer);
	if (r->response)
		MHD_destroy_response(r->response);
	free(r->method);
	free(r->path);
	secret_buf_fini(&r->body); /* a password may be in it */
	http_tls_peer_fini(&r->peer_tls);
	while (r->adds)
		free(r->add[--r->adds].value);
	free(r);
	*context = NULL;
	/* What a document was read into is many times its size, and in small pieces. */
	if (large)
		malloc_trim(0);
}

static size_t body_max(const struct http_request *r)
{
	const struct http_config *c = &r->server->config;
	return c->large_path && strncmp(r->path, c->large_path, strlen(c->large_path)) == 0
		       ? HTTP_LARGE_MAX
		       : c->body_max;
}

/* False: far too much. */
static bool take_body(struct http_request *r, const char *data, size_t n)
{
	const size_t max = r->peer->large ? HTTP_LARGE_MAX : r->server->config.body_max;
	r->body_n += n;
	if (r->response) /* refused when its head was there; read to its end, so that he sees it */
		return r->body_n <= HTTP_LARGE_MAX;
	r->too_large |= r->body_n > max;
	if (r->too_large) {
		buf_fini(&r->body);
		return r->body_n <= HTTP_DRAIN_MAX;
	}
	if (r->peer->large)
		http_peers_large_came(&r->server->peers, r->peer, n);
	buf_put(&r->body, data, n);
	return true;
}

/* An answer of this file's own: the connection ends with it. */
static enum MHD_Result refuse(const struct http_server *s, struct MHD_Connection *c,
			      unsigned status, const char *title, const char *detail)
{
	AUTO_BUF text = {0};
	if (s->config.plain_text)
		buf_printf(&text, "%s\n", detail);
	else
		buf_printf(&text,
			   "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%"
			   "s\"}",
			   title, status, detail);
	struct MHD_Response *response =
		MHD_create_response_from_buffer(text.n, text.p, MHD_RESPMEM_MUST_COPY);
	CHECK(response != NULL);
	MHD_add_response_header(response, "Content-Type",
				s->config.plain_text ? "text/plain; charset=utf-8"
						     : "application/problem+json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Connection", "close");
	const enum MHD_Result result = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse_size(struct http_request *r)
{
	struct http_server *s = r->server;
	char detail[96];
	pthread_mutex_lock(&s->lock);
	if (s->config.too_large && !s->refuses) {
		fill_source(r);
		http_note_too_large(&s->config, r->source);
	}
	pthread_mutex_unlock(&s->lock);
	snprintf(detail, sizeof(detail), "the body is larger than %zu KiB", body_max(r) / KiB);
	return refuse(s, r->connection, 413, "Content Too Large", detail);
}

static void refused(struct http_server *s, const struct addr *from, enum event event,
		    const char *why)
{
	pthread_mutex_lock(&s->lock);
	if (s->config.refused && !s->refuses)
		http_note_refused(&s->config, from, event, why);
	pthread_mutex_unlock(&s->lock);
}

/* What TLS knows of the peer, while the library's thread still has the session to itself. */
static void fill_peer(struct http_request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (r->server->config.client_certificates && info)
		http_tls_peer_read(info->tls_session, &r->peer_tls);
}

/* Gives the request to the main loop, if that still takes any. */
static enum MHD_Result give(struct http_request *r, void (*run)(struct loop_note *note))
{
	struct http_server *s = r->server;
	pthread_mutex_lock(&s->lock);
	const bool refuses = s->refuses;
	fill_source(r);
	const bool barred = !is_allowed(s, &r->peer->from);
	if (!refuses && !barred) {
		http_peers_turn(&s->peers, r->peer, true);
		MHD_suspend_connection(r->connection);
		loop_post(s->config.loop, &r->note, run);
	}
	pthread_mutex_unlock(&s->lock);
	if (refuses)
		return refuse(s, r->connection, 503, "Service Unavailable", "the gateway stops");
	if (!barred)
		return MHD_YES;
	const char *why = why_not(&r->peer->from);
	refused(s, &r->peer->from, EVENT_LOGIN_REFUSED, why);
	return refuse(s, r->connection, 403, "Forbidden", why);
}

static enum MHD_Result hand_over(struct http_request *r)
{
	r->handed_over = true;
	fill_peer(r);
	return give(r, run_handler);
}

static bool expects(const struct http_request *r)
{
	return http_header(r, "Expect").n > 0;
}

/* Is it to be asked whether the body may come? One of unknown length may be a large one. */
static bool may_be_large(const struct http_request *r)
{
	uint64_t n = 0;
	const size_t usual = r->server->config.body_max;
	if (body_max(r) <= usual)
		return false;
	return http_header(r, "Transfer-Encoding").n ||
	       (str_u64(http_header(r, "Content-Length"), HTTP_LARGE_MAX, &n) == 0 && n > usual);
}

static enum MHD_Result ask_large(struct http_request *r)
{
	r->asking = true;
	return give(r, run_large);
}

/* Was told whether it may: a refusal waits until the client has sent what it sends anyhow. */
static enum MHD_Result told_large(struct http_request *r)
{
	r->asking = false;
	return r->response && expects(r) ? MHD_queue_response(r->connection, r->status, r->response)
					 : MHD_YES;
}

/* A body that the client has announced and not yet begun to send, or that is not worth reading. */
static bool refused_before_body(const struct http_request *r)
{
	uint64_t n = 0;
	const struct str length = http_header(r, "Content-Length");
	const int err = length.n ? str_u64(length, MAX(HTTP_DRAIN_MAX, body_max(r)), &n) : 0;
	return err == ERR_LIMIT || (n > body_max(r) && expects(r));
}

static enum MHD_Result take_field(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	(void)kind;
	http_head_take(cls, name, str_of(value));
	return MHD_YES;
}

/* The head is there. */
static enum MHD_Result take_head(struct http_request *r, const char *method, const char *version)
{
	struct http_head head = {0};
	char why[96];
	r->method = mem_strdup(method);
	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, take_field, &head);
	const unsigned status = http_head_judge(&head, version, why);
	if (status)
		return refuse(r->server, r->connection, status,
			      status == 400 ? "Bad Request" : "Not Implemented", why);
	if (refused_before_body(r))
		return refuse_size(r);
	return may_be_large(r) ? ask_large(r) : MHD_YES;
}

/* The library calls this for the head, for each part of the body, at the end, and again after a
 * resume. */
static enum MHD_Result access_handler(void *cls, struct MHD_Connection *connection, const char *url,
				      const char *method, const char *version, const char *data,
				      size_t *n, void **context)
{
	struct http_request *r = *context;
	(void)cls;
	(void)url;
	if (!r->method)
		return take_head(r, method, version);
	if (r->asking)
		return told_large(r);
	if (*n) {
		const bool more = take_body(r, data, *n);
		*n = 0;
		return more ? MHD_YES : MHD_NO;
	}
	if (r->response)
		return MHD_queue_response(connection, r->status, r->response);
	if (r->too_large)
		return refuse_size(r);
	return r->handed_over ? MHD_YES : hand_over(r);
}

/* Paths and queries stay as they were sent: decoding is per segment. */
static size_t keep_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
	(void)cls;
	(void)connection;
	return strlen(s);
}

static void PRINTF_LIKE(2, 0) log_library(void *cls, const char *fmt, va_list ap)
{
	char line[256];
	(void)cls;
	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	log_debug("http: %s", line);
}

/* A proxy's is one for many: the library bounds all connections together. */
static void count_in(struct http_server *s, struct http_connection *c)
{
	pthread_mutex_lock(&s->lock);
	const bool proxy = is_proxy(s, &c->peer.address);
	pthread_mutex_unlock(&s->lock);
	c->refused = !http_peers_add(&s->peers, &c->peer, !proxy);
	if (c->refused)
		refused(s, &c->peer.address, EVENT_LIMIT_REACHED, "connections of one address");
}

/* Who has vanished is noticed: what was sent to him is not acknowledged. */
static void give_up_on_silence(int fd)
{
	const unsigned ms = HTTP_IDLE_S * 1000;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static void begin_connection(struct http_server *s, struct MHD_Connection *connection,
			     void **context)
{
	struct http_connection *c = mem_new(struct http_connection);
	c->peer.fd =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->peer.address = address_of(connection);
	*context = c;
	count_in(s, c);
	if (!s->local)
		give_up_on_silence(c->peer.fd);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info)
		http_tls_use(info->tls_session, s->config.client_certificates, &c->tls);
}

/* Told before the library closes the socket. */
static void end_connection(struct http_server *s, struct http_connection *c)
{
	if (s->config.tls && !c->tls.established && !c->refused)
		refused(s, &c->peer.address, EVENT_HANDSHAKE_REFUSED,
			c->tls.hello
				? "the client does not trust our certificate, or knows no TLS "
				  "version or cipher that is offered"
				: "no ClientHello came: the peer speaks no TLS, or said nothing");
	http_peers_remove(&s->peers, &c->peer);
	free(c);
}

static void connection_notice(void *cls, struct MHD_Connection *connection, void **context,
			      enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		begin_connection(cls, connection, context);
	else
		end_connection(cls, *context);
}

static void tell_ended(struct loop_note *note)
{
	struct http_server *s = container_of(note, struct http_server, note);
	s->ended(s->config.owner, s);
}

/* Ends those that take too long; the library then sees the end of their streams. What a connection
 * told the loop before it ended is in the inbox before the note of the last one. */
static void sweep(struct loop_timer *t)
{
	struct http_server *s = container_of(t, struct http_server, sweep);
	const uint64_t next_ms = http_peers_sweep(&s->peers, clock_mono_ms());
	if (next_ms) {
		loop_timer_start(s->config.loop, t, "http", next_ms, sweep);
		return;
	}
	pthread_mutex_lock(&s->lock);
	const bool last = !s->refuses;
	s->refuses = true;
	pthread_mutex_unlock(&s->lock);
	if (last)
		loop_post(s->config.loop, &s->note, tell_ended);
}

/* Before anything is spent on the connection; the library closes it. */
static enum MHD_Result may_connect(void *cls, const struct sockaddr *sa, socklen_t len)
{
	struct http_server *s = cls;
	struct addr from;
	if (addr_from_sockaddr(sa, len, &from))
		return MHD_YES; /* a local one */
	pthread_mutex_lock(&s->lock);
	const bool may = is_allowed(s, &from) || is_proxy(s, &from);
	pthread_mutex_unlock(&s->lock);
	if (!may)
		refused(s, &from, EVENT_LOGIN_REFUSED, why_not(&from));
	return may ? MHD_YES : MHD_NO;
}

void http_strict(bool on)
{
	atomic_store(&strict, on);
}

/* With the lock of the server. */
static bool may_stay(const void *arg, const struct http_peer *p)
{
	const struct http_server *s = arg;
	return (is_allowed(s, &p->address) || is_proxy(s, &p->address)) &&
	       (!p->endless || is_allowed(s, &p->from));
}

void http_set_access(struct http_server *s, const struct http_access *access)
{
	pthread_mutex_lock(&s->lock);
	http_access_fini(&s->access);
	s->access = http_access_copy(access);
	http_peers_judge(&s->peers, may_stay, s);
	pthread_mutex_unlock(&s->lock);
	loop_timer_start(s->config.loop, &s->sweep, "http", 0, sweep);
}

static bool is_local(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family == AF_UNIX;
}

struct http_server *http_start(const struct http_config *config, int fd)
{
	struct http_server *s = mem_new(struct http_server);
	/* Poll and never epoll: with TLS one silent client would keep an epoll thread spinning. */
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
			       MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			       (config->tls ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)http_tls_priority()},
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)http_tls_retrieve},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	s->config = *config;
	if (!s->config.body_max)
		s->config.body_max = HTTP_BODY_MAX;
	if (!s->config.request_ms)
		s->config.request_ms = HTTP_REQUEST_MS;
	if (!s->config.large_ms)
		s->config.large_ms = HTTP_LARGE_MS;
	s->local = is_local(fd);
	s->access = http_access_copy(&config->access);
	s->retired_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	http_peers_init(&s->peers, &(struct http_peers_config){
					   .local = s->local,
					   .per_address = HTTP_PER_ADDRESS_MAX,
					   .request_ms = s->config.request_ms,
					   .large_at_once = HTTP_LARGE_AT_ONCE,
					   .large_ms = s->config.large_ms,
					   .large_per_sec = HTTP_LARGE_PER_SEC,
				   });
	s->daemon = MHD_start_daemon(
		flags, 0, may_connect, s, access_handler, s, MHD_OPTION_EXTERNAL_LOGGER,
		log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, begin,
		s, MHD_OPTION_NOTIFY_COMPLETED, end, NULL, MHD_OPTION_NOTIFY_CONNECTION,
		connection_notice, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT,
		1, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX, MHD_OPTION_ARRAY,
		config->tls ? tls : none, MHD_OPTION_END);
	if (!s->daemon) {
		log_error("the HTTP server could not start");
		http_access_fini(&s->access);
		pthread_mutex_destroy(&s->lock);
		http_peers_fini(&s->peers);
		free(s);
		return NULL;
	}
	sweep(&s->sweep);
	return s;
}

void http_refuse(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->refuses = true;
	pthread_mutex_unlock(&s->lock);
}

/* The library's thread may still look at the socket, so that it is closed later; but the kernel
 * takes no connection for it any more. */
void http_retire(struct http_server *s, void (*ended)(void *owner, struct http_server *s))
{
	s->ended = ended;
	s->retired_fd = MHD_quiesce_daemon(s->daemon);
	if (s->retired_fd >= 0)
		shutdown(s->retired_fd, SHUT_RDWR);
	http_peers_retire(&s->peers);
	loop_timer_start(s->config.loop, &s->sweep, "http", 0, sweep);
}

void http_stop(struct http_server *s)
{
	loop_timer_stop(s->config.loop, &s->sweep);
	MHD_stop_daemon(s->daemon);
	if (s->retired_fd >= 0)
		close(s->retired_fd);
	pthread_mutex_destroy(&s->lock);
	http_peers_fini(&s->peers);
	http_access_fini(&s->access);
	free(s);
}

const char *http_method(const struct http_request *r)
{
	return r->method;
}

struct str http_path(const struct http_request *r)
{
	return str_of(r->path);
}

struct str http_body(const struct http_request *r)
{
	return buf_view(&r->body);
}

struct str http_header(const struct http_request *r, const char *name)
{
	return str_of(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name));
}

const struct http_tls_peer *http_tls_peer(const struct http_request *r)
{
	return r->server->config.client_certificates ? &r->peer_tls : NULL;
}

struct query_walk {
	bool (*fn)(void *, struct str, struct str);
	void *arg;
};

static enum MHD_Result each_query(void *cls, enum MHD_ValueKind kind, const char *key,
				  const char *value)
{
	const struct query_walk *w = cls;
	AUTO_BUF name = {0};
	AUTO_BUF text = {0};
	(void)kind;
	/* What cannot be decoded becomes no text, and fails the check of its value. */
	if (http_decode(str_of(key), true, &name) || http_decode(str_of(value), true, &text))
		buf_putc(&text, (char)0xff);
	return w->fn(w->arg, buf_view(&name), buf_view(&text)) ? MHD_YES : MHD_NO;
}

void http_each_query(const struct http_request *r, bool (*fn)(void *, struct str, struct str),
		     void *arg)
{
	struct query_walk w = {fn, arg};
	MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, each_query, &w);
}

const char *http_source(const struct http_request *r)
{
	return r->source;
}

bool http_peer(const struct http_request *r, uint32_t *uid, uint32_t *gid)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (!r->server->local || !info ||
	    getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	*uid = cred.uid;
	*gid = cred.gid;
	return true;
}

bool http_go_on(struct http_request *r)
{
	struct http_server *s = r->server;
	if (!http_peers_large(&s->peers, r->peer))
		return false;
	http_peers_turn(&s->peers, r->peer, false);
	sweep(&s->sweep);
	MHD_resume_connection(r->connection);
	return true;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	CHECK(r->adds < HTTP_HEADERS_MAX);
	r->add[r->adds].name = name;
	r->add[r->adds++].value = mem_strdup(value);
}

void http_add_file_name(struct http_request *r, const char *name)
{
	AUTO_CHAR disposition = mem_printf("attachment; filename=\"%s\"", name);
	http_add_header(r, "Content-Disposition", disposition);
}

/* A key or a code may have been in it. */
static void wipe_body(void *cls)
{
	struct buf *b = cls;
	const bool large = b->n >= LARGE_ANSWER;
	secret_buf_fini(b);
	free(b);
	if (large)
		malloc_trim(0);
}

static struct MHD_Response *response_of(struct str body)
{
	struct buf *copy = mem_new(struct buf);
	buf_str(copy, body);
	buf_cstr(copy); /* an empty one too has an address */
	return MHD_create_response_from_buffer_with_free_callback_cls(copy->n, copy->p, wipe_body,
								      copy);
}

static void give_back(struct http_request *r, unsigned status, const char *content_type,
		      const char *cache_control)
{
	r->status = status;
	CHECK(r->response != NULL);
	for (size_t i = 0; i < r->adds; i++)
		MHD_add_response_header(r->response, r->add[i].name, r->add[i].value);
	if (content_type)
		MHD_add_response_header(r->response, "Content-Type", content_type);
	MHD_add_response_header(r->response, "Cache-Control", cache_control);
	MHD_add_response_header(r->response, "X-Content-Type-Options", "nosniff");
	if (atomic_load(&strict) && r->server->config.tls)
		MHD_add_response_header(r->response, "Strict-Transport-Security",
					"max-age=31536000");
	if (http_peers_last(&r->server->peers, r->peer))
		MHD_add_response_header(r->response, "Connection", "close");
	MHD_resume_connection(r->connection);
}

void http_reply(struct http_request *r, unsigned status, const char *content_type, struct str body,
		const char *allow)
{
	r->response = response_of(body);
	if (allow)
		http_add_header(r, "Allow", allow);
	http_peers_turn(&r->server->peers, r->peer, false);
	give_back(r, status, content_type, "no-store");
}

static void unmap(void *cls)
{
	struct str *file = cls;
	munmap((void *)(uintptr_t)file->p, file->n);
	free(file);
}

void http_reply_file(struct http_request *r, int fd, const char *name)
{
	struct stat st = {0};
	struct str *file = mem_new(struct str);
	AUTO_FD own = fd;
	void *p = fstat(own, &st) || st.st_size <= 0
			  ? MAP_FAILED
			  : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, own, 0);
	if (p == MAP_FAILED) {
		free(file);
		http_reply(r, 500, NULL, STR(""), NULL);
		return;
	}
	*file = str_make(p, (size_t)st.st_size);
	r->response =
		MHD_create_response_from_buffer_with_free_callback_cls(file->n, p, unmap, file);
	http_add_file_name(r, name);
	http_peers_answer(&r->server->peers, r->peer, file->n / FILE_BYTES_PER_MS);
	give_back(r, 200, "application/octet-stream", "no-store");
}

void http_reply_static(struct http_request *r, unsigned status, const char *content_type,
		       struct str body, const char *cache_control)
{
	r->response = MHD_create_response_from_buffer(
		body.n, (void *)(uintptr_t)(body.n ? body.p : ""), MHD_RESPMEM_PERSISTENT);
	http_peers_turn(&r->server->peers, r->peer, false);
	give_back(r, status, content_type, cache_control);
}

struct loop *http_own_loop(const struct http_request *r)
{
	return r->server->config.loop;
}

struct MHD_Connection *http_own_connection(const struct http_request *r)
{
	return r->connection;
}

void http_own_endless(struct http_request *r, struct MHD_Response *response,
		      const char *content_type)
{
	r->response = response;
	http_peers_endless(&r->server->peers, r->peer);
	give_back(r, 200, content_type, "no-store");
}
