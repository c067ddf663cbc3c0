/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers without an end (http.h), over HTTP on a local socket: they outlive the time that a
 * request has, their client's leaving is told once, and what nobody reads has a bound.
 */
#include "daemon/base/mem.h"
#include "daemon/web/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

enum { REQUEST_MS = 400, TURNS_MAX = 4000 };

struct rig {
	struct loop *loop;
	struct scratch dir;
	struct sockaddr_un address;
	struct http_server *server;
	struct http_stream *stream; /* NULL: none yet, or it has ended */
	unsigned gone;
};

static struct rig *rig;

static void client_left(void *arg)
{
	struct rig *r = arg;
	r->gone++;
	http_stream_end(r->stream);
	r->stream = NULL;
}

static void handle(void *owner, struct http_request *r)
{
	struct rig *the = owner;
	the->stream = http_stream_begin(r, "text/event-stream", client_left, the);
}

static int set_up(void **state)
{
	(void)state;
	rig = mem_new(struct rig);
	rig->loop = loop_new();
	scratch_make(&rig->dir);
	rig->address.sun_family = AF_UNIX;
	strcpy(rig->address.sun_path, scratch_file(&rig->dir, "s"));
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	const struct http_config config = {
		.loop = rig->loop, .request_ms = REQUEST_MS, .handle = handle, .owner = rig};
	rig->server = http_start(&config, fd);
	assert_non_null(rig->server);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (rig->stream)
		http_stream_end(rig->stream);
	http_refuse(rig->server);
	loop_turn(rig->loop, 0);
	http_stop(rig->server);
	loop_turn(rig->loop, 0); /* the streams that ended with it */
	loop_free(rig->loop);
	scratch_remove(&rig->dir);
	free(rig);
	return 0;
}

static int connect_to(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	return fd;
}

static int open_stream(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	const int fd = connect_to();
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	for (unsigned turns = 0; !rig->stream; turns++) {
		assert_true(turns < TURNS_MAX);
		loop_turn(rig->loop, 10);
	}
	return fd;
}

/* Reads until the text has come. False: the connection ended before. */
static bool reads(int fd, const char *text)
{
	AUTO_BUF seen = {0};
	char part[512];
	for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
		const ssize_t n = recv(fd, part, sizeof(part), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0)
			buf_put(&seen, part, (size_t)n);
		if (strstr(buf_cstr(&seen), text))
			return true;
		loop_turn(rig->loop, 10);
	}
	return false;
}

static void a_stream_outlives_the_time_of_a_request(void **state)
{
	char byte;
	ssize_t n;
	(void)state;
	const int fd = open_stream();
	assert_true(http_stream_write(rig->stream, STR("first")));
	assert_true(reads(fd, "first"));
	/* Who came later and says nothing is ended; then the stream would have been as well. */
	const int idle = connect_to();
	for (unsigned turns = 0; (n = recv(idle, &byte, 1, 0)) < 0 && errno == EAGAIN; turns++) {
		assert_true(turns < TURNS_MAX);
		loop_turn(rig->loop, 10);
	}
	assert_int_equal(rig->gone, 0);
	assert_true(http_stream_write(rig->stream, STR("second")));
	assert_true(reads(fd, "second"));
	http_stream_end(rig->stream);
	rig->stream = NULL;
	assert_true(reads(fd, "0\r\n\r\n"));
	close(idle);
	close(fd);
}

static void a_client_that_leaves_is_told_once(void **state)
{
	(void)state;
	close(open_stream());
	for (unsigned turns = 0; !rig->gone; turns++) {
		assert_true(turns < TURNS_MAX);
		http_stream_write(rig->stream, STR("x"));
		loop_turn(rig->loop, 10);
	}
	loop_turn(rig->loop, 0);
	assert_int_equal(rig->gone, 1);
}

static void what_nobody_reads_has_a_bound(void **state)
{
	static const char piece[16 * KiB];
	size_t taken = 0;
	(void)state;
	const int fd = open_stream();
	while (http_stream_write(rig->stream, str_make(piece, sizeof(piece))))
		assert_true((taken += sizeof(piece)) <= 16 * MiB);
	assert_true(taken >= HTTP_STREAM_WAITING_MAX);
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stream_outlives_the_time_of_a_request),
		TEST(a_client_that_leaves_is_told_once),
		TEST(what_nobody_reads_has_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
