/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map with open addressing and SipHash-2-4: see map.h. A map belongs to one thread.
 */
#include "daemon/base/map.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

static char gone;
#define MAP_GONE (&gone)

static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void hash_seed(void)
{
	CHECK(getrandom(hash_key, sizeof(hash_key), 0) == (ssize_t)sizeof(hash_key));
}

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

#define SIP_ROUND                                                    \
	do {                                                         \
		v0 += v1, v1 = rotl(v1, 13) ^ v0, v0 = rotl(v0, 32); \
		v2 += v3, v3 = rotl(v3, 16) ^ v2;                    \
		v0 += v3, v3 = rotl(v3, 21) ^ v0;                    \
		v2 += v1, v1 = rotl(v1, 17) ^ v2, v2 = rotl(v2, 32); \
	} while (0)

uint64_t hash_bytes(const void *p, size_t n)
{
	pthread_once(&hash_once, hash_seed);
	const unsigned char *b = p;
	uint64_t v0 = hash_key[0] ^ 0x736f6d6570736575, v1 = hash_key[1] ^ 0x646f72616e646f6d;
	uint64_t v2 = hash_key[0] ^ 0x6c7967656e657261, v3 = hash_key[1] ^ 0x7465646279746573;
	uint64_t tail = (uint64_t)n << 56;
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t m;
		memcpy(&m, b + i, 8);
		v3 ^= m;
		SIP_ROUND;
		SIP_ROUND;
		v0 ^= m;
	}
	for (size_t k = 0; i + k < n; k++)
		tail |= (uint64_t)b[i + k] << (8 * k);
	v3 ^= tail;
	SIP_ROUND;
	SIP_ROUND;
	v0 ^= tail;
	v2 ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

static bool slot_is(const struct map_slot *s, struct str key, uint64_t hash)
{
	return s->key != MAP_GONE && s->hash == hash && s->key_len == key.n &&
	       (key.n == 0 || memcmp(s->key, key.p, key.n) == 0);
}

static struct map_slot *slot_find(const struct map *m, struct str key, uint64_t hash)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1); m->slot[i].key; i = (i + 1) & (m->cap - 1))
		if (slot_is(&m->slot[i], key, hash))
			return &m->slot[i];
	return NULL;
}

void *map_get(const struct map *m, struct str key)
{
	const struct map_slot *s = slot_find(m, key, hash_str(key));
	return s ? s->value : NULL;
}

static void slot_insert(struct map *m, struct map_slot entry)
{
	size_t i = entry.hash & (m->cap - 1);
	while (m->slot[i].key)
		i = (i + 1) & (m->cap - 1);
	m->slot[i] = entry;
	m->used++;
	m->n++;
}

static void map_resize(struct map *m)
{
	struct map old = *m;
	*m = (struct map){.cap = 16};
	while (m->cap < old.n * 3)
		m->cap *= 2;
	m->slot = mem_array(struct map_slot, m->cap);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slot[i].key && old.slot[i].key != MAP_GONE)
			slot_insert(m, old.slot[i]);
	free(old.slot);
}

void *map_set(struct map *m, struct str key, void *value)
{
	CHECK(value != NULL);
	const uint64_t hash = hash_str(key);
	struct map_slot *s = slot_find(m, key, hash);
	if (s) {
		void *old = s->value;
		s->value = value;
		return old;
	}
	if ((m->used + 1) * 4 > m->cap * 3)
		map_resize(m);
	slot_insert(m, (struct map_slot){str_dup(key), key.n, hash, value});
	return NULL;
}

void *map_remove(struct map *m, struct str key)
{
	struct map_slot *s = slot_find(m, key, hash_str(key));
	if (!s)
		return NULL;
	free(s->key);
	s->key = MAP_GONE;
	m->n--;
	return s->value;
}

bool map_next(const struct map *m, size_t *at, struct str *key, void **value)
{
	while (*at < m->cap) {
		const struct map_slot *s = &m->slot[(*at)++];
		if (!s->key || s->key == MAP_GONE)
			continue;
		if (key)
			*key = str_make(s->key, s->key_len);
		*value = s->value;
		return true;
	}
	return false;
}

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].key != MAP_GONE)
			free(m->slot[i].key);
	free(m->slot);
	*m = (struct map){0};
}
