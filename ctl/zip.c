/* SPDX-License-Identifier: Apache-2.0
 *
 * ZIP: see zip.h. Behind the files comes the directory that names them, behind that its end record.
 */
#include "ctl/zip.h"
#include "ctl/file.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
	FILES_MAX = 100,
	FILE_MAX = 1 * MiB,
	DEPTH_MAX = 4,
	VERSION = 20,          /* 2.0: directories */
	MADE_BY = 3 << 8 | 20, /* UNIX: the mode is in the attributes */
	UTF8 = 1 << 11
};

struct zip {
	struct buf *out;
	struct buf central;
	unsigned files;
	uint16_t time;
	uint16_t date;
};

static void put16(struct buf *b, unsigned v)
{
	buf_putc(b, (char)(v & 0xff));
	buf_putc(b, (char)(v >> 8 & 0xff));
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v & 0xffff);
	put16(b, v >> 16);
}

static uint32_t crc32_of(struct str s)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < s.n; i++) {
		crc ^= (unsigned char)s.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* What stands in both places: from the version to the lengths. */
static void put_common(const struct zip *z, struct buf *b, const char *name, uint32_t crc, size_t n)
{
	put16(b, VERSION);
	put16(b, UTF8);
	put16(b, 0); /* stored */
	put16(b, z->time);
	put16(b, z->date);
	put32(b, crc);
	put32(b, (uint32_t)n);
	put32(b, (uint32_t)n);
	put16(b, (unsigned)strlen(name));
	put16(b, 0);
}

static void put_file(struct zip *z, const char *name, mode_t mode, struct str bytes)
{
	const uint32_t crc = crc32_of(bytes);
	const uint32_t offset = (uint32_t)z->out->n;
	put32(z->out, 0x04034b50);
	put_common(z, z->out, name, crc, bytes.n);
	buf_puts(z->out, name);
	buf_str(z->out, bytes);
	put32(&z->central, 0x02014b50);
	put16(&z->central, MADE_BY);
	put_common(z, &z->central, name, crc, bytes.n);
	put16(&z->central, 0); /* comment */
	put16(&z->central, 0); /* disk */
	put16(&z->central, 0); /* internal attributes */
	put32(&z->central, (uint32_t)mode << 16);
	put32(&z->central, offset);
	buf_puts(&z->central, name);
	z->files++;
}

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
	if (z->files == FILES_MAX)
		return ERR_LIMIT;
	const int err = file_read(path, FILE_MAX, &bytes, &why);
	if (!err)
		put_file(z, name, st.st_mode, buf_view(&bytes));
	return err;
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

/* As DOS counts: from 1980, in steps of two seconds. */
static void take_time(struct zip *z)
{
	const time_t now = time(NULL);
	struct tm t;
	gmtime_r(&now, &t);
	z->time = (uint16_t)(t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
	z->date = (uint16_t)(MAX(t.tm_year - 80, 0) << 9 | (t.tm_mon + 1) << 5 | t.tm_mday);
}

int zip_directory(const char *dir, const char *top, struct buf *out)
{
	struct zip z = {.out = out};
	take_time(&z);
	const int err = add_directory(&z, dir, top, 0);
	const uint32_t begin = (uint32_t)out->n;
	buf_str(out, buf_view(&z.central));
	put32(out, 0x06054b50);
	put16(out, 0);
	put16(out, 0);
	put16(out, z.files);
	put16(out, z.files);
	put32(out, (uint32_t)z.central.n);
	put32(out, begin);
	put16(out, 0);
	buf_fini(&z.central);
	return err;
}
