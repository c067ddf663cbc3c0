/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the registry and of settings together: what revision.revert and state.apply do. The
 * parent takes the settings first and holds them; then the steps run as one batch (batch.h), in the
 * portions of a job (job.h); when they are committed the settings are kept, when they are refused
 * or cannot be written the settings are undone, and when this process dies in between the parent
 * undoes them by itself. Main thread of the store.
 */
#pragma once

#include "db/batch.h"

enum { PLAN_HOLD_S = 120 /* a job of 100,000 devices on a slow machine, and more */ };

struct plan {
	bool dry;           /* says what would change, and changes nothing */
	uint32_t confirm_s; /* not 0: settings stay held for a person to confirm */
	struct buf changes; /* of settings, list of strings as SETTING_SET; empty: none */
	/* Runs some steps with batch_step. False: that was the last, or one was refused. */
	bool (*steps)(struct op_call *c);
	void *work; /* of the steps between their portions */
	void (*work_free)(void *work);
	/* Appends to c->result what is to stand before the changes; may be NULL. */
	void (*put)(struct op_call *c);
	/* Where a setting stands in the document: "settings.broker.max-packet"; NULL: its key. */
	void (*path)(struct str key, char out[BATCH_PATH]);
	struct buf settings; /* what the parent changed */
	char token[33];
	enum { PLAN_BEGINS, PLAN_RUNS, PLAN_ENDS } phase;
};

/* Carries the plan out, which the call owns from here on, and answers: id of the revision (of what
 * is done, and changed anything), items (op_revision.h), token and confirm_within of settings that
 * wait to be confirmed. */
void plan_run(struct op_call *c, struct plan *plan);
void plan_free(struct plan *plan);
