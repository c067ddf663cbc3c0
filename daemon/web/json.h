/* SPDX-License-Identifier: Apache-2.0
 *
 * Between JSON and rec. Pure; any thread. RFC 8259; times as RFC 3339; bytes as hexadecimal.
 */
#pragma once

#include "daemon/ipc/op.h"
#include "daemon/ipc/rec.h"

#include <jansson.h>

enum { JSON_LIST_MAX = 64 }; /* entries of an ARG_STRS */

/* Seeds the tables of the library, which would open a device for it. Once, at the start. */
void json_seed_tables(void);

/* A valid rec as a JSON object; the caller owns the reference. Never NULL. */
json_t *json_from_rec(struct str rec);

/* What is wrong with the arguments of an operation. */
struct json_problem {
	char field[65];
	char why[300];
};

/* Appends the arguments in `object` to args, checked against the specification: names, types,
 * limits. bytes(): what to do with a REC_BYTES argument is the caller's affair, the text is handed
 * on as REC_STR. Arguments that come from the path or the query are appended with json_arg_text. 0
 * or ERR_INVALID. */
int json_args(const struct op_spec *spec, json_t *object, struct buf *args,
	      struct json_problem *problem);
/* One argument from text (path, query): numbers and booleans are converted. */
int json_arg_text(const struct op_spec *spec, struct str name, struct str text, struct buf *args,
		  struct json_problem *problem);
/* Any JSON value as a rec, without names longer than 255 bytes, fractions, or more than REC_DEPTH
 * levels. 0 or ERR_INVALID. */
int json_to_rec(const char *name, json_t *value, unsigned depth, struct buf *out);
/* Every REQUIRED argument is in args? 0 or ERR_INVALID. */
int json_args_complete(const struct op_spec *spec, struct str args, struct json_problem *problem);
