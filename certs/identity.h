/* SPDX-License-Identifier: Apache-2.0
 *
 * A server certificate with its key out of a person's files: whether they can be used, before
 * anything of them is. The parent asks when it reads such files; it keeps nothing of the key.
 * RFC 5280, 4.1; RFC 8446, 4.4.2 (the order of the chain).
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum { IDENTITY_CHAIN_MAX = 8 }; /* certificates in the file */

struct identity {
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	unsigned char fingerprint[32]; /* SHA-256 of the certificate */
};

/* certificates: the bytes of that file, PEM or DER; key: of the other; key_path: for messages.
 * 0; ERR_MALFORMED, ERR_LIMIT or ERR_CRYPTO (a file is none, or of a kind that is refused);
 * ERR_CONFLICT: the key belongs to none of the certificates, or not to the first; or they do not
 * follow each other. Not the time: see identity_time. *of_key: the key's file is to blame. */
int identity_read(struct str certificates, struct str key, const char *key_path,
		  struct identity *out, bool *of_key, struct why *why);
/* 0, or ERR_INVALID: it has ended, or has not begun. now: seconds since 1970. */
int identity_time(const struct identity *i, int64_t now, struct why *why);
/* Whether the authorities that this machine knows vouch for it: browsers anywhere then take it. */
bool identity_is_public(struct str certificates);
