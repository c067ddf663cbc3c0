/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels and the audit log: see authorise.h.
 */
#include "db/authorise.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"

#include <stdio.h>

int authorise_caller(struct op_call *c, uint8_t kind, struct str credential)
{
	c->denied = true;
	snprintf(c->actor, sizeof(c->actor), "nobody (%s)", process_name(c->peer));
	if (kind > CREDENTIAL_TOKEN)
		return ERR_MALFORMED;
	if (kind != CREDENTIAL_PEER)
		return 0;
	struct cur cur = cur_of(credential);
	const uint32_t uid = cur_u32le(&cur);
	cur_u32le(&cur); /* the group: the permissions of the socket have judged it */
	if (!cur_done(&cur) || c->peer != PROCESS_CTL)
		return ERR_MALFORMED;
	snprintf(c->actor, sizeof(c->actor), "uid %u (control socket)", uid);
	c->level = ADMIN;
	c->denied = false;
	return 0;
}

bool authorise_allows(const struct op_call *c)
{
	return !c->denied && c->level >= op_spec(c->op)->level;
}

int64_t authorise_audit(struct op_call *c, const char *outcome, const char *why)
{
	struct sql *db = c->s->registry;
	const int err =
		SQL_RUN(db,
			"INSERT INTO audit(at, actor, source, operation, target, outcome, why) "
			"VALUES(?, ?, ?, ?, ?, ?, ?)",
			sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor),
			sql_text(c->source), sql_text(op_spec(c->op)->name), sql_text(c->target),
			sql_text(outcome), sql_text(why));
	return err ? 0 : sql_last_id(db);
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
	};
	CHECK(status < ARRAY_LEN(word));
	return word[status];
}
