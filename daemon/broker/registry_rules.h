/* SPDX-License-Identifier: Apache-2.0
 *
 * The access rules of the registry view, and the sets compiled of them: what somebody may do. Knows
 * nothing of devices and certificates but names.
 *
 * Rules hang under their subject (everyone, a device, a group, a role). The rules of somebody are
 * those of its subjects; the compiled set is kept by the subjects and their versions, so a change
 * of one role compiles the sets of its holders anew and leaves all others as they are.
 *
 * A part of registry.h, which locks: one writer alone, or readers together; rules_of_holder makes
 * sets that are not there, so readers call it one at a time.
 */
#pragma once

#include "daemon/acl/acl.h"
#include "daemon/base/map.h"

/* All zero: no rules, nothing is allowed. */
struct rules {
	struct map by_id;    /* number -> struct rule, owned */
	struct map subjects; /* kind byte and name -> struct subject, owned */
	struct map sets;     /* the parts, byte for byte -> struct compiled, owned */
	uint64_t version;    /* last one given to a subject */
};

/* Whose rules are asked for. */
struct rules_holder {
	struct str device; /* its name; p NULL: the anonymous one, no device */
	struct str groups; /* lists of strings (daemon/ipc/frame.h) */
	struct str roles;
};

struct rules_set {
	struct acl_set *acl;
	bool uses_certificate; /* some rule holds ${cn} or ${san} */
	bool learns;           /* some rule is of the learn mode */
};

void rules_fini(struct rules *s);
/* Takes in one reg_rule record (daemon/ipc/messages.def). gone: the rule of this number is removed.
 * 0 or ERR_MALFORMED (nothing changed). */
int rules_take(struct rules *s, bool gone, struct str body);
/* After the last of several rules_take on rules that are in use: frees sets that no longer hold. */
void rules_purge(struct rules *s);
/* Whether the time (seconds since 1970) of a rule of the learn mode is over; takes all such away
 * and purges. */
bool rules_learning_over(const struct rules *s, int64_t now);
void rules_end_learning(struct rules *s, int64_t now);
/* The compiled rules of somebody. The same pointer, and the same acl, for all with the same
 * subjects as long as none of them has changed; valid until the next rules_purge. Never NULL: rules
 * that cannot be used are logged and allow nothing. */
const struct rules_set *rules_of_holder(struct rules *s, const struct rules_holder *holder);
