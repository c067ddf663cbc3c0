/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties: see props.h. Reading and writing are driven by the table props.def, indexed here by
 * identifier. Pure, any thread.
 */
#include "daemon/mqtt/props.h"
#include "daemon/mqtt/topic.h"

enum {
	WILL = 1 << PROPS_WILL,
	CONNECT = 1 << PACKET_CONNECT,
	CONNACK = 1 << PACKET_CONNACK,
	PUBLISH = 1 << PACKET_PUBLISH,
	ACKS = 1 << PACKET_PUBACK | 1 << PACKET_PUBREC | 1 << PACKET_PUBREL | 1 << PACKET_PUBCOMP,
	SUBSCRIBE = 1 << PACKET_SUBSCRIBE,
	SUBACK = 1 << PACKET_SUBACK,
	UNSUBACK = 1 << PACKET_UNSUBACK,
	DISCONNECT = 1 << PACKET_DISCONNECT,
	AUTH = 1 << PACKET_AUTH,
	ALL = 0xffff,
};

enum type { UNKNOWN, BYTE, U16, U32, VARINT_LIST, STRING, BINARY, TOPIC, PAIR_LIST };

struct row {
	const char *name;
	uint16_t packets;
	uint16_t repeats;
	uint8_t type;
	uint8_t wrong; /* the reason for a number outside min..max */
	uint16_t offset;
	uint32_t min;
	uint32_t max;
};

static const struct row rows[] = {
/* clang-format off */
#define PROPERTY(name, id, text, field, type, packets, repeats, min, max, wrong, absent) \
	[id] = {text, packets, repeats, type, REASON_##wrong, offsetof(struct props, field), min, max},
#include "daemon/mqtt/props.def"
#undef PROPERTY
	/* clang-format on */
};

/* Only numbers have a value for absence that is not empty. */
#define NUMBER_BYTE(field, absent) .field = (absent),
#define NUMBER_U16(field, absent)  .field = (absent),
#define NUMBER_U32(field, absent)  .field = (absent),
#define NUMBER_VARINT_LIST(field, absent)
#define NUMBER_STRING(field, absent)
#define NUMBER_BINARY(field, absent)
#define NUMBER_TOPIC(field, absent)
#define NUMBER_PAIR_LIST(field, absent)

const struct props props_none = {
#define PROPERTY(name, id, text, field, type, packets, repeats, min, max, wrong, absent) \
	NUMBER_##type(field, absent)
#include "daemon/mqtt/props.def"
#undef PROPERTY
};

static const struct row *row_of(unsigned id)
{
	return id < ARRAY_LEN(rows) && rows[id].type != UNKNOWN ? &rows[id] : NULL;
}

static void *field_of(struct props *p, const struct row *row)
{
	return (char *)p + row->offset;
}

static const void *const_field_of(const struct props *p, const struct row *row)
{
	return (const char *)p + row->offset;
}

static size_t field_size(enum type type)
{
	switch (type) {
	case BYTE:
		return sizeof(uint8_t);
	case U16:
		return sizeof(uint16_t);
	case U32:
		return sizeof(uint32_t);
	default:
		return sizeof(struct str); /* lists have the same shape */
	}
}

_Static_assert(sizeof(struct str) == sizeof(struct user_properties), "see field_size");
_Static_assert(sizeof(struct str) == sizeof(struct subscription_ids), "see field_size");

const char *props_name(unsigned id)
{
	const struct row *row = row_of(id);
	return row ? row->name : "unknown property";
}

void props_drop(struct props *p, enum property id)
{
	const struct row *row = row_of(id);
	p->present &= ~((uint64_t)1 << id);
	memcpy(field_of(p, row), const_field_of(&props_none, row), field_size(row->type));
}

uint32_t varint_decode(struct cur *c)
{
	uint32_t v = 0;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t b = cur_u8(c);
		v |= (uint32_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			if (b == 0 && i > 0)
				cur_fail(c);
			return cur_ok(c) ? v : 0;
		}
	}
	cur_fail(c);
	return 0;
}

void varint_encode(uint32_t v, struct out *o)
{
	while (v >= 0x80) {
		out_u8(o, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	out_u8(o, (uint8_t)v);
}

void string_encode(struct str s, struct out *o)
{
	if (s.n > PACKET_STRING_MAX) {
		o->failed = true;
		o->need += PACKET_SIZE_MAX;
		return;
	}
	out_u16(o, (uint16_t)s.n);
	out_bytes(o, s.p, s.n);
}

static enum reason decode_number(struct cur *c, const struct row *row, void *field)
{
	const uint32_t v = row->type == BYTE  ? cur_u8(c)
			   : row->type == U16 ? cur_u16(c)
					      : cur_u32(c);
	if (!cur_ok(c))
		return REASON_MALFORMED_PACKET;
	if (v < row->min || v > row->max)
		return (enum reason)row->wrong;
	if (row->type == BYTE)
		*(uint8_t *)field = (uint8_t)v;
	else if (row->type == U16)
		*(uint16_t *)field = (uint16_t)v;
	else
		*(uint32_t *)field = v;
	return REASON_SUCCESS;
}

static enum reason decode_string(struct cur *c, const struct row *row, struct str *out)
{
	const struct str s = cur_str16(c);
	if (!cur_ok(c) || (row->type == STRING && !str_is_utf8(s)))
		return REASON_MALFORMED_PACKET;
	if (row->type == TOPIC) {
		const enum reason r = topic_name_check(s);
		if (r)
			return r == REASON_MALFORMED_PACKET ? r : (enum reason)row->wrong;
	}
	*out = s;
	return REASON_SUCCESS;
}

static enum reason decode_pair(struct cur *c, struct arena *a, struct user_properties *list)
{
	const struct user_property u = {.name = cur_str16(c), .value = cur_str16(c)};
	if (!cur_ok(c) || !str_is_utf8(u.name) || !str_is_utf8(u.value))
		return REASON_MALFORMED_PACKET; /* [MQTT-1.5.7-1] */
	if (list->n == PACKET_USER_PROPERTIES_MAX)
		return REASON_QUOTA_EXCEEDED;
	struct user_property *p = arena_list(a, (void *)list->p, list->n, sizeof(*p));
	p[list->n] = u;
	list->p = p;
	list->n++;
	return REASON_SUCCESS;
}

static enum reason decode_id(struct cur *c, const struct row *row, struct arena *a,
			     struct subscription_ids *list)
{
	const uint32_t id = varint_decode(c);
	if (!cur_ok(c))
		return REASON_MALFORMED_PACKET;
	if (id < row->min)
		return (enum reason)row->wrong;
	if (list->n == PACKET_SUBSCRIPTION_IDS_MAX)
		return REASON_QUOTA_EXCEEDED;
	uint32_t *p = arena_list(a, (void *)list->p, list->n, sizeof(*p));
	p[list->n] = id;
	list->p = p;
	list->n++;
	return REASON_SUCCESS;
}

static enum reason decode_value(struct cur *c, const struct row *row, struct arena *a,
				struct props *out)
{
	switch ((enum type)row->type) {
	case BYTE:
	case U16:
	case U32:
		return decode_number(c, row, field_of(out, row));
	case STRING:
	case BINARY:
	case TOPIC:
		return decode_string(c, row, field_of(out, row));
	case VARINT_LIST:
		return decode_id(c, row, a, &out->subscription_ids);
	case PAIR_LIST:
		return decode_pair(c, a, &out->user_properties);
	case UNKNOWN:
		break;
	}
	return REASON_MALFORMED_PACKET;
}

enum reason props_decode_body(struct str body, unsigned place, struct arena *a, struct props *out)
{
	struct cur c = cur_of(body);
	*out = props_none;
	while (cur_left(&c)) {
		/* Identifiers are variable byte integers, but all of them have one byte. */
		const uint8_t id = cur_u8(&c);
		const struct row *row = row_of(id);
		if (!row || !(row->packets >> place & 1))
			return REASON_MALFORMED_PACKET;
		if (props_has(out, (enum property)id) && !(row->repeats >> place & 1))
			return REASON_PROTOCOL_ERROR;
		props_mark(out, (enum property)id);
		const enum reason r = decode_value(&c, row, a, out);
		if (r)
			return r;
	}
	return REASON_SUCCESS;
}

enum reason props_decode(struct cur *c, unsigned place, struct arena *a, struct props *out)
{
	const uint32_t n = varint_decode(c);
	const struct str body = cur_bytes(c, n);
	if (!cur_ok(c))
		return REASON_MALFORMED_PACKET;
	return props_decode_body(body, place, a, out);
}

static void encode_pairs(unsigned id, const struct user_properties *list, struct out *o)
{
	for (size_t i = 0; i < list->n; i++) {
		out_u8(o, (uint8_t)id);
		string_encode(list->p[i].name, o);
		string_encode(list->p[i].value, o);
	}
}

static void encode_ids(unsigned id, const struct subscription_ids *list, struct out *o)
{
	for (size_t i = 0; i < list->n; i++) {
		out_u8(o, (uint8_t)id);
		varint_encode(list->p[i], o);
	}
}

static void encode_value(const struct props *p, unsigned id, const struct row *row, struct out *o)
{
	const void *field = const_field_of(p, row);
	if (row->type == PAIR_LIST) {
		encode_pairs(id, field, o);
		return;
	}
	if (row->type == VARINT_LIST) {
		encode_ids(id, field, o);
		return;
	}
	out_u8(o, (uint8_t)id);
	if (row->type == BYTE)
		out_u8(o, *(const uint8_t *)field);
	else if (row->type == U16)
		out_u16(o, *(const uint16_t *)field);
	else if (row->type == U32)
		out_u32(o, *(const uint32_t *)field);
	else
		string_encode(*(const struct str *)field, o);
}

/* Marked properties, and the lists whether marked or not: an empty one sends nothing. */
static uint64_t to_send(const struct props *p)
{
	return p->present | (uint64_t)1 << PROPERTY_USER_PROPERTY |
	       (uint64_t)1 << PROPERTY_SUBSCRIPTION_IDENTIFIER;
}

void props_encode_body(const struct props *p, uint64_t which, struct out *o)
{
	for (uint64_t set = to_send(p) & which; set; set &= set - 1) {
		const unsigned id = (unsigned)__builtin_ctzll(set);
		const struct row *row = row_of(id);
		if (row)
			encode_value(p, id, row, o);
	}
}

size_t props_body_size(const struct props *p, uint64_t which)
{
	struct out dry = out_make(NULL, 0);
	props_encode_body(p, which, &dry);
	return dry.need;
}

void props_encode(const struct props *p, struct out *o)
{
	const size_t n = props_body_size(p, PROPS_ALL); /* counts in o->need even if too large */
	varint_encode((uint32_t)n, o);
	props_encode_body(p, PROPS_ALL, o);
}

static bool lists_equal(const struct props *a, const struct props *b)
{
	const struct subscription_ids *x = &a->subscription_ids;
	const struct subscription_ids *y = &b->subscription_ids;
	if (x->n != y->n || (x->n && memcmp(x->p, y->p, x->n * sizeof(*x->p)) != 0))
		return false;
	const struct user_properties *u = &a->user_properties;
	const struct user_properties *v = &b->user_properties;
	if (u->n != v->n)
		return false;
	for (size_t i = 0; i < u->n; i++)
		if (!str_eq(u->p[i].name, v->p[i].name) || !str_eq(u->p[i].value, v->p[i].value))
			return false;
	return true;
}

bool props_equal(const struct props *a, const struct props *b)
{
	if (to_send(a) != to_send(b) || !lists_equal(a, b))
		return false;
	for (uint64_t set = a->present; set; set &= set - 1) {
		const struct row *row = row_of((unsigned)__builtin_ctzll(set));
		if (!row || row->type == PAIR_LIST || row->type == VARINT_LIST)
			continue;
		const void *x = const_field_of(a, row);
		const void *y = const_field_of(b, row);
		const bool same = row->type >= STRING
					  ? str_eq(*(const struct str *)x, *(const struct str *)y)
					  : memcmp(x, y, field_size(row->type)) == 0;
		if (!same)
			return false;
	}
	return true;
}
