/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse migrate --ca-key: the authority of the old stack certifies the gateway's root once, so
 * that devices which know only the old authority accept the gateway's own certificates too. The key
 * is used here and forgotten; it never reaches the gateway, and the old authority gets no right
 * there: its certificates open devices by client-ca of a listener, as before. One thread.
 */
#pragma once

#include "certs/key.h"
#include "certs/profile.h"
#include "ctl/ctl.h"
#include "ctl/migrate/migrate.h"

struct old_authority {
	struct key *key; /* NULL: none was given */
	struct certificate certificate;
};

/* Reads the key, and looks for its certificate in the files that the listeners name as client-ca.
 * Part of the plan: what is wrong is an error of the migration (a message). */
void old_authority_read(struct migration *m, const char *path, struct old_authority *out);
void old_authority_fini(struct old_authority *a);
/* Certifies the root that the gateway has, and gives that to the gateway. A line of the report.
 * False: the gateway does not answer (a message). */
bool old_authority_vouch(struct invocation *in, struct migration *m, const struct old_authority *a);
