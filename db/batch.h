/* SPDX-License-Identifier: Apache-2.0
 *
 * Several operations as one change: each runs by its own handler, with its own arguments and their
 * limits, but in one transaction with one audit row, and none of them is done unless all are. What
 * the caller's level does not allow is refused as if it had been asked for by itself. Only
 * operations that answer at once can be steps: none that hashes a password or asks the vault.
 *
 *   batch_begin(c);
 *   batch_step(c, OP_ROLE_ADD, &args, "roles[0]") && ...;
 *   batch_end(c, true);                  answers, whatever happened
 *
 * Main thread of the store.
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

/* From here to batch_end nothing else may use the registry: it happens in one turn. */
void batch_begin(struct op_call *c);
/* Runs one operation; args is a rec, at names its place ("" none). False: it was refused, and
 * with it all. */
bool batch_step(struct op_call *c, enum op op, const struct buf *args, const char *at);
/* The same refusal by the caller itself. */
void batch_refuse(struct batch *b, enum op_status status, const char *field, const char *why);
/* Commits, or takes all of it back (keep false, or a step was refused), and answers: with
 * c->result, or with the refusal. */
void batch_end(struct op_call *c, bool keep);
void batch_free(struct batch *b);
