/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of messages: the first byte chooses the message or record, the rest is its body. What is
 * taken in is written back to the same bytes; nothing reads outside.
 */
#include "daemon/base/check.h"
#include "daemon/ipc/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char out_bytes_[256 * KiB];

#define MSG(NAME, name, from, to, when, kind, fd) RECORD(name)
#define RECORD(name)                                                           \
	static void try_##name(struct str in)                                  \
	{                                                                      \
		struct body_##name b;                                          \
		struct out o = out_make(out_bytes_, sizeof(out_bytes_));       \
		if (body_##name##_get(in, &b))                                 \
			return;                                                \
		body_##name##_put(&o, &b);                                     \
		CHECK(out_ok(&o) && str_eq(in, str_make(out_bytes_, o.need))); \
	}
#define END(name)
#define F_U8(f)
#define F_U16(f)
#define F_U32(f)
#define F_U64(f)
#define F_STR(f, max)
#include "daemon/ipc/messages.def"

static void (*const tries[])(struct str) = {
#define MSG(NAME, name, from, to, when, kind, fd) try_##name,
#define RECORD(name)                              try_##name,
#define END(name)
#define F_U8(f)
#define F_U16(f)
#define F_U32(f)
#define F_U64(f)
#define F_STR(f, max)
#include "daemon/ipc/messages.def"
};

static void walk_lists(struct str in)
{
	struct cur c = cur_of(in);
	struct str item;
	size_t n = 0;
	while (entries_next(&c, &item))
		CHECK(item.n <= in.n);
	for (struct str rest = in; strs_next(&rest, &item);)
		n++;
	CHECK(n == strs_count(in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct str body = str_make(data + 1, size - 1);
	tries[data[0] % ARRAY_LEN(tries)](body);
	walk_lists(body);
	return 0;
}
