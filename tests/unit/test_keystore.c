/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's directory: who may own and read it, that files are replaced whole, that a key is
 * never overwritten, and that a full disk changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/keystore.h"
#include "daemon/base/err.h"
#include "tests/unit/scratch.h"

#include <signal.h>
#include <sys/resource.h>

static struct scratch dir;
static struct keystore *ks;
static struct why why;

static int setup(void **state)
{
	(void)state;
	scratch_make(&dir);
	why.text[0] = '\0';
	return keystore_open(dir.path, &ks, &why);
}

static int teardown(void **state)
{
	(void)state;
	keystore_free(ks);
	scratch_remove(&dir);
	return 0;
}

static void assert_says(const char *words)
{
	if (!strstr(why.text, words))
		fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

static void a_key_comes_back(void **state)
{
	(void)state;
	for (enum key_slot slot = SLOT_ROOT; slot < SLOT_COUNT; slot++) {
		struct key *made = NULL;
		struct key *loaded = NULL;
		assert_int_equal(keystore_load_key(ks, slot, &loaded, &why), ERR_NOT_FOUND);
		assert_int_equal(keystore_need_key(ks, slot, &made, &why), 0);
		assert_int_equal(keystore_load_key(ks, slot, &loaded, &why), 0);
		assert_true(str_eq(key_spki(made), key_spki(loaded)));
		const bool rsa = key_slot_info(slot)->algorithm == KEY_RSA2048;
		assert_string_equal(key_kind(loaded), rsa ? "RSA" : "P-256");
		key_unref(made);
		key_unref(loaded);
	}
}

static void key_files_are_private_and_whole(void **state)
{
	(void)state;
	struct key *key;
	struct stat st;
	umask(0);
	assert_int_equal(keystore_need_key(ks, SLOT_ROOT, &key, &why), 0);
	key_unref(key);
	assert_int_equal(stat(scratch_file(&dir, "root.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(scratch_size(&dir, "root.key.tmp"), -1);
}

static void a_key_is_never_overwritten(void **state)
{
	(void)state;
	struct key *first;
	struct key *loaded;
	struct key *second = key_generate(KEY_P256);
	assert_int_equal(keystore_need_key(ks, SLOT_ROOT, &first, &why), 0);
	assert_int_equal(keystore_save_key(ks, SLOT_ROOT, second, &why), ERR_EXISTS);
	assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &loaded, &why), 0);
	assert_true(str_eq(key_spki(first), key_spki(loaded)));
	key_unref(first);
	key_unref(second);
	key_unref(loaded);
}

static void a_certificate_is_replaced(void **state)
{
	(void)state;
	struct buf der = {0};
	assert_int_equal(keystore_save_certificate(ks, SLOT_ROOT, STR("one"), &why), 0);
	assert_int_equal(keystore_save_certificate(ks, SLOT_ROOT, STR("second"), &why), 0);
	assert_int_equal(keystore_load_certificate(ks, SLOT_ROOT, &der, &why), 0);
	assert_true(str_is(buf_view(&der), "second"));
	buf_fini(&der);
	scratch_write(&dir, "root.crt", "no PEM", 6, 0600);
	assert_int_equal(keystore_load_certificate(ks, SLOT_ROOT, &der, &why), ERR_MALFORMED);
	assert_says("root.crt holds no certificate");
}

static void a_key_that_others_can_read_is_refused(void **state)
{
	(void)state;
	static const mode_t bad[] = {0604, 0640, 0660, 0602, 0610};
	struct key *key;
	assert_int_equal(keystore_need_key(ks, SLOT_ROOT, &key, &why), 0);
	key_unref(key);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(chmod(scratch_file(&dir, "root.key"), bad[i]), 0);
		assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &key, &why), ERR_DENIED);
		assert_says("root.key is open to other users (mode 06");
		assert_says("chmod 600 ");
	}
}

static void a_key_of_someone_else_is_refused(void **state)
{
	(void)state;
	/* Root gives a file away; anyone else finds one that root owns. */
	const char *foreign = scratch_file(&dir, "foreign");
	scratch_write(&dir, "foreign", "x", 1, 0600);
	if (geteuid() == 0)
		assert_int_equal(chown(foreign, 1, 1), 0);
	else
		foreign = "/etc/passwd";
	const int fd = open(foreign, O_RDONLY);
	assert_int_equal(keystore_judge_file(fd, foreign, &why), ERR_DENIED);
	assert_says("belongs to user");
	assert_says("run: chown ");
	close(fd);
}

static void what_is_no_plain_file_is_refused(void **state)
{
	(void)state;
	struct key *key;
	assert_int_equal(symlink("/dev/null", scratch_file(&dir, "root.key")), 0);
	assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &key, &why), ERR_IO);
	assert_int_equal(unlink(scratch_file(&dir, "root.key")), 0);
	assert_int_equal(mkfifo(scratch_file(&dir, "root.key"), 0600), 0);
	assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &key, &why), ERR_DENIED);
	assert_says("is not a plain file");
}

static void a_damaged_key_is_refused_by_name(void **state)
{
	(void)state;
	struct key *key;
	scratch_write(&dir, "root.key", "garbage", 7, 0600);
	assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &key, &why), ERR_MALFORMED);
	assert_says("/root.key cannot be read as PEM or DER");
	scratch_write(&dir, "root.key", "", 0, 0600);
	assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &key, &why), ERR_MALFORMED);
	assert_says("/root.key has 0 bytes");
	static char big[KEY_FILE_MAX + 1];
	scratch_write(&dir, "root.key", big, sizeof(big), 0600);
	assert_int_equal(keystore_load_key(ks, SLOT_ROOT, &key, &why), ERR_IO);
	assert_says("File too large");
}

static void a_directory_that_is_open_to_others_is_refused(void **state)
{
	(void)state;
	struct keystore *other = NULL;
	assert_int_equal(chmod(dir.path, 0750), 0);
	assert_int_equal(keystore_open(dir.path, &other, &why), ERR_DENIED);
	assert_says("is open to other users (mode 0750); run: chmod 700 ");
	assert_null(other);
	scratch_write(&dir, "file", "", 0, 0600);
	assert_int_equal(keystore_open(scratch_file(&dir, "file"), &other, &why), ERR_IO);
	assert_int_equal(keystore_open(scratch_file(&dir, "no/where"), &other, &why), ERR_IO);
	assert_says("cannot open or make the directory");
}

static void the_directory_is_made_private(void **state)
{
	(void)state;
	struct keystore *made;
	struct stat st;
	umask(0);
	const char *path = scratch_file(&dir, "vault");
	assert_int_equal(keystore_open(path, &made, &why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	keystore_free(made);
}

static void leftovers_of_a_crash_are_removed(void **state)
{
	(void)state;
	struct keystore *again;
	scratch_write(&dir, "root.key.tmp", "half", 4, 0600);
	scratch_write(&dir, "journal", "", 0, 0600);
	assert_int_equal(keystore_open(dir.path, &again, &why), 0);
	assert_int_equal(scratch_size(&dir, "root.key.tmp"), -1);
	assert_int_equal(scratch_size(&dir, "journal"), 0);
	keystore_free(again);
}

/* A full disk, played by the limit on the size of a file. */
static void a_full_disk_changes_nothing(void **state)
{
	(void)state;
	struct buf der = {0};
	struct key *key = key_generate(KEY_P256);
	assert_int_equal(keystore_save_certificate(ks, SLOT_ROOT, STR("one"), &why), 0);
	struct rlimit old;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	const struct rlimit tiny = {10, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	const int key_err = keystore_save_key(ks, SLOT_ROOT, key, &why);
	const int err = keystore_save_certificate(ks, SLOT_ROOT, STR("second"), &why);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(key_err, ERR_IO);
	assert_int_equal(err, ERR_IO);
	assert_says("cannot write ");
	assert_says("root.crt");
	assert_int_equal(scratch_size(&dir, "root.key"), -1);
	assert_int_equal(scratch_size(&dir, "root.key.tmp"), -1);
	assert_int_equal(scratch_size(&dir, "root.crt.tmp"), -1);
	assert_int_equal(keystore_load_certificate(ks, SLOT_ROOT, &der, &why), 0);
	assert_true(str_is(buf_view(&der), "one"));
	assert_int_equal(keystore_save_key(ks, SLOT_ROOT, key, &why), 0);
	buf_fini(&der);
	key_unref(key);
}

static void every_server_key_belongs_to_one_process(void **state)
{
	(void)state;
	assert_int_equal(key_slot_info(SLOT_ROOT)->process, PROCESS_VAULT);
	assert_int_equal(key_slot_info(SLOT_ISSUING)->process, PROCESS_VAULT);
	for (enum key_slot a = SLOT_SERVER; a < SLOT_COUNT; a++) {
		const struct key_slot_info *info = key_slot_info(a);
		assert_int_not_equal(info->process, PROCESS_VAULT);
		const char *owner = process_name(info->process);
		assert_memory_equal(info->name, owner, strlen(owner));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_comes_back),
		TEST(key_files_are_private_and_whole),
		TEST(a_key_is_never_overwritten),
		TEST(a_certificate_is_replaced),
		TEST(a_key_that_others_can_read_is_refused),
		TEST(a_key_of_someone_else_is_refused),
		TEST(what_is_no_plain_file_is_refused),
		TEST(a_damaged_key_is_refused_by_name),
		TEST(a_directory_that_is_open_to_others_is_refused),
		TEST(the_directory_is_made_private),
		TEST(leftovers_of_a_crash_are_removed),
		TEST(a_full_disk_changes_nothing),
		TEST(every_server_key_belongs_to_one_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
