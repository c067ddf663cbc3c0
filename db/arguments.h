/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of an operation against its row in operations.def: names, kinds, sizes, what is
 * required. Pure; any thread. It judges no meaning: the handlers do.
 */
#pragma once

#include "daemon/base/why.h"
#include "daemon/ipc/op.h"

enum { ARGUMENTS_LIST_MAX = 256 }; /* strings in one list */

/* Does the operation take an argument of this name? */
bool arguments_known(const struct op_spec *spec, const char *name);
/* args is a valid rec. 0, or ERR_INVALID with the wrong argument in field and a sentence in *why. A
 * request ("csr") arrives parsed by the web process: as "spki" (bytes) and "csr-name" (its
 * common name). */
int arguments_check(const struct op_spec *spec, struct str args, char field[65], struct why *why);
