/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups for the store: see vault_backup.h. The file grows in memory, since it leaves through
 * the store and a web process, and none of them may name a file of another.
 */
#include "certs/vault_backup.h"
#include "certs/backup.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/ipc/op.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REGISTRY_MAX_MIB = 2048 }; /* all of it goes through memory */

static int no_room(struct why *why)
{
	return why_set(why, ERR_IO, "the backup cannot be written into memory: %s",
		       strerror(errno));
}

static int put_vault_file(void *arg, const struct keystore_file *file, struct why *why)
{
	struct backup *b = arg;
	char name[BACKUP_NAME_MAX + 1];
	if (snprintf(name, sizeof(name), BACKUP_VAULT "%s", file->name) > BACKUP_NAME_MAX)
		return why_set(why, ERR_LIMIT, "the vault holds a file with too long a name: %s",
			       file->name);
	const int err = file->key.p ? backup_put(b, name, file->key)
				    : backup_put_fd(b, name, file->fd, file->size);
	return err ? no_room(why) : 0;
}

/* The registry first: whatever is issued meanwhile is then in the journal alone, which ca check
 * finds. */
static int put_all(struct keystore *ks, struct backup *b, int registry, struct str settings,
		   struct why *why)
{
	struct stat st;
	if (fstat(registry, &st) || !S_ISREG(st.st_mode))
		return why_set(why, ERR_MALFORMED, "the copy of the registry is no plain file");
	if (st.st_size / MiB >= REGISTRY_MAX_MIB)
		return why_set(why, ERR_LIMIT,
			       "the registry has %lld MiB; up to %d can be in a backup",
			       (long long)(st.st_size / MiB), REGISTRY_MAX_MIB);
	if (backup_put_fd(b, BACKUP_REGISTRY, registry, (uint64_t)st.st_size))
		return no_room(why);
	const int err = keystore_each(ks, put_vault_file, b, why);
	if (err)
		return err;
	if ((settings.n && backup_put(b, BACKUP_SETTINGS, settings)) || backup_finish(b))
		return no_room(why);
	return 0;
}

/* 0 and a sealed memfd. */
static int make(struct keystore *ks, const struct backup_key *key, int registry,
		struct str settings, int *out, struct why *why)
{
	struct backup *made = NULL;
	AUTO_FD fd = memfd_begin("backup");
	if (fd < 0 || backup_create(fd, key, &made))
		return no_room(why);
	AUTO(backup) b = made;
	int err = put_all(ks, b, registry, settings, why);
	if (!err && memfd_seal(fd))
		err = no_room(why);
	if (!err)
		*out = TAKE_FD(fd);
	return err;
}

static int load_key(struct keystore *ks, struct backup_key *key, struct why *why)
{
	AUTO_SECRET pem = {0};
	const int err = keystore_load_pem(ks, BACKUP_KEY_FILE, &pem, why);
	if (err == ERR_NOT_FOUND)
		return why_set(why, err,
			       "no passphrase for backups is set: run gatehouse backup set as "
			       "root on the gateway, once");
	if (!err && backup_key_parse(buf_view(&pem), key))
		return why_set(why, ERR_MALFORMED,
			       "%s/" BACKUP_KEY_FILE " is damaged: run "
			       "gatehouse backup set again",
			       keystore_path(ks));
	return err;
}

static enum op_status status_of(int err)
{
	return err == 0 ? OP_OK : err == ERR_NOT_FOUND ? OP_REFUSED : OP_FAILED;
}

int vault_backup_make(struct keystore *ks, struct link *l, struct record *r)
{
	struct body_backup b;
	struct backup_key key;
	struct why why = {""};
	AUTO_FD fd = -1;
	if (body_backup_get(r->body, &b) || (!b.look && r->fd < 0))
		return ERR_MALFORMED;
	int err = load_key(ks, &key, &why);
	if (!err && !b.look)
		err = make(ks, &key, r->fd, b.settings, &fd, &why);
	secret_wipe(&key, sizeof(key));
	if (err && err != ERR_NOT_FOUND)
		log_error("no backup was made: %s", why.text);
	const struct body_backup_done done = {.status = (uint8_t)status_of(err),
					      .why = str_of(why.text)};
	LINK_SEND(l, BACKUP_DONE, backup_done, r->id, fd, &done);
	return 0;
}
