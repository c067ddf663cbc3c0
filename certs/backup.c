/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: see backup.h.
 */
#include "certs/backup.h"
#include "certs/pem.h"
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
	NONCE = 12,
	TAG = 16,
	ROUNDS = 600000,
	ROUNDS_MAX = 10 * 1000 * 1000,
	PART = 64 * KiB,
	HEAD = 5 /* of a record */
};
enum record_kind { KIND_FILE = 1, KIND_BYTES, KIND_END };

static const char magic[] = "gatehouse backup 2\n";
enum { HEAD_SIZE = sizeof(magic) - 1 + 4 + 2 * BACKUP_SALT };
static const char purpose[] = "gatehouse backup";
static const char label[] = "GATEHOUSE BACKUP KEY";

struct backup {
	int fd;
	uint64_t number; /* of the next record */
	gnutls_aead_cipher_hd_t cipher;
	unsigned char record[HEAD + PART + TAG];
	unsigned char plain[PART];
};

/* ---- keys -------------------------------------------------------------------------------------
 */

static void derive(struct str passphrase, struct backup_key *k)
{
	const gnutls_datum_t word = {(unsigned char *)(uintptr_t)passphrase.p,
				     (unsigned)passphrase.n};
	const gnutls_datum_t grain = {k->salt, BACKUP_SALT};
	CHECK(gnutls_pbkdf2(GNUTLS_MAC_SHA256, &word, &grain, k->rounds, k->key, BACKUP_KEY) == 0);
}

void backup_key_make(struct str passphrase, struct backup_key *out)
{
	out->rounds = ROUNDS;
	secret_random(out->salt, sizeof(out->salt));
	derive(passphrase, out);
}

void backup_key_write(const struct backup_key *k, struct buf *pem)
{
	unsigned char bytes[4 + BACKUP_SALT + BACKUP_KEY];
	struct out o = out_make(bytes, sizeof(bytes));
	out_u32le(&o, k->rounds);
	out_bytes(&o, k->salt, BACKUP_SALT);
	out_bytes(&o, k->key, BACKUP_KEY);
	pem_put(label, str_make(bytes, o.need), pem);
	secret_wipe(bytes, sizeof(bytes));
}

int backup_key_parse(struct str pem, struct backup_key *out)
{
	AUTO_SECRET bytes = {0};
	struct str found;
	if (pem_next(&pem, &found, &bytes) || !str_is(found, label))
		return ERR_MALFORMED;
	struct cur c = cur_of(buf_view(&bytes));
	const uint32_t rounds = cur_u32le(&c);
	const struct str salt = cur_bytes(&c, BACKUP_SALT);
	const struct str key = cur_bytes(&c, BACKUP_KEY);
	if (!cur_ok(&c) || cur_left(&c) || rounds < 1 || rounds > ROUNDS_MAX)
		return ERR_MALFORMED;
	out->rounds = rounds;
	memcpy(out->salt, salt.p, BACKUP_SALT);
	memcpy(out->key, key.p, BACKUP_KEY);
	return 0;
}

/* The key of one file, so that no two share a nonce. */
static struct backup *make(int fd, const struct backup_key *k, const unsigned char *file_salt)
{
	unsigned char info[sizeof(purpose) - 1 + BACKUP_SALT];
	unsigned char key[BACKUP_KEY];
	struct backup *b = mem_new(struct backup);
	const gnutls_datum_t from = {(unsigned char *)(uintptr_t)k->key, BACKUP_KEY};
	const gnutls_datum_t about = {info, sizeof(info)};
	const gnutls_datum_t to = {key, BACKUP_KEY};
	memcpy(info, purpose, sizeof(purpose) - 1);
	memcpy(info + sizeof(purpose) - 1, file_salt, BACKUP_SALT);
	CHECK(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &from, &about, key, BACKUP_KEY) == 0);
	CHECK(gnutls_aead_cipher_init(&b->cipher, GNUTLS_CIPHER_AES_256_GCM, &to) == 0);
	secret_wipe(key, sizeof(key));
	b->fd = fd;
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

int backup_create(int fd, const struct backup_key *k, struct backup **out)
{
	unsigned char file_salt[BACKUP_SALT];
	unsigned char head[HEAD_SIZE];
	struct out o = out_make(head, sizeof(head));
	secret_random(file_salt, sizeof(file_salt));
	out_bytes(&o, magic, sizeof(magic) - 1);
	out_u32le(&o, k->rounds);
	out_bytes(&o, k->salt, BACKUP_SALT);
	out_bytes(&o, file_salt, BACKUP_SALT);
	if (fd_write(fd, str_make(head, o.need)))
		return ERR_IO;
	*out = make(fd, k, file_salt);
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

static int put_head(struct backup *b, const char *name, uint64_t size)
{
	unsigned char head[8 + BACKUP_NAME_MAX];
	struct out o = out_make(head, sizeof(head));
	out_u64le(&o, size);
	out_bytes(&o, name, strlen(name));
	CHECK(out_ok(&o));
	return put_record(b, KIND_FILE, str_make(head, o.need));
}

int backup_put(struct backup *b, const char *name, struct str bytes)
{
	int err = put_head(b, name, bytes.n);
	while (bytes.n && err == 0) {
		const size_t n = MIN(bytes.n, (size_t)PART);
		err = put_record(b, KIND_BYTES, str_make(bytes.p, n));
		bytes = str_make(bytes.p + n, bytes.n - n);
	}
	return err;
}

int backup_put_fd(struct backup *b, const char *name, int from, uint64_t size)
{
	uint64_t at = 0;
	int err = put_head(b, name, size);
	while (at < size && err == 0) {
		const ssize_t n = pread(from, b->plain, MIN(size - at, (uint64_t)PART), (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		err = n > 0 ? put_record(b, KIND_BYTES, str_make(b->plain, (size_t)n)) : ERR_IO;
		at += n > 0 ? (uint64_t)n : 0;
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
	unsigned char head[HEAD_SIZE];
	struct backup_key k;
	const int err = read_exactly(fd, head, sizeof(head));
	struct cur c = cur_make(head, sizeof(head));
	if (err == ERR_IO)
		return why_set(why, err, "%s", strerror(errno));
	if (err || !str_is(cur_bytes(&c, sizeof(magic) - 1), magic))
		return why_set(why, ERR_MALFORMED, "it is no backup of this gateway's kind");
	k.rounds = cur_u32le(&c);
	if (k.rounds < 1 || k.rounds > ROUNDS_MAX)
		return why_set(why, ERR_MALFORMED, "it is no backup of this version");
	memcpy(k.salt, cur_bytes(&c, BACKUP_SALT).p, BACKUP_SALT);
	derive(passphrase, &k);
	*out = make(fd, &k, head + HEAD_SIZE - BACKUP_SALT);
	secret_wipe(&k, sizeof(k));
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
