/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a process sends to the store over its link, through the dispatcher and the table of
 * messages: a record is answered at most once, or its sender is given up. The store has a device
 * with a password and one with a certificate of its authority.
 *
 * Input: who sends (1 byte: which of `peers`); per record its kind (1 byte: which of `kinds`; new
 * ones are added at the end), the length of its body (16 bits, little-endian) and the body.
 */
#include "daemon/base/check.h"
#include "tests/fuzz/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const enum process peers[] = {PROCESS_BROKER, PROCESS_ENROL, PROCESS_ADMIN, PROCESS_CTL,
				     PROCESS_VAULT};

static const struct {
	enum message type;
	bool asks;
} kinds[] = {
	{MSG_LOGIN, true},           {MSG_SCRAM_FIRST, true},
	{MSG_SCRAM_FINAL, true},     {MSG_EVENTS, false},
	{MSG_SNAPSHOT_GET, true},    {MSG_PRESENCE, false},
	{MSG_COUNTERS, false},       {MSG_LEARNED, false},
	{MSG_TRACE_LINES, false},    {MSG_OCSP, true},
	{MSG_CRL_GET, true},         {MSG_AUTHORITIES_GET, true},
	{MSG_ENROL, true},           {MSG_OP, true},
	{MSG_TLS_RENEWED, false},    {MSG_CA_GET_DONE, true},
	{MSG_SIGN_OCSP_DONE, true},  {MSG_SIGN_CRL_DONE, true},
	{MSG_ISSUE_DONE, true},      {MSG_CA_CHANGE_DONE, true},
	{MSG_KICK_DONE, true},       {MSG_DELTA_DONE, true},
	{MSG_CLIENT_GET_DONE, true}, {MSG_TRACE_STARTED, true},
	{MSG_PUBLISH_DONE, true},    {MSG_RETAINED, true},
	{MSG_CA_CHECK_DONE, true},   {MSG_STAPLES, false},
};

static enum process sender;

static void fill(struct store *s)
{
	CHECK(sql_script(
		      s->registry,
		      "INSERT INTO ca(fp, kind, name, subject, der, state, not_before, not_after, "
		      "generation, key) VALUES(x'01', 'issuing', 'issuing', 'Test', x'30', "
		      "'active', 0, 9999999999, 1, 'here');"
		      "INSERT INTO device(name, uuid, created, created_by, changed, verifier) "
		      "VALUES('pump-1', '0', 1, 'fuzz', 1, '$y$no verifier');"
		      "INSERT INTO cert(fp, serial, ca_id, device_id, name, spki, der, profile, "
		      "not_before, not_after, issued_at, issued_by, via, status) VALUES(x'02', "
		      "x'41', 1, 1, 'pump-1', x'03', x'30', 'device', 0, 9999999999, 1, 'fuzz', "
		      "'test', 0)") == 0);
}

static bool check(const struct record *r)
{
	switch (r->type) {
	case MSG_LOGIN_DONE:
	case MSG_SCRAM_FIRST_DONE:
	case MSG_SCRAM_FINAL_DONE:
	case MSG_SNAPSHOT:
	case MSG_OCSP_DONE:
	case MSG_CRL_GET_DONE:
	case MSG_AUTHORITIES:
	case MSG_ENROL_DONE:
	case MSG_OP_DONE:
		return true;
	default:
		return false;
	}
}

static bool send_record(enum message type, uint64_t id, struct str body)
{
	const struct record r = {.type = type, .id = id, .fd = -1, .body = body};
	return frame_send(store_fuzz_far, &r) == 0;
}

static bool say_hello(void)
{
	unsigned char bytes[64];
	struct out o = out_make(bytes, sizeof(bytes));
	const struct body_hello hello = {frame_table_hash(), (uint8_t)sender};
	body_hello_put(&o, &hello);
	return send_record(MSG_HELLO, 0, str_make(bytes, o.need));
}

static bool send_next(struct store *s, struct cur *c, uint64_t id)
{
	(void)s;
	if (!cur_left(c) || (id == 1 && !say_hello()))
		return false;
	const size_t kind = cur_u8(c) % ARRAY_LEN(kinds);
	const struct str body = cur_bytes(c, cur_u16le(c));
	return cur_ok(c) && body.n <= FRAME_BODY_MAX &&
	       send_record(kinds[kind].type, kinds[kind].asks ? id : 0, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct store_fuzz fuzz = {
		.messages_max = 16,
		.fill = fill,
		.send_next = send_next,
		.check = check,
	};
	if (n == 0)
		return 0;
	sender = peers[data[0] % ARRAY_LEN(peers)];
	fuzz.peer = sender;
	store_fuzz_run(&fuzz, data + 1, n - 1);
	return 0;
}
