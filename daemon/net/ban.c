/* SPDX-License-Identifier: Apache-2.0
 *
 * Banned networks: see ban.h.
 */
#include "daemon/net/ban.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ban *bans;
static size_t bans_n;
static atomic_bool any;

static struct ban *find_network(const struct cidr *network)
{
	for (size_t i = 0; i < bans_n; i++)
		if (cidr_equal(&bans[i].network, network))
			return &bans[i];
	return NULL;
}

void bans_set(const struct ban *list, size_t n)
{
	CHECK(n <= BANS_MAX);
	struct ban *copy = n ? mem_alloc(n * sizeof(*copy)) : NULL;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n; i++) {
		const struct ban *old = find_network(&list[i].network);
		copy[i] = list[i];
		copy[i].refused = old ? old->refused : 0;
		copy[i].last_ms = old ? old->last_ms : 0;
	}
	free(bans);
	bans = copy;
	bans_n = n;
	atomic_store(&any, n > 0);
	pthread_mutex_unlock(&lock);
}

static bool find(const struct addr *peer, bool count)
{
	if (!atomic_load_explicit(&any, memory_order_acquire) || addr_is_loopback(peer))
		return false;
	const int64_t now = clock_wall();
	bool found = false;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < bans_n && !found; i++) {
		struct ban *b = &bans[i];
		found = b->until > now && cidr_match(&b->network, peer);
		if (found && count) {
			b->refused++;
			b->last_ms = clock_wall_ms();
		}
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool bans_hold(const struct addr *peer)
{
	return find(peer, false);
}

bool bans_refuse(const struct addr *peer)
{
	return find(peer, true);
}

size_t bans_copy(struct ban *out)
{
	pthread_mutex_lock(&lock);
	const size_t n = bans_n;
	if (n)
		memcpy(out, bans, n * sizeof(*out));
	pthread_mutex_unlock(&lock);
	return n;
}
