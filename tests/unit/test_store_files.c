/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the store: new, old, newer, damaged, full, badly owned; the layer over SQLite; the
 * floor of the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/certificate.h"
#include "db/migrate.h"
#include "db/rate.h"
#include "tests/unit/store_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_up(void **state)
{
	*state = rig_dir();
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

/* ---- the layer over SQLite ---- */

static void the_first_error_of_a_transaction_sticks(void **state)
{
	AUTO(sql) db = NULL;
	int64_t n = -1;
	(void)state;
	assert_int_equal(sql_open(":memory:", SQL_FULL, &db), 0);
	sql_script(db, "CREATE TABLE t(a INTEGER PRIMARY KEY)");
	sql_begin(db);
	assert_int_equal(SQL_RUN(db, "INSERT INTO t VALUES(?)", sql_int(1)), 0);
	assert_int_equal(SQL_RUN(db, "INSERT INTO t VALUES(?)", sql_int(1)), ERR_EXISTS);
	/* what follows is not even run */
	assert_int_equal(SQL_RUN(db, "INSERT INTO t VALUES(?)", sql_int(2)), ERR_EXISTS);
	assert_int_equal(sql_commit(db), ERR_EXISTS);
	assert_non_null(strstr(sql_why(db), "UNIQUE"));
	SQL_GET_INT(db, &n, "SELECT count(*) FROM t");
	assert_int_equal(n, 0);
}

static void values_go_in_and_out(void **state)
{
	AUTO(sql) db = NULL;
	(void)state;
	assert_int_equal(sql_open(":memory:", SQL_FULL, &db), 0);
	AUTO_QUERY q = SQL_QUERY(db, "SELECT ?, ?, ?, ?, ?", sql_int(-5), sql_str(STR("a\0b")),
				 sql_blob(STR("")), sql_null(), sql_str((struct str){NULL, 0}));
	assert_true(sql_next(&q));
	assert_int_equal(sql_at_int(&q, 0), -5);
	assert_true(str_eq(sql_at_str(&q, 1), STR("a\0b")));
	assert_non_null(sql_at_str(&q, 2).p);
	assert_true(sql_at_null(&q, 3));
	assert_true(sql_at_null(&q, 4));
	assert_false(sql_next(&q));
}

static void a_query_may_run_inside_itself(void **state)
{
	static const char text[] = "SELECT 1 UNION SELECT 2";
	AUTO(sql) db = NULL;
	int n = 0;
	(void)state;
	assert_int_equal(sql_open(":memory:", SQL_FULL, &db), 0);
	AUTO_QUERY outer = SQL_QUERY(db, text);
	while (sql_next(&outer)) {
		AUTO_QUERY inner = SQL_QUERY(db, text);
		while (sql_next(&inner))
			n++;
	}
	assert_int_equal(n, 4);
}

/* ---- opening ---- */

static void write_at(const struct rig *r, const char *name, const char *text, off_t at)
{
	AUTO_CHAR path = mem_printf("%s/%s", r->dir, name);
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
}

static void script(const struct rig *r, const char *name, const char *text)
{
	AUTO_CHAR path = mem_printf("%s/%s", r->dir, name);
	AUTO(sql) db = NULL;
	assert_int_equal(sql_open(path, SQL_FULL, &db), 0);
	assert_int_equal(sql_script(db, text), 0);
}

/* Files in the directory whose name begins like this. */
static int count_files(const struct rig *r, const char *prefix)
{
	DIR *d = opendir(r->dir);
	int n = 0;
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void files_are_private(void **state)
{
	struct rig *r = *state;
	struct stat st;
	rig_open(r);
	AUTO_CHAR path = mem_printf("%s/registry.db", r->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_damaged_registry_is_set_aside(void **state)
{
	struct rig *r = *state;
	rig_open(r);
	rig_add_device(r, "pump-1");
	rig_close(r);
	write_at(r, "registry.db", "this is no database any more", 0);
	rig_open(r);
	assert_int_equal(count_files(r, "registry.db.corrupt-20"), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
	const struct rig_answer *a = rig_op1(r, OP_EVENT_LIST, "name", "database.set-aside");
	assert_int_equal(rig_count(a, "items"), 1);
	assert_true(str_is(rig_field(rig_item(a, "items", 0), "severity"), "critical"));
	rig_add_device(r, "pump-1");
}

static void damage_deep_inside_is_found(void **state)
{
	struct rig *r = *state;
	char junk[2000];
	memset(junk, 0x5a, sizeof(junk) - 1);
	junk[sizeof(junk) - 1] = 0;
	rig_open(r);
	rig_add_device(r, "pump-1");
	rig_close(r);
	for (int page = 1; page < 10; page++)
		write_at(r, "registry.db", junk, page * 4096);
	rig_open(r);
	assert_int_equal(count_files(r, "registry.db.corrupt-20"), 1);
}

static void a_newer_schema_is_refused(void **state)
{
	struct rig *r = *state;
	struct opened opened;
	struct why why;
	rig_open(r);
	rig_close(r);
	script(r, "registry.db", "PRAGMA user_version=99");
	assert_int_equal(rig_try_open(r), ERR_CONFLICT);
	assert_int_equal(migrate_open(DATABASE_REGISTRY, r->dir, &opened, &why), ERR_CONFLICT);
	assert_non_null(strstr(why.text, "registry.db has schema 99, this program knows schemas"));
	assert_non_null(strstr(why.text, ": install the newer version again"));
	assert_int_equal(count_files(r, "registry.db.corrupt"), 0);
}

static void an_old_schema_is_copied_first(void **state)
{
	struct rig *r = *state;
	struct why why;
	AUTO(sql) db = NULL;
	AUTO(sql) copy = NULL;
	int64_t n = 0;
	AUTO_CHAR path = mem_printf("%s/old.db", r->dir);
	AUTO_CHAR backup = mem_printf("%s/old.db.before-1", r->dir);
	assert_int_equal(rig_try_open(r), 0);
	assert_int_equal(sql_open(path, SQL_FULL, &db), 0);
	sql_script(db, "CREATE TABLE kept(a); INSERT INTO kept VALUES(7); PRAGMA user_version=0");
	/* Version 0 is an empty file: nothing to keep a copy of. */
	assert_int_equal(migrate_run(db, DATABASE_EVENTS, backup, &why), 0);
	assert_int_equal(count_files(r, "old.db.before"), 0);
	assert_int_equal(migrate_back_up(db, backup, &why), 0);
	assert_int_equal(sql_open(backup, SQL_FULL, &copy), 0);
	assert_true(SQL_GET_INT(copy, &n, "SELECT a FROM kept") && n == 7);
}

static void a_registry_of_schema_1_keeps_its_devices(void **state)
{
	struct rig *r = *state;
	struct why why;
	AUTO(sql) db = NULL;
	int64_t n = 0;
	AUTO_CHAR path = mem_printf("%s/old.db", r->dir);
	AUTO_CHAR backup = mem_printf("%s/old.db.before-2", r->dir);
	assert_int_equal(rig_try_open(r), 0);
	assert_int_equal(sql_open(path, SQL_FULL, &db), 0);
	for (const struct migration *m = migrations; m->text; m++)
		if (m->database == DATABASE_REGISTRY && m->number == 1)
			sql_script(db, m->text);
	sql_script(db,
		   "INSERT INTO device(name, uuid, verifier, created, created_by, changed) "
		   "VALUES('pump-1', 'u', '$y$x', 1, 'a', 1); PRAGMA user_version=1;"
		   "INSERT INTO cert(fp, serial, device_id, name, spki, der, profile, not_before, "
		   "not_after, issued_at, issued_by, via, status) "
		   "VALUES('f', 's', 1, 'pump-1', 'k', 'd', 'device', 1, 77, 1, 'a', 'csr', 0)");
	assert_int_equal(migrate_run(db, DATABASE_REGISTRY, backup, &why), 0);
	assert_int_equal(count_files(r, "old.db.before-2"), 1);
	assert_true(SQL_GET_INT(db, &n,
				"SELECT COUNT(*) FROM device WHERE name = 'pump-1' "
				"AND verifier = '$y$x' AND scram IS NULL AND certificate_end = 77 "
				"AND state = 2") &&
		    n == 1);
	assert_true(SQL_GET_INT(db, &n, "SELECT length(value) FROM secret") && n == 32);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	struct rig *r = *state;
	struct why why;
	AUTO(sql) db = NULL;
	int64_t n = 0;
	AUTO_CHAR path = mem_printf("%s/old.db", r->dir);
	AUTO_CHAR backup = mem_printf("%s/old.db.before", r->dir);
	assert_int_equal(rig_try_open(r), 0);
	assert_int_equal(sql_open(path, SQL_FULL, &db), 0);
	for (const struct migration *m = migrations; m->text; m++)
		if (m->database == DATABASE_REGISTRY && m->number == 1)
			sql_script(db, m->text);
	/* In the way of a later one than the next. */
	sql_script(db, "CREATE TABLE learned(a); PRAGMA user_version=1");
	assert_int_not_equal(migrate_run(db, DATABASE_REGISTRY, backup, &why), 0);
	assert_non_null(strstr(why.text, "migration 14 failed, nothing was changed: "));
	assert_true(SQL_GET_INT(db, &n, "PRAGMA user_version") && n == 1);
	assert_true(
		SQL_GET_INT(db, &n, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'profile'") &&
		n == 0);
	assert_int_equal(count_files(r, "old.db.before"), 1);
}

static void the_directory_must_be_private(void **state)
{
	struct rig *r = *state;
	chmod(r->dir, 0755);
	assert_int_equal(rig_try_open(r), ERR_DENIED);
	store_close(&r->store);
	chmod(r->dir, 0700);
	assert_int_equal(rig_try_open(r), 0);
}

static void a_missing_directory_is_refused(void **state)
{
	struct rig *r = *state;
	struct store s = {0};
	assert_int_equal(store_open(&s, r->loop, "/nonexistent", &r->settings), ERR_IO);
	store_close(&s);
	assert_int_equal(rig_try_open(r), 0);
}

/* ---- a full disk ---- */

/* So a gateway whose disk is full still starts, and certificates still open their devices. */
static void a_start_writes_nothing(void **state)
{
	struct rig *r = *state;
	struct stat st = {0};
	rig_open(r);
	rig_add_device(r, "pump-1");
	rig_restart(r);
	AUTO_CHAR log = mem_printf("%s/registry.db-wal", r->dir);
	assert_true(stat(log, &st) != 0 || st.st_size == 0);
	rig_add_device(r, "pump-2");
	assert_int_equal(stat(log, &st), 0);
	assert_true(st.st_size > 0);
}

static void a_full_disk_loses_nothing(void **state)
{
	struct rig *r = *state;
	struct buf a = {0};
	char note[257];
	memset(note, 'n', 256);
	note[256] = 0;
	rig_open(r);
	rig_add_device(r, "before");
	int64_t pages = rig_sql(r, "PRAGMA page_count");
	char limit[64];
	snprintf(limit, sizeof(limit), "PRAGMA max_page_count=%d", (int)pages);
	sql_script(r->store.registry, limit);
	enum op_status status = OP_OK;
	for (int i = 0; i < 200 && status == OP_OK; i++) {
		char name[16];
		snprintf(name, sizeof(name), "device-%d", i);
		rec_text(&a, "name", name);
		rec_text(&a, "note", note);
		status = rig_op(r, OP_DEVICE_ADD, &a)->status;
	}
	assert_int_equal(status, OP_FAILED);
	rec_text(&a, "name", "late");
	rec_text(&a, "note", note);
	rig_refused(r, OP_DEVICE_ADD, &a, OP_FAILED, "", "no space left on the disk of");
	const struct rig_answer *events = rig_op1(r, OP_EVENT_LIST, "name", "disk.full");
	assert_int_equal(rig_count(events, "items"), 1); /* told once */
	const int64_t n = rig_sql(r, "SELECT count(*) FROM device");
	sql_script(r->store.registry, "PRAGMA max_page_count=1000000");
	rig_add_device(r, "late");
	rig_restart(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), n + 1);
}

static void events_wait_for_space(void **state)
{
	struct rig *r = *state;
	rig_open(r);
	struct sql *db = events_db(r->store.events);
	assert_int_equal(events_flush(r->store.events), 0);
	sql_script(db, "PRAGMA max_page_count=1");
	char actor[250];
	memset(actor, 'a', 249);
	actor[249] = 0;
	for (int i = 0; i < 200; i++) {
		char address[16];
		snprintf(address, sizeof(address), "10.0.0.%d", i);
		rig_event(r, EVENT_CLIENT_CONNECTED, actor, address);
	}
	assert_int_equal(events_flush(r->store.events), ERR_LIMIT);
	sql_script(db, "PRAGMA max_page_count=1000000");
	assert_int_equal(events_flush(r->store.events), 0);
	int64_t n = 0;
	SQL_GET_INT(db, &n, "SELECT count(*) FROM event WHERE name = 'client.connected'");
	assert_int_equal(n, 200);
	const struct rig_answer *a = rig_op1(r, OP_EVENT_LIST, "name", "disk.full");
	assert_int_equal(rig_count(a, "items"), 1);
}

/* ---- the clock ---- */

static void a_clock_that_jumped_back_issues_nothing(void **state)
{
	struct rig *r = *state;
	char set[100];
	rig_open(r);
	snprintf(set, sizeof(set), "UPDATE meta SET value = %lld WHERE name = 'time-floor'",
		 (long long)clock_wall() + 10 * 86400);
	sql_script(r->store.registry, set);
	rig_restart(r);
	assert_false(timefloor_ok(&r->store.floor));
	struct buf a = {0};
	AUTO_BUF spki = {0};
	rig_spki("key", &spki);
	rec_text(&a, "name", "pump-1");
	rec_bytes(&a, "spki", buf_view(&spki));
	rig_refused(r, OP_DEVICE_ADD, &a, OP_REFUSED, "", "the clock of the gateway is wrong");
	const struct rig_answer *events = rig_op1(r, OP_EVENT_LIST, "name", "clock.wrong");
	assert_int_equal(rig_count(events, "items"), 1);
	rig_add_device(r, "without-certificate");
}

static void a_small_step_back_is_no_matter(void **state)
{
	struct rig *r = *state;
	char set[100];
	rig_open(r);
	snprintf(set, sizeof(set), "UPDATE meta SET value = %lld WHERE name = 'time-floor'",
		 (long long)clock_wall() + 3600);
	sql_script(r->store.registry, set);
	rig_restart(r);
	assert_true(timefloor_ok(&r->store.floor));
}

/* ---- small parts ---- */

static void a_bucket_refills(void **state)
{
	struct rate rate = {0};
	uint64_t now = 1000000;
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(rate_take(&rate, 10, 5, now));
	assert_false(rate_take(&rate, 10, 5, now));
	assert_false(rate_take(&rate, 10, 5, now + 99999));
	assert_true(rate_take(&rate, 10, 5, now + 100000));
	assert_false(rate_idle(&rate, now + 100000));
	assert_true(rate_idle(&rate, now + 1000000));
}

static void pem_of_every_length(void **state)
{
	(void)state;
	AUTO_BUF out = {0};
	certificate_pem(STR("M"), &out);
	certificate_pem(STR("Ma"), &out);
	certificate_pem(STR("Man"), &out);
	assert_non_null(strstr(buf_cstr(&out), "-----\nTQ==\n-----"));
	assert_non_null(strstr(buf_cstr(&out), "-----\nTWE=\n-----"));
	assert_non_null(strstr(buf_cstr(&out), "-----\nTWFu\n-----"));
}

/* A rule is found by its subject: with a look at all of them a large document would take for ever.
 */
static void rules_are_found_by_their_subject(void **state)
{
	struct rig *r = rig_new();
	(void)state;
	AUTO_QUERY q = SQL_QUERY(r->store.registry,
				 "EXPLAIN QUERY PLAN SELECT id FROM rule WHERE device_id IS ? AND "
				 "grp_id IS ? AND role_id IS ? AND filter = 'x'",
				 sql_null(), sql_int(1), sql_null());
	assert_true(sql_next(&q));
	const struct str plan = sql_at_str(&q, 3);
	assert_true(str_prefix(plan, STR("SEARCH rule USING INDEX rule_subject")));
	sql_query_end(&q);
	rig_free(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_error_of_a_transaction_sticks),
		cmocka_unit_test(values_go_in_and_out),
		cmocka_unit_test(a_query_may_run_inside_itself),
		TEST(files_are_private),
		TEST(a_damaged_registry_is_set_aside),
		TEST(damage_deep_inside_is_found),
		TEST(a_newer_schema_is_refused),
		TEST(an_old_schema_is_copied_first),
		TEST(a_registry_of_schema_1_keeps_its_devices),
		TEST(a_migration_that_fails_changes_nothing),
		TEST(the_directory_must_be_private),
		TEST(a_missing_directory_is_refused),
		TEST(a_start_writes_nothing),
		TEST(a_full_disk_loses_nothing),
		cmocka_unit_test(rules_are_found_by_their_subject),
		TEST(events_wait_for_space),
		TEST(a_clock_that_jumped_back_issues_nothing),
		TEST(a_small_step_back_is_no_matter),
		cmocka_unit_test(a_bucket_refills),
		cmocka_unit_test(pem_of_every_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
