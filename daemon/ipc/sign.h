/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of TLS handshakes from the vault: TLS_SIGN over a link of rpc.h. The thread that does
 * the handshake waits.
 */
#pragma once

#include "daemon/ipc/rpc.h"

enum { SIGN_TIMEOUT_MS = 2000 };

/* Signs data (at most 1024 bytes) with the vault's key of that number, under that scheme of TLS
 * (RFC 8446 section 4.2.3), and appends the signature. 0; ERR_LIMIT: too long; ERR_CRYPTO: the
 * vault does not sign this; ERR_TIMEOUT; anything else as rpc_ask: the link is of no more use. */
int sign_ask(struct rpc *vault, uint32_t key_id, int scheme, struct str data,
	     struct buf *signature);
