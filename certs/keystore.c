/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's directory: see keystore.h. All file names are relative to one descriptor, so the
 * directory may be the only thing that the sandbox leaves.
 */
#include "certs/keystore.h"
#include "certs/seal.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <gnutls/x509.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NAME_SIZE = 64,
	CERTIFICATE_FILE_MAX = 64 * KiB,
	OTHERS = S_IRWXG | S_IRWXO /* what nobody but the owner may have */
};

static const char temporary_suffix[] = ".tmp";

struct keystore {
	int dir;
	char *path;
	size_t seals;
	unsigned char seal[KEYSTORE_SEALS_MAX][SEAL_KEY_SIZE];
};

static const struct key_slot_info slots[SLOT_COUNT] = {
	[SLOT_ROOT] = {"root", KEY_P256, PROCESS_VAULT},
	[SLOT_ISSUING] = {"issuing", KEY_P256, PROCESS_VAULT},
	[SLOT_BROKER_P256] = {"broker-p256", KEY_P256, PROCESS_BROKER},
	[SLOT_BROKER_RSA] = {"broker-rsa", KEY_RSA2048, PROCESS_BROKER},
	[SLOT_ADMIN_P256] = {"admin-p256", KEY_P256, PROCESS_ADMIN},
	[SLOT_ADMIN_RSA] = {"admin-rsa", KEY_RSA2048, PROCESS_ADMIN},
	[SLOT_ENROL_P256] = {"enrol-p256", KEY_P256, PROCESS_ENROL},
	[SLOT_ENROL_RSA] = {"enrol-rsa", KEY_RSA2048, PROCESS_ENROL},
};

const struct key_slot_info *key_slot_info(enum key_slot slot)
{
	CHECK(slot < SLOT_COUNT);
	return &slots[slot];
}

/* ---- directory and files ----------------------------------------------------------------------
 */

static int judge_owner(const struct stat *st, const char *what, const char *path, struct why *why)
{
	if (st->st_uid != geteuid())
		return why_set(
			why, ERR_DENIED,
			"%s %s belongs to user %u, not to the vault's user %u; run: chown %u %s",
			what, path, (unsigned)st->st_uid, (unsigned)geteuid(), (unsigned)geteuid(),
			path);
	return 0;
}

int keystore_judge_file(int fd, const char *path, struct why *why)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return why_set(why, ERR_DENIED, "%s is not a plain file; remove or replace it",
			       path);
	const int err = judge_owner(&st, "the file", path, why);
	if (err)
		return err;
	if (st.st_mode & OTHERS)
		return why_set(why, ERR_DENIED,
			       "%s is open to other users (mode %04o); run: chmod 600 %s, and "
			       "replace the key if someone may have read it",
			       path, (unsigned)st.st_mode & 07777, path);
	return 0;
}

static int judge_dir(int fd, const char *path, struct why *why)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISDIR(st.st_mode))
		return why_set(why, ERR_DENIED, "%s is not a directory; remove it", path);
	const int err = judge_owner(&st, "the directory", path, why);
	if (err)
		return err;
	if (st.st_mode & OTHERS)
		return why_set(
			why, ERR_DENIED,
			"the directory %s is open to other users (mode %04o); run: chmod 700 %s",
			path, (unsigned)st.st_mode & 07777, path);
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	const size_t n = strlen(name);
	const size_t k = strlen(suffix);
	return n > k && strcmp(name + n - k, suffix) == 0;
}

/* NULL with errno. */
static DIR *list_files(int dir)
{
	AUTO_FD fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d)
		TAKE_FD(fd); /* closedir closes it */
	return d;
}

/* Half-written files of a crash: their content was never promised to anyone. */
static void remove_temporary(int dir)
{
	DIR *d = list_files(dir);
	if (!d)
		return;
	for (const struct dirent *e; (e = readdir(d));)
		if (has_suffix(e->d_name, temporary_suffix))
			unlinkat(dir, e->d_name, 0);
	closedir(d);
}

static int open_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int keystore_open(const char *path, struct keystore **out, struct why *why)
{
	AUTO_FD dir = open_dir(path);
	if (dir < 0 && errno == ENOENT && mkdir(path, 0700) == 0)
		dir = open_dir(path);
	if (dir < 0)
		return why_set(why, ERR_IO, "cannot open or make the directory %s: %s", path,
			       strerror(errno));
	const int err = judge_dir(dir, path, why);
	if (err)
		return err;
	remove_temporary(dir);
	struct keystore *ks = mem_new(struct keystore);
	ks->dir = TAKE_FD(dir);
	ks->path = mem_strdup(path);
	*out = ks;
	return 0;
}

void keystore_free(struct keystore *ks)
{
	close(ks->dir);
	free(ks->path);
	secret_wipe(ks->seal, sizeof(ks->seal));
	free(ks);
}

int keystore_dir(const struct keystore *ks)
{
	return ks->dir;
}

const char *keystore_path(const struct keystore *ks)
{
	return ks->path;
}

static int read_all(int fd, size_t max, struct buf *out)
{
	/* One block of the largest size: growing would leave copies of a key behind. */
	char *p = buf_reserve(out, max + 1);
	for (;;) {
		const ssize_t n = read(fd, p + out->n, max + 1 - out->n);
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			return 0;
		out->n += (size_t)n;
		if (out->n > max) {
			errno = EFBIG;
			return ERR_IO;
		}
	}
}

/* A descriptor, or an error. */
static int open_file(struct keystore *ks, const char *name, struct why *why)
{
	AUTO_CHAR path = mem_printf("%s/%s", ks->path, name);
	AUTO_FD fd = openat(ks->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return why_set(why, ERR_NOT_FOUND, "%s is missing", path);
	if (fd < 0)
		return why_set(why, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	const int err = keystore_judge_file(fd, path, why);
	return err ? err : TAKE_FD(fd);
}

static int load(struct keystore *ks, const char *name, size_t max, struct buf *out, struct why *why)
{
	AUTO_FD fd = open_file(ks, name, why);
	if (fd < 0)
		return fd;
	if (read_all(fd, max, out))
		return why_set(why, ERR_IO, "cannot read %s/%s: %s", ks->path, name,
			       strerror(errno));
	return 0;
}

static bool write_renamed(int dir, const char *temporary, const char *name, struct str bytes)
{
	AUTO_FD fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0 && fd_write(fd, bytes) == 0 && fsync(fd) == 0 &&
	       renameat(dir, temporary, dir, name) == 0 && fsync(dir) == 0;
}

static int save(struct keystore *ks, const char *name, struct str bytes, struct why *why)
{
	char temporary[NAME_SIZE];
	snprintf(temporary, sizeof(temporary), "%s%s", name, temporary_suffix);
	unlinkat(ks->dir, temporary, 0);
	if (write_renamed(ks->dir, temporary, name, bytes))
		return 0;
	const int cause = errno;
	unlinkat(ks->dir, temporary, 0);
	return why_set(why, ERR_IO, "cannot write %s/%s: %s", ks->path, name, strerror(cause));
}

/* ---- how keys rest ----------------------------------------------------------------------------
 */

void keystore_seal_with(struct keystore *ks, struct str key)
{
	CHECK(key.n == SEAL_KEY_SIZE);
	if (ks->seals < KEYSTORE_SEALS_MAX)
		memcpy(ks->seal[ks->seals++], key.p, SEAL_KEY_SIZE);
}

static struct str seal_key(const struct keystore *ks, size_t i)
{
	return str_make(ks->seal[i], SEAL_KEY_SIZE);
}

/* What is inside; *current: as it would be written now. */
static int unseal(const struct keystore *ks, const char *file, struct str bytes, struct buf *out,
		  bool *current, struct why *why)
{
	*current = ks->seals == 0;
	if (!seal_is(bytes)) {
		buf_reserve(out, bytes.n);
		buf_str(out, bytes);
		return 0;
	}
	for (size_t i = 0; i < ks->seals; i++) {
		const int err = seal_open(seal_key(ks, i), file, bytes, out);
		*current = i == 0;
		if (err == 0)
			return 0;
	}
	return why_set(why, ERR_CRYPTO,
		       "%s/%s was sealed on another host, or with a key of this host that is gone: "
		       "bring host.key back, or restore with gatehouse ca restore",
		       ks->path, file);
}

static int save_sealed(struct keystore *ks, const char *file, struct str pem, struct why *why)
{
	AUTO_BUF sealed = {0};
	if (ks->seals == 0)
		return save(ks, file, pem, why);
	seal_put(seal_key(ks, 0), file, pem, &sealed);
	return save(ks, file, buf_view(&sealed), why);
}

/* ---- keys and certificates --------------------------------------------------------------------
 */

int keystore_load_pem(struct keystore *ks, const char *file, struct buf *pem, struct why *why)
{
	AUTO_SECRET bytes = {0};
	bool current;
	int err = load(ks, file, KEY_FILE_MAX, &bytes, why);
	if (!err)
		err = unseal(ks, file, buf_view(&bytes), pem, &current, why);
	if (err || current)
		return err;
	err = save_sealed(ks, file, buf_view(pem), why);
	if (!err)
		log_notice("sealed the key %s/%s", ks->path, file);
	return err;
}

int keystore_load_key_named(struct keystore *ks, const char *name, struct key **out,
			    struct why *why)
{
	AUTO_SECRET pem = {0};
	AUTO_CHAR file = mem_printf("%s.key", name);
	const int err = keystore_load_pem(ks, file, &pem, why);
	if (err)
		return err;
	AUTO_CHAR path = mem_printf("%s/%s", ks->path, file);
	if (key_is_encrypted(buf_view(&pem)))
		return why_set(why, ERR_UNAVAILABLE, "%s is locked with a passphrase", path);
	return key_parse(buf_view(&pem), path, out, why);
}

int keystore_save_key_named(struct keystore *ks, const char *name, const struct key *key,
			    struct why *why)
{
	AUTO_SECRET pem = {0};
	AUTO_CHAR file = mem_printf("%s.key", name);
	if (faccessat(ks->dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return why_set(why, ERR_EXISTS, "%s/%s exists and is not overwritten", ks->path,
			       file);
	key_write(key, &pem);
	return save_sealed(ks, file, buf_view(&pem), why);
}

int keystore_lock_key(struct keystore *ks, const char *name, const struct key *key,
		      struct str passphrase, struct why *why)
{
	AUTO_SECRET pem = {0};
	AUTO_CHAR file = mem_printf("%s.key", name);
	if (key_write_encrypted(key, passphrase, &pem))
		return why_set(why, ERR_INVALID,
			       "the passphrase has characters that cannot be used: no controls, "
			       "please");
	return save_sealed(ks, file, buf_view(&pem), why);
}

int keystore_unlock_key(struct keystore *ks, const char *name, struct str passphrase,
			struct key **out, struct why *why)
{
	AUTO_SECRET locked = {0};
	AUTO_SECRET pem = {0};
	AUTO_CHAR file = mem_printf("%s.key", name);
	struct key *found = NULL;
	int err = keystore_load_pem(ks, file, &locked, why);
	if (!err)
		err = key_parse_encrypted(buf_view(&locked), file, passphrase, &found, why);
	if (err)
		return err;
	AUTO(key) key = found;
	key_write(key, &pem);
	err = save_sealed(ks, file, buf_view(&pem), why);
	if (!err)
		*out = TAKE(key);
	return err;
}

int keystore_load_certificate_named(struct keystore *ks, const char *name, struct buf *der,
				    struct why *why)
{
	AUTO_BUF bytes = {0};
	AUTO_CHAR file = mem_printf("%s.crt", name);
	const int err = load(ks, file, CERTIFICATE_FILE_MAX, &bytes, why);
	if (err)
		return err;
	const gnutls_datum_t pem = {(unsigned char *)bytes.p, (unsigned)bytes.n};
	gnutls_datum_t decoded;
	const int r = gnutls_pem_base64_decode2("CERTIFICATE", &pem, &decoded);
	if (r < 0)
		return why_set(why, ERR_MALFORMED, "%s/%s holds no certificate in PEM: %s",
			       ks->path, file, gnutls_strerror(r));
	buf_put(der, decoded.data, decoded.size);
	gnutls_free(decoded.data);
	return 0;
}

int keystore_save_certificate_named(struct keystore *ks, const char *name, struct str der,
				    struct why *why)
{
	AUTO_CHAR file = mem_printf("%s.crt", name);
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
	gnutls_datum_t pem;
	CHECK(gnutls_pem_base64_encode2("CERTIFICATE", &in, &pem) == 0);
	const int err = save(ks, file, str_make(pem.data, pem.size), why);
	gnutls_free(pem.data);
	return err;
}

int keystore_load_file(struct keystore *ks, const char *file, size_t max, struct buf *out,
		       struct why *why)
{
	return load(ks, file, max, out, why);
}

int keystore_save_file(struct keystore *ks, const char *file, struct str bytes, struct why *why)
{
	return save(ks, file, bytes, why);
}

int keystore_remove_file(struct keystore *ks, const char *file, struct why *why)
{
	if (unlinkat(ks->dir, file, 0) && errno != ENOENT)
		return why_set(why, ERR_IO, "cannot remove %s/%s: %s", ks->path, file,
			       strerror(errno));
	if (fsync(ks->dir))
		return why_set(why, ERR_IO, "cannot sync %s: %s", ks->path, strerror(errno));
	return 0;
}

static int visit_file(struct keystore *ks, const char *name, keystore_visit *visit, void *arg,
		      struct why *why)
{
	AUTO_SECRET pem = {0};
	struct stat st;
	if (has_suffix(name, ".key")) {
		const int err = keystore_load_pem(ks, name, &pem, why);
		const struct keystore_file file = {.name = name, .key = buf_view(&pem), .fd = -1};
		return err ? err : visit(arg, &file, why);
	}
	AUTO_FD fd = open_file(ks, name, why);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return why_set(why, ERR_IO, "cannot read %s/%s: %s", ks->path, name,
			       strerror(errno));
	const struct keystore_file file = {.name = name, .fd = fd, .size = (uint64_t)st.st_size};
	return visit(arg, &file, why);
}

int keystore_each(struct keystore *ks, keystore_visit *visit, void *arg, struct why *why)
{
	int err = 0;
	DIR *d = list_files(ks->dir);
	if (!d)
		return why_set(why, ERR_IO, "cannot read %s: %s", ks->path, strerror(errno));
	for (const struct dirent *e; err == 0 && (e = readdir(d));)
		if (e->d_name[0] != '.' && !has_suffix(e->d_name, temporary_suffix))
			err = visit_file(ks, e->d_name, visit, arg, why);
	closedir(d);
	return err;
}

/* ---- by slot ----------------------------------------------------------------------------------
 */

int keystore_load_key(struct keystore *ks, enum key_slot slot, struct key **out, struct why *why)
{
	return keystore_load_key_named(ks, key_slot_info(slot)->name, out, why);
}

int keystore_save_key(struct keystore *ks, enum key_slot slot, const struct key *key,
		      struct why *why)
{
	return keystore_save_key_named(ks, key_slot_info(slot)->name, key, why);
}

int keystore_need_key(struct keystore *ks, enum key_slot slot, struct key **out, struct why *why)
{
	const int err = keystore_load_key(ks, slot, out, why);
	if (err != ERR_NOT_FOUND)
		return err;
	AUTO(key) key = key_generate(key_slot_info(slot)->algorithm);
	const int failed = keystore_save_key(ks, slot, key, why);
	if (failed)
		return failed;
	log_notice("made the key %s/%s.key", ks->path, key_slot_info(slot)->name);
	*out = TAKE(key);
	return 0;
}

int keystore_load_certificate(struct keystore *ks, enum key_slot slot, struct buf *der,
			      struct why *why)
{
	return keystore_load_certificate_named(ks, key_slot_info(slot)->name, der, why);
}

int keystore_save_certificate(struct keystore *ks, enum key_slot slot, struct str der,
			      struct why *why)
{
	return keystore_save_certificate_named(ks, key_slot_info(slot)->name, der, why);
}
