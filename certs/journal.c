/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's journal: see journal.h for the format and the rules.
 */
#include "certs/journal.h"
#include "daemon/base/check.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <gnutls/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HASH = 32,
	LENGTH = 4,
	VERSION = 1,
	BODY_HEAD = 1 + 1 + 8 + 8,
	BODY_MAX = BODY_HEAD + JOURNAL_DER_MAX,
	RECORD_MAX = LENGTH + BODY_MAX + HASH
};

static const char journal_name[] = "journal";
static const char torn_name[] = "journal.torn";
static const char first_chain[] = "gatehouse journal 1";

struct journal {
	int fd;
	char *path;
	struct journal_place end;    /* where the next record goes */
	struct journal_place synced; /* what a crash leaves for certain */
	bool broken;                 /* refuses everything from now on */
};

static void hash(const void *p, size_t n, uint8_t out[HASH])
{
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, p, n, out) == 0);
}

struct journal_place journal_beginning(void)
{
	struct journal_place start = {0};
	hash(first_chain, sizeof(first_chain) - 1, start.chain);
	return start;
}

/* The chain of a record: over the chain before it and the record without its own chain. */
static void next_chain(const uint8_t before[HASH], struct str record, uint8_t out[HASH])
{
	uint8_t bytes[HASH + RECORD_MAX];
	CHECK(record.n <= RECORD_MAX);
	memcpy(bytes, before, HASH);
	memcpy(bytes + HASH, record.p, record.n);
	hash(bytes, HASH + record.n, out);
}

/* ---- opening: one pass over the file ----------------------------------------------------------
 */

enum verdict { WHOLE, END, TORN, BROKEN, UNREADABLE };

/* Whether what is there of a record agrees with what the next record would say, its certificate's
 * own length included: a wrong length in the middle must not pass for an unfinished end. */
static bool agrees(const uint8_t *p, size_t n, size_t length, const struct journal_place *at)
{
	enum { AT_VERSION = LENGTH, AT_SEQUENCE = LENGTH + 2, AT_DER = LENGTH + BODY_HEAD };
	if (n > AT_VERSION && p[AT_VERSION] != VERSION)
		return false;
	struct cur c = cur_make(p, n);
	cur_take(&c, AT_SEQUENCE);
	const uint64_t sequence = cur_u64le(&c);
	if (cur_ok(&c) && sequence != at->sequence + 1)
		return false;
	if (n < AT_DER + 4)
		return true;
	/* A certificate is a SEQUENCE of 256 to 65535 bytes: 30 82 and two bytes of length. */
	const uint8_t *der = p + AT_DER;
	return der[0] == 0x30 && der[1] == 0x82 &&
	       BODY_HEAD + 4 + (size_t)(der[2] << 8 | der[3]) == length;
}

/* A crash leaves the last record short, or (when the size came to the disk before the bytes did)
 * ending in zeros. A whole last record with a wrong chain is no accident of writing. */
static bool is_unfinished(struct str rest, uint64_t left, const struct journal_place *at)
{
	size_t n = rest.n;
	while (n && rest.p[n - 1] == 0)
		n--;
	if (left > RECORD_MAX)
		return false;
	if (n < LENGTH)
		return true;
	struct cur c = cur_of(rest);
	const size_t length = cur_u32le(&c);
	if (length > BODY_MAX || left > LENGTH + length + HASH)
		return false;
	const bool cut_short = left < LENGTH + length + HASH || n <= LENGTH + length;
	return cut_short && agrees((const uint8_t *)rest.p, n, length, at);
}

static bool parse_body(struct str body, const struct journal_place *at, struct journal_entry *entry)
{
	struct cur c = cur_of(body);
	const uint8_t version = cur_u8(&c);
	entry->kind = cur_u8(&c);
	entry->sequence = cur_u64le(&c);
	entry->at = (int64_t)cur_u64le(&c);
	entry->der = cur_bytes(&c, cur_left(&c));
	return cur_ok(&c) && version == VERSION && entry->kind >= JOURNAL_ROOT &&
	       entry->kind <= JOURNAL_IMPORTED && entry->sequence == at->sequence + 1;
}

/* Reads the record at *at into buf and moves *at behind it. */
static enum verdict read_record(const struct journal *j, uint64_t file_size,
				struct journal_place *at, uint8_t buf[RECORD_MAX],
				struct journal_entry *entry)
{
	const uint64_t left = file_size - at->size;
	if (left == 0)
		return END;
	const size_t n = (size_t)MIN(left, (uint64_t)RECORD_MAX);
	if (pread(j->fd, buf, n, (off_t)at->size) != (ssize_t)n)
		return UNREADABLE;
	struct cur c = cur_make(buf, n);
	const size_t length = cur_u32le(&c);
	if (is_unfinished(str_make(buf, n), left, at))
		return TORN;
	const struct str body = cur_bytes(&c, length);
	const struct str chain = cur_bytes(&c, HASH);
	uint8_t expected[HASH];
	if (!cur_ok(&c) || length > BODY_MAX)
		return BROKEN;
	next_chain(at->chain, str_make(buf, LENGTH + length), expected);
	if (!str_eq(chain, str_make(expected, HASH)) || !parse_body(body, at, entry))
		return BROKEN;
	memcpy(at->chain, expected, HASH);
	at->size += LENGTH + length + HASH;
	at->sequence++;
	return WHOLE;
}

static void set_aside(const struct keystore *ks, const void *p, size_t n)
{
	AUTO_FD fd = openat(keystore_dir(ks), torn_name,
			    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && write(fd, p, n) == (ssize_t)n)
		fsync(fd);
}

static int cut(struct journal *j, const struct journal_place *to)
{
	if (ftruncate(j->fd, (off_t)to->size) || fdatasync(j->fd)) {
		j->broken = true;
		return ERR_IO;
	}
	j->end = *to;
	return 0;
}

static int repair(const struct keystore *ks, struct journal *j, const uint8_t *rest, size_t n,
		  struct journal_report *report, struct why *why)
{
	set_aside(ks, rest, n);
	if (cut(j, &j->end))
		return why_set(why, ERR_IO, "cannot repair %s: %s", j->path, strerror(errno));
	report->torn = n;
	why_set(&report->why, 0,
		"%s ended in an unfinished record of %zu bytes; it was never handed out and is "
		"kept in %s beside it",
		j->path, n, torn_name);
	return 0;
}

static int verify(const struct keystore *ks, struct journal *j, uint64_t size,
		  void (*each)(void *, const struct journal_entry *), void *arg,
		  struct journal_report *report, struct why *why)
{
	uint8_t buf[RECORD_MAX];
	struct journal_entry entry;
	enum verdict v;
	while ((v = read_record(j, size, &j->end, buf, &entry)) == WHOLE) {
		report->entries++;
		if (each)
			each(arg, &entry);
	}
	if (v == UNREADABLE)
		return why_set(why, ERR_IO, "cannot read %s at byte %llu: %s", j->path,
			       (unsigned long long)j->end.size, strerror(errno));
	if (v == TORN)
		return repair(ks, j, buf, (size_t)(size - j->end.size), report, why);
	if (v == BROKEN) {
		j->broken = report->broken = true;
		why_set(&report->why, 0,
			"%s is damaged or was changed at byte %llu, behind record %llu; nothing is "
			"issued until it is restored from a backup",
			j->path, (unsigned long long)j->end.size,
			(unsigned long long)j->end.sequence);
	}
	return 0;
}

static int open_file(const struct keystore *ks, bool create, int *out, struct why *why)
{
	const char *dir = keystore_path(ks);
	AUTO_FD fd =
		openat(keystore_dir(ks), journal_name,
		       O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0 && errno == ENOENT)
		return why_set(why, ERR_NOT_FOUND, "%s/%s is missing", dir, journal_name);
	if (fd < 0)
		return why_set(why, ERR_IO, "cannot open %s/%s: %s", dir, journal_name,
			       strerror(errno));
	if (create && fsync(keystore_dir(ks)))
		return why_set(why, ERR_IO, "cannot sync %s: %s", dir, strerror(errno));
	*out = TAKE_FD(fd);
	return 0;
}

int journal_open(struct keystore *ks, bool create,
		 void (*each)(void *arg, const struct journal_entry *entry), void *arg,
		 struct journal **out, struct journal_report *report, struct why *why)
{
	int fd = -1;
	int err = open_file(ks, create, &fd, why);
	if (err)
		return err;
	AUTO(journal) j = mem_new(struct journal);
	j->fd = fd;
	j->path = mem_printf("%s/%s", keystore_path(ks), journal_name);
	j->end = journal_beginning();
	err = keystore_judge_file(j->fd, j->path, why);
	if (err)
		return err;
	struct stat st;
	if (fstat(j->fd, &st))
		return why_set(why, ERR_IO, "cannot read %s: %s", j->path, strerror(errno));
	struct journal_report found = {0};
	err = verify(ks, j, (uint64_t)st.st_size, each, arg, &found, why);
	if (err)
		return err;
	j->synced = j->end;
	*report = found;
	*out = TAKE(j);
	return 0;
}

void journal_free(struct journal *j)
{
	close(j->fd);
	free(j->path);
	free(j);
}

/* ---- appending --------------------------------------------------------------------------------
 */

static int refuse(const struct journal *j, struct why *why)
{
	return why_set(why, ERR_UNAVAILABLE,
		       "the journal %s cannot be continued; see the vault's log", j->path);
}

int journal_append(struct journal *j, enum journal_kind kind, int64_t at, struct str der,
		   struct why *why)
{
	if (j->broken)
		return refuse(j, why);
	CHECK(der.n <= JOURNAL_DER_MAX);
	struct journal_place next = j->end;
	uint8_t record[RECORD_MAX];
	struct out o = out_make(record, sizeof(record));
	out_u32le(&o, (uint32_t)(BODY_HEAD + der.n));
	out_u8(&o, VERSION);
	out_u8(&o, (uint8_t)kind);
	out_u64le(&o, ++next.sequence);
	out_u64le(&o, (uint64_t)at);
	out_bytes(&o, der.p, der.n);
	next_chain(j->end.chain, str_make(record, o.need), next.chain);
	out_bytes(&o, next.chain, HASH);
	CHECK(out_ok(&o));
	next.size += o.need;
	const ssize_t n = write(j->fd, record, o.need);
	if (n == (ssize_t)o.need) {
		j->end = next;
		return 0;
	}
	const int cause = n < 0 ? errno : ENOSPC;
	cut(j, &j->end);
	return why_set(why, ERR_IO, "cannot write %s: %s; nothing was issued", j->path,
		       strerror(cause));
}

int journal_sync(struct journal *j, struct why *why)
{
	if (j->broken)
		return refuse(j, why);
	if (j->synced.size == j->end.size)
		return 0;
	if (fdatasync(j->fd) == 0) {
		j->synced = j->end;
		return 0;
	}
	const int cause = errno;
	cut(j, &j->synced);
	return why_set(why, ERR_IO, "cannot sync %s: %s; nothing was issued", j->path,
		       strerror(cause));
}

uint64_t journal_entries(const struct journal *j)
{
	return j->end.sequence;
}

int journal_walk(const struct journal *j, struct journal_place *at, size_t max,
		 void (*each)(void *arg, const struct journal_entry *entry), void *arg, bool *end,
		 struct why *why)
{
	uint8_t record[RECORD_MAX];
	struct journal_entry entry;
	struct journal_place place = *at;
	enum verdict v = WHOLE;
	errno = 0;
	for (size_t n = 0; n < max && place.size < j->end.size && v == WHOLE; n++) {
		v = read_record(j, j->end.size, &place, record, &entry);
		if (v == WHOLE)
			each(arg, &entry);
	}
	if (v == UNREADABLE)
		return why_set(why, ERR_IO, "cannot read %s at byte %llu: %s", j->path,
			       (unsigned long long)place.size, strerror(errno));
	if (v != WHOLE || place.size > j->end.size)
		return why_set(why, ERR_CRYPTO,
			       "%s is damaged or was changed at byte %llu, behind record %llu",
			       j->path, (unsigned long long)place.size,
			       (unsigned long long)place.sequence);
	*end = place.size == j->end.size;
	*at = place;
	struct stat st;
	if (*end && (j->broken || fstat(j->fd, &st) || (uint64_t)st.st_size != j->end.size))
		return why_set(why, ERR_CRYPTO, "%s is damaged or was changed behind record %llu",
			       j->path, (unsigned long long)place.sequence);
	return 0;
}
