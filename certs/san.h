/* SPDX-License-Identifier: Apache-2.0
 *
 * The names and addresses under which a server certificate is valid (RFC 5280 4.2.1.6), as a sorted
 * set, so that two of them compare: a server certificate is made anew when the set changes.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	SAN_MAX = 128,           /* entries; more would bloat every handshake */
	SAN_BYTES_MAX = 4 * KiB, /* of all entries together, for the same reason */
	SAN_NAME_MAX = 253,      /* bytes of a DNS name */
	SAN_ENTRY_MAX = 1 + SAN_NAME_MAX
};

enum san_kind { SAN_DNS, SAN_ADDRESS }; /* an address is 4 or 16 bytes, as in the certificate */

struct san {
	uint8_t kind;
	uint8_t n;
	char value[SAN_NAME_MAX + 1]; /* DNS: lower case, terminated */
};

struct san_set {
	size_t n;
	size_t bytes;
	struct san entry[SAN_MAX];
};

/* Adds a name or an address as people write it ("gw.example", "*.plant.example", "192.0.2.7",
 * "[2001:db8::1]", "fe80::1%eth0" without its zone). Nothing when it is there already.
 * 0, ERR_INVALID (neither a name nor an address), ERR_LIMIT (SAN_MAX entries or
 * SAN_BYTES_MAX bytes). */
int san_add(struct san_set *set, struct str text);
/* An entry as it stands in a certificate. 0, ERR_INVALID or ERR_LIMIT. */
int san_add_raw(struct san_set *set, enum san_kind kind, struct str value);
bool san_equal(const struct san_set *a, const struct san_set *b);
