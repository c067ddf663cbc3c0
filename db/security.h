/* SPDX-License-Identifier: Apache-2.0
 *
 * The security check: looks at settings, registry, authority, connections and events for what a
 * careful person would change (findings.def), and gives a score. It changes nothing. A finding that
 * somebody muted, with a reason, is still shown and does not count. Main thread of the store.
 *
 * Result of security.check:
 *   score      int, 100 less what each finding takes: critical 40, high 20, medium 8, low 3
 *   checks     int, how many kinds of finding were looked for
 *   checked    time
 *   open       {critical, high, medium, low: int}, findings that are not muted
 *   findings   list, the worst first, muted ones last, of
 *              {id, severity, what str: the facts, fix str, command str or null, page str or null,
 *               count int, objects: list of str, at most FINDING_OBJECTS, muted: null or
 *               {reason, by str, at time}}
 *
 * Which people and tokens a finding is about stands in objects only for the level admin, as in
 * their lists; others get the count.
 */
#pragma once

#include "daemon/base/str.h"

enum { FINDING_OBJECTS = 20 };

struct store;

/* The last answer, with or without the names of people and tokens. */
struct security {
	struct buf result;
	uint64_t at_ms; /* monotonic */
	int64_t change; /* last row of the audit log then */
};

/* settings: the inside of the list "items" of SETTING_DONE, a valid rec. names: also those of
 * people and tokens. */
void security_check(struct store *s, struct str settings, bool names, struct buf *out);
/* Is there a finding of that id? */
bool security_knows(struct str id);
