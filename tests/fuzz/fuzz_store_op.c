/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations with any arguments, one after the other, on a store in memory: whatever they say, each
 * is answered at most once, the answer is well-formed, and a refusal has its sentence.
 *
 * Input: per operation its number (1 byte), the length of its arguments (16 bits, little-endian)
 * and the arguments, a rec. Number 255 sends what follows as a whole OP message.
 */
#include "daemon/base/check.h"
#include "db/ops.h"
#include "tests/fuzz/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { RAW = 255 };

static bool check(const struct record *r)
{
	struct body_op_done done;
	if (r->type != MSG_OP_DONE)
		return false;
	CHECK(body_op_done_get(r->body, &done) == 0);
	CHECK(done.status <= OP_LOCKED && rec_valid(done.result));
	CHECK(done.status == OP_OK || done.why.n > 0);
	return true;
}

/* One message of the input; false at its end. */
static bool send_next(struct store *s, struct cur *c, uint64_t id)
{
	unsigned char bytes[FRAME_BODY_MAX];
	struct out o = out_make(bytes, sizeof(bytes));
	struct body_op body = {.credential_kind = CREDENTIAL_PEER,
			       .credential = str_make("\0\0\0\0\0\0\0\0", 8),
			       .source = STR("control socket")};
	struct record r = {.type = MSG_OP, .id = id, .fd = -1};
	if (!cur_left(c))
		return false;
	body.op = cur_u8(c);
	if (body.op == RAW) {
		r.body = cur_bytes(c, cur_left(c));
	} else {
		body.args = cur_bytes(c, cur_u16le(c));
		body_op_put(&o, &body);
		r.body = str_make(bytes, o.need);
	}
	if (cur_ok(c) && out_ok(&o))
		ops_handle(s, PROCESS_CTL, &r);
	return cur_ok(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct store_fuzz fuzz = {
		.peer = PROCESS_CTL,
		.messages_max = 16,
		.send_next = send_next,
		.check = check,
	};
	store_fuzz_run(&fuzz, data, n);
	return 0;
}
