/* SPDX-License-Identifier: Apache-2.0
 *
 * ZIP: see zip.h. Behind the files comes the directory that names them, behind that its end record.
 */
#include "daemon/base/zip.h"
#include "daemon/base/err.h"

#include <time.h>

enum {
	VERSION = 20,          /* 2.0: directories */
	MADE_BY = 3 << 8 | 20, /* UNIX: the mode is in the attributes */
	UTF8 = 1 << 11,
	REGULAR = 0100000, /* S_IFREG, as the attributes have it */
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

/* As DOS counts: from 1980, in steps of two seconds. */
void zip_begin(struct zip *z, struct buf *out, int64_t now)
{
	const time_t seconds = now;
	struct tm t;
	*z = (struct zip){.out = out};
	gmtime_r(&seconds, &t);
	z->time = (uint16_t)(t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
	z->date = (uint16_t)(MAX(t.tm_year - 80, 0) << 9 | (t.tm_mon + 1) << 5 | t.tm_mday);
}

int zip_add(struct zip *z, const char *name, mode_t mode, struct str bytes)
{
	if (z->files == ZIP_FILES_MAX || bytes.n > ZIP_FILE_MAX || strlen(name) > ZIP_NAME_MAX)
		return ERR_LIMIT;
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
	put32(&z->central, (uint32_t)((mode & 07777) | REGULAR) << 16);
	put32(&z->central, offset);
	buf_puts(&z->central, name);
	z->files++;
	return 0;
}

void zip_end(struct zip *z)
{
	const uint32_t begin = (uint32_t)z->out->n;
	buf_str(z->out, buf_view(&z->central));
	put32(z->out, 0x06054b50);
	put16(z->out, 0);
	put16(z->out, 0);
	put16(z->out, z->files);
	put16(z->out, z->files);
	put32(z->out, (uint32_t)z->central.n);
	put32(z->out, begin);
	put16(z->out, 0);
	zip_fini(z);
}

void zip_fini(struct zip *z)
{
	buf_fini(&z->central);
}
