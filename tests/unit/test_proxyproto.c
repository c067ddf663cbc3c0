/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol's headers: what is taken, what is refused and why, whole and cut into pieces.
 */
#include "daemon/base/err.h"
#include "daemon/net/proxyproto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BOTH = PROXY_V1 | PROXY_V2 };

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4      "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x22\xb3"
#define TCP6                                         \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05" \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x30\x39\x22\xb3"
#define CRC "\x38\xff\x33\xa0"
#define MAPPED                                         \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03" \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\x00\x00\x01\x30\x39\x22\xb3"

static const struct {
	struct str bytes;
	const char *source; /* NULL: the connection stands for itself */
} taken[] = {
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 12345 8883\r\n"), "10.1.2.3:12345"},
	{STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	 "255.255.255.255:65535"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 0 0\r\n"), "10.1.2.3:0"},
	{STR("PROXY TCP6 2001:db8::5 ::1 12345 8883\r\n"), "[2001:db8::5]:12345"},
	{STR("PROXY TCP6 ::ffff:10.1.2.3 ::1 12345 8883\r\n"), "10.1.2.3:12345"},
	{STR("PROXY UNKNOWN\r\n"), NULL},
	{STR("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	 NULL},
	{STR(SIGNATURE "\x21\x11\x00\x0c" TCP4), "10.1.2.3:12345"},
	{STR(SIGNATURE "\x21\x21\x00\x24" TCP6), "[2001:db8::5]:12345"},
	{STR(SIGNATURE "\x21\x21\x00\x24" MAPPED), "10.1.2.3:12345"},
	/* Two more fields, one of them without a value. */
	{STR(SIGNATURE "\x21\x11\x00\x14" TCP4 "\x01\x00\x02mq\x04\x00\x00"), "10.1.2.3:12345"},
	/* LOCAL: a health check; its addresses are to be ignored, and so is anything behind. */
	{STR(SIGNATURE "\x20\x00\x00\x00"), NULL},
	{STR(SIGNATURE "\x20\x11\x00\x0c" TCP4), NULL},
	{STR(SIGNATURE "\x21\x00\x00\x03zzz"), NULL},
};

static void takes_good_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		struct proxy_header h = {0};
		const char *why = "";
		char text[ADDR_TEXT];
		AUTO_BUF more = {0};
		buf_str(&more, taken[i].bytes);
		buf_puts(&more, "\x16\x03 and the rest\r\n");
		assert_int_equal(proxy_parse(buf_view(&more), BOTH, &h, &why), 0);
		assert_int_equal(h.size, taken[i].bytes.n);
		assert_int_equal(h.version, taken[i].bytes.p[0] == 'P' ? PROXY_V1 : PROXY_V2);
		assert_int_equal(h.has_source, taken[i].source != NULL);
		if (taken[i].source)
			assert_string_equal(addr_format(&h.source, text), taken[i].source);
	}
}

static void waits_for_whole_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		for (size_t n = 0; n < taken[i].bytes.n; n++) {
			struct proxy_header h;
			const char *why = "";
			char *exact = malloc(n + 1);
			memcpy(exact, taken[i].bytes.p, n);
			assert_int_equal(proxy_parse(str_make(exact, n), BOTH, &h, &why),
					 ERR_AGAIN);
			free(exact);
		}
	}
}

static const struct {
	struct str bytes;
	int err;
	const char *why; /* part of the phrase */
} refused[] = {
	{STR("\x16\x03\x01"), ERR_MALFORMED, "no PROXY header"},
	{STR("\x10\x10"), ERR_MALFORMED, "no PROXY header"},
	{STR("GET / HTTP/1.1\r\n"), ERR_MALFORMED, "no PROXY header"},
	{STR("proxy TCP4"), ERR_MALFORMED, "no PROXY header"},
	{STR("\r\n\r\n\x01"), ERR_MALFORMED, "no PROXY header"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 12345 8883\n"), ERR_MALFORMED, "CR LF"},
	{STR("PROXY  TCP4 10.1.2.3 127.0.0.1 1 2\r\n"), ERR_INVALID, "protocol"},
	{STR("PROXY UDP4 10.1.2.3 127.0.0.1 1 2\r\n"), ERR_INVALID, "protocol"},
	{STR("PROXY \r\n"), ERR_INVALID, "protocol"},
	{STR("PROXY TCP4\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP4 10.1.2.3\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1\r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 1\r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 1 2 3\r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 1 2 \r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 01 2\r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 65536 2\r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2.3 127.0.0.1 -1 2\r\n"), ERR_MALFORMED, "port"},
	{STR("PROXY TCP4 10.1.2 127.0.0.1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP4 10.1.2.256 127.0.0.1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP4 ::1 ::1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP6 10.1.2.3 127.0.0.1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP6 [::1] ::1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR("PROXY TCP4 gateway 127.0.0.1 1 2\r\n"), ERR_MALFORMED, "address"},
	{STR(SIGNATURE "\x11\x11\x00\x0c" TCP4), ERR_MALFORMED, "command"},
	{STR(SIGNATURE "\x22\x11\x00\x0c" TCP4), ERR_MALFORMED, "command"},
	{STR(SIGNATURE "\x21\x11\x00\x0b" TCP4), ERR_MALFORMED, "room"},
	{STR(SIGNATURE "\x21\x21\x00\x0c" TCP4), ERR_MALFORMED, "room"},
	{STR(SIGNATURE "\x21\x12\x00\x0c" TCP4), ERR_INVALID, "protocol"},
	{STR(SIGNATURE "\x21\x31\x00\x0c" TCP4), ERR_INVALID, "protocol"},
	{STR(SIGNATURE "\x21\x10\x00\x0c" TCP4), ERR_INVALID, "protocol"},
	{STR(SIGNATURE "\x21\x11\x10\x01"), ERR_LIMIT, "4 KiB"},
	{STR(SIGNATURE "\x20\x00\xff\xff"), ERR_LIMIT, "4 KiB"},
	{STR(SIGNATURE "\x21\x11\x00\x0e" TCP4 "\x01\x00"), ERR_MALFORMED, "field"},
	{STR(SIGNATURE "\x21\x11\x00\x10" TCP4 "\x01\x00\x02m"), ERR_MALFORMED, "field"},
	{STR(SIGNATURE "\x21\x11\x00\x12" TCP4 "\x03\x00\x03zzz"), ERR_MALFORMED, "field"},
};

static void refuses_bad_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct proxy_header h = {.size = 77};
		const char *why = "";
		assert_int_equal(proxy_parse(refused[i].bytes, BOTH, &h, &why), refused[i].err);
		if (!strstr(why, refused[i].why))
			fail_msg("row %zu: \"%s\" does not name \"%s\"", i, why, refused[i].why);
		assert_int_equal(h.size, 77);
	}
}

static void bounds_the_first_line(void **state)
{
	(void)state;
	struct proxy_header h;
	const char *why = "";
	char line[PROXY_V1_MAX + 1];
	memset(line, ' ', sizeof(line));
	memcpy(line, "PROXY UNKNOWN", 13);
	assert_int_equal(proxy_parse(str_make(line, PROXY_V1_MAX - 1), BOTH, &h, &why), ERR_AGAIN);
	assert_int_equal(proxy_parse(str_make(line, PROXY_V1_MAX), BOTH, &h, &why), ERR_LIMIT);
	line[PROXY_V1_MAX - 2] = '\r';
	line[PROXY_V1_MAX - 1] = '\n';
	assert_int_equal(proxy_parse(str_make(line, PROXY_V1_MAX), BOTH, &h, &why), 0);
	line[PROXY_V1_MAX - 2] = ' ';
	line[PROXY_V1_MAX - 1] = '\r';
	line[PROXY_V1_MAX] = '\n';
	assert_int_equal(proxy_parse(str_make(line, PROXY_V1_MAX + 1), BOTH, &h, &why), ERR_LIMIT);
}

static void bounds_the_fields(void **state)
{
	(void)state;
	struct proxy_header h;
	const char *why = "";
	static unsigned char most[PROXY_MAX];
	memcpy(most, SIGNATURE "\x21\x11\x10\x00" TCP4 "\x04\x0f\xf1", 31);
	assert_int_equal(proxy_parse(str_make(most, sizeof(most)), BOTH, &h, &why), 0);
	assert_int_equal(h.size, PROXY_MAX);
}

static void takes_only_the_versions_that_were_chosen(void **state)
{
	(void)state;
	struct proxy_header h;
	const char *why = "";
	const struct str v1 = STR("PROXY UNKNOWN\r\n");
	const struct str v2 = STR(SIGNATURE "\x20\x00\x00\x00");
	assert_int_equal(proxy_parse(v1, PROXY_V1, &h, &why), 0);
	assert_int_equal(proxy_parse(v2, PROXY_V2, &h, &why), 0);
	assert_int_equal(proxy_parse(v1, PROXY_V2, &h, &why), ERR_INVALID);
	assert_non_null(strstr(why, "version 1"));
	assert_int_equal(proxy_parse(v2, PROXY_V1, &h, &why), ERR_INVALID);
	assert_non_null(strstr(why, "version 2"));
}

/* The value was computed with another program, bit by bit from the definition of CRC-32C. */
static void compares_the_checksum(void **state)
{
	(void)state;
	struct proxy_header h;
	const char *why = "";
	unsigned char good[] = SIGNATURE "\x21\x11\x00\x17" TCP4 "\x03\x00\x04" CRC "\x04\x00\x01z";
	const size_t n = sizeof(good) - 1;
	assert_int_equal(proxy_parse(str_make(good, n), BOTH, &h, &why), 0);
	for (size_t i = 16; i < n; i++) {
		if (i == 28) /* then it would be no checksum */
			continue;
		good[i] ^= 0x40;
		assert_int_not_equal(proxy_parse(str_make(good, n), BOTH, &h, &why), 0);
		good[i] ^= 0x40;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_good_headers),
		cmocka_unit_test(waits_for_whole_headers),
		cmocka_unit_test(refuses_bad_headers),
		cmocka_unit_test(bounds_the_first_line),
		cmocka_unit_test(bounds_the_fields),
		cmocka_unit_test(takes_only_the_versions_that_were_chosen),
		cmocka_unit_test(compares_the_checksum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
