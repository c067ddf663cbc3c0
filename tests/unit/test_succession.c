/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed key files, and generations of the authority on a real directory: what follows what, what a
 * crash or a full disk leaves, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/issuer.h"
#include "certs/seal.h"
#include "certs/server.h"
#include "certs/succession.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "tests/unit/scratch.h"

#include <signal.h>
#include <sys/resource.h>

enum { NOW = 1800000000 };

static struct scratch dir;
static struct keystore *ks;
static struct issuer *issuer;
static struct why why;

static struct issue_time at(int64_t wall)
{
	return (struct issue_time){wall, 1000};
}

static void open_all(void)
{
	assert_int_equal(keystore_open(dir.path, &ks, &why), 0);
	if (issuer_open(ks, NOW - DAY, at(NOW), &issuer, &why))
		fail_msg("%s", why.text);
}

static void close_all(void)
{
	issuer_free(issuer);
	keystore_free(ks);
}

static void reopen(void)
{
	close_all();
	open_all();
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR - 1);
	scratch_make(&dir);
	open_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_all();
	scratch_remove(&dir);
	return 0;
}

static void assert_says(const char *words)
{
	if (!strstr(why.text, words))
		fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

struct seen {
	unsigned n[CA_COMPROMISED + 1]; /* roots by state */
	unsigned crosses;
	unsigned keys; /* that are here */
};

static void see(void *arg, const struct authority *a)
{
	struct seen *s = arg;
	s->n[a->state] += a->kind == CA_ROOT;
	s->crosses += a->kind == CA_CROSS;
	s->keys += a->key == CA_KEY_HERE;
}

static struct seen seen(void)
{
	struct seen s = {0};
	succession_each(issuer, see, &s);
	return s;
}

static struct str fingerprint(const struct certificate *c)
{
	return str_make(c->fingerprint, FINGERPRINT_LEN);
}

/* ---- seal -------------------------------------------------------------------------------------
 */

static void a_seal_opens_with_its_key_and_name_alone(void **state)
{
	(void)state;
	static const struct str key = STR("0123456789abcdef0123456789abcdef");
	static const struct str other = STR("0123456789abcdef0123456789abcdeF");
	AUTO_BUF file = {0};
	AUTO_BUF again = {0};
	AUTO_BUF out = {0};
	seal_put(key, "root.key", STR("secret"), &file);
	assert_true(seal_is(buf_view(&file)));
	assert_null(memmem(file.p, file.n, "secret", 6));
	assert_int_equal(seal_open(key, "root.key", buf_view(&file), &out), 0);
	assert_true(str_is(buf_view(&out), "secret"));
	assert_int_equal(seal_open(other, "root.key", buf_view(&file), &out), ERR_CRYPTO);
	assert_int_equal(seal_open(key, "issuing.key", buf_view(&file), &out), ERR_CRYPTO);
	assert_int_equal(seal_open(key, "root.key", STR("nothing"), &out), ERR_MALFORMED);
	assert_true(str_is(buf_view(&out), "secret"));
	seal_put(key, "root.key", STR("secret"), &again);
	assert_false(str_eq(buf_view(&file), buf_view(&again)));
	/* One letter of the middle of the base64 text. */
	char *p = memmem(file.p, file.n, "\n", 1);
	p[5] = p[5] == 'A' ? 'B' : 'A';
	assert_int_equal(seal_open(key, "root.key", buf_view(&file), &out), ERR_CRYPTO);
}

/* ---- succession -------------------------------------------------------------------------------
 */

static unsigned chain_length(const struct certificate *leaf)
{
	AUTO_BUF list = {0};
	unsigned n = 0;
	issuer_chain(issuer, leaf, &list);
	struct cur c = cur_of(buf_view(&list));
	for (; cur_left(&c); n++)
		cur_str32le(&c);
	assert_true(cur_ok(&c));
	return n;
}

static void make_leaf(struct certificate *out)
{
	AUTO(key) key = key_generate(KEY_P256);
	struct san_set names = {0};
	assert_int_equal(san_add(&names, STR("gw")), 0);
	assert_int_equal(issuer_server(issuer, key, "gw", &names, at(NOW), out, &why), 0);
	assert_int_equal(issuer_commit(issuer, &why), 0);
}

static void one_follows_another(void **state)
{
	(void)state;
	struct certificate old, young;
	make_leaf(&old);
	assert_int_equal(chain_length(&old), 1);
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
	assert_int_equal(chain_length(&old), 1);
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), ERR_EXISTS);
	reopen();
	struct seen s = seen();
	assert_int_equal(s.n[CA_ACTIVE], 1);
	assert_int_equal(s.n[CA_NEXT], 1);
	assert_int_equal(s.crosses, 1);
	assert_int_equal(succession_switch(issuer, false, &why), 0);
	make_leaf(&young);
	assert_int_equal(chain_length(&old), 1);
	assert_int_equal(chain_length(&young), 2); /* with the cross certificate */
	assert_true(issuer_vouches(issuer, &old) && issuer_vouches(issuer, &young));
	reopen();
	assert_int_equal(chain_length(&young), 2);
	assert_int_equal(succession_finish(issuer, &why), 0);
	assert_int_equal(chain_length(&young), 1);
	reopen();
	s = seen();
	assert_int_equal(s.n[CA_RETIRED], 1);
	assert_int_equal(s.keys, 2); /* root and issuing key of the new one */
	assert_int_equal(scratch_size(&dir, "root.key"), -1);
	assert_int_equal(scratch_size(&dir, "issuing.key"), -1);
	certificate_fini(&old);
	certificate_fini(&young);
}

/* Keys and certificates are there, but the file that says so was not written. */
static void what_a_crash_left_is_in_no_ones_way(void **state)
{
	(void)state;
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
	unlink(scratch_file(&dir, "authority"));
	reopen();
	assert_int_equal(seen().n[CA_NEXT], 0);
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
	assert_int_equal(succession_switch(issuer, false, &why), 0);
	reopen();
	assert_int_equal(seen().n[CA_ACTIVE], 1);
}

static void a_full_disk_changes_nothing(void **state)
{
	(void)state;
	struct rlimit old;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	const struct rlimit full = {5, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	const int switched = succession_switch(issuer, false, &why);
	const int locked = succession_lock(issuer, STR("a passphrase"), &why);
	const int worse =
		succession_compromise(issuer, fingerprint(issuer_root(issuer)), at(NOW), &why);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(switched, ERR_IO);
	assert_int_equal(locked, ERR_IO);
	assert_int_equal(worse, ERR_IO);
	for (int i = 0; i < 2; i++) {
		const struct seen s = seen();
		assert_int_equal(s.n[CA_ACTIVE], 1);
		assert_int_equal(s.n[CA_NEXT], 1);
		assert_int_equal(s.n[CA_COMPROMISED], 0);
		assert_false(issuer_is_locked(issuer));
		reopen();
	}
}

static void a_lock_is_on_every_issuing_key(void **state)
{
	(void)state;
	static const struct str word = STR("a passphrase");
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
	assert_int_equal(succession_lock(issuer, STR("short"), &why), ERR_INVALID);
	assert_int_equal(succession_lock(issuer, word, &why), 0);
	reopen();
	assert_true(issuer_is_locked(issuer));
	assert_int_equal(succession_switch(issuer, false, &why), 0);
	assert_true(issuer_is_locked(issuer));
	assert_int_equal(succession_unlock(issuer, STR("another one"), &why), ERR_DENIED);
	assert_int_equal(succession_unlock(issuer, word, &why), 0);
	reopen();
	assert_false(issuer_is_locked(issuer));
	assert_int_equal(succession_unlock(issuer, word, &why), ERR_EXISTS);
}

static void a_compromised_one_is_replaced_by_the_next(void **state)
{
	(void)state;
	struct certificate old;
	make_leaf(&old);
	const struct certificate *root = issuer_root(issuer);
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
	assert_int_equal(succession_compromise(issuer, STR("no such fingerprint"), at(NOW), &why),
			 ERR_NOT_FOUND);
	assert_int_equal(succession_compromise(issuer, fingerprint(root), at(NOW), &why), 0);
	assert_false(issuer_vouches(issuer, &old));
	assert_int_equal(succession_compromise(issuer, fingerprint(root), at(NOW), &why),
			 ERR_EXISTS);
	reopen();
	struct seen s = seen();
	assert_int_equal(s.n[CA_ACTIVE], 1);
	assert_int_equal(s.n[CA_COMPROMISED], 1);
	assert_int_equal(scratch_size(&dir, "issuing.key"), -1);
	assert_true(scratch_size(&dir, "issuing-2.key") > 0);
	/* Without a next one a new one is made. */
	const struct str fp = fingerprint(issuer_root(issuer));
	assert_int_equal(succession_compromise(issuer, fp, at(NOW), &why), 0);
	s = seen();
	assert_int_equal(s.n[CA_ACTIVE], 1);
	assert_int_equal(s.n[CA_COMPROMISED], 2);
	certificate_fini(&old);
}

static void there_are_only_so_many(void **state)
{
	(void)state;
	for (int i = 1; i < GENERATIONS_MAX; i++) {
		assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
		assert_int_equal(succession_abort(issuer, &why), 0);
	}
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), ERR_LIMIT);
	const struct str fp = fingerprint(issuer_root(issuer));
	assert_int_equal(succession_compromise(issuer, fp, at(NOW), &why), ERR_LIMIT);
	reopen();
	assert_int_equal(seen().n[CA_ACTIVE], 1);
}

static void a_clock_that_is_wrong_starts_nothing(void **state)
{
	(void)state;
	assert_int_equal(succession_start(issuer, KEY_P256, at(5), &why), ERR_DENIED);
	assert_int_equal(seen().n[CA_NEXT], 0);
	assert_int_equal(succession_start(issuer, KEY_P256, at(NOW), &why), 0);
}

static void a_file_that_says_nonsense_is_not_guessed(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",          "1 retired\n", "1 active\n2 active\n", "2 active\n1 retired\n",
		"1 actve\n", "x active\n",  "1 active more\n"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct issuer *other = NULL;
		scratch_write(&dir, "authority", bad[i], strlen(bad[i]), 0600);
		assert_int_equal(issuer_open(ks, NOW - DAY, at(NOW), &other, &why), ERR_MALFORMED);
		assert_says("which authority is in use");
	}
	scratch_write(&dir, "authority", "1 active\n", 9, 0600);
	reopen();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seal_opens_with_its_key_and_name_alone),
		TEST(one_follows_another),
		TEST(what_a_crash_left_is_in_no_ones_way),
		TEST(a_full_disk_changes_nothing),
		TEST(a_lock_is_on_every_issuing_key),
		TEST(a_compromised_one_is_replaced_by_the_next),
		TEST(there_are_only_so_many),
		TEST(a_clock_that_is_wrong_starts_nothing),
		TEST(a_file_that_says_nonsense_is_not_guessed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
