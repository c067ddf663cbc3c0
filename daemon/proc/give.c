/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parent gives a child before it starts: its slice of the configuration, its sockets, the
 * files of people who bring a PKI (files.h), and for vault and broker the names of the machine and
 * the secret of the session tickets. Parent.
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
	AUTO_BUF certificates = {0};
	sockets_describe(&p->sockets, p->running, &addresses);
	files_describe(p, &certificates);
	const struct body_gateway b = {
		.name = str_of(p->running->gateway.name),
		.version = STR(PACKAGE_VERSION),
		.config_path = str_of(p->options.config_path),
		.addresses = {addresses.p, MIN(addresses.n, (size_t)8192)},
		.certificates = buf_view(&certificates),
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
	files_give(u);
	LINK_SEND(u->link, START, start, 0, -1, &(struct body_start){});
}
