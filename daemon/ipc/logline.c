/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines for the store: see logline.h. The counters are atomic and nothing more is needed: two
 * threads at the turn of a second may let a few lines more pass.
 */
#include "daemon/ipc/logline.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ipc/frame.h"

#include <stdatomic.h>

enum { TEXT_MAX = 1024, RECORD_MAX = TEXT_MAX + 64 };

static int sock = -1;
static _Atomic uint64_t second; /* that `sent` counts */
static _Atomic uint32_t sent;
static _Atomic uint32_t left_out; /* since the last line that got through */

static bool is_too_fast(void)
{
	const uint64_t now = clock_mono_ms() / 1000;
	if (atomic_exchange_explicit(&second, now, memory_order_relaxed) != now)
		atomic_store_explicit(&sent, 0, memory_order_relaxed);
	return atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed) >= LOGLINE_RATE;
}

static void tap(enum log_level level, struct str text)
{
	unsigned char bytes[RECORD_MAX];
	struct out o = out_make(bytes, sizeof(bytes));
	if (is_too_fast()) {
		atomic_fetch_add_explicit(&left_out, 1, memory_order_relaxed);
		return;
	}
	const struct body_log_line b = {
		.time_ms = clock_wall_ms(),
		.level = (uint8_t)level,
		.left_out = atomic_exchange_explicit(&left_out, 0, memory_order_relaxed),
		.text = str_head(text, TEXT_MAX),
	};
	body_log_line_put(&o, &b);
	CHECK(out_ok(&o));
	const struct record r = {MSG_LOG_LINE, 0, 0, {(const char *)bytes, o.need}, -1};
	if (frame_send(sock, &r))
		atomic_fetch_add_explicit(&left_out, b.left_out + 1, memory_order_relaxed);
}

void logline_begin(int fd)
{
	sock = fd;
	log_set_tap(tap);
}
