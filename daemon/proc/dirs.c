/* SPDX-License-Identifier: Apache-2.0
 *
 * State directory: see dirs.h.
 */
#include "daemon/proc/dirs.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TICKET_LIFE = 24 * 3600 };

static int make_path(const char *path)
{
	AUTO_CHAR p = mem_strdup(path);
	for (char *at = strchr(p + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return ERR_IO;
		*at = '/';
	}
	return mkdir(p, 0755) < 0 && errno != EEXIST ? ERR_IO : 0;
}

/* A directory of one process: it alone may look inside. */
static int private_dir(const char *state_dir, const char *name, const struct priv_user *owner)
{
	AUTO_CHAR path = mem_printf("%s/%s", state_dir, name);
	struct stat st;
	const bool made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST) {
		log_error("cannot make the directory %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		log_error("%s is not a directory", path);
		return ERR_IO;
	}
	if (st.st_mode & 077) {
		log_error("%s may be read by others (mode %04o): chmod 0700 %s", path,
			  (unsigned)st.st_mode & 07777, path);
		return ERR_DENIED;
	}
	/* One that was there may hold files of its owner: with the directory alone nothing is won.
	 */
	if (st.st_uid != owner->uid && (!made || chown(path, owner->uid, owner->gid) < 0)) {
		log_error("%s belongs to user %u, not to %u who runs the process %s: chown -R %u "
			  "%s, or start as before",
			  path, (unsigned)st.st_uid, (unsigned)owner->uid, name,
			  (unsigned)owner->uid, path);
		return ERR_DENIED;
	}
	return 0;
}

static int take_lock(const char *state_dir)
{
	static int lock = -1; /* held until the program ends */
	char text[32] = "";
	AUTO_CHAR path = mem_printf("%s/lock", state_dir);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0) {
		log_error("cannot write in the state directory %s: %s", state_dir, strerror(errno));
		return ERR_IO;
	}
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		const ssize_t n = pread(lock, text, sizeof(text) - 1, 0);
		log_error("another gateway runs with the state directory %s (process %.*s)",
			  state_dir, n > 1 ? (int)n - 1 : 1, n > 1 ? text : "?");
		return ERR_EXISTS;
	}
	const int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)n, 0) < 0)
		log_warning("cannot write %s: %s", path, strerror(errno));
	return 0;
}

int dirs_prepare(const char *state_dir, const char *run_dir,
		 const struct priv_user user[PROCESS_COUNT])
{
	struct stat st;
	if (make_path(state_dir) || stat(state_dir, &st) < 0) {
		log_error("cannot make the state directory %s: %s", state_dir, strerror(errno));
		return ERR_IO;
	}
	if (st.st_uid != geteuid() || st.st_mode & 022) {
		log_error("the state directory %s must belong to user %u and nobody else may write "
			  "in it "
			  "(now user %u, mode %04o)",
			  state_dir, (unsigned)geteuid(), (unsigned)st.st_uid,
			  (unsigned)st.st_mode & 07777);
		return ERR_DENIED;
	}
	if (make_path(run_dir)) {
		log_error("cannot make the run directory %s: %s", run_dir, strerror(errno));
		return ERR_IO;
	}
	AUTO_CHAR pub = mem_printf("%s/pub", state_dir);
	int err = take_lock(state_dir);
	/* Whatever the umask: root certificates are for everyone. */
	if (!err && ((mkdir(pub, 0755) < 0 && errno != EEXIST) || chmod(pub, 0755) < 0)) {
		log_error("cannot make the directory %s: %s", pub, strerror(errno));
		err = ERR_IO;
	}
	if (!err)
		err = private_dir(state_dir, "vault", &user[PROCESS_VAULT]);
	if (!err)
		err = private_dir(state_dir, "store", &user[PROCESS_STORE]);
	return err;
}

int dirs_write(const char *path, struct str bytes, unsigned mode)
{
	AUTO_CHAR tmp = mem_printf("%s.new", path);
	AUTO_FD fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return ERR_IO;
	if (fd_write(fd, bytes) || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(tmp, path) < 0)
		return ERR_IO;
	return 0;
}

int dirs_ticket_secret(const char *state_dir, unsigned char secret[TICKET_SECRET], uint64_t *epoch)
{
	AUTO_CHAR path = mem_printf("%s/ticket-secret", state_dir);
	struct stat st;
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const int64_t now = clock_wall();
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 077) &&
	    now - st.st_mtime < TICKET_LIFE && now >= st.st_mtime &&
	    read(fd, secret, TICKET_SECRET) == TICKET_SECRET) {
		*epoch = (uint64_t)st.st_mtime;
		return 0;
	}
	secret_random(secret, TICKET_SECRET);
	*epoch = (uint64_t)now;
	if (dirs_write(path, str_make(secret, TICKET_SECRET), 0600)) {
		log_error("cannot write %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	return 0;
}

/* 0; ERR_NOT_FOUND; others after a log line. */
static int read_host_key(const char *path, unsigned char key[HOST_KEY])
{
	unsigned char bytes[HOST_KEY + 1];
	struct stat st;
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return ERR_NOT_FOUND;
	if (fd < 0 || fstat(fd, &st)) {
		log_error("cannot read %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (st.st_uid != geteuid() || st.st_mode & 077) {
		log_error("%s must belong to user %u alone (now user %u, mode %04o): chmod 0600 it",
			  path, (unsigned)geteuid(), (unsigned)st.st_uid,
			  (unsigned)st.st_mode & 07777);
		return ERR_DENIED;
	}
	if (read(fd, bytes, sizeof(bytes)) != HOST_KEY) {
		log_error("%s must have %d bytes: bring it back from a backup", path, HOST_KEY);
		return ERR_INVALID;
	}
	memcpy(key, bytes, HOST_KEY);
	secret_wipe(bytes, sizeof(bytes));
	return 0;
}

int dirs_host_keys(const char *state_dir, unsigned char key[HOST_KEYS_MAX][HOST_KEY])
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	AUTO_CHAR given = mem_printf("%s/gatehouse-seal", credentials ? credentials : "");
	AUTO_CHAR path = mem_printf("%s/host.key", state_dir);
	int n = 0;
	int err = credentials ? read_host_key(given, key[n]) : ERR_NOT_FOUND;
	n += err == 0;
	if (!err || err == ERR_NOT_FOUND) {
		err = read_host_key(path, key[n]);
		n += err == 0;
	}
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (n)
		return n;
	secret_random(key[0], HOST_KEY);
	if (dirs_write(path, str_make(key[0], HOST_KEY), 0600)) {
		log_error("cannot write %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	return 1;
}
