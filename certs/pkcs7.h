/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates in the envelope that EST sends them in: a CMS SignedData that nobody signed, called
 * certs-only (RFC 5652, 5.1; RFC 5751, 3.2.2). Written by hand because GnuTLS sorts them, and the
 * order tells a reader which root counts. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends the DER with these certificates (DER each), in this order. */
void pkcs7_certs_only(const struct str *certificates, size_t n, struct buf *out);
