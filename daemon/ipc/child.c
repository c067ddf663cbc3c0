/* SPDX-License-Identifier: Apache-2.0
 *
 * A child process and its parent link: see child.h.
 */
#include "daemon/ipc/child.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <unistd.h>

enum { CONFIG_MAX = 1 * MiB };

struct child {
	const struct child_hooks *hooks;
	struct loop *loop;
	struct link *parent;
	struct buf config;
	void *context;
	bool started;
	bool stopping;
	int status;
	int (*confine)(struct child *p);
};

static struct child *of(struct link *l)
{
	return link_owner(l);
}

static int on_config(struct link *l, struct record *r)
{
	struct child *p = of(l);
	AUTO_BUF text = {0};
	AUTO_BUF why = {0};
	if (r->fd < 0 || memfd_read(r->fd, CONFIG_MAX, &text))
		return ERR_MALFORMED;
	const int err = p->started ? p->hooks->reload(p, buf_view(&text), &why) : 0;
	if (err == 0) {
		buf_fini(&p->config);
		p->config = text;
		text = (struct buf){0};
	}
	const struct body_config_done done = {err == 0, {why.p, MIN(why.n, (size_t)1024)}};
	LINK_SEND(l, CONFIG_DONE, config_done, r->id, -1, &done);
	return 0;
}

static void copy_text(char *to, size_t size, struct str s)
{
	snprintf(to, size, "%.*s", STR_ARG(s));
}

static int on_listener(struct link *l, struct record *r)
{
	struct body_listener b;
	if (r->fd < 0 || !of(l)->hooks->listener || body_listener_get(r->body, &b))
		return ERR_MALFORMED;
	struct child_listener listener = {.index = b.index, .fd = TAKE_FD(r->fd)};
	copy_text(listener.name, sizeof(listener.name), b.name);
	copy_text(listener.address, sizeof(listener.address), b.address);
	of(l)->hooks->listener(of(l), &listener);
	return 0;
}

static int on_listener_close(struct link *l, struct record *r)
{
	struct body_listener_close b;
	if (!of(l)->hooks->listener_close || body_listener_close_get(r->body, &b))
		return ERR_MALFORMED;
	of(l)->hooks->listener_close(of(l), b.name, b.address);
	return 0;
}

static int on_link(struct link *l, struct record *r)
{
	struct body_link b;
	if (r->fd < 0 || body_link_get(r->body, &b) || b.peer >= PROCESS_COUNT)
		return ERR_MALFORMED;
	of(l)->hooks->link(of(l), b.peer, b.index, TAKE_FD(r->fd));
	return 0;
}

static int on_start(struct link *l, struct record *r)
{
	struct child *p = of(l);
	(void)r;
	if (p->started)
		return ERR_DENIED;
	p->started = true;
	loop_excuse(p->loop);
	if (p->confine(p) || p->hooks->start(p))
		child_fail(p);
	return 0;
}

static void stop(struct child *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	if (p->started)
		p->hooks->stop(p);
	else
		child_stopped(p);
}

static int on_stop(struct link *l, struct record *r)
{
	(void)r;
	stop(of(l));
	return 0;
}

static int on_other(struct link *l, struct record *r)
{
	struct child *p = of(l);
	return p->hooks->message ? p->hooks->message(p, r) : ERR_DENIED;
}

static void parent_gone(struct link *l, const char *why, bool misbehaved)
{
	struct child *p = of(l);
	(void)misbehaved;
	if (!p->stopping)
		log_warning("the parent process is gone (%s): stopping", why);
	stop(p);
}

static const link_handler handlers[MSG_COUNT] = {
	[MSG_CONFIG] = on_config,
	[MSG_LISTENER] = on_listener,
	[MSG_LISTENER_CLOSE] = on_listener_close,
	[MSG_LINK] = on_link,
	[MSG_START] = on_start,
	[MSG_STOP] = on_stop,
	[MSG_MACHINE] = on_other,
	[MSG_SEAL] = on_other,
	[MSG_LISTENER_KEY] = on_other,
	[MSG_LISTENER_FILES] = on_other,
	[MSG_TICKET_MASTER] = on_other,
	[MSG_PROCESS_STATE] = on_other,
	[MSG_LOG_SOURCE] = on_other,
	[MSG_GATEWAY] = on_other,
	[MSG_SETTING_UNDONE] = on_other,
	[MSG_EVENTS] = on_other,
};

/* What the process still holds at its end hangs here, for checkers of leaks. */
static struct child *volatile running;

int child_run(const struct child_hooks *hooks, int fd, int (*confine)(struct child *p))
{
	struct child *p = mem_new(struct child);
	running = p;
	p->hooks = hooks;
	p->confine = confine;
	p->loop = loop_new();
	const struct link_config config = {
		.self = hooks->self,
		.peer = PROCESS_PARENT,
		.handler = handlers,
		.owner = p,
		.broken = parent_gone,
	};
	p->parent = link_new(p->loop, fd, &config);
	link_set_serving(p->parent, false);
	loop_run(p->loop);
	/* The process ends here: the kernel takes back what it still holds. */
	return p->status;
}

struct loop *child_loop(struct child *p)
{
	return p->loop;
}

struct link *child_parent(struct child *p)
{
	return p->parent;
}

struct str child_config(const struct child *p)
{
	return buf_view(&p->config);
}

void child_set_context(struct child *p, void *context)
{
	p->context = context;
}

void *child_context(const struct child *p)
{
	return p->context;
}

enum process child_self(const struct child *p)
{
	return p->hooks->self;
}

void child_ready(struct child *p)
{
	link_set_serving(p->parent, true);
	LINK_SEND(p->parent, READY, ready, 0, -1, &(struct body_ready){});
}

void child_stopped(struct child *p)
{
	p->status = 0;
	loop_stop(p->loop);
}

void child_fail(struct child *p)
{
	p->status = 1;
	loop_stop(p->loop);
}

void child_misbehaved(struct child *p, enum process peer, const char *what)
{
	const struct body_misbehaved b = {(uint8_t)peer, str_of(what)};
	log_error("%s %s: treated as taken over", process_name(peer), what);
	LINK_SEND(p->parent, MISBEHAVED, misbehaved, 0, -1, &b);
}

void child_link_lost(struct child *p, enum process peer, unsigned index)
{
	const struct body_link_lost b = {(uint8_t)peer, (uint16_t)index};
	if (!p->stopping)
		LINK_SEND(p->parent, LINK_LOST, link_lost, 0, -1, &b);
}

void child_link_broken(struct child *p, struct link *l, const char *why, bool misbehaved)
{
	const enum process peer = link_peer(l);
	if (misbehaved) {
		child_misbehaved(p, peer, why);
	} else if (!p->stopping) {
		log_info("%s is away (%s)", process_name(peer), why);
		child_link_lost(p, peer, 0);
	}
	link_free(l);
}
