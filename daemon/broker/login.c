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

/* ---- SCRAM ------------------------------------------------------------------------------------
 */

enum { PROOF_SIZE = 32 };

struct scram_ask {
	struct loop_note note;
	struct link_call call;
	struct worker *worker;
	uint64_t conn;
	enum login_result result;
	uint64_t device_id;
	uint32_t iterations;
	struct buf name;
	struct buf message;
	struct buf reply; /* salt or signature */
	unsigned char proof[PROOF_SIZE];
	char source[ADDR_TEXT];
};

static struct scram_ask *scram_ask_new(struct conn *c, struct str name)
{
	struct scram_ask *a = mem_new(struct scram_ask);
	a->worker = c->worker;
	a->conn = c->handle;
	buf_str(&a->name, name);
	addr_format_ip(&c->peer, a->source);
	return a;
}

static void scram_ask_free(struct scram_ask *a)
{
	buf_fini(&a->name);
	buf_fini(&a->message);
	buf_fini(&a->reply);
	free(a);
}

static void salt_back(struct loop_note *note)
{
	struct scram_ask *a = container_of(note, struct scram_ask, note);
	struct conn *c = conn_find(a->worker, a->conn);
	if (c)
		auth_salt_arrived(c, a->result, buf_view(&a->reply), a->iterations);
	scram_ask_free(a);
}

static void salt_answered(struct link_call *call, int err, struct record *reply)
{
	struct scram_ask *a = container_of(call, struct scram_ask, call);
	struct body_scram_first_done done;
	a->result = LOGIN_AWAY;
	if (!err && reply->type == MSG_SCRAM_FIRST_DONE &&
	    !body_scram_first_done_get(reply->body, &done)) {
		a->result = result_of(done.verdict);
		a->iterations = done.iterations;
		buf_str(&a->reply, done.salt);
	}
	loop_post(a->worker->loop, &a->note, salt_back);
}

static void ask_salt(struct loop_note *note)
{
	struct scram_ask *a = container_of(note, struct scram_ask, note);
	struct link *store = a->worker->broker->control->store;
	const struct body_scram_first b = {buf_view(&a->name), str_of(a->source)};
	if (store)
		LINK_ASK(store, &a->call, SCRAM_FIRST, scram_first, -1, &b, LOGIN_TIMEOUT_MS,
			 salt_answered);
	else
		salt_answered(&a->call, ERR_UNAVAILABLE, NULL);
}

void login_ask_salt(struct conn *c, struct str name)
{
	struct scram_ask *a = scram_ask_new(c, name);
	loop_post(c->worker->broker->loop, &a->note, ask_salt);
}

static void verdict_back(struct loop_note *note)
{
	struct scram_ask *a = container_of(note, struct scram_ask, note);
	struct conn *c = conn_find(a->worker, a->conn);
	if (c)
		auth_verdict_arrived(c, a->result, a->device_id, buf_view(&a->reply));
	scram_ask_free(a);
}

static void verdict_answered(struct link_call *call, int err, struct record *reply)
{
	struct scram_ask *a = container_of(call, struct scram_ask, call);
	struct body_scram_final_done done;
	a->result = LOGIN_AWAY;
	if (!err && reply->type == MSG_SCRAM_FINAL_DONE &&
	    !body_scram_final_done_get(reply->body, &done)) {
		a->result = result_of(done.verdict);
		a->device_id = done.device_id;
		buf_str(&a->reply, done.signature);
	}
	loop_post(a->worker->loop, &a->note, verdict_back);
}

static void ask_verdict(struct loop_note *note)
{
	struct scram_ask *a = container_of(note, struct scram_ask, note);
	struct link *store = a->worker->broker->control->store;
	const struct body_scram_final b = {buf_view(&a->name), buf_view(&a->message),
					   str_make(a->proof, sizeof(a->proof)), str_of(a->source)};
	if (store)
		LINK_ASK(store, &a->call, SCRAM_FINAL, scram_final, -1, &b, LOGIN_TIMEOUT_MS,
			 verdict_answered);
	else
		verdict_answered(&a->call, ERR_UNAVAILABLE, NULL);
}

void login_ask_verdict(struct conn *c, struct str name, struct str message,
		       const unsigned char *proof)
{
	struct scram_ask *a = scram_ask_new(c, name);
	buf_str(&a->message, message);
	memcpy(a->proof, proof, sizeof(a->proof));
	loop_post(c->worker->broker->loop, &a->note, ask_verdict);
}
