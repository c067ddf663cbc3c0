/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines on their way to the store, and what it keeps of them (daemon/ipc/logline.h, db/logs.h).
 */
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"
#include "daemon/ipc/logline.h"
#include "db/logs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	struct loop *loop;
	struct logs *logs;
	int in[PROCESS_COUNT]; /* what a process writes to */
	enum process accused;
};

static void accused(void *arg, enum process process)
{
	struct rig *r = arg;
	r->accused = process;
}

static void open_source(struct rig *r, enum process process)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	r->in[process] = pair[0];
	logs_source(r->logs, process, pair[1]);
}

static void rig_open(struct rig *r)
{
	*r = (struct rig){.accused = PROCESS_COUNT};
	r->loop = loop_new();
	r->logs = logs_new(r->loop, accused, r);
	open_source(r, PROCESS_BROKER);
	open_source(r, PROCESS_VAULT);
}

static void rig_close(struct rig *r)
{
	logs_free(r->logs);
	loop_free(r->loop);
	close(r->in[PROCESS_BROKER]);
	close(r->in[PROCESS_VAULT]);
}

static int say(struct rig *r, enum process process, unsigned level, struct str text)
{
	unsigned char bytes[2048];
	struct out o = out_make(bytes, sizeof(bytes));
	const struct body_log_line b = {clock_wall_ms(), (uint8_t)level, 0, text};
	body_log_line_put(&o, &b);
	const struct record record = {MSG_LOG_LINE, 0, 0, {(const char *)bytes, o.need}, -1};
	return frame_send(r->in[process], &record);
}

static size_t find(const struct rig *r, const struct logs_filter *f, bool newest, size_t max,
		   const struct logs_line **out)
{
	struct logs_filter all = {.level = LOG_LEVEL_DEBUG, .process = PROCESS_COUNT};
	return logs_find(r->logs, f ? f : &all, newest, max, out);
}

static void turn(struct rig *r)
{
	for (int i = 0; i < 20; i++)
		loop_turn(r->loop, 0);
}

static void lines_of_all_stand_in_their_order(void **state)
{
	(void)state;
	struct rig r;
	const struct logs_line *line[10];
	rig_open(&r);
	const uint64_t before = logs_last(r.logs);
	say(&r, PROCESS_BROKER, LOG_LEVEL_NOTICE, STR("one"));
	turn(&r);
	say(&r, PROCESS_VAULT, LOG_LEVEL_ERROR, STR("Two"));
	turn(&r);
	say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, STR("three"));
	turn(&r);
	assert_int_equal(find(&r, NULL, true, 10, line), 3);
	assert_true(str_is(line[0]->text, "one") && line[0]->process == PROCESS_BROKER);
	assert_true(str_is(line[1]->text, "Two") && line[1]->level == LOG_LEVEL_ERROR);
	assert_true(before < line[0]->seq && line[1]->seq < line[2]->seq);
	assert_int_equal(logs_last(r.logs), line[2]->seq);
	const uint64_t two = line[1]->seq;
	assert_int_equal(find(&r, NULL, true, 1, line), 1);
	assert_true(str_is(line[0]->text, "three"));
	assert_int_equal(find(&r, NULL, false, 1, line), 1);
	assert_true(str_is(line[0]->text, "one"));
	struct logs_filter f = {.since = two, .level = LOG_LEVEL_DEBUG, .process = PROCESS_COUNT};
	assert_int_equal(find(&r, &f, false, 10, line), 1);
	f = (struct logs_filter){.level = LOG_LEVEL_NOTICE, .process = PROCESS_COUNT};
	assert_int_equal(find(&r, &f, true, 10, line), 2);
	f = (struct logs_filter){.level = LOG_LEVEL_DEBUG, .process = PROCESS_VAULT};
	assert_int_equal(find(&r, &f, true, 10, line), 1);
	f = (struct logs_filter){
		.level = LOG_LEVEL_DEBUG, .process = PROCESS_COUNT, .match = STR("tWO")};
	assert_int_equal(find(&r, &f, true, 10, line), 1);
	rig_close(&r);
}

/* A process that says too much drives out what it said itself, and is read for a part of a second
 * only. */
static void a_flood_drowns_nobody(void **state)
{
	(void)state;
	struct rig r;
	static const struct logs_line *line[LOGS_LINES * 2];
	rig_open(&r);
	say(&r, PROCESS_VAULT, LOG_LEVEL_ERROR, STR("the key is gone"));
	turn(&r);
	size_t got = 0;
	size_t refused = 0;
	for (int i = 0; i < 4000; i++) {
		got += say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, STR("noise")) == 0;
		if (i % 40 == 0)
			turn(&r);
	}
	refused = 4000 - got;
	turn(&r);
	assert_true(refused > 1000);
	const struct logs_filter vault = {.level = LOG_LEVEL_DEBUG, .process = PROCESS_VAULT};
	const struct logs_filter broker = {.level = LOG_LEVEL_DEBUG, .process = PROCESS_BROKER};
	assert_int_equal(find(&r, &vault, true, 10, line), 1);
	assert_true(find(&r, &broker, true, LOGS_LINES * 2, line) <= LOGS_LINES);
	rig_close(&r);
}

static void the_memory_of_a_process_is_bounded(void **state)
{
	(void)state;
	struct rig r;
	static const struct logs_line *line[LOGS_LINES * 2];
	char longest[1024];
	memset(longest, 'x', sizeof(longest));
	rig_open(&r);
	for (int i = 0; i < 160; i++) {
		assert_int_equal(
			say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, str_make(longest, sizeof(longest))),
			0);
		turn(&r);
	}
	const size_t n = find(&r, NULL, true, LOGS_LINES * 2, line);
	assert_true(n > 0 && n <= LOGS_BYTES / sizeof(longest));
	rig_close(&r);
}

static void a_text_cannot_move_a_cursor(void **state)
{
	(void)state;
	struct rig r;
	const struct logs_line *line[10];
	rig_open(&r);
	say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, STR("a\n\x1b[2Jb"));
	say(&r, PROCESS_BROKER, LOG_LEVEL_INFO,
	    STR("c\xff\xfe"
		"d"));
	say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, STR("\u00fc\xff \u20ac\xe2\x82"));
	turn(&r);
	assert_int_equal(find(&r, NULL, true, 10, line), 3);
	assert_true(str_is(line[0]->text, "a??[2Jb"));
	assert_true(str_is(line[1]->text, "c??d"));
	assert_true(str_is(line[2]->text, "\u00fc? \u20ac??")); /* nothing but what is none */
	rig_close(&r);
}

static void what_is_no_line_is_told(void **state)
{
	(void)state;
	struct rig r;
	const struct logs_line *line[10];
	rig_open(&r);
	say(&r, PROCESS_BROKER, 9, STR("no such level"));
	turn(&r);
	assert_int_equal(r.accused, PROCESS_BROKER);
	say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, STR("later"));
	turn(&r);
	assert_int_equal(find(&r, NULL, true, 10, line), 0);
	r.accused = PROCESS_COUNT;
	const struct record other = {MSG_READY, 0, 0, {NULL, 0}, -1};
	assert_int_equal(frame_send(r.in[PROCESS_VAULT], &other), 0);
	turn(&r);
	assert_int_equal(r.accused, PROCESS_VAULT);
	rig_close(&r);
}

/* Its last words are in the socket that it leaves behind. */
static void a_process_that_comes_back_keeps_its_lines(void **state)
{
	(void)state;
	struct rig r;
	const struct logs_line *line[10];
	rig_open(&r);
	say(&r, PROCESS_BROKER, LOG_LEVEL_ERROR, STR("internal error"));
	close(r.in[PROCESS_BROKER]);
	open_source(&r, PROCESS_BROKER);
	say(&r, PROCESS_BROKER, LOG_LEVEL_NOTICE, STR("serving"));
	turn(&r);
	assert_int_equal(find(&r, NULL, true, 10, line), 2);
	assert_true(str_is(line[0]->text, "internal error"));
	assert_true(str_is(line[1]->text, "serving"));
	assert_int_equal(r.accused, PROCESS_COUNT);
	rig_close(&r);
}

static void woken(struct logs_waiter *w)
{
	w->woken = NULL;
}

static void who_waits_is_woken(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r);
	struct logs_waiter w = {.woken = woken};
	struct logs_waiter not = {.woken = woken};
	logs_wait(r.logs, &w);
	logs_wait(r.logs, &not );
	logs_unwait(&not );
	turn(&r);
	assert_non_null(w.woken);
	say(&r, PROCESS_BROKER, LOG_LEVEL_INFO, STR("x"));
	turn(&r);
	assert_null(w.woken);
	assert_non_null(not .woken);
	rig_close(&r);
}

/* The writing end: nobody waits, and what did not get through is counted. */
static void who_logs_never_waits(void **state)
{
	(void)state;
	struct rig r;
	static const struct logs_line *line[LOGS_LINES * 2];
	rig_open(&r);
	log_init("broker", LOG_LEVEL_INFO);
	/* Where the lines go is not the matter here. */
	const int err = dup(STDERR_FILENO);
	const int null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	logline_begin(r.in[PROCESS_BROKER]);
	for (int i = 0; i < LOGLINE_RATE * 20; i++)
		log_info("line %d", i);
	turn(&r);
	const size_t n = find(&r, NULL, true, LOGS_LINES * 2, line);
	assert_true(n > 0 && n < LOGS_LINES);
	assert_int_equal(line[0]->left_out, 0);
	assert_true(str_is(line[0]->text, "line 0"));
	const uint64_t last = logs_last(r.logs);
	/* In another second there is room again, and the gap is told. */
	struct logs_filter newer = {
		.since = last, .level = LOG_LEVEL_DEBUG, .process = PROCESS_COUNT};
	size_t more = 0;
	for (const uint64_t until = clock_mono_ms() + 10000; !more && clock_mono_ms() < until;) {
		loop_turn(r.loop, 50);
		log_info("and then");
		turn(&r);
		more = find(&r, &newer, false, 1, line);
	}
	dup2(err, STDERR_FILENO);
	log_set_tap(NULL);
	close(err);
	close(null);
	assert_int_equal(more, 1);
	assert_true(line[0]->left_out >= LOGLINE_RATE);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_all_stand_in_their_order),
		cmocka_unit_test(a_flood_drowns_nobody),
		cmocka_unit_test(the_memory_of_a_process_is_bounded),
		cmocka_unit_test(a_text_cannot_move_a_cursor),
		cmocka_unit_test(what_is_no_line_is_told),
		cmocka_unit_test(a_process_that_comes_back_keeps_its_lines),
		cmocka_unit_test(who_waits_is_woken),
		cmocka_unit_test(who_logs_never_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
