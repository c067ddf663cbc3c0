/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets: see sockets.h.
 */
#include "daemon/proc/sockets.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"
#include "daemon/net/listener.h"
#include "daemon/proc/sd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct binder {
	struct sockets *had; /* that serve meanwhile; NULL at the start */
	struct sockets *out;
	struct buf *why; /* NULL: errors are logged */
	int err;         /* the first one */
};

static struct sockets_entry *add_entry(struct sockets *s)
{
	s->entry = mem_grow(s->entry, (s->n + 1) * sizeof(*s->entry));
	struct sockets_entry *e = &s->entry[s->n++];
	*e = (struct sockets_entry){.fd = -1};
	return e;
}

static void failed(struct binder *b, int err, const char *error)
{
	b->err = b->err ? b->err : err;
	if (!b->why) {
		log_error("%s", error);
		return;
	}
	if (b->why->n)
		buf_puts(b->why, "\n");
	buf_puts(b->why, error);
}

/* Whether "*" was what it is bound to: IPv4 reaches it as well. */
static bool takes_both(int fd, const struct addr *bound)
{
	int only_v6 = 1;
	socklen_t len = sizeof(only_v6);
	return bound->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&bound->v6.sin6_addr) &&
	       getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, &len) == 0 && !only_v6;
}

static void keep(struct binder *b, const struct sockets_entry *like, int fd)
{
	struct sockets_entry *e = add_entry(b->out);
	struct addr bound;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	*e = *like;
	e->fd = fd;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    addr_from_sockaddr((struct sockaddr *)&ss, len, &bound) == 0) {
		bound.dual_stack = takes_both(fd, &bound);
		addr_format(&bound, e->address);
	}
}

static void name_in_store(struct sockets_entry *e)
{
	snprintf(e->stored, sizeof(e->stored), "%s/%s/%u", e->name, e->wanted, e->index);
	/* ':' separates the names that systemd passes back. */
	for (char *p = strchr(e->stored, ':'); p; p = strchr(p, ':'))
		*p = '_';
}

/* The socket on this address that serves now, of a listener of that name if there is one. */
static struct sockets_entry *find_same(struct sockets *had, const struct sockets_entry *like)
{
	struct sockets_entry *found = NULL;
	for (size_t i = 0; had && i < had->n; i++) {
		struct sockets_entry *e = &had->entry[i];
		if (e->stays || e->process != like->process || e->worker != like->worker ||
		    strcmp(e->wanted, like->wanted) != 0)
			continue;
		if (!found || strcmp(e->name, like->name) == 0)
			found = e;
	}
	return found;
}

/* Whether one of ours has the port, perhaps on another address. */
static bool holds_port(const struct sockets *had, const struct addr *address)
{
	struct addr a;
	for (size_t i = 0; had && i < had->n; i++)
		if (had->entry[i].process != PROCESS_CTL &&
		    addr_parse(str_of(had->entry[i].address), &a) == 0 &&
		    addr_port(&a) == addr_port(address))
			return true;
	return false;
}

static void bind_one(struct binder *b, const struct sockets_entry *like, const struct addr *address)
{
	AUTO_CHAR error = NULL;
	struct sockets_entry *same = find_same(b->had, like);
	const struct listener_bind want = {
		.name = like->name,
		.address = *address,
		.reuse_port = true,
		/* What looks for strangers on the port would find ourselves. */
		.first = like->worker == 0 && !holds_port(b->had, address),
	};
	int fd = -1;
	if (same) {
		same->stays = true;
		keep(b, like, same->fd);
		b->out->entry[b->out->n - 1].stays = true;
		return;
	}
	if (!b->had)
		fd = sd_take_fd(like->stored);
	if (fd < 0) {
		const int err = listener_bind(&want, &error, &fd);
		if (err) {
			failed(b, err, error);
			return;
		}
		if (!b->had)
			sd_store_fd(like->stored, fd);
	}
	keep(b, like, fd);
}

/* All may share their ports: a reload may bind one over another. */
static void bind_list(struct binder *b, enum process process, const char *name,
		      const struct config_addrs *list, unsigned sockets)
{
	for (size_t a = 0; a < list->n; a++) {
		for (unsigned w = 0; w < sockets; w++) {
			struct sockets_entry like = {
				.process = process,
				.index = (unsigned)a * sockets + w,
				.worker = w,
			};
			snprintf(like.name, sizeof(like.name), "%s", name);
			addr_format(&list->p[a], like.wanted);
			name_in_store(&like);
			bind_one(b, &like, &list->p[a]);
		}
	}
}

static void bind_listeners(struct binder *b, const struct config *c)
{
	for (size_t i = 0; i < c->listeners; i++)
		bind_list(b, PROCESS_BROKER, c->listener[i].name, &c->listener[i].bind,
			  c->broker.workers);
}

static void bind_web(struct binder *b, const struct config *c)
{
	bind_list(b, PROCESS_ADMIN, "admin", &c->admin.bind, 1);
	bind_list(b, PROCESS_ENROL, "enrol", &c->enrol.bind, 1);
}

static void bind_control(struct binder *b, const char *run_dir, gid_t group)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	AUTO_CHAR path = mem_printf("%s/control.sock", run_dir);
	if (strlen(path) >= sizeof(sun.sun_path)) {
		log_error("the path of the control socket is longer than %zu bytes: %s; set "
			  "gateway.run-dir",
			  sizeof(sun.sun_path) - 1, path);
		b->err = b->err ? b->err : ERR_LIMIT;
		return;
	}
	memcpy(sun.sun_path, path, strlen(path));
	/* The lock of the state directory is ours, so a socket that is there is left over. */
	unlink(path);
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const mode_t before = umask(0117);
	const int failed = fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(before);
	if (failed || listen(fd, SOMAXCONN)) {
		log_error("cannot make the control socket %s: %s", path, strerror(errno));
		b->err = b->err ? b->err : ERR_IO;
		return;
	}
	if (geteuid() == 0 && chown(path, (uid_t)-1, group) < 0)
		log_warning("cannot give %s to the administrators' group: %s", path,
			    strerror(errno));
	keep(b, &(struct sockets_entry){.process = PROCESS_CTL, .name = "control"}, TAKE_FD(fd));
	snprintf(b->out->entry[b->out->n - 1].address, ADDR_TEXT, "%s", path);
}

int sockets_bind(const struct config *c, gid_t control_group, struct sockets *out)
{
	struct binder b = {.out = out};
	*out = (struct sockets){0};
	bind_listeners(&b, c);
	bind_web(&b, c);
	bind_control(&b, c->gateway.run_dir, control_group);
	sd_close_rest();
	return b.err;
}

int sockets_plan(struct sockets *now, const struct config *c, struct sockets *next, struct buf *why)
{
	struct binder b = {.had = now, .out = next, .why = why};
	*next = (struct sockets){0};
	for (size_t i = 0; i < now->n; i++) {
		struct sockets_entry *e = &now->entry[i];
		e->stays = e->process == PROCESS_CTL;
		if (e->stays)
			*add_entry(next) = *e;
	}
	bind_listeners(&b, c);
	bind_web(&b, c);
	if (b.err)
		sockets_plan_drop(next);
	return b.err;
}

static void fini_gone(struct sockets *s)
{
	for (enum process i = 0; i < PROCESS_COUNT; i++)
		buf_fini(&s->gone[i]);
}

void sockets_plan_drop(struct sockets *next)
{
	for (size_t i = 0; i < next->n; i++)
		if (!next->entry[i].stays)
			close(next->entry[i].fd);
	free(next->entry);
	fini_gone(next);
	*next = (struct sockets){0};
}

/* What its process knows it by: each socket of a web process has a server of its own. */
static const char *label(const struct sockets_entry *e)
{
	return e->process == PROCESS_BROKER ? e->name : e->address;
}

static bool is_gone(const struct sockets *s, const struct sockets_entry *e)
{
	struct str list = buf_view(&s->gone[e->process]), item;
	while (strs_next(&list, &item))
		if (str_is(item, label(e)))
			return true;
	return false;
}

static const struct sockets_entry *find_fd(const struct sockets *s, int fd)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->entry[i].fd == fd)
			return &s->entry[i];
	return NULL;
}

/* What was under one name and is not any more, in the store and with its process. */
static void leave(struct sockets *next, const struct sockets_entry *old)
{
	const struct sockets_entry *e = old->stays ? find_fd(next, old->fd) : NULL;
	if ((!e || strcmp(label(e), label(old)) != 0) && old->given && !is_gone(next, old))
		strs_put(&next->gone[old->process], str_of(label(old)));
	if (old->stored[0] && (!e || strcmp(e->stored, old->stored) != 0))
		sd_remove_fd(old->stored);
	if (!e)
		close(old->fd);
}

void sockets_switch(struct sockets *now, struct sockets *next)
{
	memcpy(next->gone, now->gone, sizeof(next->gone)); /* not yet told */
	for (size_t i = 0; i < now->n; i++)
		leave(next, &now->entry[i]);
	for (size_t i = 0; i < next->n; i++) {
		struct sockets_entry *e = &next->entry[i];
		const struct sockets_entry *old = find_fd(now, e->fd);
		const bool known = e->stays && old;
		if (e->stored[0] && !(known && strcmp(old->stored, e->stored) == 0))
			sd_store_fd(e->stored, e->fd);
		e->given = known && old->given && strcmp(label(old), label(e)) == 0 &&
			   !is_gone(next, e);
	}
	free(now->entry);
	*now = *next;
	*next = (struct sockets){0};
}

void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		close(s->entry[i].fd);
		if (s->entry[i].process == PROCESS_CTL)
			unlink(s->entry[i].address);
	}
	free(s->entry);
	fini_gone(s);
	*s = (struct sockets){0};
}

static const char *protocol_of(const struct sockets_entry *e, const struct config *c)
{
	if (e->process == PROCESS_CTL)
		return "control";
	if (e->process != PROCESS_BROKER)
		return "https";
	for (size_t i = 0; i < c->listeners; i++) {
		const struct config_listener *l = &c->listener[i];
		static const char *const word[][2] = {
			[CONFIG_PROTOCOL_MQTT] = {"mqtt", "mqtts"},
			[CONFIG_PROTOCOL_WEBSOCKET] = {"ws", "wss"},
			[CONFIG_PROTOCOL_AUTO] = {"mqtt+ws", "mqtts+wss"},
		};
		if (strcmp(l->name, e->name) == 0)
			return word[l->protocol][l->tls];
	}
	return "mqtt";
}

void sockets_describe(const struct sockets *s, const struct config *c, struct buf *list)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct sockets_entry *e = &s->entry[i];
		if (e->process == PROCESS_BROKER && e->index % c->broker.workers != 0)
			continue;
		AUTO_CHAR line = mem_printf("%s %s %s", e->name, e->address, protocol_of(e, c));
		strs_put(list, str_of(line));
	}
}
