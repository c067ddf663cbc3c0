/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a database file of the store whatever state it is in: a new one gets the schema, an older
 * one is copied and migrated, a damaged one is set aside as NAME.corrupt-TIME and a new one
 * started. Migrations are the files schema/NNNN_NAME.sql, built into the program, all run in one
 * transaction: where one fails the file stays as it was. Before anything else uses the file: main
 * thread of the store, or that of the spool.
 */
#pragma once

#include "daemon/base/why.h"
#include "db/sql.h"

/* As a directory: databases in memory, for tests. */
#define MIGRATE_MEMORY ":memory:"

enum database { DATABASE_REGISTRY, DATABASE_EVENTS, DATABASE_SPOOL };

struct migration {
	enum database database;
	int number;
	const char *text;
};
/* Ends with a NULL text; ascending numbers per database. */
extern const struct migration migrations[];

struct opened {
	struct sql *db;
	char *set_aside; /* new name of the damaged file, or NULL; the caller frees it */
};

/* Opens <dir>/registry.db, <dir>/events.db or <dir>/spool.db. 0, or an error with one line in *why:
 * no space, no permission, or a schema that is newer than this program. */
int migrate_open(enum database database, const char *dir, struct opened *out, struct why *why);
/* The file turned out to be damaged while in use and was closed: sets it aside, starts a new one.
 */
int migrate_replace(enum database database, const char *dir, struct opened *out, struct why *why);
/* Brings an open database to the newest schema; backup NULL: no copy is made. For migrate_open and
 * for databases in memory. */
int migrate_run(struct sql *db, enum database database, const char *backup, struct why *why);
/* Writes a consistent copy (0600) in place of what is at path. 0 or an error with one line in *why.
 */
int migrate_back_up(struct sql *db, const char *path, struct why *why);
