/* SPDX-License-Identifier: Apache-2.0
 *
 * The DER reader on anything: it stays inside the input, and what it accepts the writer spells the
 * same way, byte for byte (there is one DER form of a value).
 */
#include "certs/der.h"
#include "daemon/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { DEPTH_MAX = 20 };

static void copy(struct cur *c, struct buf *out, int depth)
{
	while (cur_left(c)) {
		const uint8_t tag = der_peek(c);
		const struct der d = der_read(c);
		if (!d.tag)
			return;
		CHECK(d.tag == tag);
		CHECK(d.body.p + d.body.n == d.whole.p + d.whole.n);
		struct cur inside = cur_of(d.body);
		struct buf body = {0};
		if (d.tag & 0x20 && depth < DEPTH_MAX)
			copy(&inside, &body, depth + 1);
		if (d.tag & 0x20 && depth < DEPTH_MAX && cur_done(&inside)) {
			const size_t mark = der_begin(out, d.tag);
			buf_str(out, buf_view(&body));
			der_end(out, mark);
		} else {
			der_put(out, d.tag, d.body);
		}
		buf_fini(&body);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_BUF out = {0};
	struct cur c = cur_make(data, n);
	copy(&c, &out, 0);
	if (cur_done(&c))
		CHECK(str_eq(buf_view(&out), str_make(data, n)));
	return 0;
}
