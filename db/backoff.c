/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting after wrong passwords: see backoff.h.
 */
#include "db/backoff.h"
#include "daemon/base/cursor.h"
#include "daemon/base/mem.h"
#include "daemon/net/addr.h"

#include <stdlib.h>
#include <string.h>

enum {
	KEY_MAX = 256,
	SOURCE_SHARE = 4, /* an address may hold several people */
	SITE_SHARE = 4    /* a site several networks with people */
};

enum { SOURCE_MAX = 46, ACCOUNT_MAX = 64 };

struct patience {
	unsigned failures;
	int64_t last;
	int64_t until;
	uint8_t source_n;
	uint8_t account_n;
	char source[SOURCE_MAX]; /* for those who look at it */
	char account[ACCOUNT_MAX];
};

struct key {
	char bytes[KEY_MAX];
	size_t n;
};

/* Whose failures are counted together. */
enum range {
	RANGE_ACCOUNT, /* one account from one source */
	RANGE_SOURCE,  /* any account from one source; of IPv6 that is a network of 64 bits */
	RANGE_SITE,    /* of IPv6 a network of 48 bits, which one customer may have whole */
};

static uint64_t place_of(enum range range, struct str source)
{
	struct addr a;
	if (addr_parse_ip(source, &a))
		return hash_str(source);
	const uint64_t key = addr_key(&a);
	return range == RANGE_SITE && a.any.sa_family == AF_INET6 ? key >> 16 : key;
}

static struct str key_of(struct key *k, enum range range, struct str account, struct str source)
{
	struct out o = out_make(k->bytes, sizeof(k->bytes));
	out_u8(&o, (uint8_t)range);
	out_u64(&o, place_of(range, source));
	if (range == RANGE_ACCOUNT)
		out_bytes(&o, account.p, MIN(account.n, sizeof(k->bytes) - o.need));
	k->n = o.need;
	return str_make(k->bytes, k->n);
}

void backoff_fini(struct backoff *b)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&b->failed, &at, &key, &value);)
		free(value);
	map_fini(&b->failed);
}

static unsigned wait_for(const struct backoff *b, enum range range, struct str account,
			 struct str source, int64_t now)
{
	struct key k;
	const struct patience *p = map_get(&b->failed, key_of(&k, range, account, source));
	return p && p->until > now ? (unsigned)(p->until - now) : 0;
}

unsigned backoff_wait(const struct backoff *b, struct str account, struct str source, int64_t now)
{
	unsigned longest = 0;
	for (enum range r = RANGE_ACCOUNT; r <= RANGE_SITE; r++) {
		const unsigned wait = wait_for(b, r, account, source, now);
		longest = MAX(longest, wait);
	}
	return longest;
}

/* Who is easier on us: has to wait less long, or failed less often, or longer ago. */
static bool milder(const struct patience *a, const struct patience *b)
{
	if (a->until != b->until)
		return a->until < b->until;
	if (a->failures != b->failures)
		return a->failures < b->failures;
	return a->last < b->last;
}

/* Room for one more: the mildest goes, so that nobody who has to wait is let off by a flood of
 * others. It is looked for among all: a password that was judged before cost much more. */
static void forget_mildest(struct backoff *b)
{
	size_t at = 0;
	struct str key;
	struct key mildest = {.n = 0};
	const struct patience *found = NULL;
	for (void *value; map_next(&b->failed, &at, &key, &value);) {
		if (found && !milder(value, found))
			continue;
		found = value;
		mildest.n = MIN(key.n, sizeof(mildest.bytes));
		memcpy(mildest.bytes, key.p, mildest.n);
	}
	free(map_remove(&b->failed, str_make(mildest.bytes, mildest.n)));
}

static void count(struct backoff *b, enum range range, struct str account, struct str source,
		  unsigned allowed, int64_t now)
{
	struct key k;
	const struct str key = key_of(&k, range, account, source);
	struct patience *p = map_get(&b->failed, key);
	if (!p && b->failed.n >= BACKOFF_ENTRIES_MAX)
		forget_mildest(b);
	if (!p) {
		p = mem_new(struct patience);
		map_set(&b->failed, key, p);
	}
	if (p->last + BACKOFF_FORGET_S <= now)
		p->failures = 0;
	p->failures++;
	p->last = now;
	const struct str from = str_head(source, SOURCE_MAX);
	const struct str whose = range == RANGE_ACCOUNT ? str_head(account, ACCOUNT_MAX) : STR("");
	p->source_n = (uint8_t)from.n;
	p->account_n = (uint8_t)whose.n;
	memcpy(p->source, from.p, from.n);
	memcpy(p->account, whose.p, whose.n);
	if (p->failures < allowed)
		return;
	const unsigned doublings = MIN(p->failures - allowed, 16u);
	p->until = now + MIN(INT64_C(2) << doublings, (int64_t)BACKOFF_MAX_S);
}

static bool has_site(struct str source)
{
	struct addr a;
	return addr_parse_ip(source, &a) == 0 && a.any.sa_family == AF_INET6;
}

void backoff_failed(struct backoff *b, struct str account, struct str source, int64_t now)
{
	/* The wide ones first: they are what a flood must not push out. */
	if (has_site(source))
		count(b, RANGE_SITE, account, source, BACKOFF_FREE * SOURCE_SHARE * SITE_SHARE,
		      now);
	count(b, RANGE_SOURCE, account, source, BACKOFF_FREE * SOURCE_SHARE, now);
	count(b, RANGE_ACCOUNT, account, source, BACKOFF_FREE, now);
}

void backoff_worked(struct backoff *b, struct str account, struct str source)
{
	struct key k;
	free(map_remove(&b->failed, key_of(&k, RANGE_ACCOUNT, account, source)));
}

void backoff_each(const struct backoff *b, int64_t now,
		  void (*f)(void *arg, const struct backoff_entry *e), void *arg)
{
	size_t at = 0;
	for (void *value; map_next(&b->failed, &at, NULL, &value);) {
		const struct patience *p = value;
		const struct backoff_entry e = {{p->source, p->source_n},
						{p->account, p->account_n},
						p->failures,
						p->last,
						p->until};
		if (p->until > now)
			f(arg, &e);
	}
}

size_t backoff_lift(struct backoff *b, struct str source, int64_t now)
{
	struct addr a;
	size_t at = 0;
	size_t n = 0;
	struct str key;
	if (addr_parse_ip(source, &a))
		return 0;
	for (void *value; map_next(&b->failed, &at, &key, &value);) {
		struct cur c = cur_of(key);
		const enum range range = (enum range)cur_u8(&c);
		struct patience *p = value;
		if (range > RANGE_SITE || cur_u64(&c) != place_of(range, source))
			continue;
		n += p->until > now;
		p->until = 0;
		p->failures = 0;
	}
	return n;
}
