/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations with any arguments, one after the other, on a store in memory: whatever they say, each
 * is answered at most once, the answer is well-formed, and a refusal has its sentence.
 *
 * Input: per operation its number (1 byte), the length of its arguments (16 bits, little-endian)
 * and the arguments, a rec. Number 255 sends what follows as a whole OP message.
 */
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "db/migrate.h"
#include "db/ops.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { OPS_MAX = 16, RAW = 255, DAY_MS = 86400000 };

static void nothing(struct store *s)
{
	(void)s;
}

static void open_store(struct store *s, struct loop *loop)
{
	const struct store_settings settings = {
		.events = {.keep_ms = DAY_MS,
			   .max_size = 16 * MiB,
			   .rate_per_source = 10,
			   .commit_interval_ms = 1000},
	};
	log_init("fuzz", LOG_LEVEL_ERROR - 1);
	*s = (struct store){.on_ready = nothing, .on_failed = nothing};
	CHECK(store_open(s, loop, MIGRATE_MEMORY, &settings) == 0);
}

static void check_answer(const struct record *r, uint64_t last_id, uint64_t *answered)
{
	struct body_op_done done;
	CHECK(body_op_done_get(r->body, &done) == 0);
	CHECK(done.status <= OP_LOCKED && rec_valid(done.result));
	CHECK(done.status == OP_OK || done.why.n > 0);
	CHECK(r->id <= last_id && !(*answered & 1ull << r->id));
	*answered |= 1ull << r->id;
}

static void check_answers(int sock, uint64_t last_id)
{
	static unsigned char buf[FRAME_MAX];
	uint64_t answered = 0;
	struct record r;
	while (frame_receive(sock, buf, &r) == 0) {
		if (r.type == MSG_OP_DONE)
			check_answer(&r, last_id, &answered);
		frame_done(&r);
	}
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
	struct store s;
	struct cur c = cur_make(data, n);
	uint64_t id = 0;
	int pair[2];
	AUTO(loop) loop = loop_new();
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	open_store(&s, loop);
	store_set_link(&s, PROCESS_CTL, pair[0]);
	while (id < OPS_MAX && send_next(&s, &c, ++id))
		loop_turn(loop, 0);
	loop_turn(loop, 0);
	check_answers(pair[1], id);
	store_close(&s);
	close(pair[1]);
	return 0;
}
