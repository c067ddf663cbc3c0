/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse backup: backups that the gateway makes by itself, for the browser, for programs and for
 * every night. set and remove change a file in the vault's directory as root, since no message to
 * the gateway may say under which passphrase its keys leave; add fetches the file.
 */
#include "certs/backup.h"
#include "certs/seal.h"
#include "ctl/cmd_ca.h"
#include "ctl/host_files.h"
#include "ctl/passphrase.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Such a backup may be copied by whoever has a password of the interface. */
enum { BACKUP_PASSPHRASE_MIN = 12 };

static void make_file(const char *state_dir, struct str passphrase, struct buf *out)
{
	struct backup_key key;
	struct host_keys host;
	AUTO_SECRET pem = {0};
	backup_key_make(passphrase, &key);
	backup_key_write(&key, &pem);
	secret_wipe(&key, sizeof(key));
	host_keys_read(state_dir, &host);
	if (host.n)
		seal_put(str_make(host.key[0], HOST_KEY_BYTES), BACKUP_KEY_FILE, buf_view(&pem),
			 out);
	else
		buf_str(out, buf_view(&pem));
	secret_wipe(&host, sizeof(host));
}

static bool put_in_place(const char *state_dir, struct str file)
{
	AUTO_CHAR path = mem_printf("%s/" BACKUP_VAULT BACKUP_KEY_FILE, state_dir);
	AUTO_CHAR temporary = mem_printf("%s.tmp", path);
	unlink(temporary);
	if (!host_write_secret(temporary, file))
		return false;
	if (chown(temporary, host_owner(state_dir, "vault"), (gid_t)-1) == 0 &&
	    rename(temporary, path) == 0)
		return true;
	print_error("%s: %s", path, strerror(errno));
	unlink(temporary);
	return false;
}

/* Before a passphrase is asked for. */
static bool may_write(const char *state_dir)
{
	AUTO_CHAR path = mem_printf("%s/vault", state_dir);
	if (access(path, R_OK | W_OK | X_OK) == 0)
		return true;
	print_error("%s: %s (run this as root on the gateway)", path, strerror(errno));
	return false;
}

int run_backup_set(struct invocation *in)
{
	AUTO_SECRET passphrase = {0};
	AUTO_SECRET file = {0};
	AUTO_CHAR state_dir = host_state_dir(in);
	if (!state_dir)
		return EXIT_UNREACHABLE;
	if (!may_write(state_dir))
		return EXIT_REFUSED;
	if (!passphrase_ask("Passphrase for backups", true, BACKUP_PASSPHRASE_MIN, PASSPHRASE_MAX,
			    &passphrase))
		return EXIT_USAGE;
	make_file(state_dir, buf_view(&passphrase), &file);
	if (!put_in_place(state_dir, buf_view(&file)))
		return EXIT_FAILED;
	if (!in->json)
		printf("Backups are made under this passphrase from now on: in the browser "
		       "(Gateway, State "
		       "and backup),\nby gatehouse backup add, and every night once "
		       "gatehouse-backup.timer is enabled.\nKeep it away from the gateway, which "
		       "does not "
		       "have it: without it nobody can read them.\n");
	return EXIT_OK;
}

int run_backup_remove(struct invocation *in)
{
	AUTO_CHAR state_dir = host_state_dir(in);
	if (!state_dir)
		return EXIT_UNREACHABLE;
	if (!may_write(state_dir))
		return EXIT_REFUSED;
	AUTO_CHAR path = mem_printf("%s/" BACKUP_VAULT BACKUP_KEY_FILE, state_dir);
	if (unlink(path) == 0) {
		if (!in->json)
			printf("The gateway makes no more backups by itself; those that there are "
			       "keep "
			       "their "
			       "passphrase.\n");
		return EXIT_OK;
	}
	if (errno == ENOENT)
		print_error("no passphrase for backups is set");
	else
		print_error("%s: %s", path, strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED;
}

int run_backup_add(struct invocation *in)
{
	json_t *answer = NULL;
	const char *path = text_of(in->args, "file");
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		print_error("%s: %s; name a new file", path, strerror(errno));
		return EXIT_USAGE;
	}
	const unsigned code = request_file(in, "POST", in->command->path, fd, &answer);
	int status = code == 0     ? EXIT_UNREACHABLE
		     : code == 200 ? EXIT_OK
				   : print_problem(code, answer);
	json_decref(answer);
	if (status == EXIT_OK && fsync(fd)) {
		print_error("cannot write %s: %s", path, strerror(errno));
		status = EXIT_FAILED;
	}
	if (status != EXIT_OK)
		unlink(path);
	else if (!in->json)
		printf("%s: keys, journal, registry and settings under the passphrase of gatehouse "
		       "backup set;\ngatehouse ca restore reads it\n",
		       path);
	return status;
}
