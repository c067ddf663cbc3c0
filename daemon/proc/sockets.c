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
	struct sockets *out;
	int err; /* the first one */
};

static void keep(struct binder *b, enum process process, const char *name, unsigned index, int fd)
{
	struct sockets *s = b->out;
	struct addr bound;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	s->entry = mem_grow(s->entry, (s->n + 1) * sizeof(*s->entry));
	struct sockets_entry *e = &s->entry[s->n++];
	*e = (struct sockets_entry){.process = process, .index = index, .fd = fd};
	snprintf(e->name, sizeof(e->name), "%s", name);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    addr_from_sockaddr((struct sockaddr *)&ss, len, &bound) == 0)
		addr_format(&bound, e->address);
}

static void bind_one(struct binder *b, enum process process, const struct listener_bind *want,
		     unsigned index)
{
	char stored[96], text[ADDR_TEXT];
	int fd;
	AUTO_CHAR error = NULL;
	snprintf(stored, sizeof(stored), "%s/%s/%u", want->name, addr_format(&want->address, text),
		 index);
	/* ':' separates the names that systemd passes back. */
	for (char *p = strchr(stored, ':'); p; p = strchr(p, ':'))
		*p = '_';
	fd = sd_take_fd(stored);
	if (fd < 0) {
		const int err = listener_bind(want, &error, &fd);
		if (err) {
			log_error("%s", error);
			b->err = b->err ? b->err : err;
			return;
		}
		sd_store_fd(stored, fd);
	}
	keep(b, process, want->name, index, fd);
}

static void bind_list(struct binder *b, enum process process, const char *name,
		      const struct config_addrs *list, unsigned sockets)
{
	for (size_t a = 0; a < list->n; a++) {
		for (unsigned w = 0; w < sockets; w++) {
			const struct listener_bind want = {
				.name = name,
				.address = list->p[a],
				.reuse_port = sockets > 1,
				.first = w == 0,
			};
			bind_one(b, process, &want, (unsigned)a * sockets + w);
		}
	}
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
	keep(b, PROCESS_CTL, "control", 0, TAKE_FD(fd));
	snprintf(b->out->entry[b->out->n - 1].address, ADDR_TEXT, "%s", path);
}

int sockets_bind(const struct config *c, gid_t control_group, struct sockets *out)
{
	struct binder b = {.out = out};
	*out = (struct sockets){0};
	for (size_t i = 0; i < c->listeners; i++)
		bind_list(&b, PROCESS_BROKER, c->listener[i].name, &c->listener[i].bind,
			  c->broker.workers);
	bind_list(&b, PROCESS_ADMIN, "admin", &c->admin.bind, 1);
	bind_list(&b, PROCESS_ENROL, "enrol", &c->enrol.bind, 1);
	bind_control(&b, c->gateway.run_dir, control_group);
	sd_close_rest();
	return b.err;
}

void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		close(s->entry[i].fd);
		if (s->entry[i].process == PROCESS_CTL)
			unlink(s->entry[i].address);
	}
	free(s->entry);
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
