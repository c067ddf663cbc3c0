/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of operations.def as C types: what may be asked, by whom, with which arguments.
 */
#pragma once

#include "daemon/base/str.h"

/* NOBODY: whoever has no credentials: logging in. */
enum op_level { NOBODY, VIEWER, OPERATOR, ADMIN };
enum op_effect { READS, CHANGES };
enum arg_type { ARG_STR, ARG_INT, ARG_BOOL, ARG_STRS, ARG_BYTES, ARG_STATE };
enum arg_need { OPTIONAL, REQUIRED };

enum op {
#define OP(NAME, name, level, effect) OP_##NAME,
#define ARG(name, type, need, max, text)
#define END_OP
#include "daemon/ipc/operations.def"
	OP_COUNT
};

struct op_arg {
	const char *name;
	enum arg_type type;
	enum arg_need need;
	uint64_t max;
	const char *text;
};

struct op_spec {
	const char *name;          /* "device.add", as in the audit log */
	enum op_level level;       /* the least level that may */
	enum op_effect effect;     /* CHANGES is audited */
	const struct op_arg *args; /* ends with a NULL name */
};

/* The row of an operation; op must be below OP_COUNT. */
const struct op_spec *op_spec(enum op op);
const char *op_level_name(enum op_level level); /* "nobody", "viewer" ... */
