/* SPDX-License-Identifier: Apache-2.0
 *
 * The rooms of the operations state.show, state.diff and state.apply (op_state.h): what they share
 * of a document. state_show.c writes one, state_check.c says what is wrong in one, state_steps.c
 * makes the registry like it, state_settings.c the settings. Main thread of the store, in portions
 * of a job where it is long (job.h).
 */
#pragma once

#include "db/ops.h"

enum {
	STATE_PLACE = 96,  /* of a place in a document, with its terminator */
	STATE_SHOWN = 40,  /* bytes of a name that is wrong */
	STATE_NAMES = 100, /* of devices that the answer names */
	STATE_PRIORITY_BIAS = 1000
};

/* ---- the document of a call ---- */

enum state_part {
	STATE_SETTINGS,
	STATE_LISTENERS,
	STATE_ROLES,
	STATE_RULES,
	STATE_DEVICES,
	STATE_PARTS
};

/* What it says, within the arguments of the call. */
struct state_document {
	struct rec_value part[STATE_PARTS]; /* REC_NULL: it has none */
	bool prune;
};

/* Takes the argument "state" apart. False: refused. */
bool state_take(struct op_call *c, struct state_document *d);
bool state_has(const struct state_document *d, enum state_part part);
const char *state_part_name(enum state_part part);
/* Refuses the call, or its batch, for what stands at this place. */
void state_refuse(struct op_call *c, const char *at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- settings ---- */

/* An item of the list that the parent gives (SETTING_DONE). */
struct state_setting {
	struct str key;
	struct str value;
	struct str source;
	bool file_only;
};
bool state_next_setting(struct cur *cur, struct state_setting *out);
bool state_is_of_listener(struct str key);
/* "listener.NAME.key" into NAME and key. */
void state_split_listener(struct str key, struct str *name, struct str *word);
/* The changes (SETTING_SET) that make the settings like the document; items: as they are. */
void state_collect_settings(const struct state_document *d, struct str items, struct buf *changes);
/* Where a setting stands in the document. */
void state_place_of(struct str key, char out[STATE_PLACE]);

/* ---- show ---- */

/* Appends what is not in the registry to the result, and begins the job that appends the rest and
 * answers. */
void state_show(struct op_call *c, struct str settings);

/* ---- steps ---- */

struct state_work;
/* Takes the document as state_take; NULL: refused. */
struct state_work *state_work_new(struct op_call *c);
void state_work_free(void *work);
const struct state_document *state_document_of(const struct state_work *w);
/* A step of the batch: as struct plan says. */
bool state_step(struct op_call *c, struct state_work *w);
/* without_credentials, without_credentials_count and hint: devices that it added. */
void state_put_new(struct op_call *c, const struct state_work *w);
