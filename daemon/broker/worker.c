/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers: see worker.h.
 */
#include "daemon/broker/worker.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/broker/accept.h"
#include "daemon/broker/conn.h"
#include "daemon/broker/route.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_session.h"

#include <stdlib.h>
#include <unistd.h>

enum { TICK_MS = 1000, SWEEP_SESSIONS = 4096 };

struct acceptor {
	struct list node;
	struct worker *worker;
	struct listener listener;
	uint64_t paused; /* as last told */
	int fd;
	struct loop_note note;
	char name[CONFIG_LISTENER_NAME_MAX + 1];
};

/* ---- the end of a turn ------------------------------------------------------------------------
 */

static void flush(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, flush);
	/* Writing may make room and so bring more output: those come again at the end. */
	while (!list_empty(&w->dirty)) {
		struct conn *c = list_entry(w->dirty.next, struct conn, dirty);
		list_remove(&c->dirty);
		conn_flush(c);
	}
}

static void reap(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, reap);
	while (!list_empty(&w->dead)) {
		struct conn *c = list_entry(w->dead.next, struct conn, dirty);
		list_remove(&c->dirty);
		settings_unref(c->settings);
		free(c);
	}
}

static void leave(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, leave);
	if (epoch_inside(&w->reader))
		epoch_leave(&w->reader);
}

void worker_enter(struct worker *w)
{
	if (epoch_inside(&w->reader))
		return;
	epoch_enter(&w->reader);
	loop_defer(w->loop, &w->leave, leave);
}

void worker_leave(struct worker *w)
{
	if (epoch_inside(&w->reader))
		epoch_leave(&w->reader);
}

/* ---- once a second ----------------------------------------------------------------------------
 */

static void close_blocked(struct worker *w)
{
	const uint64_t now = loop_now_ms(w->loop);
	list_each_safe (it, &w->blocked) {
		struct conn *c = list_entry(it, struct conn, blocked);
		if (now - c->blocked_ms < WORKER_BLOCKED_S * UINT64_C(1000))
			return;
		conn_event(c, EVENT_LIMIT_REACHED, "the client does not read", NULL);
		conn_close(c, REASON_QUOTA_EXCEEDED, "the client does not read");
	}
}

static void tell_pauses(struct worker *w)
{
	list_each (it, &w->acceptors) {
		struct acceptor *a = list_entry(it, struct acceptor, node);
		if (a->paused == a->listener.stats.paused)
			continue;
		a->paused = a->listener.stats.paused;
		struct body_event e = {.listener = str_of(a->name),
				       .reason = STR("out of descriptors or memory")};
		journal_event(&w->journal, EVENT_LISTENER_PAUSED, hash_str(e.listener), &e, NULL);
	}
}

/* A piece of all sessions at a time. */
static void sweep_sessions(struct worker *w)
{
	struct session *s = NULL;
	if (w->settings->config->broker.max_queued_age == 0)
		return;
	for (unsigned i = 0; i < SWEEP_SESSIONS && (s = slab_next(&w->sessions, &w->aged)); i++)
		session_drop_aged(s);
	if (!s)
		w->aged = 0;
}

static void sweep_retained(struct worker *w)
{
	retain_sweep(w->broker->retain, &w->sweep, loop_now_ms(w->loop));
	AUTO_BUF expired = retain_take_expired(w->broker->retain);
	spool_retain_expired(w, buf_view(&expired));
}

static void tick(struct loop_timer *t)
{
	struct worker *w = container_of(t, struct worker, tick);
	loop_timer_start(w->loop, t, "tick", TICK_MS, tick);
	close_blocked(w);
	tell_pauses(w);
	sweep_sessions(w);
	if (w->index == 0)
		sweep_retained(w);
}

/* ---- listeners --------------------------------------------------------------------------------
 */

static void accepted(struct listener *l, int fd, const struct addr *peer)
{
	struct acceptor *a = container_of(l, struct acceptor, listener);
	struct worker *w = a->worker;
	const struct endpoint *e = settings_endpoint(w->settings, str_of(a->name));
	w->stats.accepted++;
	if (e)
		accept_socket(w, e, fd, peer);
	else
		close(fd);
}

static bool is_proxied(const struct endpoint *e)
{
	return e->config->proxy_protocol != CONFIG_PROXY_OFF;
}

static void not_allowed(struct listener *l, const struct addr *peer)
{
	struct acceptor *a = container_of(l, struct acceptor, listener);
	const struct endpoint *at = settings_endpoint(a->worker->settings, str_of(a->name));
	const bool proxied = at && is_proxied(at);
	char text[ADDR_TEXT];
	struct body_event e = {
		.address = str_of(addr_format(peer, text)),
		.listener = str_of(a->name),
		.reason = proxied ? STR("the address is not in proxy-from")
				  : STR("the address is not in allow-from"),
	};
	a->worker->stats.refused++;
	journal_event(&a->worker->journal, proxied ? EVENT_PROXY_REFUSED : EVENT_LOGIN_REFUSED,
		      addr_key(peer), &e, NULL);
}

/* Behind a proxy allow-from is for the address that it states, see proxied.h. */
static void allow_from(struct acceptor *a)
{
	const struct endpoint *e = settings_endpoint(a->worker->settings, str_of(a->name));
	const struct config_cidrs none = {0};
	const struct config_cidrs *list = &none;
	if (e)
		list = is_proxied(e) ? &e->config->proxy_from : &e->config->allow_from;
	a->listener.allow = list->p;
	a->listener.allow_n = list->n;
}

static void acceptor_free(struct acceptor *a)
{
	listener_stop(&a->listener);
	list_remove(&a->node);
	free(a);
}

static void listen_note(struct loop_note *note)
{
	struct acceptor *a = container_of(note, struct acceptor, note);
	struct worker *w = a->worker;
	if (w->stopping) {
		close(a->fd);
		free(a);
		return;
	}
	list_append(&w->acceptors, &a->node);
	a->listener.name = a->name;
	a->listener.accepted = accepted;
	a->listener.not_allowed = not_allowed;
	allow_from(a);
	if (listener_start(&a->listener, w->loop, a->fd))
		log_error("listener %s: the socket cannot be watched", a->name);
}

void worker_listen(struct worker *w, const char *name, int fd)
{
	struct acceptor *a = mem_new(struct acceptor);
	a->worker = w;
	a->fd = fd;
	const struct str s = str_of(name);
	memcpy(a->name, name, MIN(s.n, sizeof(a->name) - 1));
	loop_post(w->loop, &a->note, listen_note);
}

void worker_unlisten(struct worker *w, struct str name)
{
	list_each_safe (it, &w->acceptors) {
		struct acceptor *a = list_entry(it, struct acceptor, node);
		if (!name.p || str_is(name, a->name))
			acceptor_free(a);
	}
}

void worker_use_settings(struct worker *w, struct settings *s)
{
	struct settings *old = w->settings;
	w->settings = settings_ref(s);
	list_each_safe (it, &w->acceptors) {
		struct acceptor *a = list_entry(it, struct acceptor, node);
		/* One that is gone takes nobody any more: its socket may come again under another
		 * name, and with it those who wait in its backlog. */
		if (settings_endpoint(s, str_of(a->name)))
			allow_from(a);
		else
			acceptor_free(a);
	}
	settings_unref(old);
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct worker *worker_new(struct broker *b, unsigned index, struct settings *settings)
{
	struct worker *w = mem_new(struct worker);
	w->broker = b;
	w->index = index;
	w->loop = loop_new();
	w->scratch = stream_scratch_new();
	w->settings = settings_ref(settings);
	slab_init(&w->conns, index);
	slab_init(&w->sessions, index);
	list_init(&w->acceptors);
	list_init(&w->dirty);
	list_init(&w->dead);
	list_init(&w->blocked);
	list_init(&w->paused);
	list_init(&w->replaying);
	spool_init(&w->spool, w);
	journal_init(&w->journal, w->loop, b->loop, b->report);
	epoch_reader_add(&b->epoch, &w->reader);
	loop_timer_start(w->loop, &w->tick, "tick", TICK_MS, tick);
	return w;
}

void worker_schedule_flush(struct worker *w)
{
	loop_defer(w->loop, &w->flush, flush);
}

void worker_schedule_reap(struct worker *w)
{
	loop_defer(w->loop, &w->reap, reap);
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	char name[16] = "worker-";
	name[7] = (char)('0' + w->index / 10);
	name[8] = (char)('0' + w->index % 10);
	pthread_setname_np(pthread_self(), name);
	loop_run(w->loop);
	return NULL;
}

int worker_start(struct worker *w)
{
	return pthread_create(&w->thread, NULL, thread_main, w) ? ERR_IO : 0;
}

void worker_stop(struct worker *w)
{
	w->stopping = true;
	worker_unlisten(w, (struct str){NULL, 0});
	loop_stop(w->loop);
}

void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
}
