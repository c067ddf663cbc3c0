/* SPDX-License-Identifier: Apache-2.0
 *
 * The spool over its links: what is kept and what is not, groups, restarts, damage, a full disk,
 * and its sudden end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "db/spool_tables.h"
#include "tests/unit/spool_rig.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

static int set_up(void **state)
{
	*state = spool_rig_new();
	return 0;
}

static int tear_down(void **state)
{
	spool_rig_free(*state);
	return 0;
}

static int64_t row_count(struct spool_rig *r, const char *text)
{
	struct sql *db;
	int64_t n = -1;
	assert_int_equal(sql_open(scratch_file(&r->dir, "spool.db"), SQL_FULL, &db), 0);
	sql_get_int(db, &n, text, NULL, 0);
	sql_close(db);
	return n;
}

/* As the store after its end, in order or by kill. */
static void restart(struct spool_rig *r)
{
	if (r->spool)
		spool_close(TAKE(r->spool));
	assert_int_equal(spool_rig_open(r), 0);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_link(r, w);
}

/* ---- what is kept ---- */

static void everything_comes_back_in_its_order(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	const struct body_spool_session away = {
		.sid = 2,
		.device_id = 9,
		.expiry = UINT32_MAX,
		.disconnected_ms = 1700000000123,
		.will_due_ms = 1700000005123,
		.client_id = STR("second"),
		.will = STR("WILL"),
		.more = STR("MORE"),
	};
	const struct body_spool_message m = {
		.mid = 11,
		.qos = 2,
		.retain = 1,
		.expires_ms = 1800000000000,
		.origin = 2,
		.topic = STR("a/b"),
		.properties = STR("PROPS"),
		.payload = STR("hello"),
	};
	const struct body_spool_queue q = {
		2, 6, 11, 1700000000456, 2, 1, STR("$share/g/a/+"), STR("\1\0\0\0\2\0\0\0")};
	put_session(&b, 1, "first");
	put_sub(&b, 1, "a/#");
	put_received(&b, 1, 40, 1);
	SPOOL_PUT(&b, SESSION, session, &away);
	put_message(&b, 10, "a/x", "ten");
	SPOOL_PUT(&b, MESSAGE, message, &m);
	put_queue(&b, 1, 1, 10);
	put_queue(&b, 2, 5, 10);
	SPOOL_PUT(&b, QUEUE, queue, &q);
	put_sent(&b, 2, 5, 33, 1);
	put_retain(&b, "a/b", 100, 11);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	restart(r);
	assert_string_equal(
		spool_rig_state(r),
		"session 1 first device=7 expiry=60 away=0 will= due=0 \n"
		"sub 1 a/# options=1 identifier=0\n"
		"received 1 40 1\n"
		"session 2 second device=9 expiry=4294967295 away=1700000000123 will=WILL "
		"due=1700000005123 MORE\n"
		"message 10 a/x ten qos=1 retain=0 expires=0 origin=0 \n"
		"message 11 a/b hello qos=2 retain=1 expires=1800000000000 origin=2 PROPS\n"
		"queue 1 1 message=10 at=0 qos=1 retain=0  ids=0\n"
		"queue 2 5 message=10 at=0 qos=1 retain=0  ids=0\n"
		"sent 2 5 id=33 state=1\n"
		"queue 2 6 message=11 at=1700000000456 qos=2 retain=1 $share/g/a/+ ids=2\n"
		"retain a/b message=11 version=100\n");
}

static void an_empty_spool_has_nothing_to_tell(void **state)
{
	assert_string_equal(spool_rig_state(*state), "");
}

static void what_is_taken_away_is_gone(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	put_session(&b, 2, "two");
	put_sub(&b, 1, "a");
	put_sub(&b, 1, "b");
	put_sub(&b, 2, "c");
	put_received(&b, 1, 5, 1);
	put_received(&b, 1, 6, 1);
	put_message(&b, 3, "t", "m");
	put_queue(&b, 2, 1, 3);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_sub_gone(&b, 1, "a");
	put_received_gone(&b, 1, 5);
	put_session_gone(&b, 2);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	assert_string_equal(spool_rig_state(r),
			    "session 1 one device=7 expiry=60 away=0 will= due=0 \n"
			    "sub 1 b options=1 identifier=0\n"
			    "received 1 6 1\n");
}

static void a_message_lives_as_long_as_something_refers_to_it(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	put_session(&b, 2, "two");
	put_message(&b, 3, "t", "m");
	put_queue(&b, 1, 1, 3);
	put_queue(&b, 2, 1, 3);
	put_retain(&b, "t", 1, 3);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	const char *const after[] = {"queue 2 1 message=3", "retain t", ""};
	put_queue_gone(&b, 1, 1, 3);
	for (size_t i = 0; i < ARRAY_LEN(after); i++) {
		assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
		spool_figures(r->spool, &f);
		assert_int_equal(f.messages, i < 2);
		const char *text = spool_rig_state(r);
		assert_non_null(strstr(text, after[i]));
		assert_int_equal(strstr(text, "message 3 t m") != NULL, i < 2);
		if (i == 0)
			put_session_gone(&b, 2);
		else
			put_retain_gone(&b, "t", 2);
	}
	buf_fini(&b);
}

/* Each worker tells the messages of its receivers, and may tell one that another has told. */
static void a_message_of_several_workers_is_stored_once(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		put_session(&b, w + 1, "c");
		put_message(&b, 50, "t", "m");
		put_queue(&b, w + 1, 1, 50);
		spool_rig_send(r, w, &b);
	}
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_answered(r, w, 1);
	spool_figures(r->spool, &f);
	assert_int_equal(f.messages, 1);
	assert_int_equal(f.queued, 3);
	put_queue_gone(&b, 1, 1, 50);
	put_queue_gone(&b, 1, 1, 50); /* once is enough */
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_queue_gone(&b, 2, 1, 50);
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	assert_non_null(strstr(spool_rig_state(r), "message 50 t m"));
}

static void putting_twice_changes_or_does_nothing(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	for (int i = 0; i < 2; i++) {
		put_session(&b, 1, i ? "renamed" : "one");
		put_sub(&b, 1, "a");
		put_message(&b, 3, "t", "m");
		put_queue(&b, 1, 1, 3);
		put_received(&b, 1, 5, i ? UINT64_C(1) << 63 : 1);
		put_retain(&b, "t", 9, 3);
		assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	}
	spool_figures(r->spool, &f);
	assert_int_equal(f.sessions, 1);
	assert_int_equal(f.queued, 1);
	assert_int_equal(f.retained, 1);
	put_queue_gone(&b, 1, 1, 3);
	put_retain_gone(&b, "t", 10);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	assert_string_equal(spool_rig_state(r),
			    "session 1 renamed device=7 expiry=60 away=0 will= due=0 \n"
			    "sub 1 a options=1 identifier=0\n"
			    "received 1 5 8000000000000001\n");
}

/* Two workers' links race: the order in the broker is that of the versions. */
static void the_higher_version_of_a_retained_message_counts(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_message(&b, 2, "t", "newer");
	put_retain(&b, "t", 20, 2);
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	put_message(&b, 1, "t", "older");
	put_retain(&b, "t", 10, 1);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_retain_gone(&b, "t", 15);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_retain_gone(&b, "u", 30);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_message(&b, 3, "u", "late");
	put_retain(&b, "u", 25, 3);
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	assert_string_equal(spool_rig_state(r),
			    "message 2 t newer qos=1 retain=0 expires=0 origin=0 \n"
			    "retain t message=2 version=20\n");
}

static void a_row_without_its_message_is_dropped_alone(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	put_queue(&b, 1, 1, 999);
	put_retain(&b, "t", 1, 999);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	assert_string_equal(spool_rig_state(r),
			    "session 1 one device=7 expiry=60 away=0 will= due=0 \n");
}

/* Another worker's batch may have ended it. */
static void what_belongs_to_no_session_is_dropped(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	put_session(&b, 4, "ends");
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	put_session_gone(&b, 4);
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	put_sub(&b, 4, "a");
	put_received(&b, 4, 1, 1);
	put_message(&b, 3, "t", "m");
	put_queue(&b, 4, 1, 3);
	put_sent(&b, 4, 1, 1, 1);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_figures(r->spool, &f);
	assert_int_equal(f.messages + f.queued, 0);
	spool_rig_close(r);
	assert_int_equal(row_count(r,
				   "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM "
				   "subscription) + (SELECT count(*) FROM received)"),
			 0);
}

/* ---- put and gone ---- */

static void what_is_put_and_gone_in_one_batch_is_never_written(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_message(&b, 3, "t", "acknowledged at once");
	put_queue(&b, 1, 1, 3);
	put_sent(&b, 1, 1, 8, 1);
	put_queue_gone(&b, 1, 1, 3);
	put_message(&b, 4, "t", "stays");
	put_queue(&b, 1, 2, 4);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_figures(r->spool, &f);
	assert_int_equal(f.cancelled, 1);
	assert_int_equal(f.messages, 1);
	assert_int_equal(f.queued, 1);
	assert_null(strstr(spool_rig_state(r), "message 3"));
}

static void a_row_from_before_goes_although_it_is_put_again(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	put_message(&b, 3, "t", "m");
	put_queue(&b, 1, 1, 3);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_message(&b, 3, "t", "m");
	put_queue(&b, 1, 1, 3);
	put_queue_gone(&b, 1, 1, 3);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	assert_null(strstr(spool_rig_state(r), "message 3"));
}

/* ---- groups ---- */

static void many_batches_share_a_commit(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	enum { N = 300 };
	for (unsigned i = 0; i < N; i++) {
		for (unsigned w = 0; w < RIG_WORKERS; w++) {
			put_session(&b, 1 + w * N + i, "c");
			spool_rig_send(r, w, &b);
		}
	}
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_answered(r, w, N);
	spool_figures(r->spool, &f);
	assert_int_equal(f.batches, RIG_WORKERS * N);
	assert_int_equal(f.sessions, RIG_WORKERS * N);
	assert_true(f.commits < RIG_WORKERS * N / 3);
	assert_true(r->worker[0].answers <= f.commits);
}

static void a_large_batch_travels_beside_the_link(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	AUTO_CHAR payload = mem_alloc(3 * MiB + 1);
	memset(payload, 'x', 3 * MiB);
	put_session(&b, 1, "one");
	put_message(&b, 3, "t", payload);
	put_queue(&b, 1, 1, 3);
	assert_int_equal(spool_rig_store(r, 2, &b), SPOOL_STORED);
	assert_non_null(strstr(spool_rig_state(r), "message 3 t xxxxxxxx"));
}

static void a_malformed_batch_marks_its_sender(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	b.p[4] = SPOOL_KIND_COUNT;
	spool_rig_send(r, 1, &b);
	spool_rig_until(r, &r->worker[1].broken);
	const uint64_t end = clock_mono_ms() + 10000;
	while (!r->misbehaved && clock_mono_ms() < end)
		loop_turn(r->loop, 20);
	assert_int_equal(r->misbehaved, 1);
	/* the others go on */
	put_session(&b, 2, "two");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
}

/* ---- restarts ---- */

static void after_a_restart_of_the_store_nothing_is_applied_twice(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF first = {0};
	AUTO_BUF second = {0};
	AUTO_BUF b = {0};
	put_session(&first, 1, "one");
	put_message(&first, 3, "t", "m");
	put_queue(&first, 1, 1, 3);
	buf_str(&b, buf_view(&first));
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	put_queue_gone(&b, 1, 1, 3);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	restart(r);
	/* the first one was answered, but the answer was lost: it must not bring the row back */
	spool_rig_send_as(r, 0, 1, buf_view(&first));
	spool_rig_answered(r, 0, 1);
	put_session(&second, 2, "two");
	spool_rig_send_as(r, 0, 3, buf_view(&second));
	spool_rig_answered(r, 0, 3);
	spool_figures(r->spool, &f);
	assert_int_equal(f.batches, 1);
	assert_int_equal(f.queued, 0);
	assert_int_equal(f.sessions, 2);
	/* the same number of another worker is another batch */
	put_session(&b, 5, "five");
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	spool_figures(r->spool, &f);
	assert_int_equal(f.sessions, 3);
}

static void batches_of_a_broker_that_is_gone_are_not_taken_after_the_next_one_asked(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_rig_state(r);
	r->epoch--;
	put_session(&b, 2, "late");
	spool_rig_send(r, 1, &b);
	r->epoch++;
	put_session(&b, 3, "new");
	spool_rig_send_as(r, 1, 1, buf_view(&b));
	spool_rig_answered(r, 1, 1);
	const char *text = spool_rig_state(r);
	assert_null(strstr(text, "late"));
	assert_non_null(strstr(text, "session 3 new"));
}

/* A link that is made anew while both ends live: what has no answer comes over both. */
static void a_batch_over_two_links_is_applied_once_and_answered_on_the_new_one(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	for (uint64_t seq = 1; seq <= 20; seq++) {
		AUTO_BUF b = {0};
		put_session(&b, 1, "one");
		put_message(&b, seq, "t", "m");
		put_queue(&b, 1, seq, seq);
		spool_rig_send_as(r, 0, seq, buf_view(&b));
		spool_rig_link(r, 0);
		spool_rig_send_as(r, 0, seq, buf_view(&b));
		spool_rig_answered(r, 0, seq);
		assert_int_equal(r->worker[0].answers, 1);
	}
	spool_figures(r->spool, &f);
	assert_int_equal(f.batches, 20);
	assert_int_equal(f.queued, 20);
}

/* What a killed broker had sent is in the sockets: it counts, and the next broker hears of it. */
static void the_last_words_of_a_killed_broker_are_heard(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	enum { N = 200 };
	for (unsigned i = 1; i <= N; i++) {
		put_session(&b, i, "c");
		spool_rig_send(r, 1, &b);
	}
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_link(r, w);
	const char *text = spool_rig_state(r);
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, "session ")); p++)
		n++;
	assert_int_equal(n, N);
}

static void at_the_end_everything_sent_is_committed(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	enum { N = 150 };
	for (unsigned i = 1; i <= N; i++) {
		put_session(&b, i, "c");
		spool_rig_send(r, i % RIG_WORKERS, &b);
	}
	spool_rig_close(r);
	assert_int_equal(row_count(r, "SELECT count(*) FROM session"), N);
}

/* ---- trouble ---- */

static unsigned files_like(struct spool_rig *r, const char *prefix)
{
	DIR *d = opendir(r->dir.path);
	unsigned n = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void wait_event(struct spool_rig *r, enum event event)
{
	const uint64_t end = clock_mono_ms() + 10000;
	while (!r->events[event] && clock_mono_ms() < end)
		loop_turn(r->loop, 20);
	assert_int_equal(r->events[event], 1);
}

static void a_damaged_file_is_set_aside(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_rig_close(r);
	scratch_write(&r->dir, "spool.db", "this is no database, but it is long enough", 42, 0600);
	restart(r);
	wait_event(r, EVENT_DATABASE_SET_ASIDE);
	assert_non_null(strstr(r->detail, "spool.db.corrupt-"));
	assert_int_equal(files_like(r, "spool.db.corrupt-"), 1);
	put_session(&b, 2, "two");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	assert_string_equal(spool_rig_state(r),
			    "session 2 two device=7 expiry=60 away=0 will= due=0 \n");
}

static void fill(struct spool_rig *r, unsigned worker, uint64_t from, unsigned n)
{
	AUTO_BUF b = {0};
	AUTO_CHAR payload = mem_alloc(10001);
	memset(payload, 'p', 10000);
	for (unsigned i = 0; i < n; i++) {
		put_message(&b, from + i, "t", payload);
		put_queue(&b, 1, from + i, from + i);
	}
	spool_rig_send(r, worker, &b);
}

/* Pages are overwritten while the file is in use; it shows when they are read. */
static void damage_while_in_use_costs_the_file_and_no_batch(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	enum { PAGE = 4096, NOISE = 3000 };
	AUTO_CHAR noise = mem_alloc(PAGE * NOISE);
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	fill(r, 0, 10, 1500); /* more than its cache holds */
	spool_rig_answered(r, 0, 2);
	spool_rig_close(r); /* the log is in the file now */
	memset(noise, 0xa5, PAGE * NOISE);
	restart(r);
	r->epoch++;
	AUTO_FD fd = open(scratch_file(&r->dir, "spool.db"), O_WRONLY);
	assert_int_equal(pwrite(fd, noise, PAGE * NOISE, PAGE * 4), PAGE * NOISE);
	put_session_gone(&b, 1);
	put_session(&b, 2, "two");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	wait_event(r, EVENT_DATABASE_SET_ASIDE);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_until(r, &r->worker[w].lost);
	assert_string_equal(spool_rig_state(r),
			    "session 2 two device=7 expiry=60 away=0 will= due=0 \n");
}

static void at_the_bound_batches_are_refused_and_others_go_on(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	AUTO_BUF b = {0};
	uint64_t mid = 10;
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_set_max(r->spool, 2 * MiB);
	while (r->worker[0].refusals == 0 && mid < 10000) {
		fill(r, 0, mid, 20);
		spool_rig_answered(r, 0, r->worker[0].seq);
		mid += 20;
	}
	assert_int_equal(r->worker[0].refusals, 1);
	assert_int_equal(r->worker[0].status[0], SPOOL_FULL);
	assert_int_equal(r->worker[0].refused[0], r->worker[0].seq);
	wait_event(r, EVENT_DISK_FULL);
	spool_figures(r->spool, &f);
	assert_int_equal(f.health, SPOOL_IS_FULL);
	assert_int_equal(f.refused, 1);
	const uint64_t kept = f.queued;
	assert_int_equal(kept, mid - 10 - 20);
	/* taking away goes on, and makes room; memory and file agree about what is there */
	for (uint64_t i = 10; i < 60; i++)
		put_queue_gone(&b, 1, i, i);
	assert_int_equal(spool_rig_store(r, 1, &b), SPOOL_STORED);
	wait_event(r, EVENT_SPOOL_RECOVERED);
	spool_figures(r->spool, &f);
	assert_int_equal(f.health, SPOOL_WORKS);
	assert_int_equal(f.queued, kept - 50);
	fill(r, 0, mid, 20);
	spool_rig_answered(r, 0, r->worker[0].seq);
	assert_int_equal(r->worker[0].refusals, 1);
	assert_int_equal(r->events[EVENT_DISK_FULL], 1);
	spool_rig_close(r);
	assert_int_equal(row_count(r, "SELECT count(*) FROM queue"), kept - 30);
	assert_int_equal(row_count(r, "SELECT count(*) FROM message"), kept - 30);
}

/* In one group: the large batch has no room, the small ones of others do. */
static void a_refused_batch_takes_no_other_with_it(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_set_max(r->spool, 2 * MiB);
	for (unsigned i = 0; i < 20; i++) {
		fill(r, 0, 1000 + i * 300, 300);
		put_session(&b, 100 + i, "small");
		spool_rig_send(r, 1, &b);
	}
	spool_rig_answered(r, 0, 21);
	spool_rig_answered(r, 1, 20);
	assert_int_equal(r->worker[0].refusals, 20);
	assert_int_equal(r->worker[1].refusals, 0);
	const char *text = spool_rig_state(r);
	assert_non_null(strstr(text, "session 119 small"));
	assert_null(strstr(text, "message"));
}

/* The broker was told that it is not stored; when it asks again nothing else may be said. */
static void a_refused_batch_stays_refused_after_a_restart(void **state)
{
	struct spool_rig *r = *state;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_set_max(r->spool, 2 * MiB);
	fill(r, 0, 10, 300);
	put_session(&b, 2, "two");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	assert_int_equal(r->worker[0].refusals, 1);
	restart(r);
	put_session(&b, 9, "again");
	spool_rig_send_as(r, 0, 2, buf_view(&b));
	spool_rig_answered(r, 0, 2);
	assert_int_equal(r->worker[0].refusals, 1);
	spool_rig_send_as(r, 0, 3, buf_view(&b));
	spool_rig_answered(r, 0, 3);
	assert_int_equal(r->worker[0].refusals, 1);
	assert_null(strstr(spool_rig_state(r), "again"));
}

/* The file may not grow: an error of input and output, as of a disk that fails. */
static void a_failing_disk_refuses_until_it_works_again(void **state)
{
	struct spool_rig *r = *state;
	struct spool_figures f;
	struct rlimit before;
	AUTO_BUF b = {0};
	uint64_t mid = 10;
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	getrlimit(RLIMIT_FSIZE, &before);
	const struct rlimit tight = {512 * KiB, before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &tight);
	for (; r->worker[0].refusals == 0 && mid < 1000; mid += 5) {
		fill(r, 0, mid, 5);
		spool_rig_answered(r, 0, r->worker[0].seq);
	}
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(r->worker[0].refusals, 1);
	assert_int_equal(r->worker[0].status[0], SPOOL_FAILED);
	wait_event(r, EVENT_SPOOL_FAILED);
	spool_figures(r->spool, &f);
	assert_int_equal(f.health, SPOOL_IS_BROKEN);
	assert_int_equal(f.queued, mid - 10 - 5);
	fill(r, 0, mid, 5);
	spool_rig_answered(r, 0, r->worker[0].seq);
	wait_event(r, EVENT_SPOOL_RECOVERED);
	assert_int_equal(r->worker[0].refusals, 1);
	spool_rig_close(r);
	assert_int_equal(row_count(r, "SELECT count(*) FROM message"), mid - 10);
}

/* As when the state directory is on a disk that is full already. */
static void a_file_that_cannot_be_made_is_tried_again(void **state)
{
	struct spool_rig *r = *state;
	struct rlimit before;
	AUTO_BUF b = {0};
	spool_rig_close(r);
	unlink(scratch_file(&r->dir, "spool.db"));
	getrlimit(RLIMIT_FSIZE, &before);
	const struct rlimit tight = {1 * KiB, before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &tight);
	restart(r);
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_FAILED);
	setrlimit(RLIMIT_FSIZE, &before);
	wait_event(r, EVENT_SPOOL_FAILED);
	const uint64_t end = clock_mono_ms() + 10000;
	do {
		loop_turn(r->loop, 100);
		put_session(&b, 1, "one");
	} while (spool_rig_store(r, 0, &b) != SPOOL_STORED && clock_mono_ms() < end);
	wait_event(r, EVENT_SPOOL_RECOVERED);
	assert_string_equal(spool_rig_state(r),
			    "session 1 one device=7 expiry=60 away=0 will= due=0 \n");
}

static void a_file_of_a_newer_version_is_left_alone(void **state)
{
	struct spool_rig *r = *state;
	struct sql *db;
	spool_rig_close(r);
	assert_int_equal(sql_open(scratch_file(&r->dir, "spool.db"), SQL_FULL, &db), 0);
	sql_script(db, "PRAGMA user_version=1000");
	sql_close(db);
	assert_int_equal(spool_rig_open(r), ERR_CONFLICT);
	assert_int_equal(files_like(r, "spool.db.corrupt-"), 0);
}

/* Only the broker writes here; but damage that SQLite does not see must not end the store. */
static void a_row_that_no_broker_wrote_is_damage(void **state)
{
	struct spool_rig *r = *state;
	static const char *const damage[] = {
		"INSERT INTO session VALUES(1, 0, 0, 0, 0, zeroblob(65536), x'', x'')",
		"INSERT INTO session VALUES(-5, 0, 0, 0, 0, x'', x'', x'')",
	};
	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		struct sql *db;
		spool_rig_close(r);
		assert_int_equal(sql_open(scratch_file(&r->dir, "spool.db"), SQL_FULL, &db), 0);
		assert_int_equal(sql_script(db, damage[i]), 0);
		sql_close(db);
		restart(r);
		assert_string_equal(spool_rig_state(r), "");
		assert_int_equal(r->state_status, SPOOL_STORED);
		wait_event(r, EVENT_DATABASE_SET_ASIDE);
		r->events[EVENT_DATABASE_SET_ASIDE] = 0;
	}
}

static void a_new_broker_gets_no_row_without_its_message(void **state)
{
	struct spool_rig *r = *state;
	struct sql *db;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	put_message(&b, 3, "t", "lost");
	put_message(&b, 4, "t", "kept");
	put_queue(&b, 1, 1, 3);
	put_queue(&b, 1, 2, 4);
	put_retain(&b, "t", 1, 3);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_rig_close(r);
	assert_int_equal(sql_open(scratch_file(&r->dir, "spool.db"), SQL_FULL, &db), 0);
	assert_int_equal(sql_script(db, "DELETE FROM message WHERE mid = 3; INSERT INTO message "
					"VALUES(9, 0, 0, 0, 0, x'', x'', x'')"),
			 0);
	sql_close(db);
	restart(r);
	assert_string_equal(spool_rig_state(r),
			    "session 1 one device=7 expiry=60 away=0 will= due=0 \n"
			    "message 4 t kept qos=1 retain=0 expires=0 origin=0 \n"
			    "queue 1 2 message=4 at=0 qos=1 retain=0  ids=0\n");
}

static void unused_space_goes_back_to_the_disk(void **state)
{
	struct spool_rig *r = *state;
	struct spool_tables t;
	struct why why;
	char *aside;
	AUTO_BUF b = {0};
	put_session(&b, 1, "one");
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	fill(r, 0, 10, 2200);
	spool_rig_answered(r, 0, 2);
	put_session_gone(&b, 1);
	assert_int_equal(spool_rig_store(r, 0, &b), SPOOL_STORED);
	spool_rig_close(r);
	spool_tables_init(&t, r->dir.path, 64 * MiB);
	assert_int_equal(spool_tables_open(&t, &aside, &why), 0);
	const struct spool_bytes before = spool_tables_bytes(&t);
	assert_true(before.file > 20 * MiB && before.used < 1 * MiB);
	for (int i = 0; i < 10; i++)
		spool_tables_shrink(&t);
	const struct spool_bytes after = spool_tables_bytes(&t);
	assert_true(after.file <= 16 * MiB + 1 * MiB);
	assert_true(after.file > 8 * MiB); /* some is kept for what comes */
	spool_tables_fini(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(everything_comes_back_in_its_order),
		TEST(an_empty_spool_has_nothing_to_tell),
		TEST(what_is_taken_away_is_gone),
		TEST(a_message_lives_as_long_as_something_refers_to_it),
		TEST(a_message_of_several_workers_is_stored_once),
		TEST(putting_twice_changes_or_does_nothing),
		TEST(the_higher_version_of_a_retained_message_counts),
		TEST(a_row_without_its_message_is_dropped_alone),
		TEST(what_belongs_to_no_session_is_dropped),
		TEST(what_is_put_and_gone_in_one_batch_is_never_written),
		TEST(a_row_from_before_goes_although_it_is_put_again),
		TEST(many_batches_share_a_commit),
		TEST(a_large_batch_travels_beside_the_link),
		TEST(a_malformed_batch_marks_its_sender),
		TEST(after_a_restart_of_the_store_nothing_is_applied_twice),
		TEST(batches_of_a_broker_that_is_gone_are_not_taken_after_the_next_one_asked),
		TEST(a_batch_over_two_links_is_applied_once_and_answered_on_the_new_one),
		TEST(the_last_words_of_a_killed_broker_are_heard),
		TEST(at_the_end_everything_sent_is_committed),
		TEST(a_damaged_file_is_set_aside),
		TEST(damage_while_in_use_costs_the_file_and_no_batch),
		TEST(at_the_bound_batches_are_refused_and_others_go_on),
		TEST(a_refused_batch_takes_no_other_with_it),
		TEST(a_refused_batch_stays_refused_after_a_restart),
		TEST(a_failing_disk_refuses_until_it_works_again),
		TEST(a_file_that_cannot_be_made_is_tried_again),
		TEST(a_file_of_a_newer_version_is_left_alone),
		TEST(a_row_that_no_broker_wrote_is_damage),
		TEST(a_new_broker_gets_no_row_without_its_message),
		TEST(unused_space_goes_back_to_the_disk),
	};
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
