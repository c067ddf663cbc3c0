/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the processes: see processes.h. Any thread.
 */
#include "daemon/base/processes.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"

static const char *const names[PROCESS_COUNT] = {
	[PROCESS_PARENT] = "parent", [PROCESS_BROKER] = "broker", [PROCESS_ADMIN] = "admin",
	[PROCESS_ENROL] = "enrol",   [PROCESS_CTL] = "ctl",       [PROCESS_STORE] = "store",
	[PROCESS_VAULT] = "vault",
};

const char *process_name(enum process process)
{
	CHECK((size_t)process < PROCESS_COUNT);
	return names[process];
}

int process_by_name(struct str name, enum process *out)
{
	for (size_t i = 0; i < PROCESS_COUNT; i++) {
		if (str_is(name, names[i])) {
			*out = (enum process)i;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}
