/* SPDX-License-Identifier: Apache-2.0
 *
 * Reason codes: their texts, which packets may carry them, CONNACK return codes of MQTT 3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/mqtt/reason.h"

/* The tables of MQTT 5.0, sections 3.2.2.2 to 3.15.2.1, written out again by packet. */
static const struct {
	enum packet_type type;
	const char *server;
	size_t server_n;
	const char *client;
	size_t client_n;
} packets[] = {
#define CODES(s) s, sizeof(s) - 1
#define RECEIVED "\x00\x10\x80\x83\x87\x90\x91\x97\x99"
	{PACKET_CONNACK,
	 CODES("\x00\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8c\x90\x95\x97\x99\x9a\x9b\x9c"
	       "\x9d"
	       "\x9f"),
	 CODES("")},
	{PACKET_PUBACK, CODES(RECEIVED), CODES(RECEIVED)},
	{PACKET_PUBREC, CODES(RECEIVED), CODES(RECEIVED)},
	{PACKET_PUBREL, CODES("\x00\x92"), CODES("\x00\x92")},
	{PACKET_PUBCOMP, CODES("\x00\x92"), CODES("\x00\x92")},
	{PACKET_SUBACK, CODES("\x00\x01\x02\x80\x83\x87\x8f\x91\x97\x9e\xa1\xa2"), CODES("")},
	{PACKET_UNSUBACK, CODES("\x00\x11\x80\x83\x87\x8f\x91"), CODES("")},
	{PACKET_DISCONNECT,
	 CODES("\x00\x80\x81\x82\x83\x87\x89\x8b\x8c\x8d\x8e\x8f\x90\x93\x94\x95\x96\x97\x98\x99"
	       "\x9a"
	       "\x9b\x9c\x9d\x9e\x9f\xa0\xa1\xa2"),
	 CODES("\x00\x04\x80\x81\x82\x83\x90\x93\x94\x95\x96\x97\x98\x99")},
	{PACKET_AUTH, CODES("\x00\x18"), CODES("\x18\x19")},
	{PACKET_PUBLISH, CODES(""), CODES("")},
};

static void assert_allowed(enum packet_type type, enum sender sender, const char *codes, size_t n)
{
	for (unsigned r = 0; r < 300; r++) {
		const bool want = r < 256 && memchr(codes, (int)r, n) != NULL;
		if (reason_allowed(r, type, sender) != want)
			fail_msg("code 0x%02x, packet %d, sender %d", r, type, sender);
	}
}

static void test_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
		assert_allowed(packets[i].type, SENDER_SERVER, packets[i].server,
			       packets[i].server_n);
		assert_allowed(packets[i].type, SENDER_CLIENT, packets[i].client,
			       packets[i].client_n);
	}
}

static void test_text(void **state)
{
	(void)state;
	assert_string_equal(reason_text(REASON_SUCCESS), "Success");
	assert_string_equal(reason_text(REASON_MALFORMED_PACKET), "Malformed Packet");
	assert_string_equal(reason_text(REASON_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
			    "Wildcard Subscriptions not supported");
	assert_string_equal(reason_text((enum reason)0x03), "unknown reason code");
	assert_string_equal(reason_text((enum reason)0xa3), "unknown reason code");
	assert_false(reason_is_error(REASON_RE_AUTHENTICATE));
	assert_true(reason_is_error(REASON_UNSPECIFIED_ERROR));
}

static void test_connack_v3(void **state)
{
	(void)state;
	static const struct {
		enum reason reason;
		int code;
	} rows[] = {
		{REASON_SUCCESS, 0},
		{REASON_UNSUPPORTED_PROTOCOL_VERSION, 1}, /* [3.1.1 MQTT-3.1.2-2] */
		{REASON_CLIENT_IDENTIFIER_NOT_VALID, 2},  /* [3.1.1 MQTT-3.1.3-9] */
		{REASON_SERVER_UNAVAILABLE, 3},
		{REASON_SERVER_BUSY, 3},
		{REASON_QUOTA_EXCEEDED, 3},
		{REASON_BAD_USER_NAME_OR_PASSWORD, 4},
		{REASON_NOT_AUTHORIZED, 5},
		{REASON_BANNED, 5},
		{REASON_MALFORMED_PACKET, ERR_INVALID}, /* [3.1.1 MQTT-3.1.4-1] */
		{REASON_PROTOCOL_ERROR, ERR_INVALID},
		{REASON_PACKET_TOO_LARGE, ERR_INVALID},
		{REASON_TOPIC_NAME_INVALID, ERR_INVALID},
		{(enum reason)0x7f, ERR_INVALID},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(reason_to_connack_v3(rows[i].reason), rows[i].code);
	for (uint8_t code = 0; code <= 5; code++) {
		enum reason r;
		assert_int_equal(reason_from_connack_v3(code, &r), 0);
		assert_int_equal(reason_to_connack_v3(r), code);
	}
	enum reason r = REASON_BANNED;
	assert_int_equal(reason_from_connack_v3(6, &r), ERR_MALFORMED);
	assert_int_equal(r, REASON_BANNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_connack_v3),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
