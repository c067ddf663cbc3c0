/* SPDX-License-Identifier: Apache-2.0
 *
 * Password verifiers: see password.h.
 */
#include "db/password.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

enum { SALT_BYTES = 32 };

_Static_assert(VERIFIER_MAX >= CRYPT_OUTPUT_SIZE, "a verifier fits");
_Static_assert(PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "libcrypt takes every password");

/* The hash of a password under a setting (or a verifier). 0 or ERR_INVALID, ERR_CRYPTO. */
static int hash(struct str password, const char *setting, char out[VERIFIER_MAX])
{
	if (password.n > PASSWORD_MAX || memchr(password.p ? password.p : "", 0, password.n))
		return ERR_INVALID;
	char text[PASSWORD_MAX + 1] = "";
	memcpy(text, password.p ? password.p : "", password.n);
	struct crypt_data *data = mem_new(struct crypt_data);
	const char *result = crypt_rn(text, setting, data, sizeof(*data));
	if (result)
		snprintf(out, VERIFIER_MAX, "%s", result);
	secret_wipe(text, sizeof(text));
	secret_wipe(data, sizeof(*data));
	free(data);
	return result ? 0 : ERR_CRYPTO;
}

static int make_setting(char out[CRYPT_GENSALT_OUTPUT_SIZE])
{
	char random[SALT_BYTES];
	secret_random(random, sizeof(random));
	return crypt_gensalt_rn("$y$", 0, random, sizeof(random), out, CRYPT_GENSALT_OUTPUT_SIZE)
		       ? 0
		       : ERR_CRYPTO;
}

int password_make(struct str password, char out[VERIFIER_MAX])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const int err = make_setting(setting);
	return err ? err : hash(password, setting, out);
}

/* Costs what a check costs. */
static void waste(struct str password)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char found[VERIFIER_MAX];
	if (make_setting(setting) == 0 && hash(password, setting, found) == 0)
		secret_wipe(found, sizeof(found));
}

static bool check_own(struct str password, const char *verifier)
{
	char found[VERIFIER_MAX];
	if (hash(password, verifier, found))
		return false;
	const bool same = secret_equal(str_of(found), str_of(verifier));
	secret_wipe(found, sizeof(found));
	return same;
}

bool password_check(struct str password, const char *verifier)
{
	if (verifier[0] == '$')
		return check_own(password, verifier);
	if (password_is_imported(verifier) && password_check_imported(password, verifier))
		return true;
	waste(password);
	return false;
}
