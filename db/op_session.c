/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging in and sessions: see op_session.h.
 *
 * session.add answers a session. A wrong name and a wrong password take as long and are told alike;
 * whether there is a second factor is told only to who has the password.
 * session.show tells anybody who he is: the level is "nobody" for who has not logged in, so that a
 * page can ask at its start. session.list answers {items: [{id, name, source, agent, created, seen,
 * expires, current}]}.
 */
#include "db/op_session.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "db/hash.h"
#include "db/totp.h"

#include <stdio.h>
#include <stdlib.h>

/* What a call remembers while a password thread works for it. */
struct pending {
	char verifier[VERIFIER_MAX];
	struct person person;
	bool known;
	void (*next)(struct op_call *c);
};

static void pending_free(void *p)
{
	secret_wipe(p, sizeof(struct pending));
	free(p);
}

static struct pending *pending_of(struct op_call *c)
{
	if (!c->state) {
		c->state = mem_new(struct pending);
		c->state_free = pending_free;
	}
	return c->state;
}

/* ---- passwords ---- */

bool session_check_password(struct op_call *c, const char *arg, struct str name)
{
	const struct str password = op_text(c, arg, "");
	if (password.n < PEOPLE_PASSWORD_MIN) {
		op_refuse(c, OP_INVALID, arg, "the password has %zu bytes; at least %d are needed",
			  password.n, PEOPLE_PASSWORD_MIN);
		return false;
	}
	if (str_eq(password, name)) {
		op_refuse(c, OP_INVALID, arg, "the password must not be the name");
		return false;
	}
	return true;
}

static void hashed(void *arg, const char *verifier, struct str scram)
{
	struct op_call *c = arg;
	struct pending *p = pending_of(c);
	(void)scram;
	if (!verifier) {
		op_refuse(c, OP_INVALID, "password",
			  "this password cannot be stored: it holds a zero byte or the machine is "
			  "out of memory");
		return;
	}
	snprintf(p->verifier, sizeof(p->verifier), "%s", verifier);
	p->next(c);
}

void session_hash(struct op_call *c, const char *arg, void (*next)(struct op_call *c))
{
	pending_of(c)->next = next;
	logins_make(c->s->logins, op_text(c, arg, ""), hashed, c);
}

const char *session_verifier(const struct op_call *c)
{
	const struct pending *p = c->state;
	return p->verifier;
}

static int64_t now_of(const struct op_call *c)
{
	return timefloor_now(&c->s->floor);
}

bool session_may_try(struct op_call *c, struct str account)
{
	const unsigned wait = backoff_wait(&c->s->backoff, account, str_of(c->source),
					   (int64_t)(clock_mono_ms() / 1000));
	if (wait == 0)
		return true;
	op_refuse_for(c, wait, "too many wrong tries: try again in %u second%s", wait,
		      wait == 1 ? "" : "s");
	return false;
}

/* What is typed as a name may be a password: only names that exist are kept. The others get one
 * that says nothing, and is the same for the same text as long as this process lives. */
static struct str known_name(struct op_call *c, struct str account, char room[PEOPLE_NAME])
{
	struct person who;
	if (c->op != OP_SESSION_ADD || people_find(c->s->registry, account, &who) == 0)
		return account;
	snprintf(room, PEOPLE_NAME, "(unknown name %08x)", (unsigned)hash_str(account));
	return str_of(room);
}

static void hide_target(struct op_call *c, struct str name)
{
	if (c->op == OP_SESSION_ADD)
		snprintf(c->target, sizeof(c->target), "%.*s", STR_ARG(name));
}

void session_failed(struct op_call *c, struct str account, const char *field, const char *reason,
		    const char *why)
{
	char room[PEOPLE_NAME];
	const struct str name = known_name(c, account, room);
	const struct body_event fields = {
		.event = EVENT_ADMIN_LOGIN_REFUSED,
		.time_ms = (uint64_t)clock_wall_ms(),
		.actor = name,
		.address = str_of(c->source),
		.reason = str_of(reason),
	};
	backoff_failed(&c->s->backoff, account, str_of(c->source),
		       (int64_t)(clock_mono_ms() / 1000));
	events_add(c->s->events, &fields, STR(""));
	op_refuse(c, OP_UNAUTHENTICATED, field, "%s", why);
}

static void too_many(struct op_call *c)
{
	op_refuse_for(c, 5, "too many passwords are being tried: try again in a few seconds");
}

static void confirmed(void *arg, enum login_result result)
{
	struct op_call *c = arg;
	const struct pending *p = pending_of(c);
	const struct str name = str_of(p->person.name);
	if (result == LOGIN_TOO_MANY) {
		too_many(c);
		return;
	}
	if (!session_may_try(c, name)) /* others that were under way have failed meanwhile */
		return;
	if (result != LOGIN_RIGHT) {
		session_failed(c, name, "password", "wrong password", "the password is wrong");
	} else {
		backoff_worked(&c->s->backoff, name, str_of(c->source));
		p->next(c);
	}
}

void session_confirm(struct op_call *c, const char *arg, void (*next)(struct op_call *c))
{
	struct pending *p = pending_of(c);
	p->next = next;
	if (!c->administrator || people_by_id(c->s->registry, c->administrator, &p->person)) {
		op_refuse(c, OP_DENIED, NULL,
			  "only an administrator who has logged in can do this, for himself");
		return;
	}
	if (session_may_try(c, str_of(p->person.name)))
		logins_check(c->s->logins, op_text(c, arg, ""), p->person.verifier,
			     str_of(c->source), confirmed, c);
}

/* ---- opening ---- */

static void put_session(struct op_call *c, const struct person *who, int64_t expires,
			struct str secret)
{
	char page[PEOPLE_CSRF];
	rec_text(&c->result, "name", who->name);
	rec_text(&c->result, "level", op_level_name(who->level));
	rec_bool(&c->result, "totp", who->totp);
	op_put_time(&c->result, "expires", expires);
	if (secret.n == 0)
		return;
	people_csrf(secret, page);
	rec_text(&c->result, "page", page);
}

void session_open(struct op_call *c, const struct person *who, const char *how)
{
	char secret[PEOPLE_SECRET];
	AUTO_BUF detail = {0};
	people_session_open(c->s, who->id, c->source, op_text(c, "agent", ""), secret);
	put_session(c, who, now_of(c) + PEOPLE_SESSION_MAX_S, str_of(secret));
	rec_text(&c->result, "secret", secret);
	secret_wipe(secret, sizeof(secret));
	rec_text(&detail, "by", how);
	rec_text(&detail, "source", c->source);
	change_event(c, EVENT_ADMIN_LOGIN, 0, STR(""), buf_view(&detail));
}

/* ---- second factor ---- */

static bool use_totp(struct op_call *c, int64_t id, struct str code)
{
	struct sql *db = c->s->registry;
	unsigned char secret[TOTP_SECRET];
	int64_t used;
	int64_t step;
	AUTO_QUERY q = SQL_QUERY(db, "SELECT totp, totp_step FROM administrator WHERE id = ?",
				 sql_int(id));
	if (!sql_next(&q) || sql_at_str(&q, 0).n != sizeof(secret))
		return false;
	memcpy(secret, sql_at_str(&q, 0).p, sizeof(secret));
	used = sql_at_int(&q, 1);
	sql_query_end(&q);
	const bool right = totp_check(secret, code, clock_wall_ms() / 1000, used, &step);
	secret_wipe(secret, sizeof(secret));
	return right && SQL_RUN(db, "UPDATE administrator SET totp_step = ? WHERE id = ?",
				sql_int(step), sql_int(id)) == 0;
}

static bool use_recovery(struct op_call *c, int64_t id, struct str code)
{
	struct sql *db = c->s->registry;
	unsigned char hash[SHA256_SIZE];
	hash_sha256(str_trim(code), hash);
	return SQL_RUN(db, "DELETE FROM recovery_code WHERE administrator_id = ? AND hash = ?",
		       sql_int(id), sql_blob(str_make(hash, sizeof(hash)))) == 0 &&
	       sql_changes(db) == 1;
}

/* How the login was proved; NULL: the call was refused. */
static const char *second_factor(struct op_call *c, const struct person *who)
{
	const struct str code = op_text(c, "code", "");
	if (!who->totp)
		return "password";
	if (code.n == 0) {
		op_refuse(c, OP_UNAUTHENTICATED, "code",
			  "enter the six digits that the authenticator app shows, or a recovery "
			  "code");
		return NULL;
	}
	if (use_totp(c, who->id, code))
		return "password and authenticator";
	if (use_recovery(c, who->id, code))
		return "password and recovery code";
	session_failed(c, str_of(who->name), "code", "wrong second factor",
		       "the code is wrong, was used already or its time is over");
	return NULL;
}

/* The administrator as he is now: what was looked up before the password was judged may be old. */
static bool still_holds(const struct op_call *c, struct pending *p)
{
	struct person now;
	if (people_by_id(c->s->registry, p->person.id, &now) ||
	    strcmp(now.verifier, p->person.verifier) != 0)
		return false;
	p->person = now;
	return true;
}

static void proved(void *arg, enum login_result result)
{
	struct op_call *c = arg;
	struct pending *p = pending_of(c);
	const struct str name = op_text(c, "name", "");
	if (result == LOGIN_TOO_MANY) {
		too_many(c);
		return;
	}
	/* Whoever asks for many at once is not told of more than of one after the other. */
	if (!session_may_try(c, name))
		return;
	if (result == LOGIN_RIGHT && p->known && !still_holds(c, p))
		result = LOGIN_WRONG_PASSWORD;
	if (result != LOGIN_RIGHT || !p->known || !p->person.enabled) {
		session_failed(c, name, "password",
			       !p->known            ? "unknown name"
			       : !p->person.enabled ? "disabled"
						    : "wrong password",
			       "the name or the password is wrong");
		return;
	}
	const char *how = second_factor(c, &p->person);
	if (!how)
		return;
	backoff_worked(&c->s->backoff, name, str_of(c->source));
	snprintf(c->actor, sizeof(c->actor), "%s", p->person.name);
	change_begin(c);
	session_open(c, &p->person, how);
	change_commit(c);
}

void op_session_add(struct op_call *c)
{
	struct pending *p = pending_of(c);
	const struct str name = op_text(c, "name", "");
	char room[PEOPLE_NAME];
	hide_target(c, known_name(c, name, room)); /* whatever becomes of it */
	if (!session_may_try(c, name))
		return;
	p->known = people_find(c->s->registry, name, &p->person) == 0;
	logins_check(c->s->logins, op_text(c, "password", ""), p->known ? p->person.verifier : "",
		     str_of(c->source), proved, c);
}

/* ---- those that are open ---- */

void op_session_show(struct op_call *c)
{
	struct person who;
	int64_t expires = 0;
	if (!c->administrator || people_by_id(c->s->registry, c->administrator, &who)) {
		rec_text(&c->result, "name", c->actor);
		rec_text(&c->result, "level", op_level_name(c->denied ? NOBODY : c->level));
		op_done(c);
		return;
	}
	SQL_GET_INT(c->s->registry, &expires, "SELECT expires FROM session WHERE id = ?",
		    sql_int(c->session));
	put_session(c, &who, expires, str_of(c->secret));
	op_done(c);
}

static void put_item(struct op_call *c, const struct sql_query *q)
{
	rec_int(&c->result, "id", sql_at_int(q, 0));
	rec_str(&c->result, "name", sql_at_str(q, 1));
	rec_str(&c->result, "source", sql_at_str(q, 2));
	rec_str(&c->result, "agent", sql_at_str(q, 3));
	op_put_time(&c->result, "created", sql_at_int(q, 4));
	op_put_time(&c->result, "seen", sql_at_int(q, 5));
	op_put_time(&c->result, "expires", sql_at_int(q, 6));
	rec_bool(&c->result, "current", sql_at_int(q, 0) == c->session);
}

void op_session_list(struct op_call *c)
{
	bool all = false;
	op_bool(c, "all", &all);
	if (all && c->level < ADMIN) {
		op_refuse(c, OP_DENIED, "all", "the sessions of others need the level admin");
		return;
	}
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT s.id, a.name, s.source, s.agent, s.created, s.seen, "
				 "s.expires FROM session s "
				 "JOIN administrator a ON a.id = s.administrator_id WHERE "
				 "s.expires > ?1 AND s.seen > "
				 "?2 AND (?3 OR a.id = ?4) ORDER BY s.id DESC",
				 sql_int(now_of(c)), sql_int(now_of(c) - PEOPLE_SESSION_IDLE_S),
				 sql_int(all || !c->administrator), sql_int(c->administrator));
	op_answer_all(c, &q, put_item);
}

void op_session_remove(struct op_call *c)
{
	struct sql *db = c->s->registry;
	int64_t id = 0;
	int64_t owner = 0;
	op_int(c, "id", &id);
	if (id == 0)
		id = c->session;
	struct person who;
	if (!SQL_GET_INT(db, &owner, "SELECT administrator_id FROM session WHERE id = ?",
			 sql_int(id)) ||
	    (owner != c->administrator && c->level < ADMIN) || people_by_id(db, owner, &who)) {
		op_refuse(c, OP_NOT_FOUND, "id", "there is no session %lld%s", (long long)id,
			  c->level < ADMIN ? " of yours" : "");
		return;
	}
	snprintf(c->target, sizeof(c->target), "%lld", (long long)id);
	change_begin(c);
	SQL_RUN(db, "DELETE FROM session WHERE id = ?", sql_int(id));
	c->change.credentials = true;
	rec_int(&c->result, "id", id);
	rec_text(&c->result, "name", who.name);
	rec_bool(&c->result, "current", id == c->session);
	change_commit(c);
}
