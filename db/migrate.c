/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and migrating: see migrate.h.
 */
#include "db/migrate.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file of events or a spool may be large; reading it whole would hold the start up for seconds.
 * Damage that shows later is handled when it shows. */
enum { QUICK_CHECK_MAX = 64 * MiB };

static const char *const name_of[] = {"registry.db", "events.db", "spool.db"};

const struct migration migrations[] = {
#define MIGRATION(database, number, text) {DATABASE_##database, number, text},
#include "db/schema.inc"
	{DATABASE_REGISTRY, 0, NULL},
};

static int version(struct sql *db)
{
	int64_t v = 0;
	return SQL_GET_INT(db, &v, "PRAGMA user_version") ? (int)v : -1;
}

static int newest(enum database database)
{
	int n = 0;
	for (const struct migration *m = migrations; m->text; m++)
		if (m->database == database)
			n = m->number;
	return n;
}

/* The number of the last migration that was tried. */
static int run_later_than(struct sql *db, enum database database, int have)
{
	char mark[48];
	int number = have;
	for (const struct migration *m = migrations; m->text; m++) {
		if (m->database != database || m->number <= have)
			continue;
		number = m->number;
		snprintf(mark, sizeof(mark), "PRAGMA user_version=%d", number);
		if (sql_script(db, m->text) || sql_script(db, mark))
			break;
	}
	return number;
}

int migrate_back_up(struct sql *db, const char *path, struct why *why)
{
	unlink(path);
	const int err = SQL_RUN(db, "VACUUM INTO ?", sql_text(path));
	if (err)
		return why_set(why, err, "%s: the copy %s before a migration failed: %s",
			       sql_path(db), path, sql_why(db));
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0600))
		return why_set(why, ERR_IO, "%s: the copy %s cannot be made private: %s",
			       sql_path(db), path, strerror(errno));
	return 0;
}

int migrate_run(struct sql *db, enum database database, const char *backup, struct why *why)
{
	const int have = version(db);
	const int want = newest(database);
	if (have < 0)
		return why_set(why, ERR_MALFORMED, "%s: %s", sql_path(db), sql_why(db));
	if (have > want)
		return why_set(why, ERR_CONFLICT,
			       "%s has schema %d, this program knows schemas up to %d: "
			       "install the newer version again",
			       sql_path(db), have, want);
	if (backup && have > 0 && have < want) {
		const int err = migrate_back_up(db, backup, why);
		if (err)
			return err;
	}
	/* All or nothing: after a failure the version before can still use the file. */
	sql_begin(db);
	const int last = run_later_than(db, database, have);
	const int err = sql_commit(db);
	if (err)
		return why_set(why, err, "%s: migration %d failed, nothing was changed: %s",
			       sql_path(db), last, sql_why(db));
	return 0;
}

/* 0 or ERR_MALFORMED. */
static int check(struct sql *db, enum database database)
{
	struct stat st;
	if (database != DATABASE_REGISTRY && stat(sql_path(db), &st) == 0 &&
	    st.st_size > QUICK_CHECK_MAX)
		return version(db) < 0 ? ERR_MALFORMED : 0;
	AUTO_QUERY q = SQL_QUERY(db, "PRAGMA quick_check(1)");
	return sql_next(&q) && str_is(sql_at_str(&q, 0), "ok") ? 0 : ERR_MALFORMED;
}

static int open_and_check(const char *path, enum database database, struct sql **out)
{
	AUTO(sql) db = NULL;
	static const enum sql_sync sync[] = {
		[DATABASE_REGISTRY] = SQL_SHARED,
		[DATABASE_EVENTS] = SQL_NORMAL,
		[DATABASE_SPOOL] = SQL_FULL,
	};
	int err = sql_open(path, sync[database], &db);
	if (!err)
		err = check(db, database);
	if (!err)
		*out = TAKE(db);
	return err;
}

/* Moves the file and its log out of the way. The caller frees the new name. */
static char *set_aside(const char *path)
{
	char time[CLOCK_TEXT];
	char *to = mem_printf("%s.corrupt-%s", path, clock_format(clock_wall(), time));
	AUTO_CHAR wal = mem_printf("%s-wal", path);
	AUTO_CHAR wal_to = mem_printf("%s-wal", to);
	rename(path, to);
	rename(wal, wal_to);
	return to;
}

static char *path_of(enum database database, const char *dir)
{
	if (strcmp(dir, MIGRATE_MEMORY) == 0)
		return mem_strdup(":memory:");
	return mem_printf("%s/%s", dir, name_of[database]);
}

static int explain(int err, const char *path, struct why *why)
{
	if (err == ERR_LIMIT)
		return why_set(why, err, "%s: no space left on the disk", path);
	return why_set(why, err, "%s cannot be opened: %s", path, strerror(errno));
}

static int finish_open(enum database database, const char *path, struct sql *db, struct why *why)
{
	AUTO_CHAR backup = mem_printf("%s.before-%d", path, newest(database));
	return migrate_run(db, database, backup, why);
}

int migrate_open(enum database database, const char *dir, struct opened *out, struct why *why)
{
	AUTO_CHAR path = path_of(database, dir);
	AUTO(sql) db = NULL;
	int err = open_and_check(path, database, &db);
	if (err == ERR_MALFORMED)
		return migrate_replace(database, dir, out, why);
	if (err)
		return explain(err, path, why);
	err = finish_open(database, path, db, why);
	if (err)
		return err;
	*out = (struct opened){TAKE(db), NULL};
	return 0;
}

int migrate_replace(enum database database, const char *dir, struct opened *out, struct why *why)
{
	AUTO_CHAR path = path_of(database, dir);
	AUTO_CHAR aside = set_aside(path);
	AUTO(sql) db = NULL;
	int err = open_and_check(path, database, &db);
	if (err)
		return explain(err, path, why);
	err = finish_open(database, path, db, why);
	if (err)
		return err;
	*out = (struct opened){TAKE(db), TAKE(aside)};
	return 0;
}
