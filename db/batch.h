/* SPDX-License-Identifier: Apache-2.0
 *
 * Several operations as one change: each runs by its own handler, with its own arguments and their
 * limits, but in one transaction with one audit row, and none of them is done unless all are. What
 * the caller's level does not allow is refused as if it had been asked for by itself. Only
 * operations that answer at once can be steps: none that hashes a password or asks the vault.
 *
 *   batch_begin(c);
 *   batch_step(c, OP_ROLE_ADD, &args, "roles[0]") && ...;
 *   if (c->batch->failed) batch_refuse_call(c); else { batch_end(c); change_committed(c); }
 *
 * The transaction is that of a job (job.h): all but the last line happens in its portions. Main
 * thread of the store.
 */
#pragma once

#include "db/ops.h"

enum { BATCH_PATH = 96 };

struct batch {
	bool failed;
	enum op_status status;
	char at[BATCH_PATH];         /* of the step, in the document that it comes from */
	char field[BATCH_PATH + 66]; /* what is wrong: "devices[3].groups" */
	char why[768];
	int64_t same; /* number of the rule that acl.add found to be there already, or 0 */
};

/* In the first portion of the job, which has begun the transaction. */
void batch_begin(struct op_call *c);
/* Runs one operation; args is a rec, at names its place ("" none). False: it was refused, and
 * with it all. */
bool batch_step(struct op_call *c, enum op op, const struct buf *args, const char *at);
/* The same refusal by the caller itself. */
void batch_refuse(struct batch *b, enum op_status status, const char *field, const char *why);
/* When the transaction is over: answers with the refusal of the step. */
void batch_refuse_call(struct op_call *c);
void batch_end(struct op_call *c); /* the call answers as others do from now on */
void batch_free(struct batch *b);
