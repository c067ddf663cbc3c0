/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in memory for fuzz targets: see store.h.
 */
#include "tests/fuzz/store.h"
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "db/migrate.h"

#include <sys/socket.h>
#include <unistd.h>

enum { DAY_MS = 86400000 };

int store_fuzz_far;

static void nothing(struct store *s)
{
	(void)s;
}

static void open_store(const struct store_fuzz *f, struct store *s, struct loop *loop)
{
	const struct store_settings settings = {
		.events = {.keep_ms = DAY_MS,
			   .max_size = 16 * MiB,
			   .rate_per_source = 10,
			   .commit_interval_ms = 1000},
		.approval = f->approval,
	};
	log_init("fuzz", LOG_LEVEL_ERROR - 1);
	*s = (struct store){.on_ready = nothing, .on_failed = nothing};
	CHECK(store_open(s, loop, MIGRATE_MEMORY, &settings) == 0);
	if (f->fill)
		f->fill(s);
}

static void check_answers(const struct store_fuzz *f, int sock, uint64_t last_id)
{
	static unsigned char buf[FRAME_MAX];
	uint64_t answered = 0;
	struct record r;
	while (frame_receive(sock, buf, &r) == 0) {
		if (f->check(&r)) {
			CHECK(r.id <= last_id && !(answered & 1ull << r.id));
			answered |= 1ull << r.id;
		}
		frame_done(&r);
	}
}

void store_fuzz_run(const struct store_fuzz *f, const uint8_t *data, size_t n)
{
	struct store s;
	struct cur c = cur_make(data, n);
	uint64_t id = 0;
	int pair[2];
	AUTO(loop) loop = loop_new();
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	open_store(f, &s, loop);
	store_set_link(&s, f->peer, pair[0]);
	store_fuzz_far = pair[1];
	while (id < f->messages_max && f->send_next(&s, &c, ++id))
		loop_turn(loop, 0);
	loop_turn(loop, 0);
	check_answers(f, pair[1], id);
	store_close(&s);
	close(pair[1]);
}
