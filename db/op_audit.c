/* SPDX-License-Identifier: Apache-2.0
 *
 * audit.list: who changed what, who tried to. Newest first. Main thread of the store.
 *
 * A row is {id, time, actor, source, operation, target, outcome, why, changes: [{kind, object}]}.
 */
#include "db/ops.h"

#include <stdio.h>

/* The argument as a pattern of GLOB: itself, or with what follows when it ends in a dot. */
static struct sql_value pattern(const struct op_call *c, const char *arg, char out[160])
{
	struct str s;
	size_t n = 0;
	if (!op_str(c, arg, &s) || s.n == 0)
		return sql_null();
	for (size_t i = 0; i < s.n && n < 150; i++) {
		const bool special = s.p[i] == '*' || s.p[i] == '?' || s.p[i] == '[';
		if (special)
			out[n++] = '[';
		out[n++] = s.p[i];
		if (special)
			out[n++] = ']';
	}
	if (s.p[s.n - 1] == '.')
		out[n++] = '*';
	return sql_str(str_make(out, n));
}

static struct sql_value equal(const struct op_call *c, const char *arg)
{
	struct str s;
	return op_str(c, arg, &s) && s.n ? sql_str(s) : sql_null();
}

static void put_changes(struct op_call *c, int64_t id)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT kind, object FROM revision WHERE audit_id = ? ORDER BY id "
				 "LIMIT 20",
				 sql_int(id));
	rec_list(&c->result, "changes");
	while (sql_next(&q)) {
		rec_object(&c->result, "");
		rec_str(&c->result, "kind", sql_at_str(&q, 0));
		rec_str(&c->result, "object", sql_at_str(&q, 1));
		rec_end(&c->result);
	}
	rec_end(&c->result);
}

static void put_row(struct op_call *c, const struct sql_query *q)
{
	rec_object(&c->result, "");
	rec_int(&c->result, "id", sql_at_int(q, 0));
	op_put_time(&c->result, "time", sql_at_int(q, 1));
	rec_str(&c->result, "actor", sql_at_str(q, 2));
	rec_str(&c->result, "source", sql_at_str(q, 3));
	rec_str(&c->result, "operation", sql_at_str(q, 4));
	rec_str(&c->result, "target", sql_at_str(q, 5));
	rec_str(&c->result, "outcome", sql_at_str(q, 6));
	rec_str(&c->result, "why", sql_at_str(q, 7));
	put_changes(c, sql_at_int(q, 0));
	rec_end(&c->result);
}

void op_audit_list(struct op_call *c)
{
	int64_t limit;
	uint64_t before;
	int64_t last = 0;
	int64_t rows = 0;
	char operation[160];
	char next[24] = "";
	if (!op_limit(c, &limit) || !op_number_cursor(c, &before))
		return;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		"SELECT id, at, actor, source, operation, target, outcome, why FROM audit WHERE "
		"(?1 = 0 OR id < ?1) AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR operation "
		"GLOB ?3) AND (?4 IS NULL OR target = ?4) AND (?5 IS NULL OR outcome = ?5) ORDER "
		"BY "
		"id DESC LIMIT ?6",
		sql_int((int64_t)before), equal(c, "actor"), pattern(c, "operation", operation),
		equal(c, "target"), equal(c, "outcome"), sql_int(limit + 1));
	rec_list(&c->result, "items");
	while (sql_next(&q)) {
		if (rows++ == limit) {
			snprintf(next, sizeof(next), "%lld", (long long)last);
			break;
		}
		last = sql_at_int(&q, 0);
		put_row(c, &q);
	}
	op_end_items(c, &q, str_of(next));
}
