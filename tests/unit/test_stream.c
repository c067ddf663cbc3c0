/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams without TLS: reading, writing against a full socket, orderly and hard close, and MQTT
 * over WebSocket on top.
 */
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/loop.h"
#include "daemon/net/stream.h"
#include "daemon/net/ws_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct addr nobody = {.len = 0};

struct pair {
	struct stream *s;
	int peer; /* blocking end */
	struct stream_scratch *scratch;
};

static struct pair pair_new(void)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	return (struct pair){stream_tcp_new(fd[0], &nobody), fd[1], stream_scratch_new()};
}

static void pair_end(struct pair *p)
{
	if (p->s)
		stream_free(p->s);
	stream_scratch_free(p->scratch);
	close(p->peer);
}

static void peer_sends(const struct pair *p, const void *bytes, size_t n)
{
	assert_int_equal(send(p->peer, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* What has come, without waiting. */
static void peer_receives(const struct pair *p, struct buf *arrived)
{
	char part[8192];
	for (ssize_t n; (n = recv(p->peer, part, sizeof(part), MSG_DONTWAIT)) > 0;)
		buf_put(arrived, part, (size_t)n);
}

static void tcp_reads_and_ends(void **state)
{
	(void)state;
	struct pair p = pair_new();
	struct str got;
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_AGAIN);
	peer_sends(&p, "hello", 5);
	assert_int_equal(stream_read(p.s, p.scratch, &got), 0);
	assert_true(str_is(got, "hello"));
	assert_int_equal(shutdown(p.peer, SHUT_WR), 0);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_EOF);
	struct stream_info info;
	stream_info(p.s, &info);
	assert_string_equal(info.transport, "tcp");
	assert_null(info.version);
	struct str chain[1];
	assert_int_equal(stream_peer_chain(p.s, chain, 1), 0);
	tls_send_ticket(p.s, 1000); /* nothing without TLS */
	assert_int_equal(stream_pending(p.s), 0);
	pair_end(&p);
}

/* Writes total bytes of a pattern while the peer does not read, then drains; all arrive in order.
 */
static void write_all(struct pair *p, size_t total, struct buf *arrived)
{
	char *pattern = mem_alloc(total);
	for (size_t i = 0; i < total; i++)
		pattern[i] = (char)(i * 31 + (i >> 8));
	size_t at = 0;
	bool refused = false;
	while (at < total || stream_pending(p->s)) {
		const struct iovec iov[3] = {
			{pattern + at, MIN(total - at, (size_t)100)},
			{NULL, 0},
			{pattern + MIN(at + 100, total), total - MIN(at + 100, total)}};
		size_t taken = 0;
		const int e = at < total ? stream_write(p->s, p->scratch, iov, 3, &taken)
					 : stream_flush(p->s, p->scratch);
		assert_true(e == 0 || e == ERR_AGAIN);
		assert_true(taken <= STREAM_WRITE_MAX);
		at += taken;
		if (e == ERR_AGAIN) {
			char part[8192];
			assert_int_equal(stream_events(p->s), EPOLLIN | EPOLLOUT);
			const ssize_t n = recv(p->peer, part, sizeof(part), 0);
			assert_true(n > 0);
			buf_put(arrived, part, (size_t)n);
			refused = true;
			stream_flush(p->s, p->scratch);
		}
	}
	assert_true(refused);
	assert_int_equal(stream_events(p->s), EPOLLIN);
	peer_receives(p, arrived);
	free(pattern);
}

static void check_pattern(struct str got, size_t total)
{
	assert_int_equal(got.n, total);
	for (size_t i = 0; i < total; i++)
		assert_int_equal(got.p[i], (char)(i * 31 + (i >> 8)));
}

static void tcp_keeps_what_the_socket_refuses(void **state)
{
	(void)state;
	struct pair p = pair_new();
	AUTO_BUF arrived = {0};
	write_all(&p, 2000000, &arrived);
	check_pattern(buf_view(&arrived), 2000000);
	pair_end(&p);
}

static void tcp_write_to_a_dead_peer(void **state)
{
	(void)state;
	struct pair p = pair_new();
	const struct iovec iov = {"x", 1};
	size_t taken;
	shutdown(p.peer, SHUT_RDWR);
	close(p.peer);
	p.peer = -1;
	assert_int_equal(stream_write(p.s, p.scratch, &iov, 1, &taken), ERR_IO);
	assert_string_equal(stream_error(p.s), "the peer no longer reads");
	pair_end(&p);
}

static void orderly_close_delivers_then_ends(void **state)
{
	(void)state;
	struct pair p = pair_new();
	AUTO(loop) l = loop_new();
	const struct iovec iov = {"last words", 10};
	const int fd = stream_fd(p.s);
	size_t taken;
	char got[16];
	peer_sends(&p, "unread input", 12);
	assert_int_equal(stream_write(p.s, p.scratch, &iov, 1, &taken), 0);
	stream_close(TAKE(p.s), l, p.scratch, WS_NORMAL);
	assert_int_equal(recv(p.peer, got, sizeof(got), 0), 10);
	assert_int_equal(recv(p.peer, got, sizeof(got), 0), 0);
	loop_turn(l, 1000); /* discards what came */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	shutdown(p.peer, SHUT_WR);
	loop_turn(l, 1000);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	pair_end(&p);
}

static void orderly_close_of_many_is_bounded(void **state)
{
	(void)state;
	AUTO(loop) l = loop_new();
	struct stream_scratch *scratch = stream_scratch_new();
	struct pair p[STREAM_LINGERING_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = pair_new();
		stream_close(TAKE(p[i].s), l, scratch, WS_NORMAL);
	}
	/* The last one was closed at once, the first still waits for its peer. */
	assert_int_equal(send(p[0].peer, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(send(p[STREAM_LINGERING_MAX].peer, "x", 1, MSG_NOSIGNAL), -1);
	stream_scratch_free(scratch);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		pair_end(&p[i]);
}

/* WebSocket. */

#define HEAD                                                                              \
	"GET /mqtt HTTP/1.1\r\nHost: gw\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"    \
	"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
/* Masked with zeros: the payload is readable. */
#define FRAME(first, length) first length "\0\0\0\0"

static struct pair ws_pair(void)
{
	struct pair p = pair_new();
	p.s = stream_ws_new(p.s, "/mqtt");
	return p;
}

static void upgrade(struct pair *p)
{
	struct str got;
	char answer[512] = "";
	peer_sends(p, HEAD, sizeof(HEAD) - 1);
	assert_int_equal(stream_read(p->s, p->scratch, &got), ERR_AGAIN);
	assert_true(recv(p->peer, answer, sizeof(answer) - 1, 0) > 0);
	assert_int_equal(strncmp(answer, "HTTP/1.1 101 ", 13), 0);
}

static void ws_upgrades_in_pieces_and_reads_what_follows(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	struct str got;
	const struct iovec iov = {"x", 1};
	size_t taken;
	static const char rest[] = "\r\n" FRAME("\x82", "\x83") "abc" FRAME("\x82", "\x82") "de";
	assert_int_equal(stream_write(p.s, p.scratch, &iov, 1, &taken), ERR_AGAIN);
	peer_sends(&p, HEAD, 30);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_AGAIN);
	peer_sends(&p, &HEAD[30], sizeof(HEAD) - 1 - 30 - 2);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_AGAIN);
	peer_sends(&p, rest, sizeof(rest) - 1);
	assert_int_equal(stream_read(p.s, p.scratch, &got), 0);
	assert_true(str_is(got, "abcde"));
	struct stream_info info;
	stream_info(p.s, &info);
	assert_string_equal(info.transport, "ws");
	pair_end(&p);
}

static void ws_refuses_with_an_answer(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	AUTO(loop) l = loop_new();
	struct str got;
	char answer[512] = "";
	static const char plain[] = "GET / HTTP/1.1\r\nHost: gw\r\n\r\n";
	peer_sends(&p, plain, sizeof(plain) - 1);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_INVALID);
	assert_non_null(strstr(stream_error(p.s), "path"));
	stream_close(TAKE(p.s), l, p.scratch, WS_NORMAL);
	assert_true(recv(p.peer, answer, sizeof(answer) - 1, 0) > 0);
	assert_int_equal(strncmp(answer, "HTTP/1.1 404 ", 13), 0);
	/* No close frame behind an HTTP answer. */
	assert_int_equal(recv(p.peer, answer, sizeof(answer), 0), 0);
	pair_end(&p);
}

static void ws_answers_the_last_ping(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	struct str got;
	char out[64];
	static const char in[] =
		FRAME("\x89", "\x81") "1" FRAME("\x82", "\x81") "d" FRAME("\x89", "\x81") "2";
	upgrade(&p);
	peer_sends(&p, in, sizeof(in) - 1);
	assert_int_equal(stream_read(p.s, p.scratch, &got), 0);
	assert_true(str_is(got, "d"));
	assert_int_equal(recv(p.peer, out, sizeof(out), 0), 3);
	assert_memory_equal(out,
			    "\x8a\x01"
			    "2",
			    3);
	pair_end(&p);
}

static void ws_data_then_close(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	AUTO(loop) l = loop_new();
	struct str got;
	char out[64];
	static const char in[] = FRAME("\x82", "\x81") "d" FRAME("\x88", "\x82") "\x03\xe9";
	upgrade(&p);
	peer_sends(&p, in, sizeof(in) - 1);
	assert_int_equal(stream_read(p.s, p.scratch, &got), 0);
	assert_true(str_is(got, "d"));
	/* The socket stays readable, so that the loop comes back for the end. */
	assert_int_equal(recv(stream_fd(p.s), out, 1, MSG_DONTWAIT), 0);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_EOF);
	stream_close(TAKE(p.s), l, p.scratch, WS_NORMAL);
	assert_int_equal(recv(p.peer, out, sizeof(out), 0), 4);
	assert_memory_equal(out, "\x88\x02\x03\xe9", 4); /* the peer's code comes back */
	pair_end(&p);
}

static void ws_text_is_closed_with_1003(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	AUTO(loop) l = loop_new();
	struct str got;
	char out[64];
	static const char in[] = FRAME("\x81", "\x81") "t";
	upgrade(&p);
	peer_sends(&p, in, sizeof(in) - 1);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_MALFORMED);
	assert_non_null(strstr(stream_error(p.s), "text frame"));
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_EOF);
	stream_close(TAKE(p.s), l, p.scratch, WS_NORMAL);
	assert_int_equal(recv(p.peer, out, sizeof(out), 0), 4);
	assert_memory_equal(out, "\x88\x02\x03\xeb", 4);
	pair_end(&p);
}

/* A PUBLISH-like packet of n bytes in all, n > 3: its length in three bytes of header. */
static void put_packet(struct buf *b, size_t n)
{
	const unsigned char head[4] = {0x30, (unsigned char)((n - 4) & 0x7f) | 0x80,
				       (unsigned char)((n - 4) >> 7 & 0x7f) | 0x80,
				       (unsigned char)((n - 4) >> 14)};
	buf_put(b, head, sizeof(head));
	for (size_t i = sizeof(head); i < n; i++)
		buf_put(b, &(char){(char)(i * 7)}, 1);
}

/* Each frame of ours holds one packet as put_packet makes them. */
static void unframe_packets(struct str in, const size_t *want, size_t packets)
{
	for (size_t i = 0; i < packets; i++) {
		AUTO_BUF packet = {0};
		unsigned char header[WS_HEADER_MAX];
		const size_t head = ws_header(header, WS_BINARY, want[i]);
		put_packet(&packet, want[i]);
		assert_true(in.n >= head + want[i]);
		assert_memory_equal(in.p, header, head);
		assert_memory_equal(in.p + head, packet.p, packet.n);
		in = str_make(in.p + head + want[i], in.n - head - want[i]);
	}
	assert_int_equal(in.n, 0);
}

static void ws_puts_each_packet_into_its_own_frame(void **state)
{
	(void)state;
	static const size_t size[] = {4, 9, 126 + 4, 5, 70000, 6, 200000, 65000, 4, 4};
	struct pair p = ws_pair();
	AUTO_BUF bytes = {0}, arrived = {0};
	upgrade(&p);
	for (size_t i = 0; i < ARRAY_LEN(size); i++)
		put_packet(&bytes, size[i]);
	/* In pieces that end anywhere, within headers too. */
	for (size_t at = 0; at < bytes.n;) {
		struct iovec iov[7];
		size_t k = 0, taken = 0, offered = at;
		for (; k < ARRAY_LEN(iov) && offered < bytes.n; k++) {
			const size_t n = MIN(bytes.n - offered, k % 2 ? 1 + offered % 9000 : k / 2);
			iov[k] = (struct iovec){bytes.p + offered, n};
			offered += n;
		}
		const int e = stream_write(p.s, p.scratch, iov, k, &taken);
		assert_true(e == 0 || e == ERR_AGAIN);
		at += taken;
		peer_receives(&p, &arrived);
		stream_flush(p.s, p.scratch);
	}
	while (stream_pending(p.s)) {
		peer_receives(&p, &arrived);
		stream_flush(p.s, p.scratch);
	}
	peer_receives(&p, &arrived);
	unframe_packets(buf_view(&arrived), size, ARRAY_LEN(size));
	pair_end(&p);
}

static void ws_sends_several_frames_in_one_write(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	char out[64];
	size_t taken;
	const struct iovec iov = {(void *)(uintptr_t) "\x40\x02\0\1\xd0\0\x40\x02\0\2", 10};
	upgrade(&p);
	assert_int_equal(stream_write(p.s, p.scratch, &iov, 1, &taken), 0);
	assert_int_equal(taken, 10);
	assert_int_equal(recv(p.peer, out, sizeof(out), 0), 16);
	assert_memory_equal(out, "\x82\4\x40\2\0\1\x82\2\xd0\0\x82\4\x40\2\0\2", 16);
	pair_end(&p);
}

static void ws_control_frames_wait_for_the_end_of_a_packet(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	AUTO_BUF bytes = {0}, arrived = {0};
	struct str got;
	size_t taken;
	static const char ping[] = FRAME("\x89", "\x81") "1";
	upgrade(&p);
	put_packet(&bytes, 70000);
	put_packet(&bytes, 4);
	struct iovec iov = {bytes.p, bytes.n};
	assert_int_equal(stream_write(p.s, p.scratch, &iov, 1, &taken), 0);
	assert_true(taken < 70000);
	peer_sends(&p, ping, sizeof(ping) - 1);
	assert_int_equal(stream_read(p.s, p.scratch, &got), ERR_AGAIN);
	for (size_t at = taken; at < bytes.n; at += taken) {
		peer_receives(&p, &arrived);
		stream_flush(p.s, p.scratch);
		taken = 0;
		iov = (struct iovec){bytes.p + at, bytes.n - at};
		stream_write(p.s, p.scratch, &iov, 1, &taken);
	}
	stream_flush(p.s, p.scratch);
	peer_receives(&p, &arrived);
	/* The packet, the pong, the other packet. */
	const struct str tail = str_make(arrived.p + 70010, arrived.n - 70010);
	assert_int_equal(tail.n, 3 + 6);
	assert_memory_equal(tail.p, "\x8a\1\x31", 3);
	assert_memory_equal(tail.p + 3, "\x82\4\x30", 3);
	pair_end(&p);
}

static void ws_cut_packet_gets_no_close_frame(void **state)
{
	(void)state;
	struct pair p = ws_pair();
	AUTO_BUF bytes = {0}, arrived = {0};
	AUTO(loop) l = loop_new();
	size_t taken;
	upgrade(&p);
	put_packet(&bytes, 70000);
	const struct iovec iov = {bytes.p, bytes.n};
	assert_int_equal(stream_write(p.s, p.scratch, &iov, 1, &taken), 0);
	while (stream_pending(p.s)) {
		peer_receives(&p, &arrived);
		stream_flush(p.s, p.scratch);
	}
	stream_close(TAKE(p.s), l, p.scratch, WS_NORMAL);
	peer_receives(&p, &arrived);
	assert_int_equal(arrived.n, taken + 10);
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_reads_and_ends),
		cmocka_unit_test(tcp_keeps_what_the_socket_refuses),
		cmocka_unit_test(tcp_write_to_a_dead_peer),
		cmocka_unit_test(orderly_close_delivers_then_ends),
		cmocka_unit_test(orderly_close_of_many_is_bounded),
		cmocka_unit_test(ws_upgrades_in_pieces_and_reads_what_follows),
		cmocka_unit_test(ws_refuses_with_an_answer),
		cmocka_unit_test(ws_answers_the_last_ping),
		cmocka_unit_test(ws_data_then_close),
		cmocka_unit_test(ws_text_is_closed_with_1003),
		cmocka_unit_test(ws_puts_each_packet_into_its_own_frame),
		cmocka_unit_test(ws_sends_several_frames_in_one_write),
		cmocka_unit_test(ws_control_frames_wait_for_the_end_of_a_packet),
		cmocka_unit_test(ws_cut_packet_gets_no_close_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
