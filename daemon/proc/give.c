/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parent gives a child before it starts: its slice of the configuration, its sockets, and
 * for vault and broker the names of the machine, the files of people who bring a PKI, and the
 * secret of the session tickets. Parent.
 */
#include "config.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/proc/machine.h"
#include "daemon/proc/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_TIMEOUT_MS = 10000 };

void give_config(struct unit *u, void (*done)(struct link_call *, int, struct record *))
{
	AUTO_BUF text = {0};
	config_slice(u->parent->running, u->self, &text);
	AUTO_FD fd = memfd_make("config", buf_view(&text));
	link_call_cancel(&u->config_call);
	u->config_number = u->parent->config_number;
	LINK_ASK(u->link, &u->config_call, CONFIG, config, fd, &(struct body_config){},
		 CONFIG_TIMEOUT_MS, done);
}

static void config_taken(struct link_call *call, int err, struct record *reply)
{
	(void)call;
	(void)err;
	(void)reply; /* at the start a child that dislikes its configuration says why and ends */
}

static void give_socket(struct unit *u, struct sockets_entry *e)
{
	const struct body_listener b = {str_of(e->name), (uint16_t)e->index, str_of(e->address)};
	LINK_SEND(u->link, LISTENER, listener, 0, e->fd, &b);
	e->given = true;
}

static void give_sockets(struct unit *u)
{
	struct sockets *s = &u->parent->sockets;
	for (size_t i = 0; i < s->n; i++)
		if (s->entry[i].process == u->self)
			give_socket(u, &s->entry[i]);
	buf_fini(&s->gone[u->self]); /* a new one never had them */
}

void give_new_sockets(struct unit *u)
{
	struct sockets *s = &u->parent->sockets;
	struct str gone = buf_view(&s->gone[u->self]), item;
	while (strs_next(&gone, &item)) {
		const struct str self = str_of(process_name(u->self));
		const struct body_listener_close b =
			u->self == PROCESS_BROKER ? (struct body_listener_close){item, STR("")}
						  : (struct body_listener_close){self, item};
		LINK_SEND(u->link, LISTENER_CLOSE, listener_close, 0, -1, &b);
	}
	buf_fini(&s->gone[u->self]);
	for (size_t i = 0; i < s->n; i++)
		if (s->entry[i].process == u->self && !s->entry[i].given)
			give_socket(u, &s->entry[i]);
}

/* A file that a listener names, and what is asked of it. */
struct file {
	const char *key;
	size_t path; /* in struct config_listener */
	bool secret; /* nobody else may read it */
	off_t max;   /* bytes */
	enum listener_file kind;
};

static const struct file files[] = {
	{"certificate", offsetof(struct config_listener, certificate), false, 1 * MiB,
	 LISTENER_CERTIFICATE},
	{"client-ca", offsetof(struct config_listener, client_ca), false, 1 * MiB,
	 LISTENER_CLIENT_CA},
	{"crl", offsetof(struct config_listener, crl), false, 32 * MiB, LISTENER_CRL},
};
static const struct file key_file = {"key", offsetof(struct config_listener, key), true, 1 * MiB,
				     LISTENER_CERTIFICATE};

static const char *path_of(const struct config_listener *l, const struct file *f)
{
	return *(char *const *)((const char *)l + f->path);
}

/* Descriptor, or ERR_* after one log line. */
static int open_file(const struct config_listener *l, const struct file *f)
{
	const char *path = path_of(l, f);
	struct stat st;
	/* Not blocking: a pipe without a writer would stop the gateway. */
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		const int error = errno;
		log_error("listener %s: %s = %s: %s%s", l->name, f->key, path, strerror(error),
			  error == EACCES ? " (it must belong to the user who starts the gateway)"
					  : "");
		return ERR_IO;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > f->max) {
		log_error("listener %s: %s = %s: not a file of at most %d MiB", l->name, f->key,
			  path, (int)(f->max / MiB));
		return ERR_INVALID;
	}
	if (f->secret && st.st_mode & 077) {
		log_error("listener %s: %s = %s: others may read this private key (mode %04o): "
			  "chmod 0600 %s",
			  l->name, f->key, path, (unsigned)st.st_mode & 07777, path);
		return ERR_DENIED;
	}
	return TAKE_FD(fd);
}

/* The file's bytes in a memfd: the receiver has no access to files. */
static int open_copy(const struct config_listener *l, const struct file *f)
{
	AUTO_SECRET bytes = {0};
	AUTO_FD fd = open_file(l, f);
	if (fd < 0)
		return fd;
	if (f == &key_file) /* one block: growing would leave copies of a key behind */
		buf_reserve(&bytes, (size_t)f->max + 2 * 4096);
	while (bytes.n <= (size_t)f->max) {
		char *at = buf_reserve(&bytes, 4096);
		const ssize_t n = read(fd, at, 4096);
		if (n == 0)
			return memfd_make("listener", buf_view(&bytes));
		if (n < 0 && errno != EINTR)
			return ERR_IO;
		if (n > 0)
			bytes.n += (size_t)n;
	}
	return ERR_LIMIT; /* it grows while it is read */
}

static int give_key(struct unit *vault, const struct config_listener *l)
{
	const struct body_listener_key b = {str_of(l->name), str_of(l->key)};
	AUTO_FD fd = open_copy(l, &key_file);
	if (fd < 0)
		return fd;
	LINK_SEND(vault->link, LISTENER_KEY, listener_key, 0, fd, &b);
	return 0;
}

static int give_certificates(struct unit *u, const struct config_listener *l, const struct file *f)
{
	const struct body_listener_files b = {str_of(l->name), (uint8_t)f->kind,
					      str_of(path_of(l, f))};
	AUTO_FD fd = open_copy(l, f);
	if (fd < 0)
		return fd;
	LINK_SEND(u->link, LISTENER_FILES, listener_files, 0, fd, &b);
	return 0;
}

int give_listener_files(struct unit *u)
{
	const struct config *c = u->parent->running;
	int err = 0;
	for (size_t i = 0; i < c->listeners && err == 0; i++) {
		const struct config_listener *l = &c->listener[i];
		if (u->self == PROCESS_VAULT && l->key[0])
			err = give_key(u, l);
		if (u->self != PROCESS_BROKER)
			continue;
		for (size_t k = 0; k < ARRAY_LEN(files) && err == 0; k++)
			if (path_of(l, &files[k])[0])
				err = give_certificates(u, l, &files[k]);
	}
	return err;
}

static int check_file(const struct config_listener *l, const struct file *f)
{
	if (!path_of(l, f)[0])
		return 0;
	AUTO_FD fd = open_file(l, f);
	return fd < 0 ? fd : 0;
}

int give_check_files(const struct config *c)
{
	int first = 0;
	for (size_t i = 0; i < c->listeners; i++) {
		int err = check_file(&c->listener[i], &key_file);
		for (size_t k = 0; k < ARRAY_LEN(files); k++) {
			first = first ? first : err;
			err = check_file(&c->listener[i], &files[k]);
		}
		first = first ? first : err;
	}
	return first;
}

void give_ticket_secret(struct unit *broker)
{
	unsigned char secret[TICKET_SECRET];
	uint64_t epoch;
	if (dirs_ticket_secret(broker->parent->running->gateway.state_dir, secret, &epoch))
		return; /* logged; the broker gives out no tickets then */
	const struct body_ticket_master b = {str_make(secret, sizeof(secret)), epoch};
	LINK_SEND(broker->link, TICKET_MASTER, ticket_master, 0, -1, &b);
	secret_wipe(secret, sizeof(secret));
}

void give_gateway(struct unit *store)
{
	struct parent *p = store->parent;
	AUTO_BUF addresses = {0};
	sockets_describe(&p->sockets, p->running, &addresses);
	const struct body_gateway b = {
		.name = str_of(p->running->gateway.name),
		.version = STR(PACKAGE_VERSION),
		.config_path = str_of(p->options.config_path),
		.addresses = {addresses.p, MIN(addresses.n, (size_t)8192)},
		.started_ms = p->started_ms,
	};
	LINK_SEND(store->link, GATEWAY, gateway, 0, -1, &b);
	for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++)
		unit_tell_state(&p->unit[i]);
}

void give_machine(struct unit *vault)
{
	AUTO_BUF names = {0};
	machine_names(&names);
	const struct body_machine b = {buf_view(&names)};
	LINK_SEND(vault->link, MACHINE, machine, 0, -1, &b);
}

/* Without them the vault could not open its files: it says so and ends. */
static void give_seals(struct unit *vault)
{
	unsigned char key[HOST_KEYS_MAX][HOST_KEY];
	const int n = dirs_host_keys(vault->parent->running->gateway.state_dir, key);
	for (int i = 0; i < n; i++) {
		const struct body_seal b = {str_make(key[i], HOST_KEY)};
		LINK_SEND(vault->link, SEAL, seal, 0, -1, &b);
	}
	secret_wipe(key, sizeof(key));
}

void give_start(struct unit *u)
{
	give_config(u, config_taken);
	give_sockets(u);
	if (u->self == PROCESS_VAULT) {
		give_seals(u);
		give_machine(u);
	}
	if (u->self == PROCESS_BROKER)
		give_ticket_secret(u);
	give_listener_files(u);
	LINK_SEND(u->link, START, start, 0, -1, &(struct body_start){});
}
