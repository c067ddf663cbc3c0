/* SPDX-License-Identifier: Apache-2.0
 *
 * Time-based one-time passwords: RFC 6238 over RFC 4226 with HMAC-SHA-1, six digits, steps of 30 s,
 * as every authenticator app knows them. Pure; the clock is passed in.
 */
#pragma once

#include "daemon/base/str.h"

enum { TOTP_SECRET = 20, TOTP_TEXT = 33, TOTP_STEP_S = 30, TOTP_DIGITS = 6 };

/* A secret in base 32 (RFC 4648 6), as people type it. */
void totp_text(const unsigned char secret[TOTP_SECRET], char out[TOTP_TEXT]);
/* The code of a step: seconds since 1970 divided by TOTP_STEP_S. */
unsigned totp_code(const unsigned char secret[TOTP_SECRET], int64_t step);
/* Is this text, blanks apart, the code of now or of one step before or after, and of a step later
 * than `used`? Gives the step, which must not be accepted again (RFC 6238 5.2). */
bool totp_check(const unsigned char secret[TOTP_SECRET], struct str text, int64_t now, int64_t used,
		int64_t *step);
