/* SPDX-License-Identifier: Apache-2.0
 *
 * Few places and callers who do not know of each other: nobody has more of them than are left. Of 8
 * one caller alone gets 4, the next one 2, and so on; whoever comes when others have taken what
 * they may still finds a place, and no one caller has all. Pure.
 */
#pragma once

#include "daemon/base/defs.h"

/* May who has `mine` of the `taken` places, of `all`, have another one? */
static inline bool share_has_room(size_t mine, size_t taken, size_t all)
{
	return taken < all && mine < all - taken;
}
