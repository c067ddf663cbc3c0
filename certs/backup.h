/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a backup: named files under a passphrase. The key of a backup (PBKDF2-HMAC-SHA-256 of
 * the passphrase, 600,000 rounds) makes one for each file of a backup (HKDF-Expand, RFC 5869);
 * records of at most 64 KiB, each AES-256-GCM with its number as nonce, so that none can be
 * changed, moved, left out or cut off at the end without being seen.
 *
 *   "gatehouse backup 2\n", rounds u32, salt 16 bytes, salt of this file 16 bytes, then records:
 *   length u32, kind u8, that many bytes and a tag of 16 (little-endian; the kind is authenticated)
 *     kind 1: a file begins: its size u64, its name; 2: bytes of it; 3: the end
 *
 * Used by the command line, which runs as root, and by the vault, which has the key of root's
 * passphrase but not the passphrase; one thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum { BACKUP_NAME_MAX = 128, BACKUP_SALT = 16, BACKUP_KEY = 32 };

/* The names in it: of the vault's files BACKUP_VAULT and their own. */
#define BACKUP_REGISTRY "store/registry.db"
#define BACKUP_SETTINGS "settings.conf"
#define BACKUP_VAULT    "vault/"
/* The file of the vault's directory that holds a struct backup_key. */
#define BACKUP_KEY_FILE "backup.key"

/* What opens every backup of a passphrase: to be wiped. */
struct backup_key {
	uint32_t rounds;
	unsigned char salt[BACKUP_SALT];
	unsigned char key[BACKUP_KEY];
};

/* With a fresh salt. Takes 0.3 s. */
void backup_key_make(struct str passphrase, struct backup_key *out);
/* As PEM, for the vault's directory, and its way back: 0 or ERR_MALFORMED. */
void backup_key_write(const struct backup_key *k, struct buf *pem);
int backup_key_parse(struct str pem, struct backup_key *out) MUST_CHECK;

struct backup;

/* Writes the head to fd, which stays the caller's. 0 or ERR_IO. */
int backup_create(int fd, const struct backup_key *k, struct backup **out);
/* One file. name: at most BACKUP_NAME_MAX bytes. 0 or ERR_IO. */
int backup_put(struct backup *b, const char *name, struct str bytes) MUST_CHECK;
/* The same of what is in a plain file, as far as size, read from its beginning. ERR_IO also when it
 * is shorter. */
int backup_put_fd(struct backup *b, const char *name, int from, uint64_t size) MUST_CHECK;
/* The end; only now is the file whole. 0 or ERR_IO. */
int backup_finish(struct backup *b) MUST_CHECK;

/* Reads the head. 0; ERR_MALFORMED: no backup; ERR_IO. Takes 0.3 s. */
int backup_open(int fd, struct str passphrase, struct backup **out, struct why *why);
/* The next file: name is terminated. 0; ERR_EOF: that was all; ERR_DENIED: the passphrase is
 * another one (at the first record); ERR_CRYPTO: changed or cut off; ERR_IO. */
int backup_next(struct backup *b, char name[BACKUP_NAME_MAX + 1], struct buf *bytes,
		struct why *why) MUST_CHECK;

void backup_free(struct backup *b);
DEFINE_AUTO(backup, backup_free)
