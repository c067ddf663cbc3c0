/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM-SHA-256 keys: the example of RFC 7677, keys of our own, and names that are not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/hash.h"
#include "db/scram.h"

#include <string.h>

static struct str key(const unsigned char *p)
{
	return str_make(p, SCRAM_KEY);
}

static void client_key(struct str password, const struct scram_keys *k,
		       unsigned char out[SCRAM_KEY])
{
	unsigned char salted[SCRAM_KEY];
	assert_true(hash_pbkdf2_sha256(password, str_make(k->salt, SCRAM_SALT), k->iterations,
				       salted, sizeof(salted)));
	hash_hmac_sha256(key(salted), STR("Client Key"), out);
}

static void prove(struct str password, const struct scram_keys *k, struct str message,
		  unsigned char proof[SCRAM_KEY])
{
	unsigned char client[SCRAM_KEY], stored[SCRAM_KEY];
	client_key(password, k, client);
	hash_sha256(key(client), stored);
	hash_hmac_sha256(key(stored), message, proof);
	for (size_t i = 0; i < SCRAM_KEY; i++)
		proof[i] ^= client[i];
}

/* User "user", password "pencil"; in hexadecimal what stands there in base64. */
static void test_example_of_the_standard(void **state)
{
	(void)state;
	const struct str message =
		STR("n=user,r=rOprNGfwEbeRWgbNEkqO,"
		    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
	struct scram_keys k = {.iterations = 4096};
	unsigned char salted[SCRAM_KEY], client[SCRAM_KEY], proof[SCRAM_KEY], signature[SCRAM_KEY];
	char hex[2 * SCRAM_KEY + 1];
	assert_int_equal(hex_decode(STR("5b6d99689d12358eeca04b141236fa81"), k.salt, SCRAM_SALT),
			 0);
	assert_true(hash_pbkdf2_sha256(STR("pencil"), str_make(k.salt, SCRAM_SALT), 4096, salted,
				       sizeof(salted)));
	client_key(STR("pencil"), &k, client);
	hash_sha256(key(client), k.stored);
	hash_hmac_sha256(key(salted), STR("Server Key"), k.server);
	prove(STR("pencil"), &k, message, proof);
	hex_encode(proof, SCRAM_KEY, hex);
	assert_string_equal(hex,
			    "747cdb65aa56224e2352137e52d7bdcad6a0f738df30782caa69a2cfb0277554");
	assert_true(scram_check(&k, message, proof, signature));
	hex_encode(signature, SCRAM_KEY, hex);
	assert_string_equal(hex,
			    "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
	proof[31] ^= 1;
	assert_false(scram_check(&k, message, proof, signature));
}

static void test_own_keys(void **state)
{
	(void)state;
	unsigned char record[SCRAM_RECORD], other[SCRAM_RECORD];
	unsigned char proof[SCRAM_KEY], signature[SCRAM_KEY];
	struct scram_keys k;
	assert_true(scram_make(STR("secret"), 5000, record));
	assert_true(scram_make(STR("secret"), 5000, other));
	assert_memory_not_equal(record, other, sizeof(record));
	assert_true(scram_read(str_make(record, sizeof(record)), &k));
	assert_int_equal(k.iterations, 5000);
	prove(STR("secret"), &k, STR("message"), proof);
	assert_true(scram_check(&k, STR("message"), proof, signature));
	assert_false(scram_check(&k, STR("messagf"), proof, signature));
	prove(STR("secreu"), &k, STR("message"), proof);
	assert_false(scram_check(&k, STR("message"), proof, signature));
	assert_false(scram_read(str_make(record, sizeof(record) - 1), &k));
	assert_false(scram_read(STR(""), &k));
}

static void test_names_that_are_not_there(void **state)
{
	(void)state;
	struct scram_keys a, again, b, elsewhere;
	unsigned char proof[SCRAM_KEY], signature[SCRAM_KEY];
	scram_invent(STR("k"), STR("a"), 4096, &a);
	scram_invent(STR("k"), STR("a"), 4096, &again);
	scram_invent(STR("k"), STR("b"), 4096, &b);
	scram_invent(STR("l"), STR("a"), 4096, &elsewhere);
	assert_memory_equal(a.salt, again.salt, SCRAM_SALT);
	assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT);
	assert_memory_not_equal(a.salt, elsewhere.salt, SCRAM_SALT);
	prove(STR(""), &a, STR("message"), proof);
	assert_false(scram_check(&a, STR("message"), proof, signature));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_of_the_standard),
		cmocka_unit_test(test_own_keys),
		cmocka_unit_test(test_names_that_are_not_there),
	};
	return cmocka_run_group_tests_name("scram keys", tests, NULL, NULL);
}
