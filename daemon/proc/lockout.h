/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a change of settings may cut off the administrator who makes it over the interface. Looks
 * at the values alone; the parent asks it before it changes anything.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/conf/config.h"

/* source: the address that the change comes from, as the store knows it; what is no address (the
 * control socket) is never cut off. True: it may be, and why has a sentence that says how. */
bool lockout_threatens(const struct config *before, const struct config *after, struct str source,
		       struct buf *why);
