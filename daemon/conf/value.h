/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of the types of schema.def: text to field of a struct config section and back. Pure. Any
 * thread.
 */
#pragma once

#include "daemon/conf/schema.h"

/* Replaces *field. 0, or ERR_INVALID with what is wrong and allowed appended to *why: a clause such
 * as "must be a whole number from 1 to 16". An empty text is accepted where the key may be empty.
 */
int conf_value_parse(const struct conf_key *key, struct str text, void *field, struct buf *why);
/* The form that parse reads and that is the same for equal values. */
void conf_value_print(const struct conf_key *key, const void *field, struct buf *out);
/* Frees what the field holds; it is empty then. */
void conf_value_fini(const struct conf_key *key, void *field);
/* Makes a string or list empty; leaves a number as it is. */
void conf_value_clear(const struct conf_key *key, void *field);
/* What parse accepts, to follow "must be ": "500ms to 1min, with a unit: ms, s, min, h or d". */
void conf_value_allowed(const struct conf_key *key, struct buf *out);
/* "500ms to 1min" for a number, size or duration; nothing for another type. */
void conf_value_print_range(const struct conf_key *key, struct buf *out);
/* "size", "list of networks": the type's name for the manual page. */
const char *conf_type_name(enum conf_type type);

/* The candidate nearest to what a person typed. */
struct conf_guess {
	struct str typed;
	const char *best; /* NULL: none is near */
	size_t distance;
};

void conf_guess_offer(struct conf_guess *g, const char *candidate);
