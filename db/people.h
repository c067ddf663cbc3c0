/* SPDX-License-Identifier: Apache-2.0
 *
 * People and programs that use the gateway: administrators with their sessions, and API tokens.
 * Rows and secrets only: who may do what is judged in authorise.c, what changes them is in
 * op_administrator.c, op_session.c and op_token.c. Of every secret the registry holds the SHA-256
 * alone. Main thread of the store.
 */
#pragma once

#include "daemon/ipc/op.h"
#include "db/store.h"

enum {
	PEOPLE_NAME = 65,
	PEOPLE_SECRET_BYTES = 32,
	PEOPLE_SECRET = 2 * PEOPLE_SECRET_BYTES + 1, /* hexadecimal */
	PEOPLE_CSRF = 33,
	PEOPLE_TOKEN = 3 + PEOPLE_SECRET, /* "gh_" and a secret */
	PEOPLE_PASSWORD_MIN = 10,
	PEOPLE_SESSION_IDLE_S = 60 * 60,     /* without a request */
	PEOPLE_SESSION_MAX_S = 12 * 60 * 60, /* in all */
	PEOPLE_SESSIONS_MAX = 16,            /* of one administrator: the oldest goes */
};

struct person {
	int64_t id;
	char name[PEOPLE_NAME];
	enum op_level level;
	bool enabled;
	bool totp;
	char verifier[VERIFIER_MAX];
};
/* 0, ERR_NOT_FOUND or an error of sql.h. */
int people_find(struct sql *db, struct str name, struct person *out);
int people_by_id(struct sql *db, int64_t id, struct person *out);
bool people_any(
	struct sql *db); /* is there an administrator who can log in with the level admin? */

/* Level of a row and back: the registry counts from viewer = 0. */
static inline int64_t people_level_number(enum op_level level)
{
	return (int64_t)level - VIEWER;
}
/* "viewer", "operator", "admin". False: none of them. */
bool people_level(struct str text, enum op_level *out);

/* A fresh secret and the hash under which the registry knows it. */
void people_secret(char out[PEOPLE_SECRET], unsigned char hash[32]);
/* What a page must repeat in a header to change something with this session: a page of another
 * origin cannot read it. */
void people_csrf(struct str secret, char out[PEOPLE_CSRF]);

struct people_session {
	int64_t id;
	struct person person;
	int64_t expires;
};
/* The session of a secret, if it has not ended and its administrator is enabled; it counts as used
 * now, unless passive. 0 or ERR_NOT_FOUND. */
int people_session(struct store *s, struct str secret, bool passive, struct people_session *out);
/* Opens a session inside a transaction; sessions that have ended go. */
void people_session_open(struct store *s, int64_t administrator, const char *source,
			 struct str agent, char secret[PEOPLE_SECRET]);
/* Closes all sessions of an administrator but one (0: all) inside a transaction. */
void people_sessions_close(struct sql *db, int64_t administrator, int64_t but);

struct people_token {
	int64_t id;
	char name[PEOPLE_NAME];
	enum op_level level;
	char operations[1025];
};
/* A token that has not ended and none of whose makers (an administrator; a token, and then its
 * maker) is disabled. 0 or ERR_NOT_FOUND. */
int people_token(struct store *s, struct str text, struct people_token *out);
/* Does a list of operations ("device.list acl." ...) hold this one? An empty list holds all. */
bool people_scope_holds(const char *operations, const char *operation);
