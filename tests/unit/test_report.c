/* SPDX-License-Identifier: Apache-2.0
 *
 * Reporting events: one batch per turn, bounded while the store is away, what was dropped is told,
 * nothing waits for the next event when the store returns or reads again.
 */
#include "daemon/base/clock.h"
#include "daemon/ipc/rec.h"
#include "daemon/ipc/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct loop *loop;
	struct link *link;
	int store;
	struct report report;
	unsigned batches;
	uint64_t dropped;
};

static unsigned char buf[FRAME_MAX];
static const link_handler no_handlers[MSG_COUNT];

static void broken(struct link *l, const char *why, bool misbehaved)
{
	(void)l;
	(void)why;
	(void)misbehaved;
	fail();
}

static void connect_store(struct scene *s)
{
	int fds[2];
	const struct link_config config = {
		.self = PROCESS_BROKER,
		.peer = PROCESS_STORE,
		.handler = no_handlers,
		.broken = broken,
	};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	s->link = link_new(s->loop, fds[0], &config);
	s->store = fds[1];
	report_set_link(&s->report, s->link);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	if (!s)
		return -1;
	s->store = -1;
	s->loop = loop_new();
	report_init(&s->report, s->loop);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	report_fini(&s->report);
	if (s->link)
		link_free(s->link);
	if (s->store >= 0)
		close(s->store);
	loop_free(s->loop);
	free(s);
	return 0;
}

static void report_number(struct scene *s, size_t pad)
{
	static char padding[5000];
	AUTO_BUF detail = {0};
	memset(padding, 'x', sizeof(padding));
	rec_str(&detail, "pad", (struct str){padding, pad});
	report_event(&s->report, EVENT_CLIENT_CONNECTED,
		     &(struct body_event){.actor = STR("pump"), .detail = buf_view(&detail)});
}

/* Reads what the store got so far; counts batches and what was said to be dropped. */
static size_t read_events(struct scene *s)
{
	struct record r;
	struct body_events b;
	struct body_event e;
	struct str one;
	size_t n = 0;
	while (frame_receive(s->store, buf, &r) == 0) {
		if (r.type != MSG_EVENTS)
			continue;
		s->batches++;
		assert_int_equal(body_events_get(r.body, &b), 0);
		struct cur c = cur_of(b.events);
		while (entries_next(&c, &one)) {
			int64_t count = 0;
			assert_int_equal(body_event_get(one, &e), 0);
			assert_true(e.time_ms > 0);
			n++;
			if (e.event != EVENT_LIMIT_REACHED)
				continue;
			assert_true(str_is(e.reason, "events dropped"));
			assert_true(rec_get_int(e.detail, "count", &count) && count > 0);
			s->dropped += (uint64_t)count;
			n--;
		}
		assert_true(cur_ok(&c));
	}
	return n;
}

static void events_of_one_turn_share_a_message(void **state)
{
	struct scene *s = *state;
	connect_store(s);
	for (int i = 0; i < 20; i++)
		report_number(s, 10);
	assert_int_equal(read_events(s), 0);
	loop_turn(s->loop, 0);
	assert_int_equal(read_events(s), 20);
	assert_int_equal(s->batches, 1);
}

static void many_events_are_cut_into_messages(void **state)
{
	struct scene *s = *state;
	connect_store(s);
	for (int i = 0; i < 100; i++)
		report_number(s, 4000);
	size_t got = 0;
	for (int i = 0; i < 20; i++) {
		loop_turn(s->loop, 0);
		got += read_events(s);
	}
	assert_int_equal(got, 100);
	assert_true(s->batches > 6);
	assert_int_equal(s->dropped, 0);
}

static void what_waits_is_bounded_and_counted(void **state)
{
	struct scene *s = *state;
	for (int i = 0; i < 1000; i++)
		report_number(s, 4000);
	assert_true(s->report.pending.n <= REPORT_MAX + 8 * KiB);
	connect_store(s);
	size_t got = 0;
	for (int i = 0; i < 100; i++) {
		loop_turn(s->loop, 0);
		got += read_events(s);
	}
	/* Told without waiting for another event. */
	assert_true(s->dropped > 0);
	assert_int_equal(got + s->dropped, 1000);
}

/* The store is there but does not read: nothing is lost below the bound, and all of it goes out
 * when it reads again, without a further event. */
static void a_store_that_does_not_read(void **state)
{
	struct scene *s = *state;
	size_t sent = 0, got = 0;
	connect_store(s);
	while (s->report.pending.n == 0) {
		for (int i = 0; i < 14; i++, sent++)
			report_number(s, 4000);
		loop_turn(s->loop, 0);
	}
	assert_true(link_queued(s->link) > LINK_QUEUE_MAX - FRAME_MAX);
	const uint64_t until = clock_mono_ms() + 20000;
	while (got < sent && clock_mono_ms() < until) {
		got += read_events(s);
		loop_turn(s->loop, 10);
	}
	assert_int_equal(got, sent);
	assert_int_equal(s->dropped, 0);
}

static void texts_are_cut_between_characters(void **state)
{
	struct scene *s = *state;
	struct record r;
	struct body_events b;
	struct body_event e;
	struct str one;
	char text[300];
	connect_store(s);
	memset(text, 'a', sizeof(text));
	memcpy(text + 255, "\xc3\xa9", 2); /* over the edge of 256 bytes */
	report_event(&s->report, EVENT_CLIENT_CONNECTED,
		     &(struct body_event){.actor = {text, 257}, .address = {text, 255}});
	loop_turn(s->loop, 0);
	while (frame_receive(s->store, buf, &r) == 0)
		if (r.type == MSG_EVENTS)
			break;
	assert_int_equal(body_events_get(r.body, &b), 0);
	struct cur c = cur_of(b.events);
	assert_true(entries_next(&c, &one));
	assert_int_equal(body_event_get(one, &e), 0);
	assert_int_equal(e.actor.n, 255);
	assert_true(str_is_utf8(e.actor));
	assert_int_equal(e.address.n, 64);
}

static void ending_sends_what_is_left(void **state)
{
	struct scene *s = *state;
	connect_store(s);
	report_number(s, 10);
	report_fini(&s->report);
	assert_int_equal(read_events(s), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(events_of_one_turn_share_a_message), T(many_events_are_cut_into_messages),
		T(what_waits_is_bounded_and_counted),  T(a_store_that_does_not_read),
		T(texts_are_cut_between_characters),   T(ending_sends_what_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
