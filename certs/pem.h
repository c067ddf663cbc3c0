/* SPDX-License-Identifier: Apache-2.0
 *
 * PEM (RFC 7468) and base64 (RFC 4648), read in one pass: files of people who bring their own PKI,
 * and password hashes of other brokers. Linear in the bytes. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends the decoded bytes. Blanks and line ends between the digits are skipped; padding must be
 * right where it is there, and may be absent. 0 or ERR_MALFORMED (then *out is as before). */
int base64_decode(struct str text, struct buf *out) MUST_CHECK;

/* The next block of *rest, which moves behind it: its label ("CERTIFICATE") and its bytes, which
 * replace those of *der. Text around blocks is skipped. 0; ERR_NOT_FOUND: no further block;
 * ERR_MALFORMED: a block without end, or no base64. */
int pem_next(struct str *rest, struct str *label, struct buf *der) MUST_CHECK;

/* Appends a block, lines of 64. */
void pem_put(const char *label, struct str der, struct buf *out);
