/* SPDX-License-Identifier: Apache-2.0
 *
 * Patience with wrong passwords: see guard.h.
 */
#include "db/guard.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/net/addr.h"
#include "db/rate.h"

#include <stdlib.h>

#define US_PER_S 1000000ull

/* One account from one source. */
struct pair {
	struct rate tries;
	bool known;
};

struct pair_key {
	uint64_t source;
	uint64_t account;
};

struct guard {
	struct map pairs;    /* struct pair_key -> struct pair */
	struct map accounts; /* hash of the name -> struct rate, of strangers' tries */
	struct guard_stats refused;
	uint32_t tries;
};

struct guard *guard_new(void)
{
	struct guard *g = mem_new(struct guard);
	g->tries = GUARD_TRIES;
	return g;
}

void guard_set_tries(struct guard *g, uint32_t tries)
{
	g->tries = tries;
}

static void free_values(struct map *m)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(m, &at, &key, &value);)
		free(value);
	map_fini(m);
}

void guard_free(struct guard *g)
{
	free_values(&g->pairs);
	free_values(&g->accounts);
	free(g);
}

static struct pair_key key_of(struct str account, struct str source)
{
	struct addr a;
	return (struct pair_key){addr_parse_ip(source, &a) ? hash_str(source) : addr_key(&a),
				 hash_str(account)};
}

/* Buckets that are full again say nothing; known sources are kept, as long as there is room. */
static void forget(struct guard *g, uint64_t now_us)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&g->accounts, &at, &key, &value))
		if (rate_idle(value, now_us))
			free(map_remove(&g->accounts, key));
	at = 0;
	while (map_next(&g->pairs, &at, &key, &value)) {
		const struct pair *p = value;
		if (!p->known && rate_idle(&p->tries, now_us))
			free(map_remove(&g->pairs, key));
	}
	if (g->pairs.n >= GUARD_ENTRIES_MAX)
		free_values(&g->pairs);
	if (g->accounts.n >= GUARD_ENTRIES_MAX)
		free_values(&g->accounts);
}

static bool account_takes(struct guard *g, uint64_t account, uint64_t now_us)
{
	struct rate *r = map_get(&g->accounts, MAP_KEY(account));
	if (!r) {
		r = mem_new(struct rate);
		map_set(&g->accounts, MAP_KEY(account), r);
	}
	return rate_take(r, 1, GUARD_ACCOUNT_TIMES * g->tries, now_us);
}

static enum guard_verdict stranger_tries(struct guard *g, struct pair *p, uint64_t account,
					 bool first, uint64_t now_us)
{
	struct rate tries = p->tries;
	if (!rate_take_every(&tries, GUARD_EVERY_S * US_PER_S, g->tries, now_us))
		return GUARD_SOURCE;
	if (!first && !account_takes(g, account, now_us))
		return GUARD_ACCOUNT;
	p->tries = tries;
	return GUARD_STRANGER;
}

static enum guard_verdict judge(struct guard *g, struct str account, struct str source,
				uint64_t now_us)
{
	const struct pair_key key = key_of(account, source);
	if (g->pairs.n >= GUARD_ENTRIES_MAX || g->accounts.n >= GUARD_ENTRIES_MAX)
		forget(g, now_us);
	struct pair *p = map_get(&g->pairs, MAP_KEY(key));
	const bool first = !p;
	if (first) {
		p = mem_new(struct pair);
		map_set(&g->pairs, MAP_KEY(key), p);
	}
	if (!p->known)
		return stranger_tries(g, p, key.account, first, now_us);
	return rate_take(&p->tries, 1, GUARD_KNOWN_TIMES * g->tries, now_us) ? GUARD_KNOWN
									     : GUARD_SOURCE;
}

enum guard_verdict guard_try(struct guard *g, struct str account, struct str source,
			     uint64_t now_us)
{
	const enum guard_verdict v = judge(g, account, source, now_us);
	g->refused.source += v == GUARD_SOURCE;
	g->refused.account += v == GUARD_ACCOUNT;
	return v;
}

struct guard_stats guard_stats(const struct guard *g)
{
	struct guard_stats s = g->refused;
	s.entries = g->pairs.n;
	return s;
}

void guard_right(struct guard *g, struct str account, struct str source)
{
	const struct pair_key key = key_of(account, source);
	struct pair *p = map_get(&g->pairs, MAP_KEY(key));
	if (!p) {
		p = mem_new(struct pair);
		map_set(&g->pairs, MAP_KEY(key), p);
	}
	*p = (struct pair){.known = true};
}
