/* SPDX-License-Identifier: Apache-2.0
 *
 * Algebra of topic filters: see filter.h. Any thread.
 *
 * Everything rests on one walk. Names of topics are unlimited, so a "+" or "#" in a filter always
 * stands for names that no rule spells; a pattern covers such a level only with a wildcard of its
 * own. What is left is a question of depth: a pattern without "#" covers one number of levels, a
 * pattern with "#" all from some number on (filter_depths). Cover and match follow from it.
 */
#include "daemon/acl/filter.h"
#include "daemon/acl/acl.h"
#include "daemon/base/err.h"

static const struct str var_name[ACL_VARS] = {
	[ACL_VAR_CLIENTID] = {"clientid", 8},
	[ACL_VAR_DEVICE] = {"device", 6},
	[ACL_VAR_CN] = {"cn", 2},
	[ACL_VAR_SAN] = {"san", 3},
	[ACL_VAR_GROUP] = {"group", 5},
};

static bool is_char(struct str level, char c)
{
	return level.n == 1 && level.p[0] == c;
}

static bool starts_with_dollar(struct str level)
{
	return level.n > 0 && level.p[0] == '$';
}

/* The next level of what is left of a filter; false behind the last. */
static bool next_level(struct str *rest, struct str *level)
{
	if (!rest->p)
		return false;
	*level = str_split(rest, '/');
	return true;
}

const char *filter_check(struct str filter)
{
	if (filter.n == 0)
		return "it is empty";
	if (memchr(filter.p, '\0', filter.n))
		return "it contains U+0000";
	struct str rest = filter, level;
	while (next_level(&rest, &level)) {
		if (level.n > 1 && memchr(level.p, '+', level.n))
			return "\"+\" must stand alone in its level";
		if (level.n > 1 && memchr(level.p, '#', level.n))
			return "\"#\" must stand alone in its level";
		if (is_char(level, '#') && rest.p)
			return "\"#\" must be the last level";
	}
	return NULL;
}

bool filter_is_wild(struct str filter)
{
	return filter.n && (memchr(filter.p, '+', filter.n) || memchr(filter.p, '#', filter.n));
}

struct str filter_unshared(struct str filter)
{
	const struct str none = {NULL, 0};
	struct str rest = filter;
	if (!str_is(str_split(&rest, '/'), "$share"))
		return filter;
	if (!rest.p)
		return none;
	const struct str name = str_split(&rest, '/');
	if (name.n == 0 || memchr(name.p, '+', name.n) || memchr(name.p, '#', name.n))
		return none;
	return rest.n ? rest : none;
}

int filter_var(struct str level)
{
	for (size_t i = 0; i + 1 < level.n; i++) {
		if (level.p[i] != '$' || level.p[i + 1] != '{')
			continue;
		if (i > 0 || level.p[level.n - 1] != '}')
			return ERR_NOT_FOUND;
		const struct str name = {level.p + 2, level.n - 3};
		for (int var = 0; var < ACL_VARS; var++)
			if (str_eq(name, var_name[var]))
				return var;
		return ERR_NOT_FOUND;
	}
	return ERR_INVALID;
}

const char *filter_var_name(enum acl_var var)
{
	return var_name[var].p;
}

bool filter_value_ok(struct str value, bool first)
{
	if (value.n == 0 || (first && value.p[0] == '$'))
		return false;
	for (size_t i = 0; i < value.n; i++) {
		const unsigned char c = (unsigned char)value.p[i];
		if (c < 0x20 || c == 0x7f || c == '/' || c == '+' || c == '#')
			return false;
		/* U+0080..U+009F are control characters too. */
		if (c == 0xc2 && i + 1 < value.n && (unsigned char)value.p[i + 1] < 0xa0)
			return false;
	}
	return true;
}

size_t filter_var_values(enum acl_var var, const struct acl_who *who, const struct str **values)
{
	switch (var) {
	case ACL_VAR_CLIENTID:
		*values = &who->clientid;
		return 1;
	case ACL_VAR_DEVICE:
		*values = &who->device;
		return 1;
	case ACL_VAR_CN:
		*values = &who->cn;
		return 1;
	case ACL_VAR_SAN:
		*values = who->san;
		return who->san_n;
	case ACL_VAR_GROUP:
		*values = who->group;
		return who->group_n;
	default:
		return 0;
	}
}

bool filter_var_match(enum acl_var var, const struct acl_who *who, struct str level, bool first)
{
	const struct str *values = NULL;
	const size_t n = filter_var_values(var, who, &values);
	for (size_t i = 0; i < n; i++)
		if (str_eq(values[i], level))
			return filter_value_ok(level, first);
	return false;
}

/* Has the variable any value that could match some level? */
static bool var_usable(enum acl_var var, const struct acl_who *who, bool first)
{
	const struct str *values = NULL;
	const size_t n = filter_var_values(var, who, &values);
	for (size_t i = 0; i < n; i++)
		if (filter_value_ok(values[i], first))
			return true;
	return false;
}

/* The variable in this level of a pattern, or negative. */
static int level_var(struct str level, const struct acl_who *who)
{
	if (!who || level.n < 4 || level.p[0] != '$' || level.p[1] != '{')
		return ERR_INVALID;
	return filter_var(level);
}

/* Does level mine of a pattern cover level other of a filter (not "#", neither of them)? */
static enum filter_miss_kind level_cover(struct str mine, const struct acl_who *who,
					 struct str other, bool first)
{
	if (is_char(mine, '+'))
		return first && starts_with_dollar(other) ? FILTER_MISS_DOLLAR : FILTER_MISS_NONE;
	const int var = level_var(mine, who);
	if (var >= 0 && !var_usable((enum acl_var)var, who, first))
		return FILTER_MISS_VALUE;
	if (is_char(other, '+'))
		return FILTER_MISS_WIDER;
	const bool same = var >= 0 ? filter_var_match((enum acl_var)var, who, other, first)
				   : str_eq(mine, other);
	return same ? FILTER_MISS_NONE : FILTER_MISS_LEVEL;
}

static bool missed(struct filter_miss *miss, enum filter_miss_kind kind, unsigned level,
		   struct str mine, struct str other)
{
	if (miss)
		*miss = (struct filter_miss){kind, level + 1, mine, other};
	return false;
}

void filter_own_depths(struct str filter, unsigned *lo, unsigned *hi)
{
	/* There is no topic "", so "/#" matches nothing of one level. */
	const bool from_slash = str_is(filter, "/#");
	unsigned n = 0;
	struct str level = {NULL, 0};
	while (next_level(&filter, &level))
		n++;
	const bool open = is_char(level, '#');
	*lo = !open || from_slash ? n : MAX(n - 1, 1u);
	*hi = open ? FILTER_DEPTH_ANY : n;
}

/* A pattern and a filter, level by level. */
struct pair {
	struct str p, f;        /* what is left of them */
	struct str mine, other; /* the level at hand; p = NULL behind the end */
	bool mine_open;         /* mine is "#" */
	bool open;              /* the filter's "#" was reached: any name and any end may come */
	bool mine_end;          /* the pattern has ended */
	bool other_end;         /* the filter has ended, without "#" */
};

static void pair_next(struct pair *pair)
{
	pair->mine = pair->other = (struct str){NULL, 0};
	pair->mine_end = !next_level(&pair->p, &pair->mine);
	const bool has_other = next_level(&pair->f, &pair->other);
	pair->open = pair->open || is_char(pair->other, '#');
	pair->other_end = !has_other && !pair->open;
	pair->mine_open = is_char(pair->mine, '#');
	if (pair->open)
		pair->other = STR("#");
}

/* The filter's level as one name: behind its "#" any. */
static struct str pair_name(const struct pair *pair)
{
	return pair->open ? STR("+") : pair->other;
}

bool filter_depths(struct str pattern, const struct acl_who *who, struct str filter, unsigned *lo,
		   unsigned *hi, struct filter_miss *miss)
{
	struct pair pair = {.p = pattern, .f = filter};
	for (unsigned at = 0;; at++) {
		pair_next(&pair);
		if (pair.mine_end && !pair.open && !pair.other_end)
			return missed(miss, FILTER_MISS_LONG, at, pair.mine, pair.other);
		if (pair.mine_end) {
			*lo = *hi = at;
			return true;
		}
		if (pair.mine_open && at == 0 && starts_with_dollar(pair.other))
			return missed(miss, FILTER_MISS_DOLLAR, at, pair.mine, pair.other);
		if (pair.mine_open) {
			filter_own_depths(filter, lo, hi);
			*lo = MAX(*lo, at);
			return true;
		}
		const enum filter_miss_kind kind =
			pair.other_end ? FILTER_MISS_SHORT
				       : level_cover(pair.mine, who, pair_name(&pair), at == 0);
		if (kind != FILTER_MISS_NONE)
			return missed(miss, kind, at, pair.mine, pair.other);
	}
}

bool filter_cover(struct str pattern, const struct acl_who *who, struct str filter,
		  struct filter_miss *miss)
{
	unsigned lo = 0, hi = 0, own_lo = 0, own_hi = 0;
	if (!filter_depths(pattern, who, filter, &lo, &hi, miss))
		return false;
	filter_own_depths(filter, &own_lo, &own_hi);
	if (lo <= own_lo && own_hi <= hi)
		return true;
	return missed(miss, FILTER_MISS_WIDER, own_lo, (struct str){NULL, 0}, STR("#"));
}

bool filter_match(struct str pattern, const struct acl_who *who, struct str topic,
		  struct filter_miss *miss)
{
	unsigned lo = 0, hi = 0;
	return filter_depths(pattern, who, topic, &lo, &hi, miss);
}

/* Is there a name that both levels (not "#") match? */
static bool level_meet(struct str mine, const struct acl_who *who, struct str other, bool first)
{
	const bool wild = is_char(other, '+');
	if (is_char(mine, '+'))
		return !(first && starts_with_dollar(other));
	const int var = level_var(mine, who);
	if (var >= 0)
		return wild ? var_usable((enum acl_var)var, who, first)
			    : filter_var_match((enum acl_var)var, who, other, first);
	return wild ? !(first && starts_with_dollar(mine)) : str_eq(mine, other);
}

/* There is no topic "": can they meet in a topic of this many levels? */
static bool depth_meets(struct str pattern, struct str filter, unsigned depth)
{
	return depth > 1 || !(str_prefix(pattern, STR("/")) || str_prefix(filter, STR("/")));
}

bool filter_meet(struct str pattern, const struct acl_who *who, struct str filter)
{
	struct pair pair = {.p = pattern, .f = filter};
	for (unsigned at = 0;; at++) {
		pair_next(&pair);
		if (pair.mine_open && !pair.other_end)
			return at > 0 || !starts_with_dollar(pair.other);
		if (pair.mine_end || pair.mine_open)
			return (pair.open || pair.other_end) && depth_meets(pattern, filter, at);
		if (pair.other_end || !level_meet(pair.mine, who, pair_name(&pair), at == 0))
			return false;
	}
}
