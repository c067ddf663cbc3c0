/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords: a worker hands name and password to the control thread, which asks the store; the
 * verdict comes back to the connection by its handle. The broker keeps no password and no hash.
 */
#pragma once

#include "daemon/broker/worker.h"

struct conn;

enum { USER_NAME_MAX = 256, PASSWORD_MAX = 1024, LOGIN_TIMEOUT_MS = 5000 };

enum login_result {
	LOGIN_NOT_ASKED,
	LOGIN_PROVED, /* and which device it is */
	LOGIN_REFUSED,
	LOGIN_NOT_ENABLED,
	LOGIN_OVERLOAD,
	LOGIN_AWAY, /* the store does not answer */
};

/* The worker's thread. Name and password are within the bounds above. Later connect_login_done runs
 * for the connection if it is still there. */
void login_start(struct conn *c, struct str name, struct str password);
/* The two questions of SCRAM (auth.h): for the salt of a name, and whether a proof (32 bytes) is
 * right. */
void login_ask_salt(struct conn *c, struct str name);
void login_ask_verdict(struct conn *c, struct str name, struct str message,
		       const unsigned char *proof);
/* In auth.c: the answers. */
void auth_salt_arrived(struct conn *c, enum login_result result, struct str salt,
		       uint32_t iterations);
void auth_verdict_arrived(struct conn *c, enum login_result result, uint64_t device_id,
			  struct str signature);
/* In connect.c: the store's answer. */
void connect_login_done(struct conn *c, enum login_result result, uint64_t device_id);
