/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds on what peers cost: see limit.h. One mutex guards everything. Addresses that hold no
 * connection wait in a list, longest idle first, with their token bucket; their number is bounded,
 * and that of the others is bounded by the connections.
 */
#include "daemon/net/limit.h"
#include "daemon/base/check.h"
#include "daemon/base/list.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	ADDRESSES_IDLE = 4096,
	TOKEN = 1000, /* parts of a token: one per millisecond at one per second */
};

struct bucket {
	uint64_t at_ms; /* 0 = never used: full */
	uint64_t level; /* in parts of a token */
};

struct address {
	struct list idle; /* linked while connections is 0 */
	uint64_t key;
	uint32_t connections;
	struct bucket handshakes;
};

struct identity {
	uint32_t connections;
};

struct limit {
	pthread_mutex_t lock;
	struct limit_settings set;
	struct map addresses;
	struct map identities;
	struct list idle;
	uint32_t idle_n;
	uint32_t connections;
	uint32_t half_open;
	uint32_t bytes;
	struct bucket handshakes;
	uint64_t refused[LIMIT_REFUSALS];
};

static const char *const names[LIMIT_REFUSALS] = {
	[LIMIT_OK] = "none",
	[LIMIT_CONNECTIONS] = "connections",
	[LIMIT_PER_ADDRESS] = "connections-per-address",
	[LIMIT_PER_IDENTITY] = "connections-per-identity",
	[LIMIT_HALF_OPEN] = "half-open",
	[LIMIT_HANDSHAKES] = "handshakes-per-second",
	[LIMIT_HANDSHAKES_PER_ADDRESS] = "handshakes-per-second-per-address",
	[LIMIT_PRE_CONNECT] = "pre-connect-bytes",
};

const char *limit_refusal_name(enum limit_refusal r)
{
	return (unsigned)r < LIMIT_REFUSALS ? names[r] : "unknown";
}

static void take_settings(struct limit *l, const struct limit_settings *set)
{
	l->set = *set;
	if (!l->set.pre_connect_bytes)
		l->set.pre_connect_bytes = LIMIT_PRE_CONNECT_POOL;
	if (!l->set.addresses_idle)
		l->set.addresses_idle = ADDRESSES_IDLE;
}

struct limit *limit_new(const struct limit_settings *set)
{
	struct limit *l = mem_new(struct limit);
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->idle);
	take_settings(l, set);
	return l;
}

static void free_values(struct map *m)
{
	size_t at = 0;
	void *value;
	while (map_next(m, &at, NULL, &value))
		free(value);
	map_fini(m);
}

void limit_free(struct limit *l)
{
	free_values(&l->addresses);
	free_values(&l->identities);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* All below run with the lock held, except the public functions. */

static bool full(uint32_t used, uint32_t bound)
{
	return bound && used >= bound;
}

static enum limit_refusal refuse(struct limit *l, enum limit_refusal r)
{
	l->refused[r]++;
	return r;
}

static void trim_idle(struct limit *l)
{
	while (l->idle_n > l->set.addresses_idle) {
		struct address *a = list_entry(l->idle.next, struct address, idle);
		list_remove(&a->idle);
		l->idle_n--;
		map_remove(&l->addresses, MAP_KEY(a->key));
		free(a);
	}
}

static void address_attach(struct limit *l, struct address *a)
{
	if (a->connections++ == 0 && list_linked(&a->idle)) {
		list_remove(&a->idle);
		l->idle_n--;
	}
}

static void address_detach(struct limit *l, uint64_t key)
{
	struct address *a = map_get(&l->addresses, MAP_KEY(key));
	CHECK(a && a->connections > 0);
	if (--a->connections > 0)
		return;
	list_append(&l->idle, &a->idle);
	l->idle_n++;
	trim_idle(l);
}

static struct address *address_of(struct limit *l, uint64_t key)
{
	struct address *a = map_get(&l->addresses, MAP_KEY(key));
	if (!a) {
		a = mem_new(struct address);
		a->key = key;
		map_set(&l->addresses, MAP_KEY(a->key), a);
	}
	return a;
}

void limit_configure(struct limit *l, const struct limit_settings *set)
{
	pthread_mutex_lock(&l->lock);
	take_settings(l, set);
	trim_idle(l);
	pthread_mutex_unlock(&l->lock);
}

static enum limit_refusal accept_locked(struct limit *l, uint64_t key, bool is_proxy)
{
	const struct address *known = map_get(&l->addresses, MAP_KEY(key));
	if (full(l->connections, l->set.connections))
		return refuse(l, LIMIT_CONNECTIONS);
	if (full(l->half_open, l->set.half_open))
		return refuse(l, LIMIT_HALF_OPEN);
	if (known && !is_proxy && full(known->connections, l->set.connections_per_address))
		return refuse(l, LIMIT_PER_ADDRESS);
	address_attach(l, address_of(l, key));
	l->connections++;
	l->half_open++;
	return LIMIT_OK;
}

static enum limit_refusal accept_any(struct limit *l, const struct addr *peer, bool is_proxy,
				     struct limit_hold *hold)
{
	const uint64_t key = addr_key(peer);
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r = accept_locked(l, key, is_proxy);
	pthread_mutex_unlock(&l->lock);
	if (r == LIMIT_OK)
		*hold = (struct limit_hold){.address = key, .half_open = true};
	return r;
}

enum limit_refusal limit_accept(struct limit *l, const struct addr *peer, struct limit_hold *hold)
{
	return accept_any(l, peer, false, hold);
}

enum limit_refusal limit_accept_proxy(struct limit *l, const struct addr *proxy,
				      struct limit_hold *hold)
{
	return accept_any(l, proxy, true, hold);
}

/* Its own place under the old address is not counted against it. */
static enum limit_refusal stated_locked(struct limit *l, uint64_t key, struct limit_hold *hold)
{
	const struct address *known = map_get(&l->addresses, MAP_KEY(key));
	const uint32_t own = key == hold->address ? 1 : 0;
	if (known && full(known->connections - own, l->set.connections_per_address))
		return refuse(l, LIMIT_PER_ADDRESS);
	address_attach(l, address_of(l, key));
	address_detach(l, hold->address);
	hold->address = key;
	return LIMIT_OK;
}

enum limit_refusal limit_stated(struct limit *l, const struct addr *peer, struct limit_hold *hold)
{
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r = stated_locked(l, addr_key(peer), hold);
	pthread_mutex_unlock(&l->lock);
	return r;
}

/* Fills for the time that passed; true when a whole token is there. */
static bool bucket_ready(struct bucket *b, uint32_t per_second, uint64_t now_ms)
{
	const uint64_t most = (uint64_t)per_second * TOKEN;
	if (b->at_ms == 0)
		b->level = most;
	else if (now_ms > b->at_ms)
		b->level =
			MIN(most, b->level + MIN(now_ms - b->at_ms, (uint64_t)TOKEN) * per_second);
	b->level = MIN(b->level, most);
	b->at_ms = MAX(MAX(now_ms, b->at_ms), (uint64_t)1);
	return b->level >= TOKEN;
}

static enum limit_refusal handshake_locked(struct limit *l, uint64_t key, uint64_t now_ms)
{
	const uint32_t all = l->set.handshakes_per_second;
	const uint32_t each = l->set.handshakes_per_second_per_address;
	struct address *a = map_get(&l->addresses, MAP_KEY(key));
	CHECK(a);
	if (each && !bucket_ready(&a->handshakes, each, now_ms))
		return refuse(l, LIMIT_HANDSHAKES_PER_ADDRESS);
	if (all && !bucket_ready(&l->handshakes, all, now_ms))
		return refuse(l, LIMIT_HANDSHAKES);
	if (each)
		a->handshakes.level -= TOKEN;
	if (all)
		l->handshakes.level -= TOKEN;
	return LIMIT_OK;
}

enum limit_refusal limit_handshake(struct limit *l, const struct limit_hold *hold, uint64_t now_ms)
{
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r = handshake_locked(l, hold->address, now_ms);
	pthread_mutex_unlock(&l->lock);
	return r;
}

enum limit_refusal limit_pre_connect(struct limit *l, struct limit_hold *hold, size_t n)
{
	enum limit_refusal r = LIMIT_OK;
	pthread_mutex_lock(&l->lock);
	/* Right after a reload with a smaller pool more may be in use than there is. */
	if (l->bytes > l->set.pre_connect_bytes || n > l->set.pre_connect_bytes - l->bytes) {
		r = refuse(l, LIMIT_PRE_CONNECT);
	} else {
		l->bytes += (uint32_t)n;
		hold->bytes += (uint32_t)n;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

static void connected_locked(struct limit *l, struct limit_hold *hold)
{
	if (hold->half_open)
		l->half_open--;
	l->bytes -= hold->bytes;
	hold->half_open = false;
	hold->bytes = 0;
}

void limit_connected(struct limit *l, struct limit_hold *hold)
{
	pthread_mutex_lock(&l->lock);
	connected_locked(l, hold);
	pthread_mutex_unlock(&l->lock);
}

static void identity_detach(struct limit *l, uint64_t key)
{
	struct identity *i = key ? map_get(&l->identities, MAP_KEY(key)) : NULL;
	if (i && --i->connections == 0) {
		map_remove(&l->identities, MAP_KEY(key));
		free(i);
	}
}

static enum limit_refusal identify_locked(struct limit *l, struct limit_hold *hold, uint64_t key)
{
	struct identity *i = map_get(&l->identities, MAP_KEY(key));
	if (hold->identity == key)
		return LIMIT_OK;
	if (i && full(i->connections, l->set.connections_per_identity))
		return refuse(l, LIMIT_PER_IDENTITY);
	if (!i) {
		i = mem_new(struct identity);
		map_set(&l->identities, MAP_KEY(key), i);
	}
	i->connections++;
	identity_detach(l, hold->identity);
	hold->identity = key;
	return LIMIT_OK;
}

enum limit_refusal limit_identify(struct limit *l, struct limit_hold *hold, uint64_t identity)
{
	CHECK(identity != 0);
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r = identify_locked(l, hold, identity);
	pthread_mutex_unlock(&l->lock);
	return r;
}

void limit_release(struct limit *l, struct limit_hold *hold)
{
	if (!hold->address)
		return;
	pthread_mutex_lock(&l->lock);
	connected_locked(l, hold);
	identity_detach(l, hold->identity);
	address_detach(l, hold->address);
	l->connections--;
	pthread_mutex_unlock(&l->lock);
	*hold = (struct limit_hold){.address = 0};
}

void limit_stats(struct limit *l, struct limit_stats *out)
{
	pthread_mutex_lock(&l->lock);
	*out = (struct limit_stats){
		.connections = l->connections,
		.half_open = l->half_open,
		.addresses = (uint32_t)l->addresses.n,
		.identities = (uint32_t)l->identities.n,
		.pre_connect_bytes = l->bytes,
	};
	memcpy(out->refused, l->refused, sizeof(out->refused));
	pthread_mutex_unlock(&l->lock);
}
