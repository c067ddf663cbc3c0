/* SPDX-License-Identifier: Apache-2.0
 *
 * The authority: first start, restarts and crashes in between, what a device's certificate is, the
 * clock, the rate, the journal; and when server certificates are made anew. Whether the
 * certificates verify is judged by openssl and certtool in tests/pki.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/server.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "tests/unit/scratch.h"

#include <gnutls/x509.h>

#include <signal.h>
#include <sys/resource.h>

enum { FLOOR = 1700000000, NOW = 1800000000 };
static const struct str uuid = STR("8c5f3b1e-5d0a-4c3e-9b57-0a1b2c3d4e5f");

static struct scratch dir;
static struct keystore *ks;
static struct issuer *issuer;
static struct key *device_key;
static struct why why;

static struct issue_time at(int64_t wall)
{
	return (struct issue_time){wall, 1000};
}

static int open_issuer(int64_t now)
{
	return issuer_open(ks, FLOOR, at(now), &issuer, &why);
}

static int setup(void **state)
{
	(void)state;
	scratch_make(&dir);
	issuer = NULL;
	why.text[0] = '\0';
	return keystore_open(dir.path, &ks, &why);
}

static int teardown(void **state)
{
	(void)state;
	if (issuer)
		issuer_free(issuer);
	keystore_free(ks);
	scratch_remove(&dir);
	return 0;
}

static int restart(int64_t now)
{
	issuer_free(issuer);
	issuer = NULL;
	return open_issuer(now);
}

static void assert_says(const char *words)
{
	if (!strstr(why.text, words))
		fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

static struct device_order order(void)
{
	return (struct device_order){STR("pump-1"), uuid, key_spki(device_key), 0};
}

static int issue(struct issue_time now)
{
	const struct device_order o = order();
	struct certificate c;
	const int err = issuer_device(issuer, &o, now, &c, &why);
	if (!err)
		certificate_fini(&c);
	return err;
}

static void the_first_start_makes_both_and_the_next_keeps_them(void **state)
{
	(void)state;
	uint8_t root[FINGERPRINT_LEN];
	uint8_t issuing[FINGERPRINT_LEN];
	assert_int_equal(open_issuer(NOW), 0);
	memcpy(root, issuer_root(issuer)->fingerprint, sizeof(root));
	memcpy(issuing, issuer_issuing(issuer)->fingerprint, sizeof(issuing));
	assert_int_equal(issuer_root(issuer)->not_after, NOW + (int64_t)20 * YEAR);
	assert_int_equal(issuer_issuing(issuer)->not_after, NOW + (int64_t)10 * YEAR);
	assert_int_equal(restart(NOW + 5), 0);
	assert_memory_equal(issuer_root(issuer)->fingerprint, root, sizeof(root));
	assert_memory_equal(issuer_issuing(issuer)->fingerprint, issuing, sizeof(issuing));
	assert_true(certificate_is_by(issuer_issuing(issuer), issuer_root(issuer)));
	assert_false(certificate_is_by(issuer_root(issuer), issuer_issuing(issuer)));
}

/* Whatever a crash of the first start left out, the next start makes. */
static void a_first_start_that_was_cut_short_is_completed(void **state)
{
	(void)state;
	static const char *const lost[] = {"issuing.crt", "issuing.key", "root.crt"};
	assert_int_equal(open_issuer(NOW), 0);
	for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
		for (size_t k = 0; k <= i; k++)
			unlink(scratch_file(&dir, lost[k]));
		assert_int_equal(restart(NOW), 0);
		assert_true(certificate_is_by(issuer_issuing(issuer), issuer_root(issuer)));
	}
}

static void a_device_gets_what_the_profile_says(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	const struct device_order o = order();
	struct certificate c;
	assert_int_equal(issuer_device(issuer, &o, at(NOW + 1000), &c, &why), 0);
	assert_int_equal(issuer_commit(issuer, &why), 0);
	assert_int_equal(c.not_before, NOW + 1000 - BACKDATE);
	assert_int_equal(c.not_after, issuer_issuing(issuer)->not_after);
	assert_int_equal(c.serial_len, SERIAL_LEN);
	assert_int_equal(c.serial[0] & 0xc0, 0x40);
	assert_true(str_eq(certificate_spki(&c), o.spki));
	assert_true(certificate_is_by(&c, issuer_issuing(issuer)));
	certificate_fini(&c);
}

static void two_certificates_never_share_a_serial_number(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	const struct device_order o = order();
	struct certificate a;
	struct certificate b;
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &a, &why), 0);
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &b, &why), 0);
	assert_memory_not_equal(a.serial, b.serial, SERIAL_LEN);
	assert_memory_not_equal(a.fingerprint, b.fingerprint, FINGERPRINT_LEN);
	certificate_fini(&a);
	certificate_fini(&b);
}

static void a_wish_shortens_but_never_lengthens(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	struct device_order o = order();
	struct certificate c;
	o.not_after = NOW + 90 * DAY;
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), 0);
	assert_int_equal(c.not_after, NOW + 90 * DAY);
	certificate_fini(&c);
	o.not_after = NOW + (int64_t)30 * YEAR;
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), 0);
	assert_int_equal(c.not_after, issuer_issuing(issuer)->not_after);
	/* Never before the issuer's own life begins. */
	assert_int_equal(c.not_before, issuer_issuing(issuer)->not_before);
	certificate_fini(&c);
	o.not_after = NOW - 1;
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_INVALID);
	assert_says("would have ended already");
	o.not_after = -1;
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_INVALID);
	assert_int_equal(issue(at(NOW + (int64_t)11 * YEAR)), ERR_INVALID);
}

static void bad_orders_are_refused(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	struct certificate c;
	struct device_order o = order();
	o.name = STR("pump/1");
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_INVALID);
	assert_says("byte 5 of the device name is 0x2f");
	static const struct str bad_uuid[] = {STR(""), STR("8C5F3B1E-5d0a-4c3e-9b57-0a1b2c3d4e5f"),
					      STR("8c5f3b1e05d0a-4c3e-9b57-0a1b2c3d4e5f"),
					      STR("8c5f3b1e-5d0a-4c3e-9b57-0a1b2c3d4e5f0")};
	for (size_t i = 0; i < ARRAY_LEN(bad_uuid); i++) {
		o = order();
		o.uuid = bad_uuid[i];
		assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_INVALID);
		assert_says("UUID");
	}
	o = order();
	o.spki = STR("no key");
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_MALFORMED);
	o.spki = certificate_spki(issuer_issuing(issuer));
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_CRYPTO);
	assert_says("the key is the gateway's own");
}

static void a_key_in_another_spelling_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	struct certificate c;
	struct device_order o = order();
	uint8_t longer[512];
	assert_true(o.spki.n < 128 && (uint8_t)o.spki.p[1] == o.spki.n - 2);
	memcpy(longer, o.spki.p, o.spki.n);
	longer[o.spki.n] = 0;
	o.spki = str_make(longer, o.spki.n + 1);
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_MALFORMED);
	/* A point off the curve. */
	longer[o.spki.n - 2] ^= 1;
	o.spki.n--;
	assert_int_equal(issuer_device(issuer, &o, at(NOW), &c, &why), ERR_CRYPTO);
}

static void a_wrong_clock_stops_issuing(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(FLOOR - 1), ERR_DENIED);
	assert_says("before this program was built");
	assert_int_equal(scratch_size(&dir, "root.crt"), -1);
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(issue(at(FLOOR - 1)), ERR_DENIED);
	assert_int_equal(issue(at(NOW - DAY - 1)), ERR_DENIED);
	assert_says("more than a day before the newest certificate");
	assert_int_equal(issue(at(NOW - DAY)), 0);
	/* The newest counts across restarts. */
	assert_int_equal(issue(at(NOW + 30 * DAY)), 0);
	assert_int_equal(issuer_commit(issuer, &why), 0);
	assert_int_equal(restart(100), 0);
	assert_int_equal(issue(at(NOW + 20 * DAY)), ERR_DENIED);
	assert_int_equal(issue(at(NOW + 30 * DAY)), 0);
}

static void the_rate_is_limited(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	struct issue_time t = at(NOW);
	for (int i = 0; i < ISSUE_BURST; i++)
		assert_int_equal(issue(t), 0);
	assert_int_equal(issue(t), ERR_LIMIT);
	assert_says("more than 1000 certificates");
	t.mono_ms += 1000 / ISSUE_PER_SECOND;
	assert_int_equal(issue(t), 0);
	assert_int_equal(issue(t), ERR_LIMIT);
	t.mono_ms += 1000;
	for (int i = 0; i < ISSUE_PER_SECOND; i++)
		assert_int_equal(issue(t), 0);
	assert_int_equal(issue(t), ERR_LIMIT);
	t.mono_ms = UINT64_MAX;
	for (int i = 0; i < ISSUE_BURST; i++)
		assert_int_equal(issue(t), 0);
	assert_int_equal(issue(t), ERR_LIMIT);
}

struct count {
	unsigned root, issuing, server, device;
};

static void count_entry(void *arg, const struct journal_entry *entry)
{
	struct count *n = arg;
	n->root += entry->kind == JOURNAL_ROOT;
	n->issuing += entry->kind == JOURNAL_ISSUING;
	n->server += entry->kind == JOURNAL_SERVER;
	n->device += entry->kind == JOURNAL_DEVICE;
}

static struct count journal_count(void)
{
	struct count n = {0};
	struct journal *j;
	struct journal_report report;
	assert_int_equal(journal_open(ks, false, count_entry, &n, &j, &report, &why), 0);
	assert_false(report.broken);
	journal_free(j);
	return n;
}

static void everything_is_in_the_journal(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(issue(at(NOW)), 0);
	assert_int_equal(issue(at(NOW)), 0);
	assert_int_equal(issuer_commit(issuer, &why), 0);
	const struct count n = journal_count();
	assert_int_equal(n.root, 1);
	assert_int_equal(n.issuing, 1);
	assert_int_equal(n.device, 2);
}

static void a_changed_journal_stops_issuing(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(issue(at(NOW)), 0);
	const int fd = open(scratch_file(&dir, "journal"), O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, scratch_size(&dir, "journal") - 100), 1);
	close(fd);
	assert_int_equal(restart(NOW), 0);
	assert_int_equal(issue(at(NOW)), ERR_UNAVAILABLE);
	assert_says("cannot be continued");
}

static void a_lost_or_foreign_journal_is_not_overlooked(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	char saved[512];
	snprintf(saved, sizeof(saved), "%s/journal.mine", dir.path);
	assert_int_equal(rename(scratch_file(&dir, "journal"), saved), 0);
	assert_int_equal(restart(NOW), ERR_NOT_FOUND);
	assert_says("restore it from the backup, or make an empty file");
	/* An empty file is the operator's word: a new journal begins with the authority in it. */
	scratch_write(&dir, "journal", "", 0, 0600);
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(issue(at(NOW)), 0);
	assert_int_equal(issuer_commit(issuer, &why), 0);
	assert_int_equal(journal_count().root, 1);
	assert_int_equal(restart(NOW), 0);
	/* The journal of another authority. */
	issuer_free(issuer);
	issuer = NULL;
	unlink(scratch_file(&dir, "root.key"));
	unlink(scratch_file(&dir, "root.crt"));
	unlink(scratch_file(&dir, "issuing.key"));
	unlink(scratch_file(&dir, "issuing.crt"));
	unlink(scratch_file(&dir, "journal"));
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(rename(saved, scratch_file(&dir, "journal")), 0);
	assert_int_equal(restart(NOW), ERR_CRYPTO);
	assert_says("journal does not know root.crt");
}

/* Whoever lost the files of a root in use is told; a new one is not made in silence. */
static void a_lost_root_is_not_replaced(void **state)
{
	char kept[600];
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(issue(at(NOW)), 0);
	snprintf(kept, sizeof(kept), "%s.kept", scratch_file(&dir, "root.crt"));
	assert_int_equal(rename(scratch_file(&dir, "root.crt"), kept), 0);
	assert_int_equal(restart(NOW), ERR_NOT_FOUND);
	assert_says("root.crt is missing");
	assert_says("restore");
	assert_int_equal(scratch_size(&dir, "root.crt"), -1);
	assert_int_equal(rename(kept, scratch_file(&dir, "root.crt")), 0);
	assert_int_equal(open_issuer(NOW), 0);
}

static void a_certificate_of_another_key_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	unlink(scratch_file(&dir, "issuing.key"));
	assert_int_equal(restart(NOW), ERR_NOT_FOUND);
	assert_says("issuing.key is missing");
	assert_int_equal(scratch_size(&dir, "issuing.key"), -1);
	struct key *other = key_generate(KEY_P256);
	assert_int_equal(keystore_save_key(ks, SLOT_ISSUING, other, &why), 0);
	key_unref(other);
	assert_int_equal(open_issuer(NOW), ERR_CRYPTO);
	assert_says("issuing.crt does not belong to issuing.key");
}

static void a_full_disk_issues_nothing(void **state)
{
	(void)state;
	assert_int_equal(open_issuer(NOW), 0);
	struct rlimit old;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	const struct rlimit full = {(rlim_t)scratch_size(&dir, "journal") + 5, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	const int err = issue(at(NOW));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err, ERR_IO);
	assert_says("nothing was issued");
	assert_int_equal(issue(at(NOW)), 0);
	assert_int_equal(issuer_commit(issuer, &why), 0);
	assert_int_equal(journal_count().device, 1);
}

/* ---- server certificates ----------------------------------------------------------------------
 */

static struct san_set names_of(const char *a, const char *b)
{
	struct san_set set = {0};
	assert_int_equal(san_add(&set, str_of(a)), 0);
	assert_int_equal(san_add(&set, str_of(b)), 0);
	return set;
}

static unsigned renew(struct servers *s, const struct san_set *names, int64_t now)
{
	unsigned made = 99;
	assert_int_equal(servers_renew(s, issuer, "gw", names, at(now), &made, &why), 0);
	return made;
}

static void server_certificates_follow_names_and_time(void **state)
{
	(void)state;
	enum { ALL = SLOT_COUNT - SLOT_SERVER };
	struct servers *s;
	struct san_set names = names_of("gw", "192.0.2.1");
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	AUTO_BUF none = {0};
	assert_int_equal(servers_certificate(s, SLOT_ADMIN_RSA, &none), ERR_NOT_FOUND);
	assert_int_equal(renew(s, &names, NOW), ALL);
	assert_int_equal(renew(s, &names, NOW + 1), 0);
	names = names_of("gw", "192.0.2.2");
	assert_int_equal(renew(s, &names, NOW + 2), ALL);
	const int64_t two_thirds = NOW + (int64_t)397 * DAY / 3 * 2;
	assert_int_equal(renew(s, &names, two_thirds - DAY), 0);
	assert_int_equal(renew(s, &names, two_thirds + DAY), ALL);
	assert_int_equal(journal_count().server, 3 * ALL);
	servers_free(s);
}

static void server_keys_stay_over_renewals_and_restarts(void **state)
{
	(void)state;
	struct servers *s;
	struct certificate c;
	struct san_set names = names_of("gw", "192.0.2.1");
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	assert_true(renew(s, &names, NOW) > 0);
	uint8_t spki[1100];
	const struct str before = key_spki(servers_key(s, SLOT_BROKER_RSA));
	const size_t n = before.n;
	memcpy(spki, before.p, n);
	servers_free(s);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	assert_int_equal(renew(s, &names, NOW), 0);
	names = names_of("gw", "other");
	assert_true(renew(s, &names, NOW) > 0);
	AUTO_BUF der = {0};
	assert_int_equal(servers_certificate(s, SLOT_BROKER_RSA, &der), 0);
	assert_int_equal(profile_read(buf_view(&der), "x", &c, &why), 0);
	assert_true(str_eq(certificate_spki(&c), str_make(spki, n)));
	assert_int_equal(c.not_after, NOW + (int64_t)397 * DAY);
	struct san_set have;
	assert_int_equal(certificate_names(&c, &have), 0);
	assert_true(san_equal(&have, &names));
	certificate_fini(&c);
	servers_free(s);
}

static void a_usable_server_certificate_survives_a_wrong_clock(void **state)
{
	(void)state;
	struct servers *s;
	unsigned made;
	struct san_set names = names_of("gw", "a");
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	assert_int_equal(servers_renew(s, issuer, "gw", &names, at(5), &made, &why), ERR_DENIED);
	assert_true(renew(s, &names, NOW) > 0);
	names = names_of("gw", "b");
	assert_int_equal(renew(s, &names, 5), 0);
	AUTO_BUF der = {0};
	assert_int_equal(servers_certificate(s, SLOT_ENROL_P256, &der), 0);
	servers_free(s);
}

/* Made under a clock that had leapt ahead: replaced as soon as the clock is right, and no obstacle.
 */
static void a_leap_of_the_clock_heals(void **state)
{
	(void)state;
	struct servers *s;
	const struct san_set names = names_of("gw", "a");
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	assert_true(renew(s, &names, NOW + (int64_t)5 * YEAR) > 0);
	assert_true(renew(s, &names, NOW + 10) > 0);
	assert_int_equal(renew(s, &names, NOW + 20), 0);
	servers_free(s);
	assert_int_equal(restart(NOW + 30), 0);
	assert_int_equal(issue(at(NOW + 30)), 0);
}

static void server_certificates_of_another_authority_are_replaced(void **state)
{
	(void)state;
	struct servers *s;
	struct san_set names = names_of("gw", "a");
	assert_int_equal(open_issuer(NOW), 0);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	assert_true(renew(s, &names, NOW) > 0);
	servers_free(s);
	unlink(scratch_file(&dir, "issuing.key"));
	unlink(scratch_file(&dir, "issuing.crt"));
	scratch_write(&dir, "admin-rsa.crt", "damaged", 7, 0600);
	assert_int_equal(restart(NOW), 0);
	assert_int_equal(servers_open(ks, &s, &why), 0);
	assert_int_equal(renew(s, &names, NOW), SLOT_COUNT - SLOT_SERVER);
	servers_free(s);
}

static void a_server_certificate_ends_with_its_issuer(void **state)
{
	(void)state;
	struct certificate c;
	const struct san_set names = names_of("gw", "a");
	assert_int_equal(open_issuer(NOW), 0);
	const int64_t end = issuer_issuing(issuer)->not_after;
	assert_int_equal(issuer_server(issuer, device_key, "gw", &names,
				       at(end - (int64_t)10 * DAY), &c, &why),
			 0);
	assert_int_equal(c.not_after, end);
	certificate_fini(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_start_makes_both_and_the_next_keeps_them),
		TEST(a_first_start_that_was_cut_short_is_completed),
		TEST(a_device_gets_what_the_profile_says),
		TEST(two_certificates_never_share_a_serial_number),
		TEST(a_wish_shortens_but_never_lengthens),
		TEST(bad_orders_are_refused),
		TEST(a_key_in_another_spelling_is_refused),
		TEST(a_wrong_clock_stops_issuing),
		TEST(the_rate_is_limited),
		TEST(everything_is_in_the_journal),
		TEST(a_changed_journal_stops_issuing),
		TEST(a_lost_or_foreign_journal_is_not_overlooked),
		TEST(a_lost_root_is_not_replaced),
		TEST(a_certificate_of_another_key_is_refused),
		TEST(a_full_disk_issues_nothing),
		TEST(server_certificates_follow_names_and_time),
		TEST(server_keys_stay_over_renewals_and_restarts),
		TEST(a_usable_server_certificate_survives_a_wrong_clock),
		TEST(a_leap_of_the_clock_heals),
		TEST(server_certificates_of_another_authority_are_replaced),
		TEST(a_server_certificate_ends_with_its_issuer),
	};
	log_set_level(LOG_LEVEL_ERROR);
	device_key = key_generate(KEY_P256);
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	key_unref(device_key);
	return failed;
}
