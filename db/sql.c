/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite behind a small face: see sql.h.
 */
#include "db/sql.h"
#include "daemon/base/err.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sql_statement {
	sqlite3_stmt *stmt;
	bool busy;
	bool kept; /* in the cache; else finalised at its end */
};

struct sql {
	sqlite3 *handle;
	char *path;
	enum sql_sync sync;
	struct map statements; /* address of the text -> struct sql_statement */
	bool in_transaction;
	int error; /* first one of this transaction */
	char why[160];
};

static int error_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_FULL:
		return ERR_LIMIT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_MALFORMED;
	default:
		return ERR_IO;
	}
}

/* The error of a statement, remembered for the end of the transaction: the first one counts. */
static int fault(struct sql *db, int code)
{
	const int err = error_of(code);
	if (!err || (db->in_transaction && db->error))
		return err;
	snprintf(db->why, sizeof(db->why), "%s", sqlite3_errmsg(db->handle));
	if (db->in_transaction)
		db->error = err;
	return err;
}

/* The mode comes from here, not from SQLite, which would apply the umask to 0644. */
static int make_file(const char *path)
{
	AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? ERR_IO : 0;
}

/* A file that has no page yet. Only there may the vacuum mode be set: elsewhere that would be a
 * write, and a full disk must not keep a gateway from starting. */
static int set_up_new(struct sql *db)
{
	int64_t pages = 0;
	SQL_GET_INT(db, &pages, "PRAGMA page_count");
	return pages ? 0 : sql_script(db, "PRAGMA auto_vacuum=INCREMENTAL");
}

static int configure(struct sql *db)
{
	int err = sql_script(db, db->sync == SQL_SHARED ? "PRAGMA temp_store=MEMORY"
							: "PRAGMA locking_mode=EXCLUSIVE;"
							  "PRAGMA temp_store=MEMORY");
	if (!err)
		err = set_up_new(db);
	if (!err)
		err = sql_script(db, "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;"
				     "PRAGMA trusted_schema=OFF;");
	if (!err)
		err = sql_script(db, db->sync == SQL_NORMAL ? "PRAGMA synchronous=NORMAL"
							    : "PRAGMA synchronous=FULL");
	return err;
}

static int connect_to(const char *path, enum sql_sync sync, struct sql **out)
{
	AUTO(sql) db = mem_new(struct sql);
	db->path = mem_strdup(path);
	db->sync = sync;
	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    sync == SQL_SHARED ? "unix-excl" : NULL))
		return ERR_IO;
	sqlite3_extended_result_codes(db->handle, 1);
	const int err = configure(db);
	if (err)
		return err;
	*out = TAKE(db);
	return 0;
}

static bool is_in_memory(const char *path)
{
	return strcmp(path, ":memory:") == 0;
}

int sql_open(const char *path, enum sql_sync sync, struct sql **out)
{
	if (!is_in_memory(path) && make_file(path))
		return ERR_IO;
	return connect_to(path, sync, out);
}

/* Without make_file: to close any descriptor of the file would give up the locks of all. */
struct sql *sql_open_again(const struct sql *db)
{
	struct sql *again = NULL;
	if (db->sync != SQL_SHARED || is_in_memory(db->path))
		return NULL;
	return connect_to(db->path, db->sync, &again) ? NULL : again;
}

void sql_close(struct sql *db)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&db->statements, &at, &key, &value)) {
		struct sql_statement *s = value;
		sqlite3_finalize(s->stmt);
		free(s);
	}
	map_fini(&db->statements);
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
}

const char *sql_path(const struct sql *db)
{
	return db->path;
}

const char *sql_why(const struct sql *db)
{
	return db->why;
}

int sql_script(struct sql *db, const char *text)
{
	return fault(db, sqlite3_exec(db->handle, text, NULL, NULL, NULL));
}

/* kept: the bytes stay where they are until the statement has run. */
static void bind(struct sql_statement *s, const struct sql_value *value, size_t n, bool kept)
{
	void (*const life)(void *) = kept ? SQLITE_STATIC : SQLITE_TRANSIENT;
	CHECK((size_t)sqlite3_bind_parameter_count(s->stmt) == n);
	for (size_t i = 0; i < n; i++) {
		const struct sql_value *v = &value[i];
		const int at = (int)i + 1;
		if (v->kind == SQL_NULL_)
			sqlite3_bind_null(s->stmt, at);
		else if (v->kind == SQL_INT_)
			sqlite3_bind_int64(s->stmt, at, v->number);
		else if (v->kind == SQL_TEXT_)
			sqlite3_bind_text64(s->stmt, at, v->bytes.p, v->bytes.n, life, SQLITE_UTF8);
		else
			sqlite3_bind_blob64(s->stmt, at, v->bytes.p, v->bytes.n, life);
	}
}

/* A statement that is not running: the kept one, or another one when a query on it is open. */
static struct sql_statement *take(struct sql *db, const char *text)
{
	struct sql_statement *s = map_get(&db->statements, MAP_KEY(text));
	if (s && !s->busy)
		return s;
	struct sql_statement *fresh = mem_new(struct sql_statement);
	const int code = sqlite3_prepare_v3(db->handle, text, -1, SQLITE_PREPARE_PERSISTENT,
					    &fresh->stmt, NULL);
	if (code) {
		fault(db, code);
		free(fresh);
		return NULL;
	}
	fresh->kept = s == NULL;
	if (fresh->kept)
		map_set(&db->statements, MAP_KEY(text), fresh);
	return fresh;
}

static void give_back(struct sql_statement *s)
{
	sqlite3_reset(s->stmt);
	sqlite3_clear_bindings(s->stmt);
	s->busy = false;
	if (s->kept)
		return;
	sqlite3_finalize(s->stmt);
	free(s);
}

static struct sql_query begin_query(struct sql *db, const char *text, const struct sql_value *value,
				    size_t n, bool kept)
{
	/* After an error SQLite may have rolled back by itself (disk full): what follows would be
	 * committed one by one. */
	if (db->in_transaction && db->error)
		return (struct sql_query){.db = db, .error = db->error};
	struct sql_statement *s = take(db, text);
	if (!s)
		return (struct sql_query){.db = db, .error = ERR_IO};
	bind(s, value, n, kept);
	s->busy = true;
	return (struct sql_query){.db = db, .statement = s};
}

struct sql_query sql_query(struct sql *db, const char *text, const struct sql_value *value,
			   size_t n)
{
	return begin_query(db, text, value, n, false);
}

bool sql_next(struct sql_query *q)
{
	if (!q->statement)
		return false;
	const int code = sqlite3_step(q->statement->stmt);
	if (code == SQLITE_ROW)
		return true;
	q->error = fault(q->db, code);
	sql_query_end(q);
	return false;
}

void sql_query_end(struct sql_query *q)
{
	if (q->statement)
		give_back(TAKE(q->statement));
}

int64_t sql_at_int(const struct sql_query *q, int column)
{
	return sqlite3_column_int64(q->statement->stmt, column);
}

struct str sql_at_str(const struct sql_query *q, int column)
{
	const void *p = sqlite3_column_blob(q->statement->stmt, column);
	const size_t n = (size_t)sqlite3_column_bytes(q->statement->stmt, column);
	return str_make(!p && !sql_at_null(q, column) ? "" : p, n);
}

bool sql_at_null(const struct sql_query *q, int column)
{
	return sqlite3_column_type(q->statement->stmt, column) == SQLITE_NULL;
}

bool sql_get_int(struct sql *db, int64_t *out, const char *text, const struct sql_value *value,
		 size_t n)
{
	AUTO_QUERY q = sql_query(db, text, value, n);
	if (!sql_next(&q))
		return false;
	*out = sql_at_int(&q, 0);
	return true;
}

int sql_run(struct sql *db, const char *text, const struct sql_value *value, size_t n)
{
	AUTO_QUERY q = begin_query(db, text, value, n, true);
	while (sql_next(&q))
		;
	return q.error;
}

int64_t sql_last_id(const struct sql *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int64_t sql_changes(const struct sql *db)
{
	return sqlite3_changes64(db->handle);
}

static void begin(struct sql *db, const char *how)
{
	CHECK(!db->in_transaction);
	db->in_transaction = true;
	db->error = 0;
	sql_script(db, how);
}

void sql_begin(struct sql *db)
{
	begin(db, "BEGIN IMMEDIATE");
}

void sql_begin_reading(struct sql *db)
{
	begin(db, "BEGIN");
}

bool sql_in_transaction(const struct sql *db)
{
	return db->in_transaction;
}

int sql_commit(struct sql *db)
{
	CHECK(db->in_transaction);
	if (!db->error)
		sql_script(db, "COMMIT");
	const int err = db->error;
	if (err) {
		sql_rollback(db);
		return err;
	}
	db->in_transaction = false;
	return 0;
}

/* SQLite may have rolled back by itself (disk full): asking again would be an error. The text of
 * the first error stays. */
void sql_rollback(struct sql *db)
{
	CHECK(db->in_transaction);
	db->in_transaction = false;
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

void sql_like_part(struct str text, struct buf *out)
{
	buf_putc(out, '%');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%' || text.p[i] == '_' || text.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, text.p[i]);
	}
	buf_putc(out, '%');
}

/* ---- copies ---- */

struct sql_copy {
	struct sql *from;
	sqlite3 *to;
	sqlite3_backup *backup;
};

void sql_copy_free(struct sql_copy *c)
{
	if (c->backup)
		sqlite3_backup_finish(c->backup);
	sqlite3_close(c->to);
	free(c);
}

static int copy_fault(struct sql_copy *c, int code)
{
	const int err = error_of(code);
	snprintf(c->from->why, sizeof(c->from->why), "%s", sqlite3_errstr(code));
	return err ? err : ERR_IO;
}

int sql_copy_begin(struct sql *db, const char *path, struct sql_copy **out)
{
	AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		snprintf(db->why, sizeof(db->why), "%s", strerror(errno));
		return ERR_IO;
	}
	AUTO(sql_copy) c = mem_new(struct sql_copy);
	c->from = db;
	const int code =
		sqlite3_open_v2(path, &c->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code)
		return copy_fault(c, code);
	/* Whoever reads it does so afterwards, and one that was cut off is thrown away. */
	sqlite3_exec(c->to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
	c->backup = sqlite3_backup_init(c->to, "main", db->handle, "main");
	if (!c->backup)
		return copy_fault(c, sqlite3_extended_errcode(c->to));
	*out = TAKE(c);
	return 0;
}

int sql_copy_step(struct sql_copy *c, int pages)
{
	int code = sqlite3_backup_step(c->backup, pages);
	if (code == SQLITE_OK)
		return 0;
	if (code != SQLITE_DONE)
		return copy_fault(c, code);
	code = sqlite3_backup_finish(c->backup);
	c->backup = NULL;
	return code == SQLITE_OK ? ERR_EOF : copy_fault(c, code);
}
