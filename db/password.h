/* SPDX-License-Identifier: Apache-2.0
 *
 * Password verifiers: yescrypt by libcrypt, in the form of crypt(5). One call takes about 12 ms and
 * 16 MiB on purpose. Copies of passwords are wiped. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	PASSWORD_MIN = 8,
	PASSWORD_MAX = 511, /* bytes that libcrypt takes */
	VERIFIER_MAX = 384
};

/* Makes a verifier with a fresh salt. ERR_INVALID: longer than PASSWORD_MAX or with a zero byte;
 * ERR_CRYPTO: libcrypt failed. */
int password_make(struct str password, char out[VERIFIER_MAX]);
/* True when the password belongs to the verifier. A verifier that is none takes as long and is
 * false: so does an unknown name. */
bool password_check(struct str password, const char *verifier);
