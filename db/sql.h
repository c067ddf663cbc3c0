/* SPDX-License-Identifier: Apache-2.0
 *
 * One SQLite database file and the statements on it: the only code that calls sqlite3.
 *
 * The file is opened for this process alone, in WAL mode, with foreign keys. There is no
 * shared-memory file, so a full disk is an error code and never a SIGBUS: locking_mode EXCLUSIVE,
 * or with SQL_SHARED the VFS unix-excl, which keeps that memory on the heap for several connections
 * of one process. Statements are prepared once and kept. Within a transaction the first error
 * sticks and nothing more is run: write all statements down, judge once at sql_commit. A connection
 * is used by one thread at a time: that of the store's loop, but for job.h and spool.h.
 *
 * Errors: ERR_EXISTS a UNIQUE or other constraint; ERR_LIMIT no space left on the disk;
 * ERR_MALFORMED the file is damaged or no database; ERR_IO anything else. sql_why says more.
 */
#pragma once

#include "daemon/base/check.h"
#include "daemon/base/str.h"

struct sql;

/* SQL_SHARED: SQL_FULL, and sql_open_again is possible. */
enum sql_sync { SQL_NORMAL, SQL_FULL, SQL_SHARED };

/* Opens or creates (0600) and checks that it is a database. */
int sql_open(const char *path, enum sql_sync sync, struct sql **out);
/* One more connection to the file of one that is SQL_SHARED: it reads while another one writes, and
 * sees what was committed. One of them may write at a time, a second one fails with ERR_IO. NULL
 * when there can be none: it is in memory, or out of descriptors. */
struct sql *sql_open_again(const struct sql *db);
void sql_close(struct sql *db);
DEFINE_AUTO(sql, sql_close)

const char *sql_path(const struct sql *db);
const char *sql_why(const struct sql *db); /* text of the last error */

/* A value for one "?" of a statement. */
enum sql_kind { SQL_NULL_, SQL_INT_, SQL_TEXT_, SQL_BLOB_ };
struct sql_value {
	enum sql_kind kind;
	int64_t number;
	struct str bytes;
};
static inline struct sql_value sql_int(int64_t v)
{
	return (struct sql_value){.kind = SQL_INT_, .number = v};
}
static inline struct sql_value sql_null(void)
{
	return (struct sql_value){.kind = SQL_NULL_};
}
static inline struct sql_value sql_str(struct str s) /* p NULL: NULL */
{
	return (struct sql_value){.kind = s.p ? SQL_TEXT_ : SQL_NULL_, .bytes = s};
}
static inline struct sql_value sql_text(const char *s)
{
	return sql_str(str_of(s));
}
static inline struct sql_value sql_blob(struct str s)
{
	return (struct sql_value){.kind = s.p ? SQL_BLOB_ : SQL_NULL_, .bytes = s};
}

/* The text of a statement must be a literal: it is kept by its address. */
#define SQL_VALUES(...)                            \
	((const struct sql_value[]){__VA_ARGS__}), \
		sizeof((const struct sql_value[]){__VA_ARGS__}) / sizeof(struct sql_value)
/* Runs a statement that gives no rows: SQL_RUN(db, "DELETE FROM x WHERE id = ?", sql_int(id)). */
#define SQL_RUN(db, text, ...) sql_run((db), (text), SQL_VALUES(__VA_ARGS__))
int sql_run(struct sql *db, const char *text, const struct sql_value *value, size_t n);
int64_t sql_last_id(const struct sql *db);
int64_t sql_changes(const struct sql *db); /* rows that the last statement touched */
/* Several statements separated by ";", not kept: schema and pragmas. */
int sql_script(struct sql *db, const char *text);

/* Appends the pattern of LIKE ... ESCAPE '\\' for what has text in it; letters of ASCII count in
 * either case. */
void sql_like_part(struct str text, struct buf *out);

/* A running query. Values of a row live until the next sql_next. */
struct sql_query {
	struct sql *db;
	struct sql_statement *statement;
	int error; /* 0 or what ended it */
};
#define SQL_QUERY(db, text, ...) sql_query((db), (text), SQL_VALUES(__VA_ARGS__))
struct sql_query sql_query(struct sql *db, const char *text, const struct sql_value *value,
			   size_t n);
bool sql_next(struct sql_query *q); /* false at the end or after an error; the query is over then */
void sql_query_end(struct sql_query *q); /* ends it early; nothing when it is over */
#define AUTO_QUERY __attribute__((cleanup(sql_query_end))) struct sql_query
int64_t sql_at_int(const struct sql_query *q, int column);
struct str sql_at_str(const struct sql_query *q, int column); /* {NULL, 0} for NULL */
bool sql_at_null(const struct sql_query *q, int column);
/* The first column of the first row: false when there is none. */
#define SQL_GET_INT(db, out, text, ...) sql_get_int((db), (out), (text), SQL_VALUES(__VA_ARGS__))
bool sql_get_int(struct sql *db, int64_t *out, const char *text, const struct sql_value *value,
		 size_t n);

void sql_begin(struct sql *db); /* transactions do not nest */
/* One that only reads, and sees one moment until sql_rollback. */
void sql_begin_reading(struct sql *db);
bool sql_in_transaction(const struct sql *db);
int sql_commit(struct sql *db); /* 0, or the first error since sql_begin: all is rolled back */
void sql_rollback(struct sql *db);

/* A copy of the whole database, some pages at a time, into a new file (0600). Where db reads in a
 * transaction of its own, it is of that moment, whatever others write meanwhile. */
struct sql_copy;
/* 0, or an error with its text in sql_why(db): also when there is such a file. */
int sql_copy_begin(struct sql *db, const char *path, struct sql_copy **out);
/* 0: there is more; ERR_EOF: the copy is whole; or an error with its text in sql_why(db). */
int sql_copy_step(struct sql_copy *c, int pages);
void sql_copy_free(struct sql_copy *c); /* before its database is closed */
DEFINE_AUTO(sql_copy, sql_copy_free)
