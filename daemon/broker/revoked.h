/* SPDX-License-Identifier: Apache-2.0
 *
 * What is revoked, for programs that are subscribers anyway, such as proxies at the edge: a
 * retained message per certificate on $gw/pki/revoked/FINGERPRINT (SHA-256, lower-case
 * hexadecimal), gone when the certificate is good again. The payload is a JSON object {status:
 * "revoked", "hold" or "superseded", reason, at}. Whoever may read them needs a rule that spells
 * $gw. Made of the registry at every start, never stored. Control thread; the first worker
 * publishes.
 */
#pragma once

#include "daemon/base/str.h"

/* More are in the revocation list only (certs/statement.h): each costs about 500 bytes here. */
enum { REVOKED_MAX = 10000 };

struct control;

/* The registry has changed. */
void revoked_update(struct control *k);
