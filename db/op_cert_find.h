/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates by what people copy and paste: a fingerprint or serial number in hexadecimal, whole
 * or its beginning, with or without colons, in either case. And the words for reasons. Main thread
 * of the store.
 */
#pragma once

#include "db/ops.h"

enum { CERT_PREFIX_MIN = 8 }; /* digits */

/* False: nothing or more than one matches, or it is no number; the call was refused. */
bool cert_find(struct op_call *c, struct str text, int64_t *id);

const char *cert_reason_word(int reason); /* "unspecified" for codes that have no word */
/* The argument "reason", REASON_UNSPECIFIED when absent. False: refused. */
bool cert_reason(struct op_call *c, int *reason);
