/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a backup: named files under a passphrase. Key by PBKDF2-HMAC-SHA-256 with 600,000
 * rounds; records of at most 64 KiB, each AES-256-GCM with its number as nonce, so that none can be
 * changed, moved, left out or cut off at the end without being seen.
 *
 *   "gatehouse backup 1\n", rounds u32, salt 16 bytes, then records:
 *   length u32, kind u8, that many bytes and a tag of 16 (little-endian; the kind is authenticated)
 *     kind 1: a file begins: its size u64, its name; 2: bytes of it; 3: the end
 *
 * Used by the command line, which runs as root; one thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

enum { BACKUP_NAME_MAX = 128 };

struct backup;

/* Writes the head to fd, which stays the caller's. 0 or ERR_IO. Takes 0.3 s. */
int backup_create(int fd, struct str passphrase, struct backup **out);
/* One file. name: at most BACKUP_NAME_MAX bytes. 0 or ERR_IO. */
int backup_put(struct backup *b, const char *name, struct str bytes) MUST_CHECK;
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
