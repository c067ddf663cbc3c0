/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the registry and of settings together: what revision.revert and state.apply do. The
 * parent takes the settings first and holds them; then the steps run as one batch (batch.h); when
 * they are committed the settings are kept, when they are refused the settings are undone, and when
 * this process dies in between the parent undoes them by itself. Main thread of the store.
 */
#pragma once

#include "db/batch.h"

enum { PLAN_HOLD_S = 30 };

struct plan {
	bool dry;           /* says what would change, and changes nothing */
	uint32_t confirm_s; /* not 0: settings stay held for a person to confirm */
	struct buf changes; /* of settings, list of strings as SETTING_SET; empty: none */
	/* Runs the steps with batch_step until one is refused. */
	void (*steps)(struct op_call *c);
	/* Appends to c->result what is to stand before the changes; may be NULL. */
	void (*put)(struct op_call *c);
	/* Where a setting stands in the document: "settings.broker.max-packet"; NULL: its key. */
	void (*path)(struct str key, char out[BATCH_PATH]);
	struct buf settings; /* what the parent changed */
	char token[33];
};

/* Carries the plan out, which the call owns from here on, and answers: id of the revision (of what
 * is done, and changed anything), items (op_revision.h), token and confirm_within of settings that
 * wait to be confirmed. */
void plan_run(struct op_call *c, struct plan *plan);
void plan_free(struct plan *plan);
