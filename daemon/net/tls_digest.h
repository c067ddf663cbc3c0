/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests for the network layer, computed by GnuTLS: SHA-256 for fingerprints, SHA-1 only because
 * the WebSocket handshake is defined with it (RFC 6455 section 4.2.2; no security rests on it).
 * Any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32 };

void tls_sha1(struct str data, unsigned char out[SHA1_SIZE]);
void tls_sha256(struct str data, unsigned char out[SHA256_SIZE]);
