/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to believe: see accuse.h.
 */
#include "daemon/proc/accuse.h"

static bool are_linked(enum process a, enum process b)
{
	static const struct {
		enum process a, b;
	} pairs[] = {
#define CHILD(NAME, name, stage, dir)
#define PAIR(A, B, count) {PROCESS_##A, PROCESS_##B},
#include "daemon/proc/processes.def"
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return true;
	return false;
}

enum accuse_verdict accuse_judge(struct accusations *a, enum process by, enum process of,
				 uint64_t now_ms)
{
	if (!are_linked(by, of))
		return ACCUSE_NO_LINK;
	if (a->n == 0 || now_ms - a->since_ms > ACCUSE_MS)
		*a = (struct accusations){.since_ms = now_ms};
	return ++a->n > ACCUSE_MAX ? ACCUSE_TOO_MANY : ACCUSE_BELIEVED;
}
