/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse ca backup and ca restore: the vault's directory and the registry in one file under a
 * passphrase. Root reads the files from the disk; the sealed keys are opened first, so that the
 * file is good on another machine. A restore wants the gateway stopped, and puts everything in
 * place only after the whole file was read and proved.
 */
#include "certs/backup.h"
#include "ctl/cmd_ca.h"
#include "ctl/host_files.h"
#include "ctl/passphrase.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_with(const char *name, const char *suffix)
{
	const size_t n = strlen(name);
	const size_t k = strlen(suffix);
	return n > k && strcmp(name + n - k, suffix) == 0;
}

/* ---- backup ---- */

struct saving {
	struct backup *backup;
	const char *state_dir;
	struct host_keys keys;
	size_t files;
};

static bool name_fits(const char *name)
{
	if (strlen(name) <= BACKUP_NAME_MAX)
		return true;
	print_error("%s: its name has more than %d bytes", name, BACKUP_NAME_MAX);
	return false;
}

/* err: of the writing. */
static bool was_put(struct saving *s, int err)
{
	if (err)
		print_error("cannot write the backup: %s", strerror(errno));
	s->files += !err;
	return !err;
}

static bool put_file(struct saving *s, const char *path, const char *name)
{
	struct stat st;
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		print_error("%s: %s", path, strerror(errno));
		return false;
	}
	return name_fits(name) &&
	       was_put(s, backup_put_fd(s->backup, name, fd, (uint64_t)st.st_size));
}

static bool put_vault_file(struct saving *s, const char *file)
{
	AUTO_CHAR name = mem_printf(BACKUP_VAULT "%s", file);
	AUTO_CHAR path = mem_printf("%s/%s", s->state_dir, name);
	AUTO_SECRET pem = {0};
	if (!ends_with(file, ".key"))
		return put_file(s, path, name);
	return name_fits(name) && host_read_key(s->state_dir, &s->keys, file, &pem) &&
	       was_put(s, backup_put(s->backup, name, buf_view(&pem)));
}

static bool put_vault(struct saving *s)
{
	AUTO_CHAR path = mem_printf("%s/vault", s->state_dir);
	DIR *d = opendir(path);
	bool ok = d != NULL;
	if (!d)
		print_error("%s: %s (run this as root on the gateway)", path, strerror(errno));
	for (const struct dirent *e; ok && (e = readdir(d));)
		if (e->d_name[0] != '.' && !ends_with(e->d_name, ".tmp"))
			ok = put_vault_file(s, e->d_name);
	if (d)
		closedir(d);
	return ok;
}

/* The registry first: whatever is issued meanwhile is then in the journal alone, which ca check
 * finds; the other way round a certificate could be in no journal. */
static bool put_registry(struct invocation *in, struct saving *s)
{
	json_t *answer = NULL;
	const unsigned code = request_send(in, "POST", "/api/v1/ca/copy", NULL, &answer);
	const char *path = text_of(answer, "path");
	bool ok = code == 200 && path[0];
	if (ok)
		ok = put_file(s, path, BACKUP_REGISTRY);
	else if (code)
		print_problem(code, answer);
	if (path[0])
		unlink(path);
	json_decref(answer);
	return ok;
}

static bool put_settings(struct saving *s)
{
	AUTO_CHAR path = mem_printf("%s/settings.conf", s->state_dir);
	return access(path, F_OK) != 0 || put_file(s, path, BACKUP_SETTINGS);
}

static int back_up(struct invocation *in, const char *path, const char *state_dir, int fd,
		   struct str passphrase)
{
	struct saving s = {.state_dir = state_dir};
	struct backup_key key;
	backup_key_make(passphrase, &key);
	const int err = backup_create(fd, &key, &s.backup);
	secret_wipe(&key, sizeof(key));
	if (err) {
		print_error("cannot write %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	host_keys_read(state_dir, &s.keys);
	bool ok = put_registry(in, &s) && put_vault(&s) && put_settings(&s);
	secret_wipe(&s.keys, sizeof(s.keys));
	if (ok && (backup_finish(s.backup) || fsync(fd))) {
		print_error("cannot write %s: %s", path, strerror(errno));
		ok = false;
	}
	backup_free(s.backup);
	if (ok && !in->json)
		printf("%s: %zu files of %s under your passphrase; gatehouse ca restore reads it\n",
		       path, s.files, state_dir);
	return ok ? EXIT_OK : EXIT_FAILED;
}

int run_ca_backup(struct invocation *in)
{
	AUTO_SECRET passphrase = {0};
	const char *path = text_of(in->args, "file");
	if (!host_may_read(in))
		return EXIT_REFUSED;
	AUTO_CHAR state_dir = host_state_dir(in);
	if (!state_dir)
		return EXIT_UNREACHABLE;
	if (!passphrase_ask("Passphrase for the backup", true, PASSPHRASE_MIN, PASSPHRASE_MAX,
			    &passphrase))
		return EXIT_USAGE;
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		print_error("%s: %s; name a new file", path, strerror(errno));
		return EXIT_USAGE;
	}
	const int status = back_up(in, path, state_dir, fd, buf_view(&passphrase));
	if (status != EXIT_OK)
		unlink(path);
	return status;
}

/* ---- restore ---- */

struct restoring {
	const char *state_dir;
	char *parts; /* where the files wait until the whole backup is proved */
	uid_t vault;
	uid_t store;
	size_t files;
};

/* Only what a backup holds may be written, and nowhere else. */
static bool is_expected(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	if (strcmp(name, BACKUP_REGISTRY) == 0 || strcmp(name, BACKUP_SETTINGS) == 0)
		return true;
	if (strncmp(name, BACKUP_VAULT, 6) != 0)
		return false;
	name += 6;
	return name[0] && name[0] != '.' && strspn(name, allowed) == strlen(name);
}

static bool make_dir(const char *parts, const char *name, uid_t owner)
{
	AUTO_CHAR path = mem_printf("%s/%s", parts, name);
	return mkdir(path, 0700) == 0 && chown(path, owner, (gid_t)-1) == 0;
}

static bool write_part(struct restoring *r, const char *name, struct str bytes)
{
	AUTO_CHAR path = mem_printf("%s/%s", r->parts, name);
	const uid_t owner = strncmp(name, BACKUP_VAULT, 6) == 0 ? r->vault
			    : strncmp(name, "store/", 6) == 0   ? r->store
								: geteuid();
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && fd_write(fd, bytes) == 0 && fchown(fd, owner, (gid_t)-1) == 0 &&
	    fsync(fd) == 0)
		return true;
	print_error("cannot write %s: %s", path, strerror(errno));
	return false;
}

static int read_parts(struct restoring *r, const char *file, int fd, struct str passphrase)
{
	char name[BACKUP_NAME_MAX + 1];
	struct why why;
	struct backup *opened = NULL;
	int err = backup_open(fd, passphrase, &opened, &why);
	AUTO(backup) b = opened;
	while (!err) {
		AUTO_SECRET bytes = {0};
		err = backup_next(b, name, &bytes, &why);
		if (!err && !is_expected(name))
			err = why_set(&why, ERR_MALFORMED, "it holds a file %s", name);
		if (!err && !write_part(r, name, buf_view(&bytes)))
			return EXIT_FAILED;
		r->files += !err;
	}
	if (err == ERR_EOF)
		return EXIT_OK;
	print_error("%s: %s; nothing was changed", file, why.text);
	return err == ERR_DENIED ? EXIT_REFUSED : EXIT_FAILED;
}

/* What was there moves away under a name with the time; nothing is lost. */
static bool put_in_place(const struct restoring *r, const char *name, const char *stamp)
{
	AUTO_CHAR from = mem_printf("%s/%s", r->parts, name);
	AUTO_CHAR to = mem_printf("%s/%s", r->state_dir, name);
	AUTO_CHAR old = mem_printf("%s.before-restore-%s", to, stamp);
	if (access(from, F_OK) != 0)
		return true;
	if ((access(to, F_OK) == 0 && rename(to, old)) || rename(from, to)) {
		print_error("cannot put %s in place: %s", to, strerror(errno));
		return false;
	}
	return true;
}

static bool has_authority(const char *state_dir)
{
	AUTO_CHAR root = mem_printf("%s/vault/root.crt", state_dir);
	AUTO_CHAR registry = mem_printf("%s/" BACKUP_REGISTRY, state_dir);
	return access(root, F_OK) == 0 || access(registry, F_OK) == 0;
}

static void remove_parts(const struct restoring *r)
{
	static const char *const dirs[] = {"vault", "store", ""};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_CHAR path = mem_printf("%s/%s", r->parts, dirs[i]);
		DIR *d = opendir(path);
		for (const struct dirent *e; d && (e = readdir(d));)
			if (e->d_name[0] != '.')
				unlinkat(dirfd(d), e->d_name, 0);
		if (d)
			closedir(d);
		rmdir(path);
	}
	rmdir(r->parts);
}

static int restore_parts(struct restoring *r, const char *file, int fd, struct str passphrase)
{
	char stamp[CLOCK_TEXT];
	clock_format(clock_wall(), stamp);
	if (mkdir(r->parts, 0700) || !make_dir(r->parts, "vault", r->vault) ||
	    !make_dir(r->parts, "store", r->store)) {
		print_error("cannot make %s: %s", r->parts, strerror(errno));
		return EXIT_FAILED;
	}
	const int status = read_parts(r, file, fd, passphrase);
	if (status != EXIT_OK)
		return status;
	if (!put_in_place(r, "vault", stamp) || !put_in_place(r, "store", stamp) ||
	    !put_in_place(r, BACKUP_SETTINGS, stamp))
		return EXIT_FAILED;
	printf("%zu files restored into %s; start the gateway, then run: gatehouse ca check\n",
	       r->files, r->state_dir);
	return EXIT_OK;
}

int run_ca_restore(struct invocation *in)
{
	const char *file = text_of(in->args, "file");
	AUTO_SECRET passphrase = {0};
	if (!host_may_read(in))
		return EXIT_REFUSED;
	struct restoring r = {.state_dir = host_state_dir_stopped(in)};
	AUTO_FD fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		print_error("%s: %s", file, strerror(errno));
		return EXIT_USAGE;
	}
	if (!r.state_dir)
		return EXIT_USAGE;
	if (mkdir(r.state_dir, 0755) && errno != EEXIST) {
		print_error("%s: %s", r.state_dir, strerror(errno));
		return EXIT_FAILED;
	}
	AUTO_FD lock = host_lock(r.state_dir);
	if (lock < 0)
		return EXIT_CONFLICT;
	if (has_authority(r.state_dir) && !invocation_switch(in, "force")) {
		print_error("%s holds an authority or a registry already; --force moves "
			    "them away first",
			    r.state_dir);
		return EXIT_CONFLICT;
	}
	if (!passphrase_ask("Passphrase of the backup", false, 1, PASSPHRASE_MAX, &passphrase))
		return EXIT_USAGE;
	AUTO_CHAR parts = mem_printf("%s/restore.tmp", r.state_dir);
	r.parts = parts;
	r.vault = host_owner(r.state_dir, "vault");
	r.store = host_owner(r.state_dir, "store");
	remove_parts(&r);
	const int status = restore_parts(&r, file, fd, buf_view(&passphrase));
	remove_parts(&r);
	return status;
}
