/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse factory-reset: the gateway's state goes, as root sees it on the disk; the next start
 * finds a new machine. Only what the gateway makes is removed, under its names: a directory that
 * was named by mistake, and what a person has put there, stay.
 */
#include "ctl/file.h"
#include "ctl/host_files.h"
#include "ctl/program.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG         SYSCONFDIR "/gatehouse/gatehouse.conf"
#define CONFIG_SHIPPED DATADIR "/gatehouse/gatehouse.conf"

enum { DEPTH_MAX = 8, CONFIG_MAX = 1 * MiB };

/* Names in the state directory; also with a suffix, such as settings.conf.before-restore-TIME. The
 * lock is not among them: it is held until everything is gone. */
static const char *const ours[] = {
	"vault", "store", "pub", "restore.tmp", "settings.conf", "host.key", "ticket-secret",
};

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		const size_t n = strlen(ours[i]);
		if (strncmp(name, ours[i], n) == 0 && (!name[n] || name[n] == '.'))
			return true;
	}
	return false;
}

/* ---- before anything is changed ---- */

static bool is_state_dir(const char *dir)
{
	static const char *const signs[] = {"lock", "vault", "store"};
	for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
		AUTO_CHAR path = mem_printf("%s/%s", dir, signs[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	print_error("there is nothing of a gateway in %s", dir);
	return false;
}

static bool confirmed(const char *dir)
{
	char host[HOST_NAME_MAX + 1] = "";
	char line[HOST_NAME_MAX + 2] = "";
	gethostname(host, sizeof(host) - 1);
	fprintf(stderr,
		"This removes %s for good: the certificate authority with its keys, all devices,\n"
		"rules, administrators, messages and events. Every device has to enrol again.\n"
		"Backups elsewhere stay.\n"
		"Type the name of this machine, %s, to go on: ",
		dir, host);
	if (fgets(line, sizeof(line), stdin) && str_is(str_trim(str_of(line)), host) && host[0])
		return true;
	fputc('\n', stderr);
	print_error("that is not its name; nothing was changed");
	return false;
}

/* The package's service is stopped; any other gateway is its owner's to stop. */
static int stop_and_lock(const char *dir)
{
	char *stop[] = {"systemctl", "stop", "gatehouse.service", NULL};
	const int lock = host_lock_try(dir);
	if (lock < 0 && errno == EWOULDBLOCK && strcmp(dir, STATE_DIR_DEFAULT) == 0 &&
	    access("/run/systemd/system", F_OK) == 0 && program_run(stop, -1) == 0)
		printf("gatehouse.service was stopped.\n");
	return lock < 0 ? host_lock(dir) : lock;
}

/* ---- the removal ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	const int err = kind == FTW_DP ? rmdir(path) : unlink(path);
	if (err && errno != ENOENT)
		print_error("cannot remove %s: %s", path, strerror(errno));
	return err && errno != ENOENT;
}

static bool remove_tree(const char *path)
{
	return nftw(path, remove_one, DEPTH_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0;
}

static bool remove_state(const char *dir)
{
	bool ok = true;
	DIR *d = opendir(dir);
	if (!d) {
		print_error("%s: %s", dir, strerror(errno));
		return false;
	}
	for (const struct dirent *e; (e = readdir(d));) {
		AUTO_CHAR path = mem_printf("%s/%s", dir, e->d_name);
		if (is_ours(e->d_name))
			ok = remove_tree(path) && ok;
		else if (e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0)
			printf("%s is not the gateway's and stays.\n", path);
	}
	ok = fsync(dirfd(d)) == 0 && ok;
	closedir(d);
	return ok;
}

/* In one step, so that there is always a whole one. */
static bool reset_config(void)
{
	AUTO_BUF bytes = {0};
	const char *why;
	if (file_read(CONFIG_SHIPPED, CONFIG_MAX, &bytes, &why)) {
		print_error("%s: %s; %s stays", CONFIG_SHIPPED, why, CONFIG);
		return false;
	}
	AUTO_FD fd =
		open(CONFIG ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0 && fchmod(fd, 0644) == 0 && fd_write(fd, buf_view(&bytes)) == 0 &&
	    fsync(fd) == 0 && rename(CONFIG ".new", CONFIG) == 0) {
		printf("%s is as it was shipped.\n", CONFIG);
		return true;
	}
	print_error("cannot write %s: %s", CONFIG, strerror(errno));
	return false;
}

static int reset(const struct invocation *in, const char *dir)
{
	AUTO_CHAR lock_path = mem_printf("%s/lock", dir);
	AUTO_FD lock = stop_and_lock(dir);
	if (lock < 0)
		return EXIT_CONFLICT;
	bool ok = remove_state(dir);
	if (invocation_switch(in, "config"))
		ok = reset_config() && ok;
	if (!ok) {
		print_error("not everything is gone; run it again");
		return EXIT_FAILED;
	}
	unlink(lock_path);
	printf("The gateway's state is gone. systemctl start gatehouse makes a new authority; "
	       "then\n"
	       "gatehouse setup-code tells how to begin.\n");
	return EXIT_OK;
}

int run_factory_reset(struct invocation *in)
{
	const char *dir = host_state_dir_stopped(in);
	if (!dir)
		return EXIT_USAGE;
	if (geteuid() != 0) {
		print_error("only root may do this, on the gateway itself");
		return EXIT_REFUSED;
	}
	if (!is_state_dir(dir))
		return EXIT_NOT_FOUND;
	if (!invocation_switch(in, "yes") && !confirmed(dir))
		return EXIT_REFUSED;
	return reset(in, dir);
}
