/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and networks: what is read, how it is written back, what matches.
 */
#include "daemon/base/err.h"
#include "daemon/net/addr.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct addr address(const char *text)
{
	struct addr a = {.len = 0};
	assert_int_equal(addr_parse(str_of(text), &a), 0);
	return a;
}

static void parses_and_formats(void **state)
{
	(void)state;
	static const char *const same[] = {
		"1.2.3.4:8883", "[::1]:8883",       "*:1883",           "0.0.0.0:0",
		"[::]:65535",   "[fe80::1%7]:8883", "unix:/run/x.sock",
	};
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		char text[ADDR_TEXT];
		const struct addr a = address(same[i]);
		assert_string_equal(addr_format(&a, text), same[i]);
	}
	char text[ADDR_TEXT];
	const struct addr mapped = address("[::ffff:10.1.2.3]:5");
	assert_string_equal(addr_format(&mapped, text), "10.1.2.3:5");
	assert_string_equal(addr_format_ip(&mapped, text), "10.1.2.3");
	const struct addr none = {.len = 0};
	assert_string_equal(addr_format(&none, text), "-");
}

static void refuses_what_is_no_address(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",           ":8883",     "1.2.3.4",     "1.2.3.4:",    "1.2.3:80",    "::1:8883",
		"[1.2.3.4]:", "[::1]",     "[::1]x:80",   "[1.2.3.4]:1", "1.2.3.4:80 ", "unix:",
		"unix:x",     "[::1:8883", "1.2.3.4%1:1", "[]:80",       "[::g]:80",    "host:80",
	};
	struct addr a;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(addr_parse(str_of(bad[i]), &a), ERR_MALFORMED);
	assert_int_equal(addr_parse(STR("1.2.3.4:65536"), &a), ERR_LIMIT);
	char path[200] = "unix:/";
	memset(path + 6, 'x', sizeof(path) - 7);
	assert_int_equal(addr_parse(str_of(path), &a), ERR_LIMIT);
	assert_int_equal(addr_parse(str_make("1.2.3.4\0:1", 10), &a), ERR_MALFORMED);
}

static void mapped_peers_become_v4(void **state)
{
	(void)state;
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(77)};
	memcpy(&sa.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	struct addr a;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, sizeof(sa), &a), 0);
	const struct addr want = address("127.0.0.1:77");
	assert_true(addr_equal(&a, &want));
	assert_true(addr_is_loopback(&a));
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, 1, &a), ERR_INVALID);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, 8, &a), ERR_INVALID);
}

static void keys_count_v6_by_64(void **state)
{
	(void)state;
	const struct addr a = address("[2001:db8:1:2::1]:1"), b = address("[2001:db8:1:2:f::9]:2");
	const struct addr c = address("[2001:db8:1:3::1]:1"), d = address("1.2.3.4:1");
	const struct addr e = address("1.2.3.4:9"), f = address("1.2.3.5:9");
	const struct addr loop = address("[::1]:1"), un = address("unix:/x");
	assert_true(addr_key(&a) == addr_key(&b));
	assert_true(addr_key(&a) != addr_key(&c));
	assert_true(addr_key(&d) == addr_key(&e));
	assert_true(addr_key(&d) != addr_key(&f));
	assert_true(addr_key(&loop) != 0);
	assert_true(addr_key(&loop) != addr_key(&un));
}

static void networks(void **state)
{
	(void)state;
	static const struct {
		const char *net, *peer;
		bool match;
	} row[] = {
		{"10.0.0.0/8", "10.255.0.1:1", true},
		{"10.0.0.0/8", "11.0.0.1:1", false},
		{"10.0.0.0/8", "[::ffff:10.0.0.1]:1", true},
		{"::ffff:10.0.0.0/104", "10.9.9.9:1", true},
		{"192.168.1.7", "192.168.1.7:1", true},
		{"192.168.1.7", "192.168.1.6:1", false},
		{"0.0.0.0/0", "203.0.113.9:1", true},
		{"0.0.0.0/0", "[2001:db8::1]:1", false},
		{"::/0", "[2001:db8::1]:1", true},
		{"::/0", "1.2.3.4:1", false},
		{"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
		{"2001:db8::/33", "[2001:db8:8000::1]:1", false},
		{"::/0", "unix:/x", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct cidr c;
		const struct addr peer = address(row[i].peer);
		assert_int_equal(cidr_parse(str_of(row[i].net), &c), 0);
		assert_int_equal(cidr_match(&c, &peer), row[i].match);
	}
}

static void network_texts(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int want;
		const char *back;
	} row[] = {
		{"10.0.0.0/8", 0, "10.0.0.0/8"},
		{"1.2.3.4/32", 0, "1.2.3.4"},
		{"::/0", 0, "::/0"},
		{"::ffff:1.2.3.4", 0, "1.2.3.4"},
		{"::ffff:10.0.0.0/90", ERR_INVALID, NULL},
		{"10.0.0.1/8", ERR_INVALID, NULL},
		{"2001:db8::1/32", ERR_INVALID, NULL},
		{"10.0.0.0/33", ERR_LIMIT, NULL},
		{"::/129", ERR_LIMIT, NULL},
		{"10.0.0.0/", ERR_MALFORMED, NULL},
		{"10.0/8", ERR_MALFORMED, NULL},
		{"", ERR_MALFORMED, NULL},
		{"fe80::1%1", ERR_MALFORMED, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char text[ADDR_TEXT];
		struct cidr c;
		assert_int_equal(cidr_parse(str_of(row[i].text), &c), row[i].want);
		if (row[i].want == 0)
			assert_string_equal(cidr_format(&c, text), row[i].back);
	}
	struct cidr two[2];
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &two[0]), 0);
	assert_int_equal(cidr_parse(STR("::1"), &two[1]), 0);
	const struct addr yes = address("[::1]:4"), no = address("[::2]:4");
	assert_true(cidr_match_any(two, 2, &yes));
	assert_false(cidr_match_any(two, 2, &no));
	assert_false(cidr_match_any(two, 0, &yes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_formats),
		cmocka_unit_test(refuses_what_is_no_address),
		cmocka_unit_test(mapped_peers_become_v4),
		cmocka_unit_test(keys_count_v6_by_64),
		cmocka_unit_test(networks),
		cmocka_unit_test(network_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
