/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels and the audit log: see authorise.h.
 */
#include "db/authorise.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "db/people.h"

#include <stdio.h>
#include <string.h>

static void admit(struct op_call *c, enum op_level level)
{
	c->level = level;
	c->denied = false;
}

/* The control socket: its permissions have judged who may connect. */
static int by_peer(struct op_call *c, struct str credential)
{
	struct cur cur = cur_of(credential);
	const uint32_t uid = cur_u32le(&cur);
	cur_u32le(&cur); /* the group */
	if (!cur_done(&cur) || c->peer != PROCESS_CTL)
		return ERR_MALFORMED;
	snprintf(c->actor, sizeof(c->actor), "uid %u (control socket)", uid);
	admit(c, ADMIN);
	return 0;
}

/* "SECRET", or "SECRET PAGE": what changes something must come from a page of ours, which alone can
 * know the second word. */
static void by_session(struct op_call *c, struct str credential)
{
	struct people_session session;
	char page[PEOPLE_CSRF];
	const struct str secret = str_split(&credential, ' ');
	if (people_session(c->s, secret, c->passive, &session))
		return;
	people_csrf(secret, page);
	c->page_missing = !secret_equal(credential.p ? credential : STR(""), str_of(page));
	c->administrator = session.person.id;
	c->session = session.id;
	snprintf(c->secret, sizeof(c->secret), "%.*s", STR_ARG(secret));
	snprintf(c->actor, sizeof(c->actor), "%s", session.person.name);
	admit(c, session.person.level);
}

static void by_token(struct op_call *c, struct str credential)
{
	struct people_token token;
	if (people_token(c->s, credential, &token))
		return;
	snprintf(c->actor, sizeof(c->actor), "token %s", token.name);
	admit(c, token.level);
	c->scope = strdup(token.operations);
	CHECK(c->scope);
}

int authorise_caller(struct op_call *c, uint8_t kind, struct str credential)
{
	c->denied = true;
	snprintf(c->actor, sizeof(c->actor), "nobody (%s)", process_name(c->peer));
	if (kind > CREDENTIAL_TOKEN)
		return ERR_MALFORMED;
	if (kind == CREDENTIAL_PEER)
		return by_peer(c, credential);
	if (kind == CREDENTIAL_SESSION)
		by_session(c, credential);
	else if (kind == CREDENTIAL_TOKEN)
		by_token(c, credential);
	return 0;
}

bool authorise_scope_holds(const struct op_call *c, const char *operation)
{
	return !c->scope || people_scope_holds(c->scope, operation);
}

bool authorise_refused(struct op_call *c)
{
	const struct op_spec *spec = op_spec(c->op);
	if (spec->level == NOBODY)
		return false;
	if (c->denied)
		op_refuse(c, OP_UNAUTHENTICATED, NULL, "%s needs the level %s; log in first",
			  spec->name, op_level_name(spec->level));
	else if (c->level < spec->level)
		op_refuse(c, OP_DENIED, NULL, "%s needs the level %s; ask an administrator",
			  spec->name, op_level_name(spec->level));
	else if (!authorise_scope_holds(c, spec->name))
		op_refuse(c, OP_DENIED, NULL, "this API token is not for %s", spec->name);
	else if (c->page_missing && spec->effect == CHANGES)
		op_refuse(c, OP_DENIED, NULL,
			  "the header X-Gatehouse-Page is missing or of another session");
	else
		return false;
	return true;
}

struct row {
	int64_t at;
	struct str text[6]; /* actor, source, operation, target, outcome, why */
};

static int64_t write_row(struct sql *db, const struct row *row)
{
	const int err =
		SQL_RUN(db,
			"INSERT INTO audit(at, actor, source, operation, target, outcome, why) "
			"VALUES(?, ?, ?, ?, ?, ?, ?)",
			sql_int(row->at), sql_str(row->text[0]), sql_str(row->text[1]),
			sql_str(row->text[2]), sql_str(row->text[3]), sql_str(row->text[4]),
			sql_str(row->text[5]));
	return err ? 0 : sql_last_id(db);
}

/* A row that was kept back: the time, then the texts. */
static int write_later(struct store *s, enum process peer, struct record *r)
{
	struct row row = {(int64_t)r->id, {{NULL, 0}}};
	struct str rest = r->body;
	(void)peer;
	for (size_t i = 0; i < ARRAY_LEN(row.text); i++)
		CHECK(strs_next(&rest, &row.text[i]));
	write_row(s->registry, &row);
	return 0;
}

static bool keep_row(struct store *s, const struct row *row)
{
	AUTO_BUF texts = {0};
	bool crowded;
	for (size_t i = 0; i < ARRAY_LEN(row->text); i++)
		strs_put(&texts, row->text[i]);
	struct record later = {.id = (uint64_t)row->at, .body = buf_view(&texts), .fd = -1};
	return job_keep_back(s, PROCESS_STORE, &later, write_later, &crowded);
}

int64_t authorise_audit(struct op_call *c, const char *outcome, const char *why)
{
	struct store *s = c->s;
	const struct row row = {timefloor_now(&s->floor),
				{str_of(c->actor), str_of(c->source), str_of(c->name),
				 str_of(c->target), str_of(outcome), str_of(why)}};
	return job_writes(s) && keep_row(s, &row) ? 0 : write_row(s->registry, &row);
}

const char *authorise_outcome(enum op_status status)
{
	static const char *const word[] = {
		[OP_OK] = "ok",
		[OP_INVALID] = "invalid",
		[OP_NOT_FOUND] = "not-found",
		[OP_CONFLICT] = "conflict",
		[OP_DENIED] = "denied",
		[OP_REFUSED] = "refused",
		[OP_UNAVAILABLE] = "unavailable",
		[OP_TOO_MANY] = "too-many",
		[OP_FAILED] = "failed",
		[OP_UNAUTHENTICATED] = "unauthenticated",
		[OP_LOCKED] = "locked",
	};
	CHECK(status < ARRAY_LEN(word));
	return word[status];
}
