/* SPDX-License-Identifier: Apache-2.0
 *
 * PEM (RFC 7468), read in one pass: files of people who bring their own PKI. Linear in the bytes.
 * Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

/* The next block of *rest, which moves behind it: its label ("CERTIFICATE") and its bytes, which
 * replace those of *der. Text around blocks is skipped. 0; ERR_NOT_FOUND: no further block;
 * ERR_MALFORMED: a block without end, or no base64. */
int pem_next(struct str *rest, struct str *label, struct buf *der) MUST_CHECK;

/* Appends a block, lines of 64. */
void pem_put(const char *label, struct str der, struct buf *out);
