/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's processes and their names, as they appear in `gatehoused --process NAME`, in the
 * log, in `gatehouse status` and in the tables of messages and settings. What each of them holds
 * and may do is in daemon/README.md.
 */
#pragma once

#include "daemon/base/str.h"

enum process {
	PROCESS_PARENT,
	PROCESS_BROKER,
	PROCESS_ADMIN,
	PROCESS_ENROL,
	PROCESS_CTL,
	PROCESS_STORE,
	PROCESS_VAULT,
	PROCESS_COUNT
};

/* "parent", "broker" ...; never NULL. The number must be below PROCESS_COUNT. */
const char *process_name(enum process process);
/* The process of that exact name. 0 or ERR_NOT_FOUND. */
int process_by_name(struct str name, enum process *out);
