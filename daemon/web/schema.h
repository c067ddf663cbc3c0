/* SPDX-License-Identifier: Apache-2.0
 *
 * The short notation of results.def as JSON Schema (draft 2020-12, as OpenAPI 3.1 takes it). Main
 * thread. The notation is our own table: a mistake in it is a CHECK.
 */
#pragma once

#include "daemon/ipc/op.h"

#include <jansson.h>

/* Every SHAPE by its name: the object components/schemas of the description. The caller owns it. */
json_t *schema_shapes(void);
/* What an operation answers; the caller owns it. NULL: a file. op must be below OP_COUNT. */
json_t *schema_result(enum op op);
const char *schema_summary(enum op op); /* one line: what the operation does */
