/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging in and what belongs to it: the passwords of people, their sessions, second factors.
 * Shared by op_setup.c, op_session.c, op_administrator.c and op_totp.c. Main thread of the store.
 *
 * Operations of a session answer {name, level, totp, expires, page}; those that open one also
 * secret, which the web process turns into the cookie. page is what the header X-Gatehouse-Page
 * must repeat.
 */
#pragma once

#include "db/ops.h"
#include "db/people.h"

/* Is the argument a password for an administrator? False: refused. */
bool session_check_password(struct op_call *c, const char *arg, struct str name);
/* Hashes the argument, then runs next with the verifier in c->state; refuses when that fails. */
void session_hash(struct op_call *c, const char *arg, void (*next)(struct op_call *c));
const char *session_verifier(const struct op_call *c); /* inside next */

/* Judges the argument as the password of the caller of this session, then runs next. A wrong one,
 * too many tries, or a caller without a session: refused. */
void session_confirm(struct op_call *c, const char *arg, void (*next)(struct op_call *c));

/* Within a change: an administrator has only this level now (NOBODY: is removed), and so have the
 * tokens that he made, and those that they made: they are lowered, or removed. How many. */
int64_t token_follow(struct op_call *c, struct str maker, enum op_level level);

/* A wrong password, factor or code: counts, raises the event, refuses the call. */
void session_failed(struct op_call *c, struct str account, const char *field, const char *reason,
		    const char *why);
/* True: the account may be tried from there now. False: the call was refused. */
bool session_may_try(struct op_call *c, struct str account);

/* Inside a change: opens a session for this administrator, appends the result and raises the
 * event. */
void session_open(struct op_call *c, const struct person *who, const char *how);
