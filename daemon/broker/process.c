/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker's control thread: its life and its dealings with the parent and the vault. See
 * process.h; the store's side is storelink.c, certificates and listeners are endpoints.c.
 */
#include "daemon/broker/process.h"
#include "daemon/base/build.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/broker/endpoints.h"
#include "daemon/broker/revoke.h"
#include "daemon/broker/spool_restore.h"
#include "daemon/broker/storelink.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	SECOND_MS = 1000,
	RETRY_MS = 1000,
	SETTLE_MS = 300,
	SETTLE_MAX_MS = 6000, /* the parent kills after 10 s */
	VERIFIED_MAX = 4096,
	CHAINS_S =
		600, /* the vault tells when it has renewed a certificate, and is asked as well */
};

/* Made by whichever call of the parent comes first. */
static struct control *control_of(struct child *p)
{
	struct control *k = child_context(p);
	if (k)
		return k;
	k = mem_new(struct control);
	k->child = p;
	k->store_fd = -1;
	k->vault_fd = -1;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		k->spool_fd[i] = -1;
	list_init(&k->sockets);
	list_init(&k->owed);
	k->broker.control = k;
	k->broker.loop = child_loop(p);
	for (size_t i = 0; i < CONTROL_VAULTLINKS_MAX; i++)
		vaultlink_init(&k->vaultlink[i], &k->broker, (unsigned)i + 1);
	child_set_context(p, k);
	return k;
}

/* ---- vault ------------------------------------------------------------------------------------
 */

static void vault_broken(struct link *l, const char *why, bool misbehaved)
{
	struct control *k = link_owner(l);
	k->vault = NULL;
	child_link_broken(k->child, l, why, misbehaved);
}

static int on_renewed(struct link *l, struct record *r)
{
	struct body_tls_renewed b;
	if (body_tls_renewed_get(r->body, &b))
		return ERR_MALFORMED;
	endpoints_ask(link_owner(l));
	return 0;
}

static void use_vault(struct control *k, int fd)
{
	static const link_handler handlers[MSG_COUNT] = {[MSG_TLS_RENEWED] = on_renewed};
	const struct link_config config = {
		.self = PROCESS_BROKER,
		.peer = PROCESS_VAULT,
		.handler = handlers,
		.owner = k,
		.broken = vault_broken,
	};
	if (k->vault)
		link_free(k->vault);
	k->vault = link_new(k->broker.loop, fd, &config);
	endpoints_ask(k);
}

static void keep_fd(int *place, int fd)
{
	if (*place >= 0)
		close(*place);
	*place = fd;
}

static void give_spool(struct control *k, unsigned worker, int fd)
{
	if (!k->started)
		keep_fd(&k->spool_fd[worker], fd);
	else if (worker < k->broker.workers)
		spool_give(k->broker.worker[worker], fd);
	else
		close(fd);
}

static void vault_came(struct control *k, unsigned index, int fd)
{
	if (index > 0 && index <= CONTROL_VAULTLINKS_MAX)
		vaultlink_give(&k->vaultlink[index - 1], fd);
	else if (index > 0)
		close(fd);
	else if (k->started)
		use_vault(k, fd);
	else
		keep_fd(&k->vault_fd, fd);
}

static void store_came(struct control *k, unsigned index, int fd)
{
	if (index > 0 && index <= WORKERS_MAX)
		give_spool(k, index - 1, fd);
	else if (index > 0)
		close(fd);
	else if (k->started)
		storelink_use(k, fd);
	else
		keep_fd(&k->store_fd, fd);
}

static void on_link(struct child *p, enum process peer, unsigned index, int fd)
{
	struct control *k = control_of(p);
	if (peer == PROCESS_VAULT)
		vault_came(k, index, fd);
	else if (peer == PROCESS_STORE)
		store_came(k, index, fd);
	else
		close(fd);
}

/* ---- settings ---------------------------------------------------------------------------------
 */

struct swap {
	struct round round;
	struct settings *settings;
	bool rejudge; /* a revocation list, or what a listener takes, may be another */
};

static void swap_run(struct worker *w, struct round *r)
{
	const struct swap *s = container_of(r, struct swap, round);
	worker_use_settings(w, s->settings);
	if (s->rejudge)
		revoke_connections(w);
}

static void swap_done(struct round *r)
{
	struct swap *s = container_of(r, struct swap, round);
	settings_unref(s->settings);
	free(s);
}

/* ---- listeners --------------------------------------------------------------------------------
 */

/* One without its certificate keeps those who connect waiting rather than refusing them. */
static bool is_ready(const struct settings *s, const struct child_listener *l)
{
	const struct endpoint *e = settings_endpoint(s, str_of(l->name));
	return e && (!e->config->tls || e->credentials);
}

static void give_sockets(struct control *k)
{
	list_each_safe (it, &k->sockets) {
		struct socket_given *g = list_entry(it, struct socket_given, node);
		if (!is_ready(k->settings, &g->listener))
			continue;
		list_remove(&g->node);
		worker_listen(k->broker.worker[g->listener.index % k->broker.workers],
			      g->listener.name, g->listener.fd);
		free(g);
	}
}

/* Takes the snapshot; every worker uses it from its next turn on. */
static void publish_settings(struct control *k, struct settings *s, bool rejudge)
{
	struct swap *swap = mem_new(struct swap);
	swap->settings = settings_ref(s);
	swap->rejudge = rejudge;
	settings_unref(k->settings);
	k->settings = s;
	round_start(&swap->round, &k->broker, swap_run, swap_done);
	give_sockets(k);
}

static int parse_config(struct str text, struct config **out, struct buf *why)
{
	struct config_errors errors = {0};
	const int err = config_parse_slice(text, PROCESS_BROKER, out, &errors);
	if (err)
		config_errors_print(&errors, why);
	config_errors_fini(&errors);
	return err;
}

/* The configuration of now with credentials made anew: certificates or authorities have changed. */
static void renew_credentials(struct control *k)
{
	struct config *config;
	AUTO_BUF why = {0};
	if (parse_config(child_config(k->child), &config, &why))
		return;
	struct settings *s = settings_new(config);
	if (endpoints_build(k, s, NULL) == 0)
		publish_settings(k, s, false);
	else
		settings_unref(s);
}

static int on_reload(struct child *p, struct str text, struct buf *why)
{
	struct control *k = control_of(p);
	struct config *config;
	const int err = parse_config(text, &config, why);
	if (err)
		return err;
	AUTO(settings) s = settings_new(config);
	const int bad = endpoints_build(k, s, why);
	if (bad)
		return bad;
	const struct limit_settings limits = settings_limits(s);
	limit_configure(k->broker.limit, &limits);
	log_set_level((enum log_level)config->log.level);
	registry_set_grace(k->broker.registry, settings_grace(s));
	publish_settings(k, TAKE(s), true);
	/* The parent keeps this text from now on; the vault may have other certificates. */
	endpoints_ask(k);
	return 0;
}

static void on_listener(struct child *p, const struct child_listener *l)
{
	struct control *k = control_of(p);
	struct socket_given *g = mem_new(struct socket_given);
	g->listener = *l;
	list_append(&k->sockets, &g->node);
	if (k->serving)
		give_sockets(k);
}

struct unlisten {
	struct round round;
	size_t n;
	char name[];
};

static void unlisten_run(struct worker *w, struct round *r)
{
	const struct unlisten *u = container_of(r, struct unlisten, round);
	worker_unlisten(w, str_make(u->name, u->n));
}

static void unlisten_done(struct round *r)
{
	free(container_of(r, struct unlisten, round));
}

static void on_listener_close(struct child *p, struct str name, struct str address)
{
	struct control *k = control_of(p);
	(void)address;
	list_each_safe (it, &k->sockets) {
		struct socket_given *g = list_entry(it, struct socket_given, node);
		if (!str_is(name, g->listener.name))
			continue;
		list_remove(&g->node);
		close(g->listener.fd);
		free(g);
	}
	struct unlisten *u = mem_alloc(sizeof(*u) + name.n);
	u->n = name.n;
	memcpy(u->name, name.p, name.n);
	round_start(&u->round, &k->broker, unlisten_run, unlisten_done);
}

/* ---- start ------------------------------------------------------------------------------------
 */

static void second(struct loop_timer *t)
{
	struct control *k = container_of(t, struct control, second);
	loop_timer_start(k->broker.loop, t, "second", SECOND_MS, second);
	storelink_second(k);
	if (++k->seconds % CHAINS_S == 0)
		endpoints_ask(k);
}

static void retry(struct loop_timer *t)
{
	struct control *k = container_of(t, struct control, retry);
	if (k->stopping)
		return;
	storelink_retry(k);
	if (k->unfit || !endpoints_known(k))
		endpoints_ask(k);
}

void control_retry(struct control *k)
{
	if (!loop_timer_running(&k->retry))
		loop_timer_start(k->broker.loop, &k->retry, "retry", RETRY_MS, retry);
}

static bool chains_failed(const struct control *k)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&k->chains, &at, &key, &value);)
		if (((const struct chain_ask *)value)->failed)
			return true;
	return false;
}

void control_progress(struct control *k)
{
	if (k->stopping || !k->registry_loaded)
		return;
	spool_restore_begin(k);
	if (!k->sessions_restored || !endpoints_known(k))
		return;
	if (k->serving) {
		renew_credentials(k);
		return;
	}
	if (chains_failed(k) || endpoints_build(k, k->settings, NULL)) {
		child_fail(k->child);
		return;
	}
	k->serving = true;
	/* The workers hold this very snapshot, so far without credentials and without sockets. */
	give_sockets(k);
	loop_timer_start(k->broker.loop, &k->second, "second", SECOND_MS, second);
	child_ready(k->child);
}

static void *thread_start(void *arg, size_t index, struct loop *l)
{
	struct control *k = arg;
	(void)l;
	return &k->vaultlink[index];
}

static int start_pool(struct control *k)
{
	const struct handshake_pool_settings set = {
		.threads = MIN(k->settings->config->broker.handshake_threads,
			       (uint32_t)CONTROL_VAULTLINKS_MAX),
		.verified_max = VERIFIED_MAX,
		.arg = k,
		.thread_start = thread_start,
		.authorise = vaultlink_authorise,
	};
	return handshake_pool_new(&set, &k->broker.handshakes);
}

static int start_workers(struct control *k)
{
	struct broker *b = &k->broker;
	b->workers = MIN(MAX(k->settings->config->broker.workers, 1u), (unsigned)WORKERS_MAX);
	for (unsigned i = 0; i < b->workers; i++)
		b->worker[i] = worker_new(b, i, k->settings);
	for (unsigned i = 0; i < b->workers; i++)
		if (worker_start(b->worker[i]))
			return ERR_IO;
	return 0;
}

static void make_shared(struct control *k)
{
	struct broker *b = &k->broker;
	const struct limit_settings limits = settings_limits(k->settings);
	tls_global_init(build_time());
	report_init(&k->report, b->loop);
	b->report = &k->report;
	b->registry = registry_new();
	b->directory = directory_new();
	b->limit = limit_new(&limits);
	epoch_init(&b->epoch);
	b->trie = trie_new(&b->epoch);
	b->retain = retain_new();
	secret_random(&b->spool_epoch, sizeof(b->spool_epoch));
	b->spool_epoch = MAX(b->spool_epoch >> 1, UINT64_C(1));
}

static int on_start(struct child *p)
{
	struct control *k = control_of(p);
	struct config *config;
	AUTO_BUF why = {0};
	if (parse_config(child_config(p), &config, &why)) {
		log_error("the configuration cannot be used: %s", buf_cstr(&why));
		return ERR_INVALID;
	}
	log_set_level((enum log_level)config->log.level);
	k->settings = settings_new(config);
	make_shared(k);
	registry_set_grace(k->broker.registry, settings_grace(k->settings));
	if (start_pool(k) || start_workers(k)) {
		log_error("threads cannot be started");
		return ERR_IO;
	}
	k->started = true;
	if (k->store_fd >= 0)
		storelink_use(k, TAKE_FD(k->store_fd));
	if (k->vault_fd >= 0)
		use_vault(k, TAKE_FD(k->vault_fd));
	for (unsigned i = 0; i < k->broker.workers; i++)
		if (k->spool_fd[i] >= 0)
			spool_give(k->broker.worker[i], TAKE_FD(k->spool_fd[i]));
	return 0;
}

static int take_ticket_master(struct control *k, const struct record *r)
{
	struct body_ticket_master b;
	if (body_ticket_master_get(r->body, &b) || b.secret.n < sizeof(k->ticket_master))
		return ERR_MALFORMED;
	memcpy(k->ticket_master, b.secret.p, sizeof(k->ticket_master));
	k->has_ticket_master = true;
	if (k->serving)
		control_progress(k);
	return 0;
}

static int on_message(struct child *p, struct record *r)
{
	struct control *k = control_of(p);
	switch (r->type) {
	case MSG_LISTENER_FILES:
		return endpoints_files(k, r);
	case MSG_TICKET_MASTER:
		return take_ticket_master(k, r);
	default:
		return ERR_DENIED;
	}
}

/* ---- links of workers -------------------------------------------------------------------------
 */

struct ended {
	struct loop_note note;
	struct control *control;
	enum process peer;
	unsigned index;
	bool misbehaved;
	char why[];
};

static void link_ended(struct loop_note *note)
{
	struct ended *e = container_of(note, struct ended, note);
	if (e->misbehaved)
		child_misbehaved(e->control->child, e->peer, e->why);
	else
		child_link_lost(e->control->child, e->peer, e->index);
	free(e);
}

void control_link_broken(struct control *k, enum process peer, unsigned index, const char *why,
			 bool misbehaved)
{
	const size_t n = strlen(why) + 1;
	struct ended *e = mem_alloc(sizeof(*e) + n);
	e->control = k;
	e->peer = peer;
	e->index = index;
	e->misbehaved = misbehaved;
	memcpy(e->why, why, n);
	loop_post(k->broker.loop, &e->note, link_ended);
}

/* ---- stop -------------------------------------------------------------------------------------
 */

static void end_run(struct worker *w, struct round *r)
{
	(void)r;
	worker_stop(w);
}

static void end_done(struct round *r)
{
	struct broker *b = r->broker;
	struct control *k = b->control;
	for (unsigned i = 0; i < b->workers; i++)
		worker_join(b->worker[i]);
	free(r);
	report_fini(&k->report);
	child_stopped(k->child);
}

static void settled(struct loop_timer *t)
{
	struct control *k = container_of(t, struct control, settle);
	/* What is kept of sessions is on its way to the store, which stops after us. */
	k->settled_ms += SETTLE_MS;
	if (!spool_is_idle(&k->broker) && k->settled_ms < SETTLE_MAX_MS) {
		loop_timer_start(k->broker.loop, t, "settle", SETTLE_MS, settled);
		return;
	}
	round_start(mem_new(struct round), &k->broker, end_run, end_done);
}

static void goodbye_run(struct worker *w, struct round *r)
{
	(void)r;
	w->stopping = true;
	worker_unlisten(w, (struct str){NULL, 0});
	revoke_all(w);
}

/* Everyone was told. What sockets did not take at once leaves in the next moments. */
static void goodbye_done(struct round *r)
{
	struct control *k = r->broker->control;
	free(r);
	handshake_pool_free(TAKE(k->broker.handshakes));
	loop_timer_start(k->broker.loop, &k->settle, "settle", SETTLE_MS, settled);
}

static void on_stop(struct child *p)
{
	struct control *k = control_of(p);
	k->stopping = true;
	loop_timer_stop(k->broker.loop, &k->second);
	loop_timer_stop(k->broker.loop, &k->retry);
	round_start(mem_new(struct round), &k->broker, goodbye_run, goodbye_done);
}

const struct child_hooks broker_hooks = {
	.self = PROCESS_BROKER,
	.start = on_start,
	.link = on_link,
	.listener = on_listener,
	.listener_close = on_listener_close,
	.reload = on_reload,
	.message = on_message,
	.stop = on_stop,
};
