/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting after wrong passwords: see backoff.h.
 */
#include "db/backoff.h"
#include "daemon/base/cursor.h"
#include "daemon/base/mem.h"
#include "daemon/net/addr.h"

#include <stdlib.h>

enum { KEY_MAX = 256, SOURCE_SHARE = 4 /* an address may hold several people */ };

struct patience {
	unsigned failures;
	int64_t last;
	int64_t until;
};

struct key {
	char bytes[KEY_MAX];
	size_t n;
};

/* An empty account stands for all of the source. Of IPv6 the network counts. */
static struct str key_of(struct key *k, struct str account, struct str source)
{
	struct out o = out_make(k->bytes, sizeof(k->bytes));
	struct addr a;
	out_u64(&o, addr_parse_ip(source, &a) ? hash_str(source) : addr_key(&a));
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

static unsigned wait_for(const struct backoff *b, struct str account, struct str source,
			 int64_t now)
{
	struct key k;
	const struct patience *p = map_get(&b->failed, key_of(&k, account, source));
	return p && p->until > now ? (unsigned)(p->until - now) : 0;
}

unsigned backoff_wait(const struct backoff *b, struct str account, struct str source, int64_t now)
{
	return MAX(wait_for(b, account, source, now), wait_for(b, STR(""), source, now));
}

static void forget_old(struct backoff *b, int64_t now)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&b->failed, &at, &key, &value);) {
		const struct patience *p = value;
		if (p->last + BACKOFF_FORGET_S > now)
			continue;
		free(map_remove(&b->failed, key));
	}
}

static void count(struct backoff *b, struct str account, struct str source, unsigned allowed,
		  int64_t now)
{
	struct key k;
	const struct str key = key_of(&k, account, source);
	struct patience *p = map_get(&b->failed, key);
	if (!p && b->failed.n >= BACKOFF_ENTRIES_MAX)
		forget_old(b, now);
	if (!p && b->failed.n >= BACKOFF_ENTRIES_MAX)
		return;
	if (!p) {
		p = mem_new(struct patience);
		map_set(&b->failed, key, p);
	}
	if (p->last + BACKOFF_FORGET_S <= now)
		p->failures = 0;
	p->failures++;
	p->last = now;
	if (p->failures < allowed)
		return;
	const unsigned doublings = MIN(p->failures - allowed, 16u);
	p->until = now + MIN(INT64_C(2) << doublings, (int64_t)BACKOFF_MAX_S);
}

void backoff_failed(struct backoff *b, struct str account, struct str source, int64_t now)
{
	count(b, account, source, BACKOFF_FREE, now);
	count(b, STR(""), source, BACKOFF_FREE * SOURCE_SHARE, now);
}

void backoff_worked(struct backoff *b, struct str account, struct str source)
{
	struct key k;
	free(map_remove(&b->failed, key_of(&k, account, source)));
}
