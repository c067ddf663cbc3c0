/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose request a reverse proxy forwards, from the field X-Forwarded-For: a list of addresses to
 * which each proxy appends the one that it was called from. Whatever stands left of the first
 * address that is not one of our proxies was written by a stranger. Pure; any thread.
 */
#pragma once

#include "daemon/net/addr.h"

/* The last address of the list that is none of the proxies; the first one when all are. field: all
 * fields of that name, in order, with commas between. False: there is none, or what stands there is
 * no address ("unknown"): then the proxy speaks for itself. Addresses may have a port, which is
 * dropped. */
bool forwarded_for(struct str field, const struct cidr *proxy, size_t proxies, struct addr *out);
