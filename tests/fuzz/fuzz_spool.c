/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of the spool: whatever the bytes, reading stays inside; what is valid is applied, twice
 * as two batches, and afterwards what is counted in memory is what is in the tables, every message
 * is one that somebody refers to, and all of it can be given to a broker and read there.
 */
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "db/migrate.h"
#include "db/spool_tables.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t rows(struct spool_tables *t, const char *text)
{
	int64_t n = -1;
	CHECK(sql_get_int(t->db, &n, text, NULL, 0));
	return (uint64_t)n;
}

static void check(struct spool_tables *t)
{
	CHECK(rows(t, "SELECT count(*) FROM session") == t->sessions.n);
	CHECK(rows(t, "SELECT count(*) FROM message") == t->messages.n);
	CHECK(rows(t, "SELECT count(*) FROM queue") == t->counts.queued);
	CHECK(rows(t, "SELECT count(*) FROM retain WHERE mid IS NOT NULL") == t->counts.retained);
}

static void apply(struct spool_tables *t, uint64_t seq, struct str bytes)
{
	struct list group;
	struct spool_batch b = {.worker = 1, .epoch = 1, .seq = seq};
	buf_str(&b.records, bytes);
	list_init(&group);
	list_append(&group, &b.node);
	CHECK(spool_tables_seen(t, &b) == SPOOL_NEW);
	CHECK(spool_tables_apply(t, &group) == 0);
	CHECK(spool_tables_seen(t, &b) == SPOOL_IS_APPLIED);
	buf_fini(&b.records);
	check(t);
}

static void read_back(struct spool_tables *t)
{
	AUTO_BUF state = {0};
	AUTO_FD fd = -1;
	CHECK(spool_tables_state(t, &fd) == 0);
	CHECK(memfd_read(fd, SPOOL_BATCH_MAX, &state) == 0);
	CHECK(spool_valid(buf_view(&state)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str bytes = str_make(data, size);
	struct spool_tables t;
	struct why why;
	char *aside;
	if (!spool_valid(bytes))
		return 0;
	log_init("fuzz", LOG_LEVEL_ERROR - 1);
	spool_tables_init(&t, MIGRATE_MEMORY, 64 * MiB);
	CHECK(spool_tables_open(&t, &aside, &why) == 0);
	apply(&t, 1, bytes);
	apply(&t, 2, bytes);
	read_back(&t);
	CHECK(spool_tables_tidy(&t) == 0);
	check(&t);
	read_back(&t);
	spool_tables_fini(&t);
	return 0;
}
