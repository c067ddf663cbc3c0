/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop: daemon/net/loop.h. What runs in a turn and in which order, what may be removed
 * while it runs, and how other threads reach it.
 */
#include "daemon/base/str.h"
#include "daemon/net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static char said[64]; /* what ran, in order */

static void say(char c)
{
	const size_t n = strlen(said);
	assert_true(n < sizeof(said) - 1);
	said[n] = c;
	said[n + 1] = 0;
}

static void heard(const char *text)
{
	assert_string_equal(said, text);
	said[0] = 0;
}

struct note {
	struct loop_note note;
	char name;
};

static void note_runs(struct loop_note *note)
{
	say(container_of(note, struct note, note)->name);
}

static void notes_and_batches_keep_their_order(void **state)
{
	(void)state;
	AUTO(loop) l = loop_new();
	struct loop_batch batch = {0};
	struct note n[5] = {
		{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}, {.name = 'e'}};
	loop_post_batch(l, &batch); /* empty: nothing */
	loop_turn(l, 0);
	heard("");
	for (size_t i = 1; i < 4; i++)
		loop_batch_add(&batch, &n[i].note, note_runs);
	loop_post(l, &n[0].note, note_runs);
	loop_post_batch(l, &batch);
	assert_null(batch.newest);
	loop_post(l, &n[4].note, note_runs);
	loop_turn(l, 1000);
	heard("abcde");
	/* A batch may be used again. */
	loop_batch_add(&batch, &n[4].note, note_runs);
	loop_batch_add(&batch, &n[0].note, note_runs);
	loop_post_batch(l, &batch);
	loop_turn(l, 1000);
	heard("ea");
}

struct task {
	struct loop_task task;
	struct loop *loop;
	struct task *more; /* deferred when this one runs */
	char name;
};

static void task_runs(struct loop_task *task)
{
	const struct task *t = container_of(task, struct task, task);
	say(t->name);
	if (t->more)
		loop_defer(t->loop, &t->more->task, task_runs);
}

static void tasks_run_at_the_end_and_once(void **state)
{
	(void)state;
	AUTO(loop) l = loop_new();
	struct note n = {.name = 'n'};
	struct task last = {.loop = l, .name = 'l'};
	struct task first = {.loop = l, .more = &last, .name = 'f'};
	struct task never = {.loop = l, .name = 'x'};
	loop_defer(l, &first.task, task_runs);
	loop_defer(l, &never.task, task_runs);
	loop_defer(l, &first.task, task_runs);
	loop_undefer(&never.task);
	loop_post(l, &n.note, note_runs);
	loop_turn(l, 1000);
	heard("nfl");
}

struct timer {
	struct loop_timer timer;
	char name;
};

static void timer_runs(struct loop_timer *t)
{
	say(container_of(t, struct timer, timer)->name);
}

static void timers_expire_in_order(void **state)
{
	(void)state;
	AUTO(loop) l = loop_new();
	struct timer late = {.name = '3'}, early = {.name = '1'}, moved = {.name = '2'},
		     stopped = {.name = 'x'};
	loop_timer_start(l, &late.timer, "late", 30, timer_runs);
	loop_timer_start(l, &moved.timer, "moved", 1, timer_runs);
	loop_timer_start(l, &early.timer, "early", 5, timer_runs);
	loop_timer_start(l, &stopped.timer, "stopped", 5, timer_runs);
	loop_timer_start(l, &moved.timer, "moved", 15, timer_runs);
	loop_timer_stop(l, &stopped.timer);
	while (loop_timer_running(&late.timer))
		loop_turn(l, -1);
	heard("123");
	assert_false(loop_timer_running(&early.timer));
}

struct end {
	struct loop_io io;
	struct loop *loop;
	struct end *other;
};

static void removes_both(struct loop_io *io, uint32_t events)
{
	struct end *e = container_of(io, struct end, io);
	assert_true(events & EPOLLIN);
	say('r');
	loop_remove(e->loop, &e->other->io);
	loop_remove(e->loop, io);
}

/* Both are ready in the same turn; the first one's handler takes the second one away. */
static void what_is_removed_does_not_run(void **state)
{
	(void)state;
	AUTO(loop) l = loop_new();
	int fd[2][2];
	struct end a = {.loop = l}, b = {.loop = l, .other = &a};
	a.other = &b;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pipe(fd[i]), 0);
		assert_int_equal(write(fd[i][1], "x", 1), 1);
	}
	assert_int_equal(loop_add(l, &a.io, "a", fd[0][0], EPOLLIN, removes_both), 0);
	assert_int_equal(loop_add(l, &b.io, "b", fd[1][0], EPOLLIN, removes_both), 0);
	loop_turn(l, 1000);
	loop_turn(l, 0);
	heard("r");
	for (size_t i = 0; i < 4; i++)
		close(fd[i / 2][i % 2]);
}

struct sender {
	struct loop *to;
	struct note note[2];
};

static void *posts(void *arg)
{
	struct sender *s = arg;
	struct loop_batch batch = {0};
	loop_batch_add(&batch, &s->note[0].note, note_runs);
	loop_batch_add(&batch, &s->note[1].note, note_runs);
	loop_post_batch(s->to, &batch);
	return NULL;
}

static void another_thread_wakes_it(void **state)
{
	(void)state;
	AUTO(loop) l = loop_new();
	struct sender sender = {l, {{.name = 'a'}, {.name = 'b'}}};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, posts, &sender), 0);
	while (said[0] == 0)
		loop_turn(l, -1);
	pthread_join(thread, NULL);
	heard("ab");
}

static struct loop *running;

static void stops(struct loop_note *note)
{
	note_runs(note);
	loop_stop(running);
}

static void stop_ends_the_run_after_the_turn(void **state)
{
	(void)state;
	AUTO(loop) l = running = loop_new();
	struct note stop = {.name = 's'}, same_turn = {.name = 't'};
	struct task end = {.loop = l, .name = 'e'};
	loop_post(l, &stop.note, stops);
	loop_post(l, &same_turn.note, note_runs);
	loop_defer(l, &end.task, task_runs);
	loop_run(l);
	heard("ste");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_and_batches_keep_their_order),
		cmocka_unit_test(tasks_run_at_the_end_and_once),
		cmocka_unit_test(timers_expire_in_order),
		cmocka_unit_test(what_is_removed_does_not_run),
		cmocka_unit_test(another_thread_wakes_it),
		cmocka_unit_test(stop_ends_the_run_after_the_turn),
	};
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
