/* SPDX-License-Identifier: Apache-2.0
 *
 * The hashes of the store: SHA-256 for fingerprints and codes, HMAC-SHA-256 for remembered
 * passwords. The only calls of GnuTLS here. Any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum { SHA256_SIZE = 32 };

void hash_sha256(struct str data, unsigned char out[SHA256_SIZE]);
void hash_hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_SIZE]);
