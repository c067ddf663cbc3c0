/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's journal: what was written comes back; an unfinished end is repaired; anything else
 * that was changed, wherever, stops all issuing; a full disk loses nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/journal.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "tests/unit/scratch.h"

#include <signal.h>
#include <sys/resource.h>

enum {
	DER_LEN = 300,
	RECORD_LEN = 4 + 18 + DER_LEN + 32,
	RECORDS = 4,
	FILE_LEN = RECORDS * RECORD_LEN
};

static struct scratch dir;
static struct keystore *ks;
static struct why why;

static int setup(void **state)
{
	(void)state;
	scratch_make(&dir);
	return keystore_open(dir.path, &ks, &why);
}

static int teardown(void **state)
{
	(void)state;
	keystore_free(ks);
	scratch_remove(&dir);
	return 0;
}

/* Shaped like a certificate from outside: a SEQUENCE with two bytes of length. */
static struct str fake_der(uint8_t fill)
{
	static uint8_t der[DER_LEN];
	memset(der, fill, sizeof(der));
	der[0] = 0x30;
	der[1] = 0x82;
	der[2] = (DER_LEN - 4) >> 8;
	der[3] = (DER_LEN - 4) & 0xff;
	return str_make(der, sizeof(der));
}

struct seen {
	unsigned n;
	struct journal_entry last;
	uint8_t fill;
};

static void see(void *arg, const struct journal_entry *entry)
{
	struct seen *seen = arg;
	seen->n++;
	assert_int_equal(entry->sequence, seen->n);
	assert_int_equal(entry->der.n, DER_LEN);
	seen->last = *entry;
	seen->fill = (uint8_t)entry->der.p[DER_LEN - 1];
}

static struct journal *open_it(struct journal_report *report, struct seen *seen)
{
	struct journal *j = NULL;
	*seen = (struct seen){0};
	assert_int_equal(journal_open(ks, true, see, seen, &j, report, &why), 0);
	return j;
}

static void write_records(void)
{
	struct journal_report report;
	struct seen seen;
	struct journal *j = open_it(&report, &seen);
	for (int i = 1; i <= RECORDS; i++)
		assert_int_equal(journal_append(j, JOURNAL_DEVICE, INT64_C(1000) * i,
						fake_der((uint8_t)i), &why),
				 0);
	assert_int_equal(journal_sync(j, &why), 0);
	journal_free(j);
	assert_int_equal(scratch_size(&dir, "journal"), FILE_LEN);
}

static void read_file(uint8_t out[FILE_LEN])
{
	const int fd = open(scratch_file(&dir, "journal"), O_RDONLY);
	assert_int_equal(read(fd, out, FILE_LEN), FILE_LEN);
	close(fd);
}

static void records_come_back(void **state)
{
	(void)state;
	write_records();
	struct journal_report report;
	struct seen seen;
	struct journal *j = open_it(&report, &seen);
	assert_int_equal(seen.n, RECORDS);
	assert_int_equal(seen.fill, RECORDS);
	assert_int_equal(seen.last.kind, JOURNAL_DEVICE);
	assert_int_equal(seen.last.at, 1000 * RECORDS);
	assert_int_equal(report.entries, RECORDS);
	assert_int_equal(report.torn, 0);
	assert_false(report.broken);
	assert_int_equal(journal_append(j, JOURNAL_SERVER, 1, fake_der(9), &why), 0);
	assert_int_equal(journal_entries(j), RECORDS + 1);
	journal_free(j);
	journal_free(open_it(&report, &seen));
	assert_int_equal(seen.n, RECORDS + 1);
}

static void is_made_only_when_asked(void **state)
{
	(void)state;
	struct journal *j = NULL;
	struct journal_report report;
	assert_int_equal(journal_open(ks, false, NULL, NULL, &j, &report, &why), ERR_NOT_FOUND);
	assert_int_equal(scratch_size(&dir, "journal"), -1);
}

static void must_be_private(void **state)
{
	(void)state;
	struct journal *j = NULL;
	struct journal_report report;
	scratch_write(&dir, "journal", "", 0, 0644);
	assert_int_equal(journal_open(ks, true, NULL, NULL, &j, &report, &why), ERR_DENIED);
	assert_non_null(strstr(why.text, "journal is open to other users"));
}

/* Every length that a crash can leave of the last record. */
static void an_unfinished_end_is_repaired(void **state)
{
	(void)state;
	uint8_t whole[FILE_LEN];
	write_records();
	read_file(whole);
	for (size_t n = 1; n < RECORD_LEN; n++) {
		const size_t size = FILE_LEN - RECORD_LEN + n;
		scratch_write(&dir, "journal", whole, size, 0600);
		struct journal_report report;
		struct seen seen;
		struct journal *j = open_it(&report, &seen);
		assert_false(report.broken);
		assert_int_equal(report.torn, n);
		assert_non_null(strstr(report.why.text, "unfinished record"));
		assert_int_equal(seen.n, RECORDS - 1);
		assert_int_equal(scratch_size(&dir, "journal"), FILE_LEN - RECORD_LEN);
		assert_int_equal(scratch_size(&dir, "journal.torn"), n);
		assert_int_equal(journal_append(j, JOURNAL_DEVICE, 5, fake_der(5), &why), 0);
		journal_free(j);
		journal_free(open_it(&report, &seen));
		assert_int_equal(report.torn, 0);
		assert_int_equal(seen.n, RECORDS);
		assert_int_equal(seen.fill, 5);
	}
}

/* The size reached the disk, the bytes did not. */
static void zeros_at_the_end_are_repaired(void **state)
{
	(void)state;
	uint8_t whole[FILE_LEN];
	write_records();
	read_file(whole);
	for (size_t n = 0; n < RECORD_LEN - 32; n += 7) {
		uint8_t torn[FILE_LEN];
		memcpy(torn, whole, FILE_LEN);
		memset(torn + FILE_LEN - RECORD_LEN + n, 0, RECORD_LEN - n);
		scratch_write(&dir, "journal", torn, FILE_LEN, 0600);
		struct journal_report report;
		struct seen seen;
		journal_free(open_it(&report, &seen));
		assert_false(report.broken);
		assert_int_equal(report.torn, RECORD_LEN);
		assert_int_equal(seen.n, RECORDS - 1);
	}
}

static void assert_broken(const uint8_t *bytes, size_t n)
{
	struct journal_report report;
	struct seen seen;
	scratch_write(&dir, "journal", bytes, n, 0600);
	struct journal *j = open_it(&report, &seen);
	assert_true(report.broken);
	assert_int_equal(report.torn, 0);
	assert_non_null(strstr(report.why.text, "damaged or was changed at byte"));
	assert_int_equal(journal_append(j, JOURNAL_DEVICE, 5, fake_der(5), &why), ERR_UNAVAILABLE);
	assert_int_equal(journal_sync(j, &why), ERR_UNAVAILABLE);
	journal_free(j);
	/* What the operator will want to look at is still there. */
	assert_int_equal(scratch_size(&dir, "journal"), n);
}

/* One changed bit anywhere, the last record and the lengths included. */
static void any_changed_bit_breaks_the_chain(void **state)
{
	(void)state;
	uint8_t whole[FILE_LEN];
	write_records();
	read_file(whole);
	for (size_t at = 0; at < FILE_LEN; at++) {
		whole[at] ^= (uint8_t)(1u << (at % 8));
		assert_broken(whole, FILE_LEN);
		whole[at] ^= (uint8_t)(1u << (at % 8));
	}
}

static void removed_swapped_and_foreign_records_break_the_chain(void **state)
{
	(void)state;
	uint8_t whole[FILE_LEN];
	uint8_t other[FILE_LEN + 40];
	write_records();
	read_file(whole);
	memcpy(other, whole + RECORD_LEN, FILE_LEN - RECORD_LEN); /* the first is gone */
	assert_broken(other, FILE_LEN - RECORD_LEN);
	memcpy(other, whole, FILE_LEN); /* two are swapped */
	memcpy(other, whole + RECORD_LEN, RECORD_LEN);
	memcpy(other + RECORD_LEN, whole, RECORD_LEN);
	assert_broken(other, FILE_LEN);
	memcpy(other, whole, FILE_LEN); /* the last one twice */
	memcpy(other + FILE_LEN - RECORD_LEN, whole + FILE_LEN - RECORD_LEN - RECORD_LEN,
	       RECORD_LEN);
	assert_broken(other, FILE_LEN);
	memcpy(other, whole, FILE_LEN); /* something behind the end */
	memset(other + FILE_LEN, 0x41, 40);
	assert_broken(other, FILE_LEN + 40);
}

/* A full disk, played by the limit on the size of a file: the write ends half-way. */
static void a_full_disk_loses_nothing(void **state)
{
	(void)state;
	struct journal_report report;
	struct seen seen;
	struct rlimit old;
	write_records();
	struct journal *j = open_it(&report, &seen);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	const struct rlimit full = {FILE_LEN + 100, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	const int err = journal_append(j, JOURNAL_DEVICE, 5, fake_der(5), &why);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err, ERR_IO);
	assert_non_null(strstr(why.text, "cannot write "));
	assert_non_null(strstr(why.text, "nothing was issued"));
	assert_int_equal(scratch_size(&dir, "journal"), FILE_LEN);
	assert_int_equal(journal_append(j, JOURNAL_DEVICE, 6, fake_der(6), &why), 0);
	assert_int_equal(journal_sync(j, &why), 0);
	journal_free(j);
	journal_free(open_it(&report, &seen));
	assert_int_equal(seen.n, RECORDS + 1);
	assert_int_equal(seen.fill, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_come_back),
		TEST(is_made_only_when_asked),
		TEST(must_be_private),
		TEST(an_unfinished_end_is_repaired),
		TEST(zeros_at_the_end_are_repaired),
		TEST(any_changed_bit_breaks_the_chain),
		TEST(removed_swapped_and_foreign_records_break_the_chain),
		TEST(a_full_disk_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
