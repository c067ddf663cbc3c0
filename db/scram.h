/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), the part that holds keys: made from a password when that is
 * set, and judging a client's proof. Passwords are taken as they are: SASLprep leaves those of
 * ASCII alone. The texts of the exchange are the broker's to read and write. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	SCRAM_KEY = 32,
	SCRAM_SALT = 16,
	SCRAM_RECORD = 4 + SCRAM_SALT + 2 * SCRAM_KEY, /* as stored: see 0002_registry.sql */
};

struct scram_keys {
	uint32_t iterations;
	unsigned char salt[SCRAM_SALT];
	unsigned char stored[SCRAM_KEY];
	unsigned char server[SCRAM_KEY];
};

/* Keys with a fresh salt, as a record. False: GnuTLS refuses such parameters. */
bool scram_make(struct str password, uint32_t iterations, unsigned char record[SCRAM_RECORD]);
/* False: that is no record. */
bool scram_read(struct str record, struct scram_keys *out);
/* Keys that no password opens, the same for the same name and secret. */
void scram_invent(struct str secret, struct str name, uint32_t iterations, struct scram_keys *out);
/* Whether the proof belongs to the keys; signature is what proves the server to the client. Takes
 * as long for wrong ones. */
bool scram_check(const struct scram_keys *keys, struct str auth_message,
		 const unsigned char proof[SCRAM_KEY], unsigned char signature[SCRAM_KEY]);
