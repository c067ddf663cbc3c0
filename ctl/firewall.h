/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's table of nftables, `inet gatehouse`, as a script for nft(8). It drops what reaches
 * the gateway's ports from a network that may not, and touches nothing else: no packet to another
 * port, no other table. A packet that it lets pass goes on to the tables of others, which may still
 * drop it.
 *
 * The sets ban4 and ban6 hold sources that nothing of the gateway's answers for a while. Their
 * elements end by themselves (flags timeout); ban6 has the first address of a /64, which stands for
 * all of it. A script that is applied again keeps them. One thread; no I/O.
 */
#pragma once

#include "daemon/base/str.h"

#include <jansson.h>

#define FIREWALL_TABLE "inet gatehouse"

struct firewall {
	const json_t *status;     /* answer of status: the addresses that listen */
	const json_t *settings;   /* items of config list: allow-from, proxy-from */
	const json_t *from;       /* networks of --from; NULL: not given */
	const json_t *admin_from; /* those of --admin-from, for the interface; NULL: not given */
};

/* One address that listens: {name, address, from: [network]}; an empty list is everybody. Those on
 * loopback are not there. The caller gives the reference back. */
json_t *firewall_doors(const struct firewall *f);
/* Appends the script that puts the table in place, all or nothing, whether it is there or not. */
void firewall_script(const json_t *doors, struct buf *out);
/* One that takes it away, whether it is there or not. */
const char *firewall_removal(void);
