/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files as they rest on the gateway's disk: encrypted with a key of the host that root alone
 * can read, so that a copy of the vault's directory is worth nothing elsewhere. AES-256-GCM; the
 * name of the file is bound in, so two files cannot change places. Where the host's key comes from
 * is the caller's affair. Pure apart from random numbers; any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum { SEAL_KEY_SIZE = 32 };

/* Appends a PEM block. key is SEAL_KEY_SIZE bytes, name that of the file. */
void seal_put(struct str key, const char *name, struct str bytes, struct buf *out);
/* Is this such a block? */
bool seal_is(struct str file);
/* Appends what was sealed. 0, ERR_MALFORMED, or ERR_CRYPTO: another key, another name, or changed
 * bytes. */
int seal_open(struct str key, const char *name, struct str file, struct buf *out) MUST_CHECK;
