/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue between threads: daemon/base/inbox.h. Several senders, one receiver that sleeps on the
 * descriptor: nothing is lost, nothing comes twice, each sender's posts keep their order.
 */
#include "daemon/base/inbox.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SENDERS = 4, POSTS = 20000, CHAIN = 4 };

struct post {
	struct inbox_node node;
	int sender;
	int number;
};

struct sender {
	pthread_t thread;
	struct inbox *to;
	struct post post[POSTS];
};

static bool readable(const struct inbox *in)
{
	struct pollfd p = {.fd = in->fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void oldest_first(void **state)
{
	(void)state;
	struct inbox in;
	struct post p[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
	assert_int_equal(inbox_init(&in), 0);
	assert_null(inbox_drain(&in));
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		inbox_post(&in, &p[i].node);
	const struct inbox_node *n = inbox_drain(&in);
	for (size_t i = 0; i < ARRAY_LEN(p); i++, n = n->next)
		assert_ptr_equal(n, &p[i].node);
	assert_null(n);
	assert_null(inbox_drain(&in));
	inbox_fini(&in);
}

/* Links posts[0..n), oldest first, and posts them at once. */
static void post_chain(struct inbox *in, struct post *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		p[i].node.next = &p[i - 1].node;
	inbox_post_chain(in, &p[n - 1].node, &p[0].node);
}

static void chains_keep_the_order(void **state)
{
	(void)state;
	struct inbox in;
	struct post p[6] = {0};
	assert_int_equal(inbox_init(&in), 0);
	inbox_post(&in, &p[0].node);
	post_chain(&in, p + 1, 4);
	inbox_post(&in, &p[5].node);
	const struct inbox_node *n = inbox_drain(&in);
	for (size_t i = 0; i < ARRAY_LEN(p); i++, n = n->next)
		assert_ptr_equal(n, &p[i].node);
	assert_null(n);
	assert_false(readable(&in));
	post_chain(&in, p, 2);
	assert_true(readable(&in));
	assert_ptr_equal(inbox_drain(&in), &p[0].node);
	inbox_fini(&in);
}

static void wakes_once_for_a_batch(void **state)
{
	(void)state;
	struct inbox in;
	struct post p[3];
	assert_int_equal(inbox_init(&in), 0);
	assert_false(readable(&in));
	inbox_post(&in, &p[0].node);
	assert_true(readable(&in));
	inbox_post(&in, &p[1].node);
	assert_non_null(inbox_drain(&in));
	assert_false(readable(&in)); /* nothing left to wake for */
	inbox_post(&in, &p[2].node);
	assert_true(readable(&in)); /* an inbox that was drained wakes again */
	assert_ptr_equal(inbox_drain(&in), &p[2].node);
	inbox_fini(&in);
}

static void *send_all(void *arg)
{
	struct sender *s = arg;
	for (int i = 0; i < POSTS; i += CHAIN)
		post_chain(s->to, s->post + i, CHAIN);
	return NULL;
}

static void many_senders(void **state)
{
	(void)state;
	static struct sender sender[SENDERS];
	struct inbox in;
	int next[SENDERS] = {0};
	assert_int_equal(inbox_init(&in), 0);
	for (int s = 0; s < SENDERS; s++) {
		sender[s].to = &in;
		for (int i = 0; i < POSTS; i++)
			sender[s].post[i] = (struct post){.sender = s, .number = i};
		assert_int_equal(pthread_create(&sender[s].thread, NULL, send_all, &sender[s]), 0);
	}
	for (int got = 0; got < SENDERS * POSTS;) {
		struct pollfd p = {.fd = in.fd, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 10000), 1); /* a lost wake-up would sleep for ever */
		for (const struct inbox_node *n = inbox_drain(&in); n; n = n->next, got++) {
			const struct post *post = container_of(n, struct post, node);
			assert_int_equal(post->number, next[post->sender]++);
		}
	}
	for (int s = 0; s < SENDERS; s++) {
		pthread_join(sender[s].thread, NULL);
		assert_int_equal(next[s], POSTS);
	}
	assert_null(inbox_drain(&in));
	inbox_fini(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oldest_first),
		cmocka_unit_test(chains_keep_the_order),
		cmocka_unit_test(wakes_once_for_a_batch),
		cmocka_unit_test(many_senders),
	};
	return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
