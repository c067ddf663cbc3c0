/* SPDX-License-Identifier: Apache-2.0
 *
 * rec: whatever the bytes, reading stays inside; what is valid is walked whole, to its bound of
 * depth, and written again to the same bytes.
 */
#include "daemon/base/check.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes every value again; true when all of them were whole. */
static bool copy(struct str rec, struct buf *to, unsigned depth)
{
	struct cur c = cur_of(rec);
	struct rec_value v;
	CHECK(depth <= REC_DEPTH + 1);
	while (rec_next(&c, &v)) {
		char name[256];
		memcpy(name, v.name.p ? v.name.p : "", v.name.n);
		name[v.name.n] = '\0';
		switch (v.kind) {
		case REC_BOOL:
			rec_bool(to, name, v.number != 0);
			break;
		case REC_INT:
			rec_int(to, name, v.number);
			break;
		case REC_TIME:
			rec_time(to, name, v.number);
			break;
		case REC_STR:
			rec_str(to, name, v.text);
			break;
		case REC_BYTES:
			rec_bytes(to, name, v.text);
			break;
		case REC_LIST:
			rec_list(to, name);
			break;
		case REC_OBJECT:
			rec_object(to, name);
			break;
		default:
			rec_null(to, name);
		}
		if (v.kind != REC_LIST && v.kind != REC_OBJECT)
			continue;
		if (!copy(v.text, to, depth + 1))
			return false;
		rec_end(to);
	}
	return cur_ok(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str rec = str_make(data, size);
	AUTO_BUF again = {0};
	struct rec_value v;
	const bool valid = rec_valid(rec);
	rec_find(rec, "name", &v);
	if (!valid)
		return 0;
	CHECK(copy(rec, &again, 1));
	CHECK(rec_valid(buf_view(&again)));
	/* A name with a zero in it, or an end with a name, has no second way to be written. */
	CHECK(again.n <= size);
	return 0;
}
