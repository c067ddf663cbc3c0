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
enum { SOURCE_MAX = 46, ACCOUNT_MAX = 64 };

struct pair {
	struct rate tries;
	bool known;
	uint8_t source_n; /* 0: nothing was refused so far */
	uint8_t account_n;
	uint32_t refused;
	char source[SOURCE_MAX]; /* for those who look at it */
	char account[ACCOUNT_MAX];
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

/* Only of what is refused: the others are many, and nobody asks for them. */
static void note_refused(struct pair *p, struct str account, struct str source)
{
	const struct str from = str_head(source, SOURCE_MAX);
	const struct str whose = str_head(account, ACCOUNT_MAX);
	p->refused++;
	p->source_n = (uint8_t)from.n;
	p->account_n = (uint8_t)whose.n;
	memcpy(p->source, from.p, from.n);
	memcpy(p->account, whose.p, whose.n);
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
	enum guard_verdict v = GUARD_KNOWN;
	if (!p->known)
		v = stranger_tries(g, p, key.account, first, now_us);
	else if (!rate_take(&p->tries, 1, GUARD_KNOWN_TIMES * g->tries, now_us))
		v = GUARD_SOURCE;
	if (v == GUARD_SOURCE)
		note_refused(p, account, source);
	return v;
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

/* How long until its next try is judged, 0: now. */
static uint64_t wait_of(const struct guard *g, const struct pair *p, uint64_t now_us)
{
	const uint64_t every = p->known ? US_PER_S : GUARD_EVERY_S * US_PER_S;
	const uint64_t most = every * (p->known ? GUARD_KNOWN_TIMES * g->tries : g->tries);
	const uint64_t owed = p->tries.full_us > now_us ? p->tries.full_us - now_us : 0;
	return owed + every > most ? owed + every - most : 0;
}

void guard_each(const struct guard *g, uint64_t now_us,
		void (*f)(void *arg, const struct guard_entry *e), void *arg)
{
	size_t at = 0;
	for (void *value; map_next(&g->pairs, &at, NULL, &value);) {
		const struct pair *p = value;
		const struct guard_entry e = {{p->source, p->source_n},
					      {p->account, p->account_n},
					      p->refused,
					      wait_of(g, p, now_us)};
		if (p->source_n && e.wait_us)
			f(arg, &e);
	}
}

size_t guard_lift(struct guard *g, struct str source, uint64_t now_us)
{
	size_t at = 0;
	size_t n = 0;
	for (void *value; map_next(&g->pairs, &at, NULL, &value);) {
		struct pair *p = value;
		if (!p->source_n || !str_eq(str_make(p->source, p->source_n), source))
			continue;
		n += wait_of(g, p, now_us) > 0;
		p->tries = (struct rate){0};
		p->refused = 0;
	}
	return n;
}
