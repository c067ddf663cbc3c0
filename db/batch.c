/* SPDX-License-Identifier: Apache-2.0
 *
 * Several operations as one change: see batch.h.
 */
#include "db/batch.h"
#include "daemon/base/mem.h"
#include "db/arguments.h"
#include "db/authorise.h"

#include <stdio.h>
#include <stdlib.h>

void batch_begin(struct op_call *c)
{
	c->change.audit_id = authorise_audit(c, "ok", "");
	c->batch = mem_new(struct batch);
}

void batch_free(struct batch *b)
{
	free(b);
}

void batch_refuse(struct batch *b, enum op_status status, const char *field, const char *why)
{
	if (b->failed)
		return; /* the first reason counts */
	b->failed = true;
	b->status = status;
	snprintf(b->field, sizeof(b->field), "%s%s%s", b->at, b->at[0] && field ? "." : "",
		 field ? field : "");
	if (b->at[0])
		snprintf(b->why, sizeof(b->why), "%s: %s", b->field, why);
	else
		snprintf(b->why, sizeof(b->why), "%s", why);
}

static bool may(struct op_call *c, const struct op_spec *spec)
{
	if (c->level < spec->level)
		op_refuse(c, OP_DENIED, NULL,
			  "this takes %s, which needs the level %s; ask an administrator",
			  spec->name, op_level_name(spec->level));
	else if (!authorise_scope_holds(c, spec->name))
		op_refuse(c, OP_DENIED, NULL, "this takes %s, and this API token is not for it",
			  spec->name);
	else
		return true;
	return false;
}

bool batch_step(struct op_call *c, enum op op, const struct buf *args, const char *at)
{
	const struct op_spec *spec = op_spec(op);
	const struct buf outer_args = c->args;
	const enum op outer = c->op;
	char field[65];
	struct why why;
	c->batch->same = 0;
	snprintf(c->batch->at, sizeof(c->batch->at), "%s", at);
	c->op = op;
	c->args = *args;
	if (!may(c, spec))
		;
	else if (arguments_check(spec, buf_view(args), field, &why))
		op_refuse(c, OP_INVALID, field, "%s", why.text);
	else
		ops_handler(op)(c);
	c->op = outer;
	c->args = outer_args;
	c->result.n = 0;
	if (c->state)
		c->state_free(TAKE(c->state));
	return !c->batch->failed;
}

void batch_end(struct op_call *c)
{
	batch_free(TAKE(c->batch));
}

void batch_refuse_call(struct op_call *c)
{
	struct batch *b = TAKE(c->batch);
	CHECK(b->failed);
	op_refuse(c, b->status, b->field[0] ? b->field : NULL, "%s", b->why);
	batch_free(b);
}
