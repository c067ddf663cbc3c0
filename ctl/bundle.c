/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle: the directory with which a device connects. The key in it was made by this program and
 * is nowhere else.
 */
#include "certs/key.h"
#include "certs/kit.h"
#include "certs/p12.h"
#include "ctl/address.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/zip.h"
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

static int check_empty(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	if (!d && errno == ENOENT)
		return EXIT_OK;
	if (!d) {
		print_error("--bundle %s: %s", dir, strerror(errno));
		return EXIT_USAGE;
	}
	while ((e = readdir(d)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
		;
	closedir(d);
	if (e) {
		print_error("--bundle %s: there are files in it already; name a new "
			    "directory",
			    dir);
		return EXIT_CONFLICT;
	}
	return EXIT_OK;
}

static int write_file(const char *dir, const char *name, mode_t mode, struct str bytes)
{
	AUTO_CHAR path = mem_printf("%s/%s", dir, name);
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || fd_write(fd, bytes) || fsync(fd) < 0) {
		print_error("cannot write %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int bundle_begin(const char *dir, struct str key_pem, bool *made)
{
	*made = false;
	int status = check_empty(dir);
	if (status != EXIT_OK)
		return status;
	*made = mkdir(dir, 0700) == 0;
	if (!*made && errno != EEXIST) {
		print_error("cannot make %s: %s", dir, strerror(errno));
		return EXIT_FAILED;
	}
	status = write_file(dir, "device.key", 0600, key_pem);
	if (status != EXIT_OK)
		bundle_abandon(dir, *made);
	return status;
}

void bundle_abandon(const char *dir, bool made)
{
	AUTO_CHAR key = mem_printf("%s/device.key", dir);
	unlink(key);
	if (made)
		rmdir(dir);
}

bool bundle_is_host(const char *host)
{
	return kit_is_host(str_of(host));
}

static int write_p12(const struct bundle *b)
{
	AUTO_CHAR path = mem_printf("%s/device.key", b->dir);
	AUTO_SECRET key = {0};
	AUTO_BUF der = {0};
	const char *cause;
	struct why why;
	if (!b->p12)
		return EXIT_OK;
	if (file_read(path, KEY_FILE_MAX, &key, &cause)) {
		print_error("%s: %s", path, cause);
		return EXIT_FAILED;
	}
	const struct p12_parts parts = {
		.key = buf_view(&key),
		.chain = str_of(text_of(b->certificate, "pem")),
		.roots = str_of(text_of(b->certificate, "roots_pem")),
		.name = str_of(b->device),
	};
	if (p12_make(&parts, b->passphrase, b->legacy ? P12_LEGACY : P12_MODERN, &der, &why)) {
		print_error("device.p12: %s", why.text);
		return EXIT_FAILED;
	}
	return write_file(b->dir, "device.p12", 0600, buf_view(&der));
}

/* The directory from the root, in what may stand between quotes in any of the examples. */
static void put_dir(const char *dir, struct buf *out)
{
	char *full = realpath(dir, NULL);
	const char *shown = full ? full : dir;
	buf_puts(out, strpbrk(shown, "\"'\\\n\t@$`") ? "/path/to/the/bundle" : shown);
	free(full);
}

static int write_zip(const struct bundle *b)
{
	AUTO_SECRET zip = {0};
	AUTO_FD fd = open(b->zip, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && zip_directory(b->dir, b->device, &zip) == 0 &&
	    fd_write(fd, buf_view(&zip)) == 0 && fsync(fd) == 0)
		return EXIT_OK;
	print_error("cannot write %s: %s; the bundle is whole in %s", b->zip, strerror(errno),
		    b->dir);
	return EXIT_FAILED;
}

static int put_file(void *arg, const char *name, mode_t mode, struct str bytes)
{
	const struct bundle *b = arg;
	if (strncmp(name, "examples/", 9) == 0) {
		AUTO_CHAR dir = mem_printf("%s/examples", b->dir);
		if (mkdir(dir, 0755) && errno != EEXIST) {
			print_error("cannot make %s: %s", dir, strerror(errno));
			return EXIT_FAILED;
		}
	}
	return write_file(b->dir, name, mode, bytes);
}

int bundle_write(const struct bundle *b)
{
	struct address at;
	struct address enrol;
	char authority[ADDRESS_HOST + ADDRESS_PORT + 4];
	AUTO_BUF place = {0};
	/* "mqtts", or "mqtts+wss" where both are spoken */
	address_choose(b->status, NULL, "mqtts", b->host, "8883", &at);
	address_choose(b->status, "enrol", NULL, b->host, "8444", &enrol);
	address_url(&enrol, authority);
	AUTO_CHAR est = mem_printf("https://%s", authority);
	put_dir(b->dir, &place);
	const struct kit kit = {
		.device = b->device,
		.host = at.host,
		.port = at.port,
		.est = est,
		.dir = buf_cstr(&place),
		.not_after = text_of(b->certificate, "not_after"),
		.chain = str_of(text_of(b->certificate, "pem")),
		.roots = str_of(text_of(b->certificate, "roots_pem")),
	};
	int status = kit_each(&kit, put_file, (void *)(uintptr_t)b);
	if (status == EXIT_OK)
		status = write_p12(b);
	return status == EXIT_OK && b->zip ? write_zip(b) : status;
}
