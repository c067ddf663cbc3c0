/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM-SHA-256: see scram.h.
 */
#include "db/scram.h"
#include "daemon/base/cursor.h"
#include "daemon/base/secret.h"
#include "db/hash.h"

static struct str key_str(const unsigned char key[SCRAM_KEY])
{
	return str_make(key, SCRAM_KEY);
}

bool scram_make(struct str password, uint32_t iterations, unsigned char record[SCRAM_RECORD])
{
	unsigned char salted[SCRAM_KEY], client[SCRAM_KEY], stored[SCRAM_KEY], server[SCRAM_KEY];
	unsigned char salt[SCRAM_SALT];
	secret_random(salt, sizeof(salt));
	const bool ok = hash_pbkdf2_sha256(password, str_make(salt, sizeof(salt)), iterations,
					   salted, sizeof(salted));
	if (ok) {
		hash_hmac_sha256(key_str(salted), STR("Client Key"), client);
		hash_sha256(key_str(client), stored);
		hash_hmac_sha256(key_str(salted), STR("Server Key"), server);
		struct out o = out_make(record, SCRAM_RECORD);
		out_u32le(&o, iterations);
		out_bytes(&o, salt, sizeof(salt));
		out_bytes(&o, stored, sizeof(stored));
		out_bytes(&o, server, sizeof(server));
	}
	secret_wipe(salted, sizeof(salted));
	secret_wipe(client, sizeof(client));
	secret_wipe(stored, sizeof(stored));
	secret_wipe(server, sizeof(server));
	return ok;
}

static void take(struct cur *c, unsigned char *to, size_t n)
{
	const struct str s = cur_bytes(c, n);
	if (s.p)
		memcpy(to, s.p, n);
}

bool scram_read(struct str record, struct scram_keys *out)
{
	if (record.n != SCRAM_RECORD)
		return false;
	struct cur c = cur_of(record);
	out->iterations = cur_u32le(&c);
	take(&c, out->salt, SCRAM_SALT);
	take(&c, out->stored, SCRAM_KEY);
	take(&c, out->server, SCRAM_KEY);
	return cur_done(&c);
}

void scram_invent(struct str secret, struct str name, uint32_t iterations, struct scram_keys *out)
{
	unsigned char derived[SHA256_SIZE];
	hash_hmac_sha256(secret, name, derived);
	out->iterations = iterations;
	memcpy(out->salt, derived, SCRAM_SALT);
	secret_random(out->stored, SCRAM_KEY);
	secret_random(out->server, SCRAM_KEY);
}

bool scram_check(const struct scram_keys *keys, struct str auth_message,
		 const unsigned char proof[SCRAM_KEY], unsigned char signature[SCRAM_KEY])
{
	unsigned char key[SCRAM_KEY], found[SCRAM_KEY];
	hash_hmac_sha256(key_str(keys->stored), auth_message, key);
	for (size_t i = 0; i < SCRAM_KEY; i++)
		key[i] ^= proof[i];
	hash_sha256(key_str(key), found);
	hash_hmac_sha256(key_str(keys->server), auth_message, signature);
	secret_wipe(key, sizeof(key));
	return secret_equal(key_str(found), key_str(keys->stored));
}
