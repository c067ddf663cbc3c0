/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking requests: an answer, a peer that is slow, dead, stopped or taken over. The asker is a
 * handshake thread of the broker, the other end a signer thread of the vault.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ipc/rpc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 60000, SHORT_MS = 20 };

struct scene {
	struct rpc broker;
	struct rpc vault;
	int peer; /* the vault's end, when it is driven by hand */
};

static int set_up(void **state)
{
	int fds[2];
	struct scene *s = calloc(1, sizeof(*s));
	if (!s || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -1;
	rpc_init(&s->broker, fds[0], PROCESS_BROKER, PROCESS_VAULT);
	s->peer = fds[1];
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	rpc_fini(&s->broker);
	if (s->vault.buf)
		rpc_fini(&s->vault);
	else if (s->peer >= 0)
		close(s->peer);
	free(s);
	return 0;
}

static struct str encode_sign(unsigned char *bytes, size_t n)
{
	struct out o = out_make(bytes, n);
	body_tls_sign_put(&o, &(struct body_tls_sign){1, 0x0403, STR("hash")});
	return str_make(bytes, o.need);
}

static int ask(struct scene *s, uint32_t timeout_ms, struct record *reply)
{
	unsigned char bytes[100];
	return rpc_ask(&s->broker, MSG_TLS_SIGN, encode_sign(bytes, sizeof(bytes)), timeout_ms,
		       reply);
}

/* The vault's side in a thread: answers every question until the asker is gone. */
static void *serve(void *arg)
{
	struct scene *s = arg;
	struct record r;
	while (rpc_next(&s->vault, &r) == 0) {
		unsigned char bytes[100];
		struct out o = out_make(bytes, sizeof(bytes));
		body_tls_sign_done_put(&o, &(struct body_tls_sign_done){1, STR("signature")});
		if (rpc_reply(&s->vault, MSG_TLS_SIGN_DONE, r.id, str_make(bytes, o.need)))
			break;
	}
	return NULL;
}

static void a_question_is_answered(void **state)
{
	struct scene *s = *state;
	struct record reply;
	struct body_tls_sign_done done;
	pthread_t thread;
	rpc_init(&s->vault, s->peer, PROCESS_VAULT, PROCESS_BROKER);
	assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ask(s, LONG_MS, &reply), 0);
		assert_int_equal(reply.type, MSG_TLS_SIGN_DONE);
		assert_int_equal(body_tls_sign_done_get(reply.body, &done), 0);
		assert_true(str_is(done.signature, "signature"));
	}
	shutdown(s->broker.sock, SHUT_RDWR);
	pthread_join(thread, NULL);
}

static void say(struct scene *s, enum message type, uint64_t id, struct str body)
{
	const struct record r = {type, id, 0, body, -1};
	assert_int_equal(frame_send(s->peer, &r), 0);
}

static void say_signature(struct scene *s, uint64_t id)
{
	unsigned char bytes[100];
	struct out o = out_make(bytes, sizeof(bytes));
	body_tls_sign_done_put(&o, &(struct body_tls_sign_done){1, STR("x")});
	say(s, MSG_TLS_SIGN_DONE, id, str_make(bytes, o.need));
}

static void nobody_answers(void **state)
{
	struct record reply;
	assert_int_equal(ask(*state, SHORT_MS, &reply), ERR_TIMEOUT);
}

/* The answer to the question before, which had timed out, is not taken for this one's. */
static void a_late_answer_is_dropped(void **state)
{
	struct scene *s = *state;
	struct record reply;
	assert_int_equal(ask(s, SHORT_MS, &reply), ERR_TIMEOUT);
	say_signature(s, 1);
	say_signature(s, 2);
	assert_int_equal(ask(s, LONG_MS, &reply), 0);
	assert_true(reply.id == 2);
}

/* A thread that drives many handshakes does not wait for a stopped vault again and again, and goes
 * on as soon as the vault does. */
static void a_silent_peer_is_not_asked_again_at_once(void **state)
{
	struct scene *s = *state;
	struct record reply;
	assert_int_equal(ask(s, SHORT_MS, &reply), ERR_TIMEOUT);
	assert_int_equal(ask(s, LONG_MS, &reply), ERR_TIMEOUT);
	for (uint64_t id = 1; id <= 3; id++)
		say_signature(s, id);
	assert_int_equal(ask(s, LONG_MS, &reply), 0);
	assert_int_equal(ask(s, LONG_MS, &reply), 0);
}

/* A stopped vault reads nothing: when the socket is full, sending ends by the deadline too. */
static void a_stopped_peer_never_blocks(void **state)
{
	struct scene *s = *state;
	struct record reply;
	const struct record r = {MSG_TLS_SIGN, 0, 0, STR("fills the socket"), -1};
	while (frame_send(s->broker.sock, &r) == 0)
		;
	for (int i = 0; i < 3; i++) {
		s->broker.rest_until_ms = 0;
		assert_int_equal(ask(s, SHORT_MS, &reply), ERR_TIMEOUT);
	}
}

static void a_dead_peer(void **state)
{
	struct scene *s = *state;
	struct record reply;
	close(s->peer);
	s->peer = -1;
	assert_int_equal(ask(s, LONG_MS, &reply), ERR_EOF);
}

static void a_peer_that_says_something_else(void **state)
{
	struct scene *s = *state;
	struct record reply;
	say(s, MSG_READY, 0, STR(""));
	assert_int_equal(ask(s, LONG_MS, &reply), ERR_DENIED);
}

static void the_answer_to_another_question(void **state)
{
	struct scene *s = *state;
	struct record reply;
	say(s, MSG_TLS_CHAIN_DONE, 1, STR(""));
	assert_int_equal(ask(s, LONG_MS, &reply), ERR_DENIED);
}

static void a_peer_of_another_build(void **state)
{
	struct scene *s = *state;
	struct record reply;
	unsigned char bytes[100];
	struct out o = out_make(bytes, sizeof(bytes));
	body_hello_put(&o, &(struct body_hello){frame_table_hash() ^ 1, PROCESS_VAULT});
	say(s, MSG_HELLO, 0, str_make(bytes, o.need));
	assert_int_equal(ask(s, LONG_MS, &reply), ERR_DENIED);
}

/* ---- the answering side -----------------------------------------------------------------------
 */

static int next_after(struct scene *s, enum message type, struct str body)
{
	struct record r;
	const struct record sent = {type, 1, 0, body, -1};
	rpc_init(&s->vault, s->peer, PROCESS_VAULT, PROCESS_BROKER);
	assert_int_equal(frame_send(s->broker.sock, &sent), 0);
	return rpc_next(&s->vault, &r);
}

static void a_question_comes_through(void **state)
{
	assert_int_equal(next_after(*state, MSG_TLS_SIGN, STR("")), 0);
}

static void the_broker_may_not_have_certificates_issued(void **state)
{
	assert_int_equal(next_after(*state, MSG_ISSUE_DEVICE, STR("")), ERR_DENIED);
}

static void an_answer_is_no_question(void **state)
{
	assert_int_equal(next_after(*state, MSG_TLS_SIGN_DONE, STR("")), ERR_DENIED);
}

static void the_end_of_the_asker(void **state)
{
	struct scene *s = *state;
	struct record r;
	rpc_init(&s->vault, s->peer, PROCESS_VAULT, PROCESS_BROKER);
	shutdown(s->broker.sock, SHUT_RDWR);
	assert_int_equal(rpc_next(&s->vault, &r), ERR_EOF);
	assert_int_equal(rpc_reply(&s->vault, MSG_TLS_SIGN_DONE, 1, STR("")), ERR_EOF);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_question_is_answered),
		T(nobody_answers),
		T(a_late_answer_is_dropped),
		T(a_silent_peer_is_not_asked_again_at_once),
		T(a_stopped_peer_never_blocks),
		T(a_dead_peer),
		T(a_peer_that_says_something_else),
		T(the_answer_to_another_question),
		T(a_peer_of_another_build),
		T(a_question_comes_through),
		T(the_broker_may_not_have_certificates_issued),
		T(an_answer_is_no_question),
		T(the_end_of_the_asker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
