/* SPDX-License-Identifier: Apache-2.0
 *
 * Logins on their way to the store and back: see login.h.
 */
#include "daemon/broker/login.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "daemon/broker/conn.h"
#include "daemon/broker/control.h"

#include <stdlib.h>

struct login {
	struct loop_note note;
	struct link_call call;
	struct worker *worker;
	uint64_t conn;
	enum login_result result;
	uint64_t device_id;
	size_t name_n;
	size_t password_n;
	char name[USER_NAME_MAX];
	char password[PASSWORD_MAX];
	char source[ADDR_TEXT];
};

/* The worker again. */
static void answered(struct loop_note *note)
{
	struct login *l = container_of(note, struct login, note);
	struct conn *c = conn_find(l->worker, l->conn);
	const enum login_result result = l->result;
	const uint64_t device_id = l->device_id;
	free(l);
	if (c)
		connect_login_done(c, result, device_id);
}

static void go_back(struct login *l, enum login_result result)
{
	l->result = result;
	secret_wipe(l->password, sizeof(l->password));
	loop_post(l->worker->loop, &l->note, answered);
}

static enum login_result result_of(uint8_t verdict)
{
	switch (verdict) {
	case LOGIN_OK:
		return LOGIN_PROVED;
	case LOGIN_DISABLED:
		return LOGIN_NOT_ENABLED;
	case LOGIN_BUSY:
		return LOGIN_OVERLOAD;
	default:
		return LOGIN_REFUSED;
	}
}

static void judged(struct link_call *call, int err, struct record *reply)
{
	struct login *l = container_of(call, struct login, call);
	struct body_login_done done;
	if (err || reply->type != MSG_LOGIN_DONE || body_login_done_get(reply->body, &done)) {
		go_back(l, LOGIN_AWAY);
		return;
	}
	l->device_id = done.device_id;
	go_back(l, result_of(done.verdict));
}

/* The control thread. */
static void ask_store(struct loop_note *note)
{
	struct login *l = container_of(note, struct login, note);
	struct link *store = l->worker->broker->control->store;
	if (!store) {
		go_back(l, LOGIN_AWAY);
		return;
	}
	const struct body_login b = {
		.name = {l->name, l->name_n},
		.password = {l->password, l->password_n},
		.source = {l->source, strnlen(l->source, 64)},
	};
	LINK_ASK(store, &l->call, LOGIN, login, -1, &b, LOGIN_TIMEOUT_MS, judged);
}

void login_start(struct conn *c, struct str name, struct str password)
{
	struct login *l = mem_new(struct login);
	l->worker = c->worker;
	l->conn = c->handle;
	l->name_n = name.n;
	l->password_n = password.n;
	if (name.n)
		memcpy(l->name, name.p, name.n);
	if (password.n)
		memcpy(l->password, password.p, password.n);
	addr_format_ip(&c->peer, l->source);
	loop_post(c->worker->broker->loop, &l->note, ask_store);
}
