/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets: binding and its error texts, accepting, allow-from, running out of
 * descriptors.
 */
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/net/listener.h"

#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct listener listener;
	int fd[8];
	struct addr peer;
	size_t n;
	size_t not_allowed;
};

static void on_accepted(struct listener *l, int fd, const struct addr *peer)
{
	struct seen *s = container_of(l, struct seen, listener);
	assert_true(s->n < ARRAY_LEN(s->fd));
	s->fd[s->n++] = fd;
	s->peer = *peer;
}

static void on_not_allowed(struct listener *l, const struct addr *peer)
{
	(void)peer;
	container_of(l, struct seen, listener)->not_allowed++;
}

static int bind_to(const char *text, bool share, bool first, struct addr *where)
{
	struct listener_bind b = {.name = "mqtts", .reuse_port = share, .first = first};
	char *error = NULL;
	int fd = -1;
	assert_int_equal(addr_parse(str_of(text), &b.address), 0);
	if (listener_bind(&b, &error, &fd) < 0)
		fail_msg("%s", error);
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, n, where), 0);
	return fd;
}

static int dial(const struct addr *to)
{
	const int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &to->any, to->len), 0);
	return fd;
}

static void refused(struct listener_bind *b, const char *text, int want, const char *word)
{
	char *error = NULL;
	int fd = -1;
	assert_int_equal(addr_parse(str_of(text), &b->address), 0);
	assert_int_equal(listener_bind(b, &error, &fd), want);
	assert_non_null(strstr(error, "\"mqtts\""));
	assert_non_null(strstr(error, text));
	assert_non_null(strstr(error, word));
	free(error);
}

static void binding_and_its_errors(void **state)
{
	(void)state;
	struct addr where;
	char text[ADDR_TEXT];
	struct listener_bind b = {.name = "mqtts"};
	const int fd = bind_to("127.0.0.1:0", true, true, &where);
	addr_format(&where, text);
	refused(&b, text, ERR_EXISTS, "in use");
	b = (struct listener_bind){.name = "mqtts", .reuse_port = true, .first = true};
	refused(&b, text, ERR_EXISTS, "in use");
	/* The second socket of the same listener shares the address. */
	const int second = bind_to(text, true, false, &where);
	close(second);
	close(fd);
	refused(&b, "192.0.2.77:4444", ERR_NOT_FOUND, "no address");
}

static void star_takes_both_families(void **state)
{
	(void)state;
	struct addr where;
	AUTO(loop) l = loop_new();
	struct seen s = {.listener = {.name = "x", .accepted = on_accepted}};
	assert_int_equal(listener_start(&s.listener, l, bind_to("*:0", false, true, &where)), 0);
	struct addr v4;
	assert_int_equal(addr_parse(STR("127.0.0.1:0"), &v4), 0);
	addr_set_port(&v4, addr_port(&where));
	const int fd = dial(&v4);
	loop_turn(l, 1000);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.peer.any.sa_family, AF_INET);
	int nodelay = 0;
	socklen_t n = sizeof(nodelay);
	assert_int_equal(getsockopt(s.fd[0], IPPROTO_TCP, TCP_NODELAY, &nodelay, &n), 0);
	assert_true(nodelay);
	close(fd);
	close(s.fd[0]);
	listener_stop(&s.listener);
	listener_stop(&s.listener);
}

static void allow_from(void **state)
{
	(void)state;
	struct addr where;
	struct cidr allow;
	AUTO(loop) l = loop_new();
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &allow), 0);
	struct seen s = {.listener = {.name = "x",
				      .allow = &allow,
				      .allow_n = 1,
				      .accepted = on_accepted,
				      .not_allowed = on_not_allowed}};
	assert_int_equal(
		listener_start(&s.listener, l, bind_to("127.0.0.1:0", false, true, &where)), 0);
	const int out = dial(&where);
	loop_turn(l, 1000);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.not_allowed, 1);
	char c;
	assert_int_equal(recv(out, &c, 1, 0), -1); /* reset, not a FIN */
	close(out);
	assert_int_equal(cidr_parse(STR("127.0.0.0/8"), &allow), 0);
	const int in = dial(&where);
	loop_turn(l, 1000);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.listener.stats.accepted, 1);
	assert_int_equal(s.listener.stats.not_allowed, 1);
	close(in);
	close(s.fd[0]);
	listener_stop(&s.listener);
}

/* Without descriptors the listener rests instead of spinning, and goes on by itself. */
static void out_of_descriptors(void **state)
{
	(void)state;
	struct addr where;
	struct rlimit before, none;
	AUTO(loop) l = loop_new();
	struct seen s = {.listener = {.name = "x", .accepted = on_accepted}};
	assert_int_equal(
		listener_start(&s.listener, l, bind_to("127.0.0.1:0", false, true, &where)), 0);
	const int fd = dial(&where);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	loop_turn(l, 1000);
	loop_turn(l, 0);
	loop_turn(l, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(s.listener.stats.paused, 1);
	assert_true(loop_timer_running(&s.listener.pause));
	assert_int_equal(s.n, 0);
	for (int i = 0; i < 100 && s.n == 0; i++)
		loop_turn(l, 1000);
	assert_int_equal(s.n, 1);
	close(fd);
	close(s.fd[0]);
	listener_stop(&s.listener);
}

int main(void)
{
	log_init("test", LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binding_and_its_errors),
		cmocka_unit_test(star_takes_both_families),
		cmocka_unit_test(allow_from),
		cmocka_unit_test(out_of_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
