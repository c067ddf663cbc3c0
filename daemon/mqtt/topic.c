/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic names and filters: see topic.h. A name is checked on every PUBLISH, so the usual one (ASCII
 * without wildcards) is checked eight bytes at a time; anything else takes the slow way. Pure, any
 * thread.
 */
#include "daemon/mqtt/topic.h"

/* Sets a high bit when a byte of w is zero, and none otherwise, for w without high bits. */
static uint64_t zero_bytes(uint64_t w)
{
	return w - 0x0101010101010101u;
}

/* Eight bytes of plain ASCII: no U+0000, no + and no #. */
static bool plain_word(const char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	const uint64_t plus = w ^ 0x2b2b2b2b2b2b2b2bu;
	const uint64_t hash = w ^ 0x2323232323232323u;
	return ((w | zero_bytes(w) | zero_bytes(plus) | zero_bytes(hash)) & 0x8080808080808080u) ==
	       0;
}

/* The same; char has no sign on some processors. */
static bool plain_byte(char c)
{
	return (signed char)c > 0 && c != '+' && c != '#';
}

static bool is_plain(struct str s)
{
	if (s.n < 8) {
		for (size_t i = 0; i < s.n; i++)
			if (!plain_byte(s.p[i]))
				return false;
		return true;
	}
	for (size_t i = 0; i + 8 < s.n; i += 8)
		if (!plain_word(s.p + i))
			return false;
	return plain_word(s.p + s.n - 8); /* overlaps the word before it */
}

static bool size_ok(struct str s)
{
	return s.n >= 1 && s.n <= PACKET_STRING_MAX;
}

static bool has_wildcard(struct str s)
{
	return memchr(s.p, '+', s.n) || memchr(s.p, '#', s.n);
}

enum reason topic_name_check(struct str name)
{
	if (!size_ok(name))
		return REASON_TOPIC_NAME_INVALID;
	if (is_plain(name))
		return REASON_SUCCESS;
	if (!str_is_utf8(name))
		return REASON_MALFORMED_PACKET;
	return has_wildcard(name) ? REASON_TOPIC_NAME_INVALID : REASON_SUCCESS;
}

/* Each wildcard fills its level and # stands last. */
static bool wildcards_ok(struct str filter)
{
	struct str level;
	for (struct str rest = filter; topic_next(&rest, &level);) {
		if (level.n == 0 || !has_wildcard(level))
			continue;
		if (level.n > 1 || (level.p[0] == '#' && rest.p))
			return false;
	}
	return true;
}

enum reason topic_filter_check(struct str filter)
{
	if (!size_ok(filter))
		return REASON_TOPIC_FILTER_INVALID;
	if (is_plain(filter) && !topic_is_shared(filter))
		return REASON_SUCCESS;
	if (!str_is_utf8(filter))
		return REASON_MALFORMED_PACKET;
	const struct topic_share share = topic_share_split(filter);
	if (topic_is_shared(filter) && (share.group.n == 0 || has_wildcard(share.group)))
		return REASON_TOPIC_FILTER_INVALID;
	if (share.filter.n == 0 || !wildcards_ok(share.filter))
		return REASON_TOPIC_FILTER_INVALID;
	return REASON_SUCCESS;
}

bool topic_has_wildcard(struct str filter)
{
	return filter.n && has_wildcard(filter);
}

struct topic_share topic_share_split(struct str filter)
{
	if (!topic_is_shared(filter))
		return (struct topic_share){.filter = filter};
	struct str rest = filter;
	str_split(&rest, '/');
	const struct str group = str_split(&rest, '/');
	return (struct topic_share){group, rest};
}

static bool is_wildcard(struct str level, char wildcard)
{
	return level.n == 1 && level.p[0] == wildcard;
}

bool topic_matches(struct str filter, struct str name)
{
	if (name.n && name.p[0] == '$' && filter.n && (filter.p[0] == '+' || filter.p[0] == '#'))
		return false;
	struct str want, have;
	while (topic_next(&filter, &want)) {
		if (is_wildcard(want, '#'))
			return true;
		if (!topic_next(&name, &have))
			return false;
		if (!is_wildcard(want, '+') && !str_eq(want, have))
			return false;
	}
	return !name.p;
}

size_t topic_levels(struct str topic)
{
	size_t n = 1;
	for (size_t i = 0; i < topic.n; i++)
		n += topic.p[i] == '/';
	return n;
}
