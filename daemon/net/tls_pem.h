/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates out of the files of people who bring their own PKI: PEM with any text around it, or
 * one certificate in DER. RFC 7468. Any thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends each certificate as DER behind its 32-bit little-endian length. 0; ERR_MALFORMED when
 * there is none or one is broken; ERR_LIMIT above max. */
int tls_certificates_read(struct str file, size_t max, struct buf *list) MUST_CHECK;
