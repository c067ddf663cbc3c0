/* SPDX-License-Identifier: Apache-2.0
 *
 * Verifiers of another broker: see password.h. They are kept as they came, behind a word that
 * crypt(5) does not know: its own "$6$" is something else. Pure; any thread.
 */
#include "daemon/base/base64.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "db/hash.h"
#include "db/password.h"

#include <stdio.h>

enum {
	SALT_MIN = 8,
	SALT_MAX = 128,
	ITERATIONS_MAX = 1000000, /* a second of one thread */
};

#define MARK "mosquitto:"

struct foreign {
	unsigned iterations; /* 0: SHA-512 once */
	struct buf salt;
	struct buf hash;
};

static void foreign_fini(struct foreign *f)
{
	buf_fini(&f->salt);
	buf_fini(&f->hash);
}
#define AUTO_FOREIGN __attribute__((cleanup(foreign_fini))) struct foreign

static int parse(struct str text, struct foreign *out, struct why *why)
{
	uint64_t iterations = 0;
	struct str rest = text;
	str_split(&rest, '$');
	const struct str kind = str_split(&rest, '$');
	if (str_is(kind, "7") && str_u64(str_split(&rest, '$'), ITERATIONS_MAX, &iterations))
		return why_set(why, ERR_INVALID, "the iterations of a $7$ hash must be 1 to %d",
			       ITERATIONS_MAX);
	if (text.n == 0 || text.p[0] != '$' || (!str_is(kind, "6") && !str_is(kind, "7")) ||
	    (str_is(kind, "7") && iterations == 0))
		return why_set(why, ERR_INVALID,
			       "this is no hash that can be taken over; those of Mosquitto that "
			       "begin with $6$ or $7$ can");
	const struct str salt = str_split(&rest, '$');
	if (!rest.p || base64_decode(salt, BASE64_UNPADDED, &out->salt) ||
	    base64_decode(rest, BASE64_UNPADDED, &out->hash) || out->hash.n != SHA512_SIZE ||
	    out->salt.n < SALT_MIN || out->salt.n > SALT_MAX)
		return why_set(why, ERR_INVALID,
			       "the hash is damaged: base64 of a salt of %d to %d bytes, $, base64 "
			       "of 64 bytes is expected",
			       SALT_MIN, SALT_MAX);
	out->iterations = (unsigned)iterations;
	return 0;
}

int password_import(struct str hash, char out[VERIFIER_MAX], struct why *why)
{
	AUTO_FOREIGN f = {0};
	if (hash.n + sizeof(MARK) > VERIFIER_MAX)
		return why_set(why, ERR_INVALID, "the hash has %zu bytes; at most %zu", hash.n,
			       VERIFIER_MAX - sizeof(MARK));
	const int err = parse(hash, &f, why);
	if (err)
		return err;
	snprintf(out, VERIFIER_MAX, MARK "%.*s", STR_ARG(hash));
	return 0;
}

bool password_is_imported(const char *verifier)
{
	return str_prefix(str_of(verifier), STR(MARK));
}

bool password_check_imported(struct str password, const char *verifier)
{
	AUTO_FOREIGN f = {0};
	unsigned char found[SHA512_SIZE];
	if (!password_is_imported(verifier) || parse(str_of(verifier + strlen(MARK)), &f, NULL))
		return false;
	if (f.iterations == 0)
		hash_sha512_of_two(password, buf_view(&f.salt), found);
	else if (!hash_pbkdf2_sha512(password, buf_view(&f.salt), f.iterations, found,
				     sizeof(found)))
		return false;
	const bool same = secret_equal(str_make(found, sizeof(found)), buf_view(&f.hash));
	secret_wipe(found, sizeof(found));
	return same;
}
