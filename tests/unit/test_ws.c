/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket: the upgrade (RFC 6455 section 4) and the frames (section 5), whole and byte by byte.
 */
#include "daemon/base/err.h"
#include "daemon/net/ws_frame.h"
#include "daemon/net/ws_upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOOD                                                                              \
	"GET /mqtt HTTP/1.1\r\nHost: gw\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"    \
	"Sec-WebSocket-Protocol: mqtt\r\n\r\n"

static void accepts_the_upgrade(void **state)
{
	(void)state;
	AUTO_BUF answer = {0};
	size_t used = 0;
	const char *why = "";
	const struct str bytes = STR(GOOD "rest");
	assert_int_equal(ws_upgrade(bytes, "/mqtt", false, &answer, &used, &why), 0);
	assert_int_equal(used, bytes.n - 4);
	const char *text = buf_cstr(&answer);
	assert_non_null(strstr(text, "HTTP/1.1 101 "));
	/* The example of RFC 6455 section 1.3. */
	assert_non_null(strstr(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_non_null(strstr(text, "Sec-WebSocket-Protocol: mqtt\r\n"));
}

static void waits_for_the_whole_head(void **state)
{
	(void)state;
	const struct str bytes = STR(GOOD);
	for (size_t n = 0; n < bytes.n; n++) {
		AUTO_BUF answer = {0};
		size_t used = 0;
		const char *why = "";
		assert_int_equal(
			ws_upgrade(str_make(bytes.p, n), NULL, false, &answer, &used, &why),
			ERR_AGAIN);
		assert_int_equal(answer.n, 0);
	}
}

#define LINES(request, host, upgrade, connection, key, version, protocol) \
	request "\r\n" host upgrade connection key version protocol "\r\n"
#define G "GET /mqtt HTTP/1.1"
#define H "Host: gw\r\n"
#define U "Upgrade: websocket\r\n"
#define C "Connection: keep-alive, Upgrade\r\n"
#define K "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V "Sec-WebSocket-Version: 13\r\n"
#define P "Sec-WebSocket-Protocol: chat, mqttv3.1, mqtt\r\n"

static void judges_requests(void **state)
{
	(void)state;
	static const struct {
		const char *head;
		const char *status;
	} row[] = {
		{LINES(G, H, U, C, K, V, P), "101"},
		{LINES("GET /mqtt?x=1 HTTP/1.1", H, U, C, K, V, P), "101"},
		{LINES(G, "HOST: gw\r\n", "uPGRADE: WebSocket\r\n", C, K, V, P), "101"},
		{LINES("GET / HTTP/1.1", H, U, C, K, V, P), "404"},
		{LINES("POST /mqtt HTTP/1.1", H, U, C, K, V, P), "405"},
		{LINES("GET /mqtt HTTP/1.0", H, U, C, K, V, P), "505"},
		{LINES("GET /mqtt", H, U, C, K, V, P), "400"},
		{LINES("GET  /mqtt HTTP/1.1", H, U, C, K, V, P), "400"},
		{LINES(G, "", U, C, K, V, P), "400"},
		{LINES(G, H H, U, C, K, V, P), "400"},
		{LINES(G, H, "", C, K, V, P), "426"},
		{LINES(G, H, "Upgrade: h2c\r\n", C, K, V, P), "426"},
		{LINES(G, H, U, "", K, V, P), "400"},
		{LINES(G, H, U, C, "", V, P), "400"},
		{LINES(G, H, U, C, K K, V, P), "400"},
		{LINES(G, H, U, C, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", V, P), "400"},
		{LINES(G, H, U, C, "Sec-WebSocket-Key: dGhlIHNhbX@sZSBub25jZQ==\r\n", V, P), "400"},
		{LINES(G, H, U, C, K, "", P), "426"},
		{LINES(G, H, U, C, K, "Sec-WebSocket-Version: 8\r\n", P), "426"},
		{LINES(G, H, U, C, K, V, ""), "400"},
		{LINES(G, H, U, C, K, V, "Sec-WebSocket-Protocol: MQTT\r\n"), "400"},
		{LINES(G, H, U, C, K, V, P "Content-Length: 3\r\n"), "400"},
		{LINES(G, H, U, C, K, V, P "Content-Length: 0\r\n"), "101"},
		{LINES(G, H, U, C, K, V, P "Transfer-Encoding: chunked\r\n"), "400"},
		{LINES(G, H, U, C, K, V, P " folded: x\r\n"), "400"},
		{LINES(G, H, U, C, K, V, P "no colon\r\n"), "400"},
		{LINES(G, H, U, C, K, V, P "X: a\x01\r\n"), "400"},
		{LINES(G, H, U, C, K, V, P "X: a\nb\r\n"), "400"},
		{"\x10\x0c", "400"},
		{"\x16\x03\x01", "400"},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		AUTO_BUF answer = {0};
		size_t used = 0;
		const char *why = "";
		const int e = ws_upgrade(str_of(row[i].head), "/mqtt", false, &answer, &used, &why);
		const char *text = buf_cstr(&answer);
		if (answer.n < 12 || strncmp(text + 9, row[i].status, 3) != 0)
			fail_msg("row %zu: want %s, got: %s", i, row[i].status, text);
		assert_int_equal(e == 0, strcmp(row[i].status, "101") == 0);
		if (e < 0)
			assert_non_null(strstr(text, why));
	}
}

/* Where a certificate says who the browser is, any page that its user visits could speak for him.
 */
static void pages_from_elsewhere(void **state)
{
	(void)state;
	static const struct {
		const char *head;
		int from_here;
	} row[] = {
		{LINES(G, H, U, C, K, V, P), 0},
		{LINES(G, H, U, C, K, V, P "Origin: https://gw\r\n"), 0},
		{LINES(G, "Host: gw:8884\r\n", U, C, K, V, P "Origin: https://GW:8884\r\n"), 0},
		{LINES(G, H, U, C, K, V, P "Origin: https://gw.example\r\n"), ERR_DENIED},
		{LINES(G, H, U, C, K, V, P "Origin: https://gw:8443\r\n"), ERR_DENIED},
		{LINES(G, H, U, C, K, V, P "Origin: null\r\n"), ERR_DENIED},
		{LINES(G, H, U, C, K, V, P "Origin: https://gw\r\nOrigin: https://x\r\n"),
		 ERR_DENIED},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		AUTO_BUF answer = {0};
		size_t used = 0;
		const char *why = "";
		const struct str head = str_of(row[i].head);
		assert_int_equal(ws_upgrade(head, "/mqtt", true, &answer, &used, &why),
				 row[i].from_here);
		assert_int_equal(ws_upgrade(head, "/mqtt", false, &answer, &used, &why), 0);
	}
}

static void bounds_the_head(void **state)
{
	(void)state;
	AUTO_BUF long_head = {0}, many = {0}, answer = {0};
	size_t used = 0;
	const char *why = "";
	buf_puts(&long_head, "GET /mqtt HTTP/1.1\r\nX: ");
	while (long_head.n < WS_HEAD_MAX)
		buf_putc(&long_head, 'x');
	assert_int_equal(ws_upgrade(buf_view(&long_head), NULL, false, &answer, &used, &why),
			 ERR_LIMIT);
	assert_non_null(strstr(buf_cstr(&answer), " 431 "));
	/* The end of the head behind the bound does not help. */
	buf_puts(&long_head, "\r\n\r\n");
	assert_int_equal(ws_upgrade(buf_view(&long_head), NULL, false, &answer, &used, &why),
			 ERR_LIMIT);
	buf_puts(&many, "GET /mqtt HTTP/1.1\r\n");
	for (int i = 0; i <= WS_HEADERS_MAX; i++)
		buf_puts(&many, "X: y\r\n");
	buf_puts(&many, "\r\n");
	assert_int_equal(ws_upgrade(buf_view(&many), NULL, false, &answer, &used, &why), ERR_LIMIT);
}

/* A masked client frame. */
static void put_frame(struct buf *b, unsigned first, struct str payload)
{
	static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	buf_putc(b, (char)first);
	if (payload.n <= 125) {
		buf_putc(b, (char)(0x80 | payload.n));
	} else if (payload.n <= 65535) {
		buf_putc(b, (char)(0x80 | 126));
		buf_putc(b, (char)(payload.n >> 8));
		buf_putc(b, (char)payload.n);
	} else {
		buf_putc(b, (char)(0x80 | 127));
		for (int shift = 56; shift >= 0; shift -= 8)
			buf_putc(b, (char)((uint64_t)payload.n >> shift));
	}
	buf_put(b, mask, 4);
	for (size_t i = 0; i < payload.n; i++)
		buf_putc(b, (char)(payload.p[i] ^ (char)mask[i & 3]));
}

struct decoded {
	struct buf data;
	struct buf control; /* opcode and payload, one line each */
	int err;
	unsigned code;
};

/* Feeds the bytes in pieces of step. */
static struct decoded decode(const struct buf *bytes, size_t step)
{
	struct ws_decoder d = {0};
	struct decoded out = {.err = ERR_AGAIN};
	const char *why = "";
	for (size_t at = 0; at < bytes->n && out.err == ERR_AGAIN; at += step) {
		const size_t n = MIN(step, bytes->n - at);
		char *copy = malloc(n); /* of its exact size, for the sanitizer */
		memcpy(copy, bytes->p + at, n);
		struct str in = str_make(copy, n);
		struct ws_item item;
		while ((out.err = ws_decode(&d, &in, &item, &out.code, &why)) == 0) {
			if (item.opcode == WS_BINARY)
				buf_str(&out.data, item.payload);
			else
				buf_printf(&out.control, "%x:%.*s:%u\n", item.opcode,
					   STR_ARG(item.payload), item.close_code);
		}
		free(copy);
	}
	ws_decoder_fini(&d);
	return out;
}

static void frames_in_any_pieces(void **state)
{
	(void)state;
	AUTO_BUF bytes = {0}, big = {0}, want = {0};
	for (unsigned i = 0; i < 70000; i++)
		buf_putc(&big, (char)(i * 7));
	put_frame(&bytes, 0x82, STR("hello"));
	put_frame(&bytes, 0x82, STR(""));
	put_frame(&bytes, 0x02, STR("one "));
	put_frame(&bytes, 0x89, STR("ping"));
	put_frame(&bytes, 0x00, STR("two "));
	put_frame(&bytes, 0x8a, STR(""));
	put_frame(&bytes, 0x80, STR("three"));
	put_frame(&bytes, 0x82, str_make(big.p, 126));
	put_frame(&bytes, 0x82, str_make(big.p, 65535));
	put_frame(&bytes, 0x82, str_make(big.p, 65536));
	put_frame(&bytes, 0x88,
		  STR("\x03\xe8"
		      "bye"));
	buf_puts(&want, "helloone two three");
	buf_put(&want, big.p, 126);
	buf_put(&want, big.p, 65535);
	buf_put(&want, big.p, 65536);
	static const size_t steps[] = {1, 2, 3, 7, 1000, 1000000};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct decoded got = decode(&bytes, steps[i]);
		assert_int_equal(got.err, ERR_AGAIN);
		assert_true(str_eq(buf_view(&got.data), buf_view(&want)));
		assert_string_equal(buf_cstr(&got.control), "9:ping:0\na::0\n8:\x03\xe8"
							    "bye:1000\n");
		buf_fini(&got.data);
		buf_fini(&got.control);
	}
}

#define MASK "\1\2\3\4"

static void refuses_bad_frames(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		unsigned code;
	} row[] = {
		{"\x82\x05hello", 7, 1002},                      /* not masked */
		{"\xc2\x80" MASK, 6, 1002},                      /* reserved bit */
		{"\x81\x80" MASK, 6, 1003},                      /* text */
		{"\x01\x80" MASK, 6, 1003},                      /* fragmented text */
		{"\x83\x80" MASK, 6, 1002},                      /* unknown data opcode */
		{"\x8b\x80" MASK, 6, 1002},                      /* unknown control opcode */
		{"\x80\x80" MASK, 6, 1002},                      /* continuation of nothing */
		{"\x02\x80" MASK "\x82\x80" MASK, 12, 1002},     /* new message inside one */
		{"\x09\x80" MASK, 6, 1002},                      /* fragmented ping */
		{"\x89\xfe\x00\x7e" MASK, 8, 1002},              /* ping of 126 bytes */
		{"\x82\xfe\x00\x7d" MASK, 8, 1002},              /* 125 in two bytes */
		{"\x82\xff\0\0\0\0\0\0\xff\xff" MASK, 14, 1002}, /* 65535 in eight */
		{"\x82\xff\0\0\0\0\x20\0\0\1" MASK, 14, 1009},   /* 512 MiB + 1 */
		{"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" MASK, 14, 1009},
		{"\x88\x81" MASK "\x02", 7, 1002}, /* close with half a code */
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		AUTO_BUF bytes = {0};
		buf_put(&bytes, row[i].bytes, row[i].n);
		for (size_t step = 1; step <= row[i].n; step += row[i].n - 1) {
			struct decoded got = decode(&bytes, step);
			if (got.err != ERR_MALFORMED || got.code != row[i].code)
				fail_msg("row %zu, step %zu: %d %u", i, step, got.err, got.code);
			buf_fini(&got.data);
			buf_fini(&got.control);
		}
	}
}

static void close_codes(void **state)
{
	(void)state;
	static const struct {
		struct str payload;
		int err;
		unsigned code;
	} row[] = {
		{STR(""), ERR_AGAIN, 0},
		{STR("\x03\xe8"), ERR_AGAIN, 0},
		{STR("\x0f\xa0 private"), ERR_AGAIN, 0},
		{STR("\x03\xed"), ERR_MALFORMED, 1002}, /* 1005 is never on the wire */
		{STR("\x00\x01"), ERR_MALFORMED, 1002},
		{STR("\x13\x88"), ERR_MALFORMED, 1002}, /* 5000 */
		{STR("\x03\xe8\xff\xfe"), ERR_MALFORMED, 1007},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		AUTO_BUF bytes = {0};
		put_frame(&bytes, 0x88, row[i].payload);
		struct decoded got = decode(&bytes, 100);
		assert_int_equal(got.err, row[i].err);
		assert_int_equal(got.code, row[i].code);
		buf_fini(&got.data);
		buf_fini(&got.control);
	}
}

static void headers_of_ours(void **state)
{
	(void)state;
	unsigned char h[WS_HEADER_MAX];
	assert_int_equal(ws_header(h, WS_BINARY, 125), 2);
	assert_memory_equal(h, "\x82\x7d", 2);
	assert_int_equal(ws_header(h, WS_PONG, 0), 2);
	assert_memory_equal(h, "\x8a\x00", 2);
	assert_int_equal(ws_header(h, WS_BINARY, 126), 4);
	assert_memory_equal(h, "\x82\x7e\x00\x7e", 4);
	assert_int_equal(ws_header(h, WS_BINARY, 65536), 10);
	assert_memory_equal(h, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_the_upgrade), cmocka_unit_test(waits_for_the_whole_head),
		cmocka_unit_test(judges_requests),     cmocka_unit_test(pages_from_elsewhere),
		cmocka_unit_test(bounds_the_head),     cmocka_unit_test(frames_in_any_pieces),
		cmocka_unit_test(refuses_bad_frames),  cmocka_unit_test(close_codes),
		cmocka_unit_test(headers_of_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
