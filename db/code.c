/* SPDX-License-Identifier: Apache-2.0
 *
 * Codes: see code.h. The hash is of the letters in upper case without hyphens.
 */
#include "db/code.h"
#include "daemon/base/secret.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void code_make(unsigned groups, unsigned letters, char *out)
{
	size_t n = 0;
	for (unsigned i = 0; i < groups * letters; i++) {
		unsigned char random;
		secret_random(&random, 1);
		if (i && i % letters == 0)
			out[n++] = '-';
		out[n++] = alphabet[random % 32];
	}
	out[n] = 0;
}

/* The letter that was meant; 0: none. */
static char read_letter(char typed)
{
	const char c = typed >= 'a' && typed <= 'z' ? (char)(typed - 'a' + 'A') : typed;
	if (c == 'O')
		return '0';
	if (c == 'I' || c == 'L')
		return '1';
	return c && strchr(alphabet, c) ? c : 0;
}

static bool read_code(struct str typed, char out[CODE_LETTERS])
{
	size_t n = 0;
	for (size_t i = 0; i < typed.n; i++) {
		if (typed.p[i] == '-' || typed.p[i] == ' ')
			continue;
		const char letter = read_letter(typed.p[i]);
		if (!letter || n == CODE_LETTERS)
			return false;
		out[n++] = letter;
	}
	return n == CODE_LETTERS;
}

bool code_hash(struct str typed, unsigned char out[SHA256_SIZE])
{
	char letters[CODE_LETTERS];
	const bool good = read_code(typed, letters);
	if (good)
		hash_sha256(str_make(letters, sizeof(letters)), out);
	secret_wipe(letters, sizeof(letters));
	return good;
}
