/* SPDX-License-Identifier: Apache-2.0
 *
 * Long work in the store goes in portions: devices and other people are answered between them, what
 * changes something waits for its turn, and what was not committed leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/hash.h"
#include "tests/unit/store_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { MANY = 3000, PATIENCE_MS = 60000 };

static int set_up(void **state)
{
	*state = rig_new();
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

/* As rig_until, for what is long on a slow machine. */
static void until(struct rig *r, const bool *flag)
{
	const uint64_t end = clock_mono_ms() + PATIENCE_MS;
	while (!*flag && clock_mono_ms() < end)
		loop_turn(r->loop, 20);
	assert_true(*flag);
}

static struct buf number(const char *name, int64_t value)
{
	struct buf args = {0};
	rec_int(&args, name, value);
	return args;
}

static struct buf text(const char *name, const char *value)
{
	struct buf args = {0};
	rec_text(&args, name, value);
	return args;
}

/* Devices, and the revision that made them: to undo it takes many portions. */
static int64_t add(struct rig *r, int n)
{
	struct sql *db = r->store.registry;
	char name[24];
	sql_begin(db);
	SQL_RUN(db, "INSERT INTO audit(at, actor, source, operation, target, outcome) "
		    "VALUES(1, 'test', '', 'state.apply', '', 'ok')");
	const int64_t audit = sql_last_id(db);
	for (int i = 0; i < n; i++) {
		AUTO_BUF after = {0};
		snprintf(name, sizeof(name), "device-%d", i);
		rec_text(&after, "name", name);
		SQL_RUN(db,
			"INSERT INTO device(name, uuid, created, created_by, changed) "
			"VALUES(?1, ?1, 1, 'test', 1)",
			sql_text(name));
		SQL_RUN(db,
			"INSERT INTO revision(audit_id, kind, object, after) VALUES(?, 'device', "
			"?, ?)",
			sql_int(audit), sql_text(name), sql_blob(buf_view(&after)));
	}
	assert_int_equal(sql_commit(db), 0);
	return audit;
}

static int64_t add_many(struct rig *r)
{
	return add(r, MANY);
}

static bool writes(const struct rig *r)
{
	return r->store.jobs.writer != NULL;
}

/* Until the job has begun and done a portion. */
static void until_it_writes(struct rig *r)
{
	while (!writes(r))
		loop_turn(r->loop, 20);
	rig_turns(r, 2);
	assert_true(writes(r));
}

static void everybody_is_answered_between_the_portions(void **state)
{
	struct rig *r = *state;
	struct rig_sent revert;
	struct buf args = number("id", add_many(r));
	rig_send(r, OP_REVISION_REVERT, &args, &revert);
	until_it_writes(r);
	args = text("name", "device-2999"); /* the first one that was undone: nobody sees it yet */
	rig_ok(r, OP_DEVICE_SHOW, &args);
	assert_true(writes(r));
	assert_false(revert.answered);
	/* A device that is about to go logs in: wrongly, as it has no password. */
	assert_int_equal(rig_login(r, "device-1", "x", "10.0.0.1:1"), LOGIN_WRONG);
	until(r, &revert.answered);
	assert_int_equal(revert.status, OP_OK);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
}

static void changes_wait_for_their_turn(void **state)
{
	struct rig *r = *state;
	struct rig_sent revert, late, later, refused;
	struct buf args = number("id", add_many(r));
	rig_send(r, OP_REVISION_REVERT, &args, &revert);
	until_it_writes(r);
	args = text("name", "late");
	rig_send(r, OP_DEVICE_ADD, &args, &late);
	args = text("name", "late"); /* in their order: the first one is there then */
	rig_send(r, OP_DEVICE_REMOVE, &args, &later);
	args = text("name", "nobody");
	rig_send(r, OP_DEVICE_REMOVE, &args, &refused);
	rig_turns(r, 3);
	assert_false(late.answered);
	until(r, &revert.answered);
	until(r, &late.answered);
	until(r, &later.answered);
	until(r, &refused.answered);
	assert_int_equal(late.status, OP_OK);
	assert_int_equal(later.status, OP_OK);
	assert_int_equal(refused.status, OP_NOT_FOUND);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE operation = 'device.remove' "
				    "AND outcome = 'not-found'"),
			 1);
}

static void too_late(struct link_call *call, int err, struct record *reply)
{
	struct rig_sent *sent = container_of(call, struct rig_sent, call);
	(void)reply;
	assert_int_equal(err, ERR_TIMEOUT);
	sent->answered = true;
}

/* Its caller was told that the store did not answer in time. */
static void what_nobody_waits_for_is_not_done(void **state)
{
	struct rig *r = *state;
	struct rig_sent revert, late = {.answered = false}, after;
	struct buf args = number("id", add_many(r));
	struct buf name = text("name", "late");
	const struct body_op add = {
		.op = OP_DEVICE_ADD,
		.credential_kind = CREDENTIAL_PEER,
		.credential = {"\0\0\0\0\0\0\0\0", 8},
		.source = STR("control socket"),
		.args = buf_view(&name),
	};
	rig_send(r, OP_REVISION_REVERT, &args, &revert);
	until_it_writes(r);
	LINK_ASK(r->end[PROCESS_CTL], &late.call, OP, op, -1, &add, 1, too_late);
	buf_fini(&name);
	args = text("name", "after");
	rig_send(r, OP_DEVICE_ADD, &args, &after);
	until(r, &late.answered);
	until(r, &revert.answered);
	until(r, &after.answered);
	assert_int_equal(after.status, OP_OK);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device WHERE name = 'late'"), 0);
}

static void two_that_write_follow_each_other(void **state)
{
	struct rig *r = *state;
	struct rig_sent first, second;
	const int64_t id = add_many(r);
	struct buf args = number("id", id);
	rig_send(r, OP_REVISION_REVERT, &args, &first);
	args = number("id", id);
	rig_send(r, OP_REVISION_REVERT, &args, &second);
	until(r, &second.answered);
	assert_true(first.answered);
	assert_int_equal(first.status, OP_OK);
	assert_int_equal(second.status, OP_CONFLICT); /* removed since, by the first */
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), 0);
}

/* It is copied in portions, and its audit row is written at the end. */
static void a_job_that_writes_waits_for_the_copy_of_a_backup(void **state)
{
	struct rig *r = *state;
	struct rig_sent copy, revert;
	const int64_t id = add_many(r);
	SQL_RUN(r->store.registry,
		"INSERT INTO revision(audit_id, kind, object, after) VALUES(?, 'test', 'large', "
		"zeroblob(67108864))",
		sql_int(id));
	struct buf args = {0};
	rig_send(r, OP_CA_COPY, &args, &copy);
	args = number("id", id);
	rig_send(r, OP_REVISION_REVERT, &args, &revert);
	rig_until(r, &copy.answered);
	assert_int_equal(copy.status, OP_OK);
	rig_until(r, &revert.answered);
}

static void put_draft(struct buf *args)
{
	rec_list(args, "with");
	rec_text(args, "", "deny any all #");
	rec_end(args);
}

static void questions_are_read_beside_each_other(void **state)
{
	struct rig *r = *state;
	struct rig_sent preview, revert;
	struct buf args = {0};
	put_draft(&args);
	rig_send(r, OP_ACL_PREVIEW, &args, &preview);
	rig_ok(r, OP_STATUS, &args); /* asked after it, answered before it */
	assert_false(preview.answered);
	until(r, &preview.answered);
	assert_int_equal(preview.status, OP_OK);
	args = number("id", add_many(r));
	rig_send(r, OP_REVISION_REVERT, &args, &revert);
	until_it_writes(r);
	put_draft(&args);
	rig_ok(r, OP_ACL_PREVIEW, &args);
	assert_true(writes(r));
	until(r, &revert.answered);
}

static void snapshot_taken(struct link_call *call, int err, struct record *reply)
{
	struct rig_sent *sent = container_of(call, struct rig_sent, call);
	struct body_snapshot b;
	AUTO_BUF entries = {0};
	assert_int_equal(err, 0);
	assert_int_equal(body_snapshot_get(reply->body, &b), 0);
	assert_int_equal(memfd_read(reply->fd, 64 * MiB, &entries), 0);
	struct cur c = cur_of(buf_view(&entries));
	struct str record;
	while (entries_next(&c, &record)) {
		struct body_entry e;
		struct body_reg_device device;
		assert_int_equal(body_entry_get(record, &e), 0);
		if (e.kind == ENTRY_DEVICE && body_reg_device_get(e.body, &device) == 0)
			sent->status += str_is(device.name, "meanwhile");
	}
	sent->answered = true;
}

/* As many as no portion reads to their end. */
static void add_a_crowd(struct rig *r)
{
	SQL_RUN(r->store.registry,
		"INSERT INTO device(name, uuid, created, created_by, changed) WITH RECURSIVE n(i) "
		"AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
		"SELECT 'crowd-' || i, 'crowd-' || i, 1, 'test', 1 FROM n");
}

struct shot {
	struct rig_sent sent; /* its status: how often it has a device with the name "meanwhile" */
	struct rig *rig;
	void (*turn)(struct loop_timer *t); /* of the job while it is stopped */
};

static void shot_came(struct link_call *call, int err, struct record *reply)
{
	struct shot *shot = container_of(call, struct shot, sent.call);
	struct body_snapshot b;
	snapshot_taken(call, err, reply);
	assert_int_equal(body_snapshot_get(reply->body, &b), 0);
	shot->rig->seq = b.seq;
}

/* The broker asks for it; a portion is read, and the next one is kept from beginning. */
static void begin_shot(struct rig *r, struct shot *shot)
{
	struct snapshot *s = &r->store.snapshot;
	const struct body_snapshot_get body = {};
	*shot = (struct shot){.rig = r};
	LINK_ASK(r->end[PROCESS_BROKER], &shot->sent.call, SNAPSHOT_GET, snapshot_get, -1, &body,
		 PATIENCE_MS, shot_came);
	while (!job_runs(&s->job) || s->entries.n == 0)
		loop_turn(r->loop, 20);
	assert_true(loop_timer_running(&s->job.timer));
	shot->turn = s->job.timer.expired;
	loop_timer_stop(r->loop, &s->job.timer);
}

static void end_shot(struct rig *r, struct shot *shot)
{
	loop_timer_start(r->loop, &r->store.snapshot.job.timer, "job", 0, shot->turn);
	until(r, &shot->sent.answered);
}

/* The broker's picture is read in portions: what is changed meanwhile is in it. */
static void a_snapshot_has_what_came_meanwhile(void **state)
{
	struct rig *r = *state;
	struct shot shot;
	struct buf args = text("name", "meanwhile");
	add_a_crowd(r);
	begin_shot(r, &shot);
	const struct rig_answer *a = rig_ok(r, OP_DEVICE_ADD, &args);
	assert_true(str_is(rig_str(a, "broker"), "away")); /* not by a delta */
	end_shot(r, &shot);
	assert_int_equal(shot.sent.status, 1);
}

/* A delta that waited for its turn would put back what the snapshot says anew: a device that was
 * disabled meanwhile could connect. */
static void no_delta_of_before_follows_a_snapshot(void **state)
{
	struct rig *r = *state;
	struct rig_sent sent[DELTAS_AT_ONCE + 1];
	struct shot shot;
	add_a_crowd(r);
	r->broker_silent = true;
	const unsigned all = r->deltas + DELTAS_AT_ONCE;
	for (unsigned i = 0; i <= DELTAS_AT_ONCE; i++) {
		char name[24];
		snprintf(name, sizeof(name), "waiting-%u", i);
		struct buf args = text("name", name);
		rig_send(r, OP_DEVICE_ADD, &args, &sent[i]);
	}
	while (r->deltas < all)
		loop_turn(r->loop, 20);
	rig_turns(r, 3); /* the last one waits now */
	begin_shot(r, &shot);
	end_shot(r, &shot);
	rig_answer_delta(r); /* there is room for the next one */
	rig_turns(r, 5);
	assert_int_equal(r->deltas, all);
	for (unsigned i = 0; i <= DELTAS_AT_ONCE; i++)
		link_call_cancel(&sent[i].call);
}

/* state.apply with a setting: the parent holds it until the registry has its part. */
static void put_state(struct buf *args, const char *note)
{
	rec_object(args, "state");
	rec_int(args, "version", 1);
	rec_object(args, "settings");
	rec_text(args, "log.level", "debug");
	rec_end(args);
	rec_list(args, "devices");
	rec_object(args, "");
	rec_text(args, "name", "one");
	rec_text(args, "note", note);
	rec_end(args);
	rec_end(args);
	rec_end(args);
}

static void what_is_not_committed_leaves_no_setting(void **state)
{
	struct rig *r = *state;
	struct rlimit before;
	struct buf args = {0};
	put_state(&args, "works");
	rig_ok(r, OP_STATE_APPLY, &args);
	assert_int_equal(r->kept, 1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	/* Messages between the processes fit, what is added to the log of the database does not. */
	const struct rlimit none = {4096, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	put_state(&args, "does not");
	const struct rig_answer *a = rig_op(r, OP_STATE_APPLY, &args);
	assert_int_equal(a->status, OP_FAILED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r->kept, 1);
	assert_int_equal(r->undone, 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device WHERE note = 'works'"), 1);
	put_state(&args, "again");
	rig_ok(r, OP_STATE_APPLY, &args);
	assert_int_equal(r->kept, 2);
}

static void a_store_can_end_in_the_middle(void **state)
{
	struct rig *r = *state;
	struct rig_sent revert;
	struct buf args = number("id", add_many(r));
	rig_send(r, OP_REVISION_REVERT, &args, &revert);
	until_it_writes(r);
	link_call_cancel(&revert.call);
	rig_restart(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM device"), MANY);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(everybody_is_answered_between_the_portions),
		TEST(changes_wait_for_their_turn),
		TEST(what_nobody_waits_for_is_not_done),
		TEST(two_that_write_follow_each_other),
		TEST(a_job_that_writes_waits_for_the_copy_of_a_backup),
		TEST(questions_are_read_beside_each_other),
		TEST(a_snapshot_has_what_came_meanwhile),
		TEST(no_delta_of_before_follows_a_snapshot),
		TEST(what_is_not_committed_leaves_no_setting),
		TEST(a_store_can_end_in_the_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
