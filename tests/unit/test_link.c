/* SPDX-License-Identifier: Apache-2.0
 *
 * Links: what a peer may not do (speak before HELLO, send what the table forbids, answer another
 * question, flood), what happens to calls and to the queue, and whose memory is whose when a
 * handler frees the link. The store's end is the link under test; the broker's end is driven by
 * hand.
 */
#include "daemon/base/err.h"
#include "daemon/ipc/link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 60000 };

struct scene {
	struct loop *loop;
	struct link *link; /* NULL after it broke */
	int peer;
	unsigned broken;
	bool misbehaved;
	char why[200];
	unsigned events;
	int kept_fd;
	bool free_in_handler;
	unsigned done;
	int err;
	enum message reply;
	struct link_call call[3];
	bool free_in_done;
	bool ask_again;
};

static struct scene *scene;
static unsigned char buf[FRAME_MAX];

static void broken(struct link *l, const char *why, bool misbehaved)
{
	scene->broken++;
	scene->misbehaved = misbehaved;
	snprintf(scene->why, sizeof(scene->why), "%s", why);
	link_free(l);
	scene->link = NULL;
}

static int on_events(struct link *l, struct record *r)
{
	struct body_events b;
	scene->events++;
	if (scene->free_in_handler) {
		link_free(l);
		scene->link = NULL;
		/* The record lives until the handler returns. */
		assert_int_equal(body_events_get(r->body, &b), 0);
		return 0;
	}
	return body_events_get(r->body, &b);
}

static const link_handler handlers[MSG_COUNT] = {[MSG_EVENTS] = on_events};

static int set_up(void **state)
{
	int fds[2];
	scene = calloc(1, sizeof(*scene));
	if (!scene || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
		return -1;
	const struct link_config config = {
		.self = PROCESS_STORE,
		.peer = PROCESS_BROKER,
		.handler = handlers,
		.owner = scene,
		.broken = broken,
	};
	scene->kept_fd = -1;
	scene->loop = loop_new();
	scene->peer = fds[1];
	scene->link = link_new(scene->loop, fds[0], &config);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	if (s->link)
		link_free(s->link);
	if (s->peer >= 0)
		close(s->peer);
	if (s->kept_fd >= 0)
		close(s->kept_fd);
	loop_free(s->loop);
	free(s);
	return 0;
}

static void turn(void)
{
	for (int i = 0; i < 5; i++)
		loop_turn(scene->loop, 0);
}

static int say(enum message type, uint64_t id, struct str body, int fd)
{
	const struct record r = {type, id, 0, body, fd};
	return frame_send(scene->peer, &r);
}

#define SAY(TYPE, name, id, fd, ...)                                                         \
	do {                                                                                 \
		unsigned char bytes_[1000];                                                  \
		struct out o_ = out_make(bytes_, sizeof(bytes_));                            \
		body_##name##_put(&o_, (&(struct body_##name){__VA_ARGS__}));                \
		assert_int_equal(say(MSG_##TYPE, (id), str_make(bytes_, o_.need), (fd)), 0); \
	} while (0)

static void greet(void)
{
	SAY(HELLO, hello, 0, -1, frame_table_hash(), PROCESS_BROKER);
	turn();
	assert_int_equal(scene->broken, 0);
}

/* The next record at the hand-driven end. */
static int hear(struct record *r)
{
	return frame_receive(scene->peer, buf, r);
}

static uint64_t hear_ask(enum message type)
{
	struct record r;
	assert_int_equal(hear(&r), 0);
	assert_int_equal(r.type, type);
	return r.id;
}

static void hear_hello(void)
{
	struct record r;
	struct body_hello b;
	assert_int_equal(hear(&r), 0);
	assert_int_equal(r.type, MSG_HELLO);
	assert_int_equal(body_hello_get(r.body, &b), 0);
	assert_int_equal(b.process, PROCESS_STORE);
	assert_true(b.table_hash == frame_table_hash());
}

static void expect_misbehaved(const char *why)
{
	turn();
	assert_int_equal(scene->broken, 1);
	assert_true(scene->misbehaved);
	assert_string_equal(scene->why, why);
}

static void both_ends_say_hello(void **state)
{
	(void)state;
	hear_hello();
	greet();
	SAY(EVENTS, events, 0, -1, STR(""));
	turn();
	assert_int_equal(scene->events, 1);
	assert_true(link_owner(scene->link) == scene);
	assert_int_equal(link_peer(scene->link), PROCESS_BROKER);
}

static void nothing_is_taken_before_hello(void **state)
{
	(void)state;
	SAY(EVENTS, events, 0, -1, STR(""));
	expect_misbehaved("sent a forbidden EVENTS");
	assert_int_equal(scene->events, 0);
}

static void hello_of_another_build_or_process(void **state)
{
	(void)state;
	SAY(HELLO, hello, 0, -1, frame_table_hash() + 1, PROCESS_BROKER);
	expect_misbehaved("sent a malformed HELLO");
}

static void hello_of_another_process(void **state)
{
	(void)state;
	SAY(HELLO, hello, 0, -1, frame_table_hash(), PROCESS_CTL);
	expect_misbehaved("sent a malformed HELLO");
}

/* The broker asks for what only the web processes may ask. */
static void a_forbidden_sender(void **state)
{
	(void)state;
	greet();
	SAY(OP, op, 1, -1, 0, 0, STR(""), STR(""), 0, STR(""));
	expect_misbehaved("sent a forbidden OP");
}

static void a_message_without_a_handler(void **state)
{
	(void)state;
	greet();
	SAY(SNAPSHOT_GET, snapshot_get, 1, -1, );
	expect_misbehaved("sent a forbidden SNAPSHOT_GET");
}

static void a_body_against_its_grammar(void **state)
{
	(void)state;
	greet();
	assert_int_equal(say(MSG_EVENTS, 0, STR("\1"), -1), 0);
	expect_misbehaved("sent a malformed EVENTS");
}

static void bytes_that_are_no_record(void **state)
{
	(void)state;
	greet();
	assert_int_equal(send(scene->peer, "garbage", 7, 0), 7);
	expect_misbehaved("sent a malformed record");
}

static void a_descriptor_that_nobody_wants(void **state)
{
	(void)state;
	greet();
	SAY(EVENTS, events, 0, STDIN_FILENO, STR(""));
	expect_misbehaved("sent a malformed record");
}

/* Nothing that came behind the offence is handled. */
static void an_offence_ends_the_link_at_once(void **state)
{
	(void)state;
	greet();
	SAY(SNAPSHOT_GET, snapshot_get, 1, -1, );
	SAY(EVENTS, events, 0, -1, STR(""));
	expect_misbehaved("sent a forbidden SNAPSHOT_GET");
	assert_int_equal(scene->events, 0);
	const struct record r = {MSG_EVENTS, 0, 0, STR(""), -1};
	assert_int_equal(frame_send(scene->peer, &r), ERR_EOF);
}

static void done(struct link_call *call, int err, struct record *reply)
{
	scene->done++;
	scene->err = err;
	scene->reply = reply ? reply->type : MSG_COUNT;
	if (scene->free_in_done && scene->link) {
		link_free(scene->link);
		scene->link = NULL;
	}
	if (scene->ask_again && scene->link) {
		scene->ask_again = false;
		LINK_ASK(scene->link, call, KICK, kick, -1, (&(struct body_kick){0}), LONG_MS,
			 done);
	}
}

static void ask(size_t i, uint32_t timeout_ms)
{
	LINK_ASK(scene->link, &scene->call[i], KICK, kick, -1, (&(struct body_kick){0}), timeout_ms,
		 done);
}

static void a_reply_finds_its_asker(void **state)
{
	(void)state;
	greet();
	hear_hello();
	ask(0, LONG_MS);
	ask(1, LONG_MS);
	const uint64_t first = hear_ask(MSG_KICK);
	const uint64_t second = hear_ask(MSG_KICK);
	assert_true(first != second);
	SAY(KICK_DONE, kick_done, second, -1, 1);
	turn();
	assert_int_equal(scene->done, 1);
	assert_int_equal(scene->err, 0);
	assert_int_equal(scene->reply, MSG_KICK_DONE);
	SAY(KICK_DONE, kick_done, second, -1, 1); /* a second answer finds nobody */
	turn();
	assert_int_equal(scene->done, 1);
	SAY(KICK_DONE, kick_done, first, -1, 1);
	turn();
	assert_int_equal(scene->done, 2);
	assert_int_equal(scene->broken, 0);
}

static void a_reply_after_its_deadline_is_dropped(void **state)
{
	(void)state;
	greet();
	hear_hello();
	ask(0, 1);
	const uint64_t id = hear_ask(MSG_KICK);
	while (!scene->done)
		loop_turn(scene->loop, 100);
	assert_int_equal(scene->err, ERR_TIMEOUT);
	SAY(KICK_DONE, kick_done, id, -1, 1);
	turn();
	assert_int_equal(scene->done, 1);
	assert_int_equal(scene->broken, 0);
}

static void the_answer_to_another_question(void **state)
{
	(void)state;
	greet();
	hear_hello();
	ask(0, LONG_MS);
	SAY(DELTA_DONE, delta_done, hear_ask(MSG_KICK), -1, 1, 0);
	turn();
	assert_int_equal(scene->broken, 1);
	assert_true(scene->misbehaved);
	assert_int_equal(scene->done, 1);
	assert_int_equal(scene->err, ERR_UNAVAILABLE);
}

static void a_cancelled_call_is_not_told(void **state)
{
	(void)state;
	greet();
	hear_hello();
	ask(0, LONG_MS);
	link_call_cancel(&scene->call[0]);
	link_call_cancel(&scene->call[0]);
	SAY(KICK_DONE, kick_done, hear_ask(MSG_KICK), -1, 1);
	turn();
	assert_int_equal(scene->done, 0);
	ask(0, LONG_MS);
	SAY(KICK_DONE, kick_done, hear_ask(MSG_KICK), -1, 1);
	turn();
	assert_int_equal(scene->done, 1);
}

static void a_peer_that_dies_ends_the_calls(void **state)
{
	(void)state;
	greet();
	ask(0, LONG_MS);
	ask(1, LONG_MS);
	close(scene->peer);
	scene->peer = -1;
	turn();
	assert_int_equal(scene->done, 2);
	assert_int_equal(scene->err, ERR_UNAVAILABLE);
	assert_int_equal(scene->broken, 1);
	assert_false(scene->misbehaved);
	assert_string_equal(scene->why, "closed by the peer");
}

/* Whoever asks again when a call failed does not keep the dead link busy for ever. */
static void asking_again_on_a_dead_link(void **state)
{
	(void)state;
	greet();
	scene->ask_again = true;
	ask(0, LONG_MS);
	close(scene->peer);
	scene->peer = -1;
	turn();
	assert_int_equal(scene->broken, 1);
	assert_int_equal(scene->done, 2);
	assert_int_equal(scene->err, ERR_UNAVAILABLE);
}

static void asking_when_the_peer_is_gone(void **state)
{
	(void)state;
	greet();
	close(scene->peer);
	scene->peer = -1;
	ask(0, LONG_MS);
	assert_int_equal(scene->done, 0);
	assert_int_equal(LINK_SEND(scene->link, KICK, kick, 0, -1, (&(struct body_kick){0})),
			 ERR_UNAVAILABLE);
	turn();
	assert_int_equal(scene->done, 1);
	assert_int_equal(scene->err, ERR_UNAVAILABLE);
	assert_int_equal(scene->broken, 1);
}

/* What the peer said before it died is handled although our own writing failed meanwhile. */
static void last_words_are_handled(void **state)
{
	(void)state;
	greet();
	for (int i = 0; i < 3; i++)
		SAY(EVENTS, events, 0, -1, STR(""));
	close(scene->peer);
	scene->peer = -1;
	assert_int_equal(LINK_SEND(scene->link, KICK, kick, 0, -1, (&(struct body_kick){0})),
			 ERR_UNAVAILABLE);
	turn();
	assert_int_equal(scene->events, 3);
	assert_int_equal(scene->broken, 1);
	assert_false(scene->misbehaved);
}

static void a_handler_may_free_the_link(void **state)
{
	(void)state;
	greet();
	scene->free_in_handler = true;
	ask(0, LONG_MS);
	SAY(EVENTS, events, 0, -1, STR("some bytes of an event"));
	SAY(EVENTS, events, 0, -1, STR(""));
	turn();
	assert_int_equal(scene->events, 1);
	assert_int_equal(scene->broken, 0);
	assert_int_equal(scene->done, 1);
	assert_int_equal(scene->err, ERR_UNAVAILABLE);
}

static void done_may_free_the_link(void **state)
{
	(void)state;
	greet();
	scene->free_in_done = true;
	for (size_t i = 0; i < 3; i++)
		ask(i, LONG_MS);
	close(scene->peer);
	scene->peer = -1;
	turn();
	assert_int_equal(scene->done, 3);
	assert_int_equal(scene->broken, 0);
}

static void done_of_a_reply_may_free_the_link(void **state)
{
	(void)state;
	greet();
	hear_hello();
	scene->free_in_done = true;
	ask(0, LONG_MS);
	ask(1, LONG_MS);
	SAY(KICK_DONE, kick_done, hear_ask(MSG_KICK), -1, 1);
	turn();
	assert_int_equal(scene->done, 2);
	assert_int_equal(scene->broken, 0);
}

/* Sending never blocks and never grows without bound; what was taken arrives whole and in order. */
static void the_queue_is_bounded(void **state)
{
	static char big[50000];
	const struct body_delta b = {0, {big, sizeof(big)}};
	uint64_t sent = 0, heard = 0;
	struct record r;
	(void)state;
	greet();
	hear_hello();
	while (LINK_SEND(scene->link, DELTA, delta, sent, -1, &b) == 0)
		sent++;
	assert_int_equal(LINK_SEND(scene->link, DELTA, delta, 0, -1, &b), ERR_LIMIT);
	assert_true(link_queued(scene->link) <= LINK_QUEUE_MAX);
	assert_true(link_queued(scene->link) > LINK_QUEUE_MAX - FRAME_MAX);
	ask(0, LONG_MS); /* small enough for what is left? if not, it ends */
	link_call_cancel(&scene->call[0]);
	while (heard < sent) {
		loop_turn(scene->loop, 0);
		while (heard < sent && hear(&r) == 0)
			assert_true(r.id == heard++);
	}
	turn();
	assert_int_equal(link_queued(scene->link), 0);
	assert_int_equal(LINK_SEND(scene->link, DELTA, delta, 0, -1, &b), 0);
}

static void a_queued_descriptor_is_our_copy(void **state)
{
	const struct body_snapshot b = {1};
	struct record r;
	size_t with_fd = 0;
	(void)state;
	greet();
	hear_hello();
	for (int i = 0; i < 2000; i++) {
		AUTO_FD fd = memfd_make("snapshot", STR("whole"));
		assert_int_equal(LINK_SEND(scene->link, SNAPSHOT, snapshot, 0, fd, &b), 0);
		if (link_queued(scene->link))
			break;
	}
	assert_true(link_queued(scene->link) > 0);
	for (int i = 0; i < 10; i++) {
		loop_turn(scene->loop, 0);
		while (hear(&r) == 0) {
			AUTO_BUF out = {0};
			assert_true(r.fd >= 0);
			assert_int_equal(memfd_read(r.fd, 100, &out), 0);
			assert_true(str_is(buf_view(&out), "whole"));
			frame_done(&r);
			with_fd++;
		}
	}
	assert_true(with_fd > 1);
	assert_int_equal(link_queued(scene->link), 0);
}

/* A peer that sends without end does not keep the loop from its other work. */
static bool ran;
static void run_task(struct loop_timer *t)
{
	(void)t;
	ran = true;
}

static void a_flood_leaves_room_for_others(void **state)
{
	struct loop_timer timer = {0};
	(void)state;
	greet();
	unsigned sent = 0;
	const struct record r = {MSG_EVENTS, 0, 0, STR("\0\0\0\0"), -1};
	while (frame_send(scene->peer, &r) == 0)
		sent++;
	loop_timer_start(scene->loop, &timer, "task", 0, run_task);
	loop_turn(scene->loop, 0);
	assert_true(ran);
	assert_true(scene->events > 0 && scene->events < sent);
	while (scene->events < sent)
		loop_turn(scene->loop, 0);
	assert_int_equal(scene->broken, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(both_ends_say_hello),
		T(nothing_is_taken_before_hello),
		T(hello_of_another_build_or_process),
		T(hello_of_another_process),
		T(a_forbidden_sender),
		T(a_message_without_a_handler),
		T(a_body_against_its_grammar),
		T(bytes_that_are_no_record),
		T(a_descriptor_that_nobody_wants),
		T(an_offence_ends_the_link_at_once),
		T(a_reply_finds_its_asker),
		T(a_reply_after_its_deadline_is_dropped),
		T(the_answer_to_another_question),
		T(a_cancelled_call_is_not_told),
		T(a_peer_that_dies_ends_the_calls),
		T(asking_again_on_a_dead_link),
		T(asking_when_the_peer_is_gone),
		T(last_words_are_handled),
		T(a_handler_may_free_the_link),
		T(done_may_free_the_link),
		T(done_of_a_reply_may_free_the_link),
		T(the_queue_is_bounded),
		T(a_queued_descriptor_is_our_copy),
		T(a_flood_leaves_room_for_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
