/* SPDX-License-Identifier: Apache-2.0
 *
 * Password verifiers: yescrypt by libcrypt, in the form of crypt(5); and those that came from
 * another broker (password_foreign.c). One call takes about 12 ms and
 * 16 MiB on purpose. Copies of passwords are wiped. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum {
	PASSWORD_MIN = 8,
	PASSWORD_MAX = 511, /* bytes that libcrypt takes */
	VERIFIER_MAX = 384
};

/* A hash of Mosquitto's: "$6$SALT$HASH", SHA-512 of password and salt, or
 * "$7$ITERATIONS$SALT$HASH", PBKDF2 with HMAC-SHA-512, salt and hash in base64. Gives the verifier
 * that stands for it here. Such verifiers are quick to break: the login that proves one should
 * replace it. 0, or ERR_INVALID with why. */
int password_import(struct str hash, char out[VERIFIER_MAX], struct why *why);
bool password_is_imported(const char *verifier);

/* Makes a verifier with a fresh salt. ERR_INVALID: longer than PASSWORD_MAX or with a zero byte;
 * ERR_CRYPTO: libcrypt failed. */
int password_make(struct str password, char out[VERIFIER_MAX]);
/* True when the password belongs to the verifier. A verifier that is none takes as long and is
 * false: so does an unknown name. */
bool password_check(struct str password, const char *verifier);
/* The same for an imported verifier, without regard to time. */
bool password_check_imported(struct str password, const char *verifier);
