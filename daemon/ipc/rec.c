/* SPDX-License-Identifier: Apache-2.0
 *
 * Self-describing records: see rec.h. Any thread.
 */
#include "daemon/ipc/rec.h"
#include "daemon/base/check.h"

static void put_head(struct buf *b, enum rec_kind kind, const char *name)
{
	const size_t n = strlen(name);
	CHECK(n <= 255);
	buf_putc(b, (char)kind);
	buf_putc(b, (char)n);
	buf_put(b, name, n);
}

static void put_number(struct buf *b, enum rec_kind kind, const char *name, int64_t v)
{
	put_head(b, kind, name);
	buf_put(b, &v, sizeof(v));
}

static void put_text(struct buf *b, enum rec_kind kind, const char *name, struct str v)
{
	CHECK(v.n <= UINT32_MAX);
	const uint32_t n = (uint32_t)v.n;
	put_head(b, kind, name);
	buf_put(b, &n, sizeof(n));
	buf_str(b, v);
}

void rec_null(struct buf *b, const char *name)
{
	put_head(b, REC_NULL, name);
}

void rec_bool(struct buf *b, const char *name, bool v)
{
	put_head(b, REC_BOOL, name);
	buf_putc(b, v);
}

void rec_int(struct buf *b, const char *name, int64_t v)
{
	put_number(b, REC_INT, name, v);
}

void rec_time(struct buf *b, const char *name, int64_t ms)
{
	put_number(b, REC_TIME, name, ms);
}

void rec_str(struct buf *b, const char *name, struct str v)
{
	put_text(b, REC_STR, name, v);
}

void rec_bytes(struct buf *b, const char *name, struct str v)
{
	put_text(b, REC_BYTES, name, v);
}

void rec_list(struct buf *b, const char *name)
{
	put_head(b, REC_LIST, name);
}

void rec_object(struct buf *b, const char *name)
{
	put_head(b, REC_OBJECT, name);
}

void rec_end(struct buf *b)
{
	put_head(b, REC_END, "");
}

void rec_copy(struct buf *b, const char *name, const struct rec_value *v)
{
	switch (v->kind) {
	case REC_BOOL:
		rec_bool(b, name, v->number != 0);
		break;
	case REC_INT:
	case REC_TIME:
		put_number(b, v->kind, name, v->number);
		break;
	case REC_STR:
	case REC_BYTES:
		put_text(b, v->kind, name, v->text);
		break;
	case REC_LIST:
	case REC_OBJECT:
		put_head(b, v->kind, name);
		buf_str(b, v->text);
		rec_end(b);
		break;
	default:
		rec_null(b, name);
	}
}

/* Reads one value; a list's or object's inside is left for the caller. */
static void take_value(struct cur *c, struct rec_value *v)
{
	const uint8_t kind = cur_u8(c);
	*v = (struct rec_value){.kind = kind};
	v->name = cur_bytes(c, cur_u8(c));
	switch (kind) {
	case REC_BOOL:
		v->number = cur_u8(c);
		if (v->number > 1)
			cur_fail(c);
		break;
	case REC_INT:
	case REC_TIME:
		v->number = (int64_t)cur_u64le(c);
		break;
	case REC_STR:
	case REC_BYTES:
		v->text = cur_str32le(c);
		break;
	case REC_NULL:
	case REC_LIST:
	case REC_OBJECT:
	case REC_END:
		break;
	default:
		cur_fail(c);
	}
}

/* Bytes that follow the name of a value; of text the length alone. */
static const uint8_t rest_of[] = {[REC_BOOL] = 1, [REC_INT] = 8,   [REC_TIME] = 8,
				  [REC_STR] = 4,  [REC_BYTES] = 4, [REC_END] = 0};

/* Moves behind one value, or behind the opening of a level. Documents have a million of them. */
static uint8_t skip_value(struct cur *c)
{
	const size_t left = cur_left(c);
	const uint8_t kind = left ? c->p[0] : REC_END + 1;
	const size_t head = left > 1 ? 2 + (size_t)c->p[1] : 2;
	if (kind > REC_END || left < head + rest_of[kind]) {
		cur_fail(c);
		return kind;
	}
	const unsigned char *rest = c->p + head;
	c->p = rest + rest_of[kind];
	if (kind == REC_BOOL && rest[0] > 1)
		cur_fail(c);
	if (kind == REC_STR || kind == REC_BYTES)
		cur_bytes(c, (size_t)rest[0] | (size_t)rest[1] << 8 | (size_t)rest[2] << 16 |
				     (size_t)rest[3] << 24);
	return kind;
}

/* Moves behind the REC_END that closes the level just opened; gives what lies between. */
static struct str take_level(struct cur *c)
{
	const unsigned char *start = c->p;
	unsigned depth = 1;
	while (depth > 0 && cur_ok(c)) {
		const unsigned char *before = c->p;
		const uint8_t kind = skip_value(c);
		if (kind == REC_LIST || kind == REC_OBJECT)
			depth++;
		if (kind == REC_END && --depth == 0 && cur_ok(c))
			return str_make(start, (size_t)(before - start));
		if (depth > REC_DEPTH)
			cur_fail(c);
	}
	return (struct str){NULL, 0};
}

bool rec_next(struct cur *c, struct rec_value *v)
{
	if (cur_left(c) == 0)
		return false;
	take_value(c, v);
	if (v->kind == REC_LIST || v->kind == REC_OBJECT)
		v->text = take_level(c);
	if (v->kind == REC_END)
		cur_fail(c);
	return cur_ok(c);
}

bool rec_valid(struct str rec)
{
	struct cur c = cur_of(rec);
	struct rec_value v;
	while (rec_next(&c, &v))
		;
	return cur_ok(&c);
}

bool rec_find(struct str rec, const char *name, struct rec_value *v)
{
	struct cur c = cur_of(rec);
	struct rec_value it;
	while (rec_next(&c, &it)) {
		if (it.kind != REC_NULL && str_is(it.name, name)) {
			*v = it;
			return true;
		}
	}
	return false;
}

bool rec_get_str(struct str rec, const char *name, struct str *out)
{
	struct rec_value v;
	if (!rec_find(rec, name, &v) || (v.kind != REC_STR && v.kind != REC_BYTES))
		return false;
	*out = v.text;
	return true;
}

bool rec_get_int(struct str rec, const char *name, int64_t *out)
{
	struct rec_value v;
	if (!rec_find(rec, name, &v) || (v.kind != REC_INT && v.kind != REC_TIME))
		return false;
	*out = v.number;
	return true;
}

bool rec_get_bool(struct str rec, const char *name, bool *out)
{
	struct rec_value v;
	if (!rec_find(rec, name, &v) || v.kind != REC_BOOL)
		return false;
	*out = v.number != 0;
	return true;
}
