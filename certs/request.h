/* SPDX-License-Identifier: Apache-2.0
 *
 * A fresh device key and its certification request, for the command line: the key is made where it
 * is used and never travels. PKCS#8 (RFC 5958), PKCS#10 (RFC 2986).
 */
#pragma once

#include "daemon/base/str.h"

/* A new P-256 key as PKCS#8 PEM (unencrypted: wipe it) and a request with CN = name as PEM,
 * appended. 0 or ERR_CRYPTO. */
int request_make(const char *name, struct buf *key_pem, struct buf *csr_pem);
