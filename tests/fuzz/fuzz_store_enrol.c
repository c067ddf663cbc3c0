/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolments with any fields, one after the other, on a store in memory that has a device with a
 * password, a code and a queue for everyone: each is answered at most once, and only an honest
 * vault could make it a yes; there is none here.
 *
 * Input: per message its length (16 bits, little-endian) and the body of an ENROL.
 */
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/conf/config.h"
#include "db/code.h"
#include "db/enrol.h"
#include "db/migrate.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MESSAGES_MAX = 32, DAY_MS = 86400000 };

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
		.approval = CONFIG_APPROVAL_ANYONE,
	};
	unsigned char hash[SHA256_SIZE];
	log_init("fuzz", LOG_LEVEL_ERROR - 1);
	*s = (struct store){.on_ready = nothing, .on_failed = nothing};
	CHECK(store_open(s, loop, MIGRATE_MEMORY, &settings) == 0);
	CHECK(code_hash(STR("00000000-00000000-00000000-00000000"), hash));
	CHECK(sql_script(s->registry,
			 "INSERT INTO device(name, uuid, created, created_by, changed) "
			 "VALUES('pump-1', '0', 1, 'fuzz', 1)") == 0);
	CHECK(SQL_RUN(s->registry,
		      "INSERT INTO code(hash, device_id, uses, uses_left, expires, created_by) "
		      "VALUES(?, 1, 9, 9, 9999999999, 'fuzz')",
		      sql_blob(str_make(hash, sizeof(hash)))) == 0);
}

static void check_answers(int sock, uint64_t last_id)
{
	static unsigned char buf[FRAME_MAX];
	uint64_t answered = 0;
	struct record r;
	while (frame_receive(sock, buf, &r) == 0) {
		struct body_enrol_done done;
		if (r.type != MSG_ENROL_DONE)
			continue;
		CHECK(body_enrol_done_get(r.body, &done) == 0);
		CHECK(done.status != ENROL_OK && done.status <= ENROL_LOCKED && done.why.n > 0);
		CHECK(r.id <= last_id && !(answered & 1ull << r.id));
		answered |= 1ull << r.id;
		frame_done(&r);
	}
}

/* False at the end of the input. */
static bool send_next(struct store *s, struct cur *c, uint64_t id)
{
	struct record r = {.type = MSG_ENROL, .id = id, .fd = -1};
	if (!cur_left(c))
		return false;
	r.body = cur_bytes(c, cur_u16le(c));
	if (cur_ok(c))
		enrol_handle(s, PROCESS_ENROL, &r);
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
	store_set_link(&s, PROCESS_ENROL, pair[0]);
	while (id < MESSAGES_MAX && send_next(&s, &c, ++id))
		loop_turn(loop, 0);
	loop_turn(loop, 0);
	check_answers(pair[1], id);
	store_close(&s);
	close(pair[1]);
	return 0;
}
