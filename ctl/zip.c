/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory as a ZIP file: see zip.h.
 */
#include "ctl/zip.h"
#include "ctl/file.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/zip.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { DEPTH_MAX = 4 };

static int add_directory(struct zip *z, const char *path, const char *name, int depth);

static int add(struct zip *z, const char *path, const char *name, int depth)
{
	struct stat st;
	const char *why;
	AUTO_SECRET bytes = {0};
	if (lstat(path, &st))
		return ERR_IO;
	if (S_ISDIR(st.st_mode))
		return add_directory(z, path, name, depth + 1);
	if (!S_ISREG(st.st_mode))
		return 0;
	const int err = file_read(path, ZIP_FILE_MAX, &bytes, &why);
	return err ? err : zip_add(z, name, st.st_mode, buf_view(&bytes));
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* In the order of names: the same directory gives the same bytes. */
static int add_directory(struct zip *z, const char *path, const char *name, int depth)
{
	struct dirent **entry;
	int err = 0;
	if (depth > DEPTH_MAX)
		return ERR_LIMIT;
	const int n = scandir(path, &entry, not_hidden, alphasort);
	if (n < 0)
		return ERR_IO;
	for (int i = 0; i < n; i++) {
		AUTO_CHAR child = mem_printf("%s/%s", path, entry[i]->d_name);
		AUTO_CHAR inside = mem_printf("%s/%s", name, entry[i]->d_name);
		err = err ? err : add(z, child, inside, depth);
		free(entry[i]);
	}
	free(entry);
	return err;
}

int zip_directory(const char *dir, const char *top, struct buf *out)
{
	struct zip z;
	zip_begin(&z, out, time(NULL));
	const int err = add_directory(&z, dir, top, 0);
	if (err)
		zip_fini(&z);
	else
		zip_end(&z);
	return err;
}
