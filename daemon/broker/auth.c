/* SPDX-License-Identifier: Apache-2.0
 *
 * Enhanced authentication: see auth.h.
 */
#include "daemon/broker/auth.h"
#include "daemon/base/secret.h"
#include "daemon/broker/connect.h"
#include "daemon/broker/login.h"
#include "daemon/broker/scram.h"
#include "daemon/broker/session.h"

#include <stdlib.h>

static const char method[] = "SCRAM-SHA-256";

enum stage {
	STAGE_IDLE,
	STAGE_SALT,    /* the store is asked for the salt */
	STAGE_PROOF,   /* the client is asked for the proof */
	STAGE_VERDICT, /* the store is asked to judge */
};

struct auth {
	enum stage stage;
	struct scram scram;
	struct buf connect; /* the CONNECT that waits */
	struct buf final;   /* server-final-message */
};

void auth_free(struct auth *a)
{
	if (!a)
		return;
	scram_fini(&a->scram);
	secret_buf_fini(&a->connect); /* may hold a password */
	buf_fini(&a->final);
	free(a);
}

bool auth_offered(struct str name)
{
	return str_is(name, method);
}

struct str auth_name(const struct conn *c)
{
	return c->auth ? buf_view(&c->auth->scram.name) : STR("");
}

static void set_props(struct props *props, struct str data)
{
	props->authentication_method = str_of(method);
	props_mark(props, PROPERTY_AUTHENTICATION_METHOD);
	props->authentication_data = data;
	props_mark(props, PROPERTY_AUTHENTICATION_DATA);
}

void auth_finish(const struct conn *c, struct props *props)
{
	if (c->auth)
		set_props(props, buf_view(&c->auth->final));
}

static bool send_auth(struct conn *c, enum reason reason, struct str data)
{
	struct packet p = {.type = PACKET_AUTH, .props = props_none, .auth = {reason}};
	set_props(&p.props, data);
	return conn_send(c, &p);
}

/* The exchange came to nothing. */
static void fail(struct conn *c, enum login_result result)
{
	c->auth->stage = STAGE_IDLE;
	if (c->state == CONN_OPEN) {
		conn_event(c, EVENT_LOGIN_REFUSED, "the new authentication failed", NULL);
		conn_close(c, REASON_NOT_AUTHORIZED, "the new authentication failed");
	} else {
		connect_refuse_login(c, result);
	}
}

/* ---- the first half ---------------------------------------------------------------------------
 */

static bool begin(struct conn *c, struct str data)
{
	struct auth *a = c->auth;
	if (!scram_client_first(&a->scram, data) || a->scram.name.n > USER_NAME_MAX)
		return false;
	a->stage = STAGE_SALT;
	login_ask_salt(c, buf_view(&a->scram.name));
	return true;
}

bool auth_begin(struct conn *c, struct str data, struct str connect)
{
	if (limit_pre_connect(c->worker->broker->limit, &c->hold, connect.n) != LIMIT_OK)
		return false;
	auth_free(c->auth);
	c->auth = mem_new(struct auth);
	buf_str(&c->auth->connect, connect);
	c->state = CONN_LOGIN;
	return begin(c, data);
}

void auth_salt_arrived(struct conn *c, enum login_result result, struct str salt,
		       uint32_t iterations)
{
	struct auth *a = c->auth;
	unsigned char random[SCRAM_NONCE];
	AUTO_BUF text = {0};
	if (!a || a->stage != STAGE_SALT)
		return;
	if (result != LOGIN_PROVED) {
		fail(c, result);
		return;
	}
	secret_random(random, sizeof(random));
	scram_server_first(&a->scram, random, salt, iterations, &text);
	a->stage = STAGE_PROOF;
	if (!send_auth(c, REASON_CONTINUE_AUTHENTICATION, buf_view(&text))) {
		conn_close(c, REASON_NORMAL_DISCONNECTION, "AUTH does not fit the client");
		return;
	}
	if (c->state == CONN_OPEN)
		return;
	c->state = CONN_AUTH;
	conn_watch(c);
	conn_resume(c);
}

/* ---- the second half --------------------------------------------------------------------------
 */

/* CONNECT stands in front of the input again, as if it had just come, and now it is known whose it
 * is. */
static void go_on(struct conn *c, uint64_t device_id)
{
	struct buf in = c->auth->connect;
	c->auth->connect = (struct buf){0};
	buf_str(&in, buf_view(&c->in));
	secret_buf_fini(&c->in);
	c->in = in;
	connect_login_done(c, LOGIN_PROVED, device_id);
}

void auth_verdict_arrived(struct conn *c, enum login_result result, uint64_t device_id,
			  struct str signature)
{
	struct auth *a = c->auth;
	if (!a || a->stage != STAGE_VERDICT)
		return;
	if (result != LOGIN_PROVED) {
		fail(c, result);
		return;
	}
	a->stage = STAGE_IDLE;
	buf_fini(&a->final);
	scram_server_final(signature, &a->final);
	if (c->state != CONN_OPEN)
		go_on(c, device_id);
	else if (c->session->identity->device_id != device_id)
		fail(c, LOGIN_REFUSED);
	else
		send_auth(c, REASON_SUCCESS, buf_view(&a->final));
}

static enum reason proof_received(struct conn *c, struct str data)
{
	struct auth *a = c->auth;
	unsigned char proof[SCRAM_PROOF];
	if (!scram_client_final(&a->scram, data, proof)) {
		fail(c, LOGIN_REFUSED);
		return REASON_SUCCESS;
	}
	a->stage = STAGE_VERDICT;
	if (c->state != CONN_OPEN)
		c->state = CONN_LOGIN;
	login_ask_verdict(c, buf_view(&a->scram.name), buf_view(&a->scram.message), proof);
	secret_wipe(proof, sizeof(proof));
	return REASON_SUCCESS;
}

enum reason auth_received(struct conn *c, const struct packet *p)
{
	struct auth *a = c->auth;
	const struct props *props = &p->props;
	/* Only for who began with it, with the same method [MQTT-4.12.0-5, 4.12.0-6]. */
	if (!a || !props_has(props, PROPERTY_AUTHENTICATION_METHOD) ||
	    !props_has(props, PROPERTY_AUTHENTICATION_DATA))
		return REASON_PROTOCOL_ERROR;
	if (!auth_offered(props->authentication_method))
		return c->state == CONN_OPEN ? REASON_PROTOCOL_ERROR
					     : REASON_BAD_AUTHENTICATION_METHOD;
	if (p->auth.reason == REASON_CONTINUE_AUTHENTICATION && a->stage == STAGE_PROOF)
		return proof_received(c, props->authentication_data);
	if (p->auth.reason != REASON_RE_AUTHENTICATE || c->state != CONN_OPEN ||
	    a->stage != STAGE_IDLE)
		return REASON_PROTOCOL_ERROR;
	if (!begin(c, props->authentication_data))
		fail(c, LOGIN_REFUSED);
	return REASON_SUCCESS;
}
