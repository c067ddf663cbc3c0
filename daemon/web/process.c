/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a web process: see process.h.
 */
#include "daemon/web/process.h"
#include "certs/csr.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/banlist.h"
#include "daemon/ipc/staples.h"
#include "daemon/net/tls_pem.h"
#include "daemon/web/assets.h"
#include "daemon/web/http_tls.h"
#include "daemon/web/json.h"
#include "daemon/web/openapi.h"
#include "daemon/web/web.h"

#include <stdio.h>
#include <unistd.h>

enum { VAULT_CHAINS, VAULT_SIGN }; /* indices of the links to the vault */
enum {
	CHAINS_TIMEOUT_MS = 5000,
	CHAINS_AGAIN_MS = 60 * 60 * 1000, /* the vault tells of new ones, and is asked as well */
};

static bool is_enrol(const struct web *w)
{
	return child_self(w->child) == PROCESS_ENROL;
}

static bool est_page(struct web *w, struct http_request *r)
{
	return est_handle(&w->est, r);
}

static bool bundle_page(struct web *w, struct http_request *r)
{
	return bundle_handle(w, r);
}

static bool stream_page(struct web *w, struct http_request *r)
{
	return feed_handle(&w->feed, r);
}

static bool watch_page(struct web *w, struct http_request *r)
{
	return watches_handle(&w->watches, r);
}

static bool openapi_page(struct web *w, struct http_request *r)
{
	(void)w;
	return openapi_handle(r);
}

static bool assets_page(struct web *w, struct http_request *r)
{
	(void)w;
	return assets_handle(r);
}

static const struct {
	enum process process;
	bool (*handle)(struct web *w, struct http_request *r); /* false: not its path */
} pages[] = {
#define PAGE(process, function) {PROCESS_##process, function},
#include "daemon/web/pages.def"
};

static bool page_handle(struct web *w, struct http_request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		if (pages[i].process == child_self(w->child) && pages[i].handle(w, r))
			return true;
	return false;
}

/* enrol has neither the API nor the interface. */
static void handle(void *owner, struct http_request *r)
{
	struct web *w = owner;
	if (w->stopping)
		api_problem(r, 503, NULL, "the gateway stops", NULL);
	else if (page_handle(w, r))
		return;
	else if (!is_enrol(w))
		api_handle(w, r);
	else
		api_problem(r, 404, NULL, "there is no such resource", NULL);
}

static void large(void *owner, struct http_request *r)
{
	struct web *w = owner;
	if (w->stopping)
		api_problem(r, 503, NULL, "the gateway stops", NULL);
	else
		api_large(w, r);
}

static void too_large(void *owner, const char *source)
{
	struct web *w = owner;
	est_too_large(&w->est, source);
}

/* What strangers can repeat is told once in a while for an address; *folded: how many were not. */
static bool may_tell(struct web *w, enum event event, const char *source, uint32_t *folded)
{
	const uint64_t now = clock_mono_ms();
	if (event == EVENT_LOGIN_REFUSED)
		return fold_passes(&w->strangers, str_of(source), now, folded);
	if (event == EVENT_HANDSHAKE_REFUSED && !is_enrol(w))
		return fold_passes(&w->fold, str_of(source), now, folded);
	return true;
}

static void refused(void *owner, enum event event, const char *source, const char *why)
{
	struct web *w = owner;
	AUTO_BUF detail = {0};
	uint32_t folded = 0;
	if (!may_tell(w, event, source, &folded))
		return;
	if (folded)
		rec_int(&detail, "more_before", folded);
	const struct body_event e = {
		.detail = buf_view(&detail),
		.address = str_of(source),
		.listener = str_of(process_name(child_self(w->child))),
		.reason = str_of(why),
	};
	report_event(&w->report, event, &e);
}

static void anchors_changed(struct anchors *a);

static void tell_lost(struct loop_note *note)
{
	const struct web *w = container_of(note, struct web, sign_lost);
	child_link_lost(w->child, PROCESS_VAULT, VAULT_SIGN);
}

/* A thread of the library. */
static void sign_lost(void *arg)
{
	struct web *w = arg;
	loop_post(w->loop, &w->sign_lost, tell_lost);
}

static struct web *context(struct child *child)
{
	struct web *w = child_context(child);
	if (w)
		return w;
	w = mem_new(struct web);
	w->child = child;
	w->loop = child_loop(child);
	list_init(&w->pending);
	repeats_init(&w->repeats);
	list_init(&w->bundles);
	aside_init(&w->aside, w->loop);
	list_init(&w->enrolling);
	status_pages_init(&w->status);
	feed_init(&w->feed, w);
	watches_init(&w->watches, w);
	report_init(&w->report, w->loop);
	est_init(&w->est, w->loop, &w->report, anchors_changed);
	child_set_context(child, w);
	http_tls_on_lost(sign_lost, w);
	return w;
}

static void set_store(struct web *w, struct link *store)
{
	w->store = store;
	report_set_link(&w->report, store);
	if (is_enrol(w))
		est_set_link(&w->est, store);
}

static void store_broken(struct link *l, const char *why, bool misbehaved)
{
	struct web *w = link_owner(l);
	set_store(w, NULL);
	child_link_broken(w->child, l, why, misbehaved);
}

static void vault_broken(struct link *l, const char *why, bool misbehaved)
{
	struct web *w = link_owner(l);
	w->vault = NULL;
	child_link_broken(w->child, l, why, misbehaved);
}

static void ask_chains(struct web *w);

static int on_renewed(struct link *l, struct record *r)
{
	struct body_tls_renewed b;
	if (body_tls_renewed_get(r->body, &b))
		return ERR_MALFORMED;
	ask_chains(link_owner(l));
	return 0;
}

static int on_authorities(struct link *l, struct record *r)
{
	struct body_authorities_changed b;
	struct web *w = link_owner(l);
	if (body_authorities_changed_get(r->body, &b))
		return ERR_MALFORMED;
	if (is_enrol(w))
		anchors_ask(&w->est.anchors);
	return 0;
}

static int on_credentials(struct link *l, struct record *r)
{
	struct body_credentials_changed b;
	struct web *w = link_owner(l);
	if (body_credentials_changed_get(r->body, &b))
		return ERR_MALFORMED;
	feed_recheck(&w->feed);
	watches_recheck(&w->watches);
	return 0;
}

static void set_access(struct web *w);

static int on_bans(struct link *l, struct record *r)
{
	struct web *w = link_owner(l);
	if (banlist_take(r))
		return ERR_MALFORMED;
	set_access(w);
	banlist_answer(l, r->id, 0);
	return 0;
}

static const link_handler store_handlers[MSG_COUNT] = {
	[MSG_CREDENTIALS_CHANGED] = on_credentials,
	[MSG_AUTHORITIES_CHANGED] = on_authorities,
	[MSG_STAPLES] = staples_received,
	[MSG_BANS] = on_bans,
};
static const link_handler vault_handlers[MSG_COUNT] = {[MSG_TLS_RENEWED] = on_renewed};

static struct link *peer_link(struct web *w, enum process peer, int fd,
			      void (*broken)(struct link *, const char *, bool))
{
	const struct link_config config = {
		.self = child_self(w->child),
		.peer = peer,
		.handler = peer == PROCESS_STORE ? store_handlers : vault_handlers,
		.owner = w,
		.broken = broken,
	};
	return link_new(w->loop, fd, &config);
}

static struct http_access access_of(const struct web *w)
{
	const struct config *c = w->config;
	if (child_self(w->child) == PROCESS_ADMIN)
		return (struct http_access){c->admin.allow_from.p, c->admin.allow_from.n,
					    c->admin.proxy_from.p, c->admin.proxy_from.n};
	if (is_enrol(w))
		return (struct http_access){.allow = c->enrol.allow_from.p,
					    .allow_n = c->enrol.allow_from.n};
	return (struct http_access){0};
}

/* Whom it lets in is another by now. */
static void set_access(struct web *w)
{
	if (!w->config)
		return; /* what it serves begins with what holds then */
	const struct http_access access = access_of(w);
	for (size_t i = 0; i < w->sockets; i++)
		if (w->socket[i].server && w->socket[i].address[0])
			http_set_access(w->socket[i].server, &access);
}

/* Starts to serve on the sockets that wait. False after logging why not. */
static bool serve(struct web *w)
{
	const struct http_config config = {
		.loop = w->loop,
		.access = access_of(w),
		.tls = child_self(w->child) != PROCESS_CTL,
		.client_certificates = is_enrol(w),
		.body_max = is_enrol(w) ? CSR_MAX : HTTP_BODY_MAX,
		.large_path = is_enrol(w) ? NULL : "/api/v1/state",
		.large = large,
		.plain_text = is_enrol(w),
		.handle = handle,
		.too_large = is_enrol(w) ? too_large : NULL,
		.refused = refused,
		.owner = w,
	};
	for (size_t i = 0; i < w->sockets; i++) {
		struct web_socket *s = &w->socket[i];
		if (!s->server)
			s->server = http_start(&config, s->fd);
		if (!s->server)
			return false;
	}
	return true;
}

/* As soon as all is there that the first request may need. */
static void begin_to_serve(struct web *w)
{
	if (w->ready || !w->has_chains || (is_enrol(w) && !w->est.anchors.known))
		return;
	w->ready = true;
	if (serve(w))
		child_ready(w->child);
	else
		child_fail(w->child);
}

static void anchors_changed(struct anchors *a)
{
	begin_to_serve(container_of(a, struct web, est.anchors));
}

static bool has_file(const struct web *w)
{
	return child_self(w->child) == PROCESS_ADMIN && w->config->admin.certificate[0];
}

/* The vault knows the key, this process the certificates. */
static int set_file_chain(struct web *w, struct str chains)
{
	struct cur c = cur_of(chains), list = cur_of(buf_view(&w->file_chain));
	struct str record, leaf;
	struct body_chain chain;
	AUTO_BUF whole = {0};
	if (!entries_next(&c, &record) || body_chain_get(record, &chain))
		return ERR_MALFORMED;
	if (!entries_next(&list, &leaf) || !tls_key_fits(leaf, chain.spki))
		return ERR_CONFLICT;
	chain.certificates = buf_view(&w->file_chain);
	ENTRIES_PUT(&whole, chain, &chain);
	return http_tls_set_chains(buf_view(&whole));
}

static int set_chains(struct web *w, const struct body_tls_chain_done *done)
{
	if (!done->ok && has_file(w) && w->ready) {
		log_info("the key of the interface is not there yet"); /* TLS_RENEWED comes */
		return ERR_NOT_FOUND;
	}
	if (!done->ok) {
		log_error("the vault has no certificate for this process: %.*s",
			  STR_ARG(done->why));
		return ERR_NOT_FOUND;
	}
	const int err =
		has_file(w) ? set_file_chain(w, done->chains) : http_tls_set_chains(done->chains);
	/* One of the two is newer: the other one comes, and is a reason to ask again. */
	if (err == ERR_CONFLICT)
		log_info("the certificate of the interface and its key do not belong together yet");
	if (!err)
		http_strict(has_file(w) && w->file_public);
	return err;
}

static void got_chains(struct link_call *call, int err, struct record *reply)
{
	struct web *w = container_of(call, struct web, chains);
	struct body_tls_chain_done done;
	if (!err)
		err = body_tls_chain_done_get(reply->body, &done);
	if (err)
		log_error("no certificates from the vault: %s", err_text(err));
	else
		err = set_chains(w, &done);
	if (w->ready)
		return; /* after a restart of the vault the old chains still serve */
	w->has_chains = !err;
	if (err)
		child_fail(w->child);
	else
		begin_to_serve(w);
}

static void ask_again(struct loop_timer *t)
{
	struct web *w = container_of(t, struct web, chains_again);
	if (w->vault)
		ask_chains(w);
	else
		loop_timer_start(w->loop, t, "chains", CHAINS_AGAIN_MS, ask_again);
}

/* What was asked before may be answered with the chains of before. */
static void ask_chains(struct web *w)
{
	link_call_cancel(&w->chains);
	loop_timer_start(w->loop, &w->chains_again, "chains", CHAINS_AGAIN_MS, ask_again);
	LINK_ASK(w->vault, &w->chains, TLS_CHAIN, tls_chain, -1,
		 &(struct body_tls_chain){has_file(w) ? STR("admin") : STR("")}, CHAINS_TIMEOUT_MS,
		 got_chains);
}

static void on_link(struct child *child, enum process peer, unsigned index, int fd)
{
	struct web *w = context(child);
	if (peer == PROCESS_STORE) {
		if (w->store)
			link_free(w->store);
		set_store(w, peer_link(w, peer, fd, store_broken));
	} else if (peer == PROCESS_VAULT && index == VAULT_SIGN) {
		http_tls_set_vault(fd, child_self(child));
	} else if (peer == PROCESS_VAULT && index == VAULT_CHAINS) {
		if (w->vault)
			link_free(w->vault);
		w->vault = peer_link(w, peer, fd, vault_broken);
		if (w->ready)
			ask_chains(w);
	} else {
		close(fd);
	}
}

static void on_listener(struct child *child, const struct child_listener *l)
{
	struct web *w = context(child);
	if (w->sockets == WEB_SERVERS_MAX) {
		log_error("more than %d listening sockets: %s is not served", WEB_SERVERS_MAX,
			  l->address);
		close(l->fd);
		return;
	}
	struct web_socket *s = &w->socket[w->sockets++];
	*s = (struct web_socket){.fd = l->fd};
	snprintf(s->address, sizeof(s->address), "%s", l->address);
	if (w->ready && !serve(w))
		child_fail(child);
}

static void drop_socket(struct web *w, struct web_socket *s)
{
	*s = w->socket[--w->sockets];
}

static void retired(void *owner, struct http_server *server)
{
	struct web *w = owner;
	for (size_t i = 0; i < w->sockets; i++) {
		if (w->socket[i].server != server)
			continue;
		drop_socket(w, &w->socket[i]);
		break;
	}
	http_stop(server);
}

static void on_listener_close(struct child *child, struct str name, struct str address)
{
	struct web *w = context(child);
	(void)name;
	for (size_t i = 0; i < w->sockets; i++) {
		struct web_socket *s = &w->socket[i];
		if (!str_is(address, s->address))
			continue;
		s->address[0] = 0;
		if (s->server) {
			http_retire(s->server, retired);
		} else {
			close(s->fd);
			drop_socket(w, s);
		}
		return;
	}
}

static int take_config(struct web *w, struct str text, struct buf *why)
{
	struct config_errors errors = {0};
	AUTO(config) c = NULL;
	if (config_parse_slice(text, child_self(w->child), &c, &errors)) {
		config_errors_print(&errors, why);
		config_errors_fini(&errors);
		return ERR_INVALID;
	}
	log_set_level((enum log_level)c->log.level);
	w->est.settings.server_keygen = c->enrol.server_keygen;
	w->est.settings.require_binding = c->enrol.require_binding;
	w->est.settings.strangers = c->enrol.approval == CONFIG_APPROVAL_ANYONE;
	config_free(w->config);
	w->config = TAKE(c);
	set_access(w);
	return 0;
}

static int start(struct child *child)
{
	struct web *w = context(child);
	AUTO_BUF why = {0};
	json_seed_tables();
	if (take_config(w, child_config(child), &why)) {
		log_error("the configuration cannot be read: %s", buf_cstr(&why));
		return ERR_INVALID;
	}
	if (child_self(child) == PROCESS_CTL) {
		if (!serve(w))
			return ERR_IO;
		w->ready = true;
		child_ready(child);
		return 0;
	}
	if (!w->vault) {
		log_error("no link to the vault was given");
		return ERR_UNAVAILABLE;
	}
	ask_chains(w);
	return 0;
}

static int on_reload(struct child *child, struct str text, struct buf *why)
{
	struct web *w = context(child);
	const int err = take_config(w, text, why);
	if (!err && w->vault && w->ready)
		ask_chains(w); /* it may name a file now, or none any more */
	return err;
}

/* LISTENER_FILES: the parent has judged them. */
static int on_message(struct child *child, struct record *r)
{
	struct web *w = context(child);
	struct body_listener_files b;
	AUTO_BUF text = {0};
	AUTO_BUF list = {0};
	if (r->type != MSG_LISTENER_FILES)
		return ERR_DENIED;
	if (r->fd < 0 || body_listener_files_get(r->body, &b) || b.kind != LISTENER_CERTIFICATE ||
	    memfd_read(r->fd, 1 * MiB, &text) ||
	    tls_certificates_read(buf_view(&text), HTTP_TLS_CHAIN_MAX, &list))
		return ERR_MALFORMED;
	buf_fini(&w->file_chain);
	w->file_chain = list;
	list = (struct buf){0};
	w->file_public = b.is_public;
	if (w->vault && w->ready)
		ask_chains(w);
	return 0;
}

static void on_stop(struct child *child)
{
	struct web *w = context(child);
	w->stopping = true;
	api_stop(w);
	bundle_stop(w);
	status_pages_stop(w);
	feed_stop(&w->feed);
	watches_stop(&w->watches);
	est_stop(&w->est);
	enrol_rest_stop(w);
	for (size_t i = 0; i < w->sockets; i++)
		if (w->socket[i].server)
			http_refuse(w->socket[i].server);
	/* Requests that were handed over before that are in the inbox: answer them too. */
	loop_turn(w->loop, 0);
	est_fini(&w->est);
	while (w->sockets) {
		struct http_server *s = w->socket[--w->sockets].server;
		if (s)
			http_stop(s);
	}
	child_stopped(child);
}

#define HOOKS(process)                                                                           \
	{                                                                                        \
		.self = process, .start = start, .link = on_link, .listener = on_listener,       \
		.listener_close = on_listener_close, .message = on_message, .reload = on_reload, \
		.stop = on_stop                                                                  \
	}

const struct child_hooks admin_hooks = HOOKS(PROCESS_ADMIN);
const struct child_hooks enrol_hooks = HOOKS(PROCESS_ENROL);
const struct child_hooks ctl_hooks = HOOKS(PROCESS_CTL);
