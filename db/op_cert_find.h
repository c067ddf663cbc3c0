/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates by what people copy and paste: a fingerprint or serial number in hexadecimal, whole
 * or its beginning, with or without colons, in either case. And the words for reasons. Main thread
 * of the store.
 */
#pragma once

#include "db/ops.h"

enum { CERT_PREFIX_MIN = 8 }; /* digits */

/* What certificates whose fingerprint or serial number begins with some digits lie between. */
enum { CERT_FINGERPRINT = 32, CERT_SERIAL_MAX = 20 };
struct cert_range {
	unsigned char fp[2][CERT_FINGERPRINT];
	unsigned char serial[2][CERT_SERIAL_MAX];
	size_t serial_low; /* bytes of the first one; 0: too many digits for one */
};
/* text: the digits. False: something else is in it, none, or too many. */
bool cert_range(struct str text, struct cert_range *out);
/* The bounds as ?1 to ?4 of: fp BETWEEN ?1 AND ?2, serial BETWEEN ?3 AND ?4. */
void cert_range_values(const struct cert_range *r, struct sql_value out[4]);

/* False: nothing or more than one matches, or it is no number; the call was refused. */
bool cert_find(struct op_call *c, struct str text, int64_t *id);

const char *cert_reason_word(int reason); /* "unspecified" for codes that have no word */
/* The argument "reason", REASON_UNSPECIFIED when absent. False: refused. */
bool cert_reason(struct op_call *c, int *reason);
