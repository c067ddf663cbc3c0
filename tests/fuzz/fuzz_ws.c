/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket from the first byte: the upgrade, then frames. Whatever the bytes and however they are
 * cut into pieces, the same data, control frames and error come out. Input that does not begin with
 * a complete head is read as frames as well.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/ws_frame.h"
#include "daemon/net/ws_upgrade.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	struct buf data;
	struct buf control;
	int err;
	unsigned code;
};

static void take_items(struct ws_decoder *d, struct str in, struct outcome *out)
{
	struct ws_item item;
	const char *why = NULL;
	const char *const start = in.p;
	const char *const end = in.p + in.n;
	while ((out->err = ws_decode(d, &in, &item, &out->code, &why)) == 0) {
		if (item.opcode == WS_BINARY) {
			CHECK(item.payload.p >= start && item.payload.p + item.payload.n <= end);
			buf_str(&out->data, item.payload);
		} else {
			CHECK(item.payload.n <= WS_CONTROL_MAX);
			buf_printf(&out->control, "%d %u %zu ", (int)item.opcode, item.close_code,
				   item.payload.n);
			buf_str(&out->control, item.payload);
		}
	}
	CHECK(out->err == ERR_AGAIN ? in.n == 0 : why != NULL);
}

static struct outcome decode(const uint8_t *data, size_t size, size_t step)
{
	struct ws_decoder d = {0};
	struct outcome out = {.err = ERR_AGAIN};
	for (size_t at = 0; at < size && out.err == ERR_AGAIN; at += step) {
		const size_t n = MIN(step, size - at);
		char *piece = mem_copy(data + at, n);
		take_items(&d, str_make(piece, n), &out);
		free(piece);
	}
	ws_decoder_fini(&d);
	return out;
}

static void outcome_free(struct outcome *o)
{
	buf_fini(&o->data);
	buf_fini(&o->control);
}

static void check_frames(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {1, 3, 64};
	struct outcome whole = decode(data, size, size ? size : 1);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct outcome parts = decode(data, size, steps[i]);
		CHECK(parts.err == whole.err && parts.code == whole.code);
		CHECK(str_eq(buf_view(&parts.data), buf_view(&whole.data)));
		CHECK(str_eq(buf_view(&parts.control), buf_view(&whole.control)));
		outcome_free(&parts);
	}
	outcome_free(&whole);
}

/* Length of the head, 0 when there is none. */
static size_t check_upgrade(struct str bytes)
{
	AUTO_BUF answer = {0};
	size_t used = 0;
	const char *why = NULL;
	const int e = ws_upgrade(bytes, "/mqtt", false, &answer, &used, &why);
	if (e == ERR_AGAIN) {
		CHECK(answer.n == 0 && bytes.n < WS_HEAD_MAX);
		return 0;
	}
	CHECK(str_prefix(buf_view(&answer), STR("HTTP/1.1 ")));
	CHECK(answer.n < 1024);
	if (e < 0) {
		CHECK(why != NULL);
		return 0;
	}
	CHECK(used > 0 && used <= bytes.n && used <= WS_HEAD_MAX);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t head = check_upgrade(str_make(data, size));
	check_frames(data + head, size - head);
	return 0;
}
