/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory of sessions: see directory.h.
 */
#include "daemon/broker/directory.h"
#include "daemon/base/check.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 64 };

struct shard {
	pthread_mutex_t lock;
	struct map owners;
};

struct directory {
	struct shard shard[SHARDS];
	atomic_size_t count;
};

struct directory *directory_new(void)
{
	struct directory *d = mem_new(struct directory);
	for (size_t i = 0; i < SHARDS; i++)
		CHECK(pthread_mutex_init(&d->shard[i].lock, NULL) == 0);
	return d;
}

void directory_free(struct directory *d)
{
	for (size_t i = 0; i < SHARDS; i++) {
		size_t at = 0;
		struct str key;
		for (void *owner; map_next(&d->shard[i].owners, &at, &key, &owner);)
			free(owner);
		map_fini(&d->shard[i].owners);
		pthread_mutex_destroy(&d->shard[i].lock);
	}
	free(d);
}

static struct shard *lock_shard(struct directory *d, struct str client_id)
{
	struct shard *s = &d->shard[hash_str(client_id) % SHARDS];
	pthread_mutex_lock(&s->lock);
	return s;
}

static enum claim make(struct directory *d, struct shard *s, struct str client_id,
		       const struct owner *fresh, size_t max, struct owner *out)
{
	if (atomic_fetch_add(&d->count, 1) >= max) {
		atomic_fetch_sub(&d->count, 1);
		return CLAIM_FULL;
	}
	map_set(&s->owners, client_id, mem_copy(fresh, sizeof(*fresh)));
	*out = *fresh;
	return CLAIM_NEW;
}

enum claim directory_claim(struct directory *d, struct str client_id, uint64_t device_id,
			   unsigned worker, size_t max, struct owner *out)
{
	const struct owner fresh = {.device_id = device_id, .worker = worker};
	enum claim claim;
	struct shard *s = lock_shard(d, client_id);
	const struct owner *owner = map_get(&s->owners, client_id);
	if (!owner) {
		claim = make(d, s, client_id, &fresh, max, out);
	} else {
		*out = *owner;
		if (owner->device_id != device_id)
			claim = CLAIM_FOREIGN;
		else
			claim = owner->worker == worker ? CLAIM_HERE : CLAIM_THERE;
	}
	pthread_mutex_unlock(&s->lock);
	return claim;
}

void directory_set(struct directory *d, struct str client_id, uint64_t session)
{
	struct shard *s = lock_shard(d, client_id);
	struct owner *owner = map_get(&s->owners, client_id);
	CHECK(owner != NULL);
	owner->session = session;
	pthread_mutex_unlock(&s->lock);
}

void directory_drop(struct directory *d, struct str client_id)
{
	struct shard *s = lock_shard(d, client_id);
	struct owner *owner = map_remove(&s->owners, client_id);
	pthread_mutex_unlock(&s->lock);
	CHECK(owner != NULL);
	free(owner);
	atomic_fetch_sub(&d->count, 1);
}

size_t directory_count(const struct directory *d)
{
	return atomic_load_explicit(&d->count, memory_order_relaxed);
}
