/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: see backup.h.
 */
#include "certs/backup.h"
#include "daemon/base/check.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <gnutls/crypto.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	KEY = 32,
	SALT = 16,
	NONCE = 12,
	TAG = 16,
	ROUNDS = 600000,
	ROUNDS_MAX = 10 * 1000 * 1000,
	PART = 64 * KiB,
	HEAD = 5 /* of a record */
};
enum record_kind { KIND_FILE = 1, KIND_BYTES, KIND_END };

static const char magic[] = "gatehouse backup 1\n";

struct backup {
	int fd;
	uint64_t number; /* of the next record */
	gnutls_aead_cipher_hd_t cipher;
	unsigned char record[HEAD + PART + TAG];
	unsigned char plain[PART];
};

static struct backup *make(int fd, struct str passphrase, uint32_t rounds,
			   const unsigned char salt[SALT])
{
	unsigned char key[KEY];
	struct backup *b = mem_new(struct backup);
	const gnutls_datum_t word = {(unsigned char *)(uintptr_t)passphrase.p,
				     (unsigned)passphrase.n};
	const gnutls_datum_t grain = {(unsigned char *)(uintptr_t)salt, SALT};
	const gnutls_datum_t k = {key, KEY};
	b->fd = fd;
	CHECK(gnutls_pbkdf2(GNUTLS_MAC_SHA256, &word, &grain, rounds, key, KEY) == 0);
	CHECK(gnutls_aead_cipher_init(&b->cipher, GNUTLS_CIPHER_AES_256_GCM, &k) == 0);
	secret_wipe(key, sizeof(key));
	return b;
}

void backup_free(struct backup *b)
{
	gnutls_aead_cipher_deinit(b->cipher);
	secret_wipe(b, sizeof(*b));
	free(b);
}

static void next_nonce(struct backup *b, unsigned char nonce[NONCE])
{
	struct out o = out_make(nonce, NONCE);
	out_u32le(&o, 0);
	out_u64le(&o, b->number++);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

int backup_create(int fd, struct str passphrase, struct backup **out)
{
	unsigned char salt[SALT];
	unsigned char head[sizeof(magic) - 1 + 4 + SALT];
	struct out o = out_make(head, sizeof(head));
	secret_random(salt, sizeof(salt));
	out_bytes(&o, magic, sizeof(magic) - 1);
	out_u32le(&o, ROUNDS);
	out_bytes(&o, salt, SALT);
	if (fd_write(fd, str_make(head, o.need)))
		return ERR_IO;
	*out = make(fd, passphrase, ROUNDS, salt);
	return 0;
}

static int put_record(struct backup *b, enum record_kind kind, struct str bytes)
{
	unsigned char nonce[NONCE];
	size_t n = bytes.n + TAG;
	CHECK(bytes.n <= PART);
	struct out o = out_make(b->record, sizeof(b->record));
	out_u32le(&o, (uint32_t)bytes.n);
	out_u8(&o, (uint8_t)kind);
	next_nonce(b, nonce);
	CHECK(gnutls_aead_cipher_encrypt(b->cipher, nonce, NONCE, b->record, HEAD, TAG,
					 bytes.n ? bytes.p : "", bytes.n, b->record + HEAD,
					 &n) == 0);
	return fd_write(b->fd, str_make(b->record, HEAD + n)) ? ERR_IO : 0;
}

int backup_put(struct backup *b, const char *name, struct str bytes)
{
	unsigned char head[8 + BACKUP_NAME_MAX];
	struct out o = out_make(head, sizeof(head));
	out_u64le(&o, bytes.n);
	out_bytes(&o, name, strlen(name));
	CHECK(out_ok(&o));
	int err = put_record(b, KIND_FILE, str_make(head, o.need));
	while (bytes.n && err == 0) {
		const size_t n = MIN(bytes.n, (size_t)PART);
		err = put_record(b, KIND_BYTES, str_make(bytes.p, n));
		bytes = str_make(bytes.p + n, bytes.n - n);
	}
	return err;
}

int backup_finish(struct backup *b)
{
	return put_record(b, KIND_END, STR(""));
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* 0; ERR_EOF: fewer are left; ERR_IO. */
static int read_exactly(int fd, unsigned char *p, size_t n)
{
	while (n) {
		const ssize_t got = read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? ERR_IO : ERR_EOF;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int backup_open(int fd, struct str passphrase, struct backup **out, struct why *why)
{
	unsigned char head[sizeof(magic) - 1 + 4 + SALT];
	const int err = read_exactly(fd, head, sizeof(head));
	struct cur c = cur_make(head, sizeof(head));
	if (err == ERR_IO)
		return why_set(why, err, "%s", strerror(errno));
	if (err || !str_is(cur_bytes(&c, sizeof(magic) - 1), magic))
		return why_set(why, ERR_MALFORMED, "it is no backup of gatehouse ca backup");
	const uint32_t rounds = cur_u32le(&c);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return why_set(why, ERR_MALFORMED, "it is no backup of this version");
	*out = make(fd, passphrase, rounds, head + sizeof(magic) - 1 + 4);
	return 0;
}

static int read_record(struct backup *b, enum record_kind *kind, struct str *bytes, struct why *why)
{
	unsigned char nonce[NONCE];
	size_t n = PART;
	const bool first = b->number == 0;
	int err = read_exactly(b->fd, b->record, HEAD);
	struct cur c = cur_make(b->record, HEAD);
	const uint32_t length = cur_u32le(&c);
	const uint8_t found = cur_u8(&c);
	if (!err && length > PART)
		err = ERR_CRYPTO;
	if (!err)
		err = read_exactly(b->fd, b->record + HEAD, length + TAG);
	if (err == ERR_IO)
		return why_set(why, err, "%s", strerror(errno));
	if (err)
		return why_set(why, ERR_CRYPTO, "it ends too early, or was changed");
	next_nonce(b, nonce);
	if (gnutls_aead_cipher_decrypt(b->cipher, nonce, NONCE, b->record, HEAD, TAG,
				       b->record + HEAD, length + TAG, b->plain, &n) < 0)
		return first ? why_set(why, ERR_DENIED, "the passphrase does not open it")
			     : why_set(why, ERR_CRYPTO, "it was changed, or is damaged");
	*kind = (enum record_kind)found;
	*bytes = str_make(b->plain, n);
	return 0;
}

static int read_bytes(struct backup *b, uint64_t size, struct buf *bytes, struct why *why)
{
	enum record_kind kind;
	struct str part;
	while (size) {
		const int err = read_record(b, &kind, &part, why);
		if (err)
			return err;
		if (kind != KIND_BYTES || part.n > size || part.n == 0)
			return why_set(why, ERR_CRYPTO, "its records do not fit together");
		buf_str(bytes, part);
		size -= part.n;
	}
	return 0;
}

int backup_next(struct backup *b, char name[BACKUP_NAME_MAX + 1], struct buf *bytes,
		struct why *why)
{
	enum record_kind kind;
	struct str head;
	const int err = read_record(b, &kind, &head, why);
	if (err)
		return err;
	if (kind == KIND_END)
		return ERR_EOF;
	struct cur c = cur_of(head);
	const uint64_t size = cur_u64le(&c);
	const struct str text = cur_bytes(&c, cur_left(&c));
	if (kind != KIND_FILE || !cur_ok(&c) || text.n == 0 || text.n > BACKUP_NAME_MAX)
		return why_set(why, ERR_CRYPTO, "its records do not fit together");
	memcpy(name, text.p, text.n);
	name[text.n] = 0;
	return read_bytes(b, size, bytes, why);
}
