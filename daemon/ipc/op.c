/* SPDX-License-Identifier: Apache-2.0
 *
 * Table of operations: see op.h and operations.def.
 */
#include "daemon/ipc/op.h"
#include "daemon/base/check.h"

#define OP(NAME, name, level, effect)    static const struct op_arg args_##NAME[] = {
#define ARG(name, type, need, max, text) {name, type, need, max, text},
#define END_OP                                   \
	{                                        \
		NULL, ARG_STR, OPTIONAL, 0, NULL \
	}                                        \
	}                                        \
	;
#include "daemon/ipc/operations.def"

static const struct op_spec specs[OP_COUNT] = {
#define OP(NAME, name, level, effect) {name, level, effect, args_##NAME},
#define ARG(name, type, need, max, text)
#define END_OP
#include "daemon/ipc/operations.def"
};

const struct op_spec *op_spec(enum op op)
{
	CHECK(op < OP_COUNT);
	return &specs[op];
}

const char *op_level_name(enum op_level level)
{
	static const char *const name[] = {"nobody", "viewer", "operator", "admin"};
	CHECK(level <= ADMIN);
	return name[level];
}
