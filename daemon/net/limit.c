/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds on what peers cost: see limit.h. One mutex guards everything but the buckets of publishes,
 * which are atomic. Addresses that hold no connection wait in a list, longest idle first, with
 * their token bucket; their number is bounded, and that of the others is bounded by the
 * connections. The same holds for identities.
 */
#include "daemon/net/limit.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	IDLE = 4096,
	TOKEN = 1000,      /* parts of a token: one per millisecond at one per second */
	PAUSE_MIN_MS = 10, /* several messages per pause: waking up costs more than one */
	TELL_MS = 60 * 1000,
};

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/* Marks the keys of those that are known by their address only. */
#define IDENTITY_ADDRESS (1ull << 63)

struct bucket {
	uint64_t at_ms; /* 0 = never used: full */
	uint64_t level; /* in parts of a token */
};

struct address {
	struct list idle; /* linked while connections is 0 */
	uint64_t key;
	uint32_t connections;
	uint32_t half_open;
	uint32_t bytes;
	struct bucket handshakes;
};

/* A bucket of publishes is the time at which it will be full again, in nanoseconds; it is empty
 * when that is a second away. */
struct limit_identity {
	struct list idle; /* linked while connections is 0 */
	uint64_t key;
	_Atomic uint32_t connections; /* changes under the lock */
	_Atomic uint64_t messages;
	_Atomic uint64_t bytes;
	_Atomic uint64_t told_ms;
};

struct limit {
	pthread_mutex_t lock;
	struct limit_settings set;
	struct map addresses;
	struct map identities; /* struct limit_identity */
	struct list idle;      /* addresses */
	uint32_t idle_n;
	struct list rested; /* identities */
	uint32_t rested_n;
	uint32_t connections;
	uint32_t half_open;
	uint32_t bytes;
	struct bucket handshakes;
	_Atomic uint32_t publish_messages; /* as in set */
	_Atomic uint64_t publish_bytes;
	_Atomic uint64_t refused[LIMIT_REFUSALS];
};

static const char *const names[LIMIT_REFUSALS] = {
	[LIMIT_OK] = "none",
	[LIMIT_CONNECTIONS] = "max-connections",
	[LIMIT_PER_ADDRESS] = "max-connections-per-address",
	[LIMIT_PER_IDENTITY] = "max-connections-per-device",
	[LIMIT_HALF_OPEN] = "max-half-open",
	[LIMIT_HALF_OPEN_PER_ADDRESS] = "max-half-open-per-address",
	[LIMIT_HANDSHAKES] = "handshake-rate",
	[LIMIT_HANDSHAKES_PER_ADDRESS] = "handshake-rate-per-address",
	[LIMIT_PRE_CONNECT] = "pre-connect-memory",
	[LIMIT_PRE_CONNECT_PER_ADDRESS] = "pre-connect-memory-per-address",
	[LIMIT_PUBLISH_MESSAGES] = "publish-rate-per-device",
	[LIMIT_PUBLISH_BYTES] = "publish-bytes-per-device",
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
	if (!l->set.idle)
		l->set.idle = IDLE;
	atomic_store_explicit(&l->publish_messages, set->publish_messages, memory_order_relaxed);
	atomic_store_explicit(&l->publish_bytes, set->publish_bytes, memory_order_relaxed);
}

struct limit *limit_new(const struct limit_settings *set)
{
	struct limit *l = mem_new(struct limit);
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->idle);
	list_init(&l->rested);
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
	atomic_fetch_add_explicit(&l->refused[r], 1, memory_order_relaxed);
	return r;
}

static void forget_identity(struct limit *l, struct limit_identity *i)
{
	map_remove(&l->identities, MAP_KEY(i->key));
	free(i);
}

static void trim_idle(struct limit *l)
{
	while (l->rested_n > l->set.idle) {
		struct limit_identity *i = list_entry(l->rested.next, struct limit_identity, idle);
		list_remove(&i->idle);
		l->rested_n--;
		forget_identity(l, i);
	}
	while (l->idle_n > l->set.idle) {
		struct address *a = list_entry(l->idle.next, struct address, idle);
		list_remove(&a->idle);
		l->idle_n--;
		map_remove(&l->addresses, MAP_KEY(a->key));
		free(a);
	}
}

static struct address *address_known(struct limit *l, uint64_t key)
{
	struct address *a = map_get(&l->addresses, MAP_KEY(key));
	CHECK(a && a->connections > 0);
	return a;
}

/* One more connection, with what it holds. */
static void address_attach(struct limit *l, struct address *a, const struct limit_hold *hold)
{
	if (a->connections++ == 0 && list_linked(&a->idle)) {
		list_remove(&a->idle);
		l->idle_n--;
	}
	a->half_open += hold->half_open;
	a->bytes += hold->bytes;
}

static void address_detach(struct limit *l, const struct limit_hold *hold)
{
	struct address *a = address_known(l, hold->address);
	a->half_open -= hold->half_open;
	a->bytes -= hold->bytes;
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

/* The bucket is at most empty: what was owed beyond that was reckoned by the rate before. */
static void forgive(_Atomic uint64_t *full_at, uint64_t now_ns)
{
	uint64_t was = atomic_load_explicit(full_at, memory_order_relaxed);
	while (was > now_ns + NS_PER_S &&
	       !atomic_compare_exchange_weak_explicit(full_at, &was, now_ns + NS_PER_S,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static bool is_raised(uint64_t before, uint64_t now)
{
	return before && (now == 0 || now > before);
}

static void forgive_all(struct limit *l, bool messages, bool bytes)
{
	const uint64_t now = clock_mono_ms() * NS_PER_MS;
	size_t at = 0;
	for (void *value; map_next(&l->identities, &at, NULL, &value);) {
		struct limit_identity *i = value;
		if (messages)
			forgive(&i->messages, now);
		if (bytes)
			forgive(&i->bytes, now);
	}
}

void limit_configure(struct limit *l, const struct limit_settings *set)
{
	pthread_mutex_lock(&l->lock);
	const bool messages = is_raised(l->set.publish_messages, set->publish_messages);
	const bool bytes = is_raised(l->set.publish_bytes, set->publish_bytes);
	take_settings(l, set);
	if (messages || bytes)
		forgive_all(l, messages, bytes);
	trim_idle(l);
	pthread_mutex_unlock(&l->lock);
}

static enum limit_refusal accept_locked(struct limit *l, const struct limit_hold *hold,
					bool is_proxy)
{
	const struct address *known = map_get(&l->addresses, MAP_KEY(hold->address));
	if (full(l->connections, l->set.connections))
		return refuse(l, LIMIT_CONNECTIONS);
	if (full(l->half_open, l->set.half_open))
		return refuse(l, LIMIT_HALF_OPEN);
	if (known && !is_proxy && full(known->connections, l->set.connections_per_address))
		return refuse(l, LIMIT_PER_ADDRESS);
	if (known && !is_proxy && full(known->half_open, l->set.half_open_per_address))
		return refuse(l, LIMIT_HALF_OPEN_PER_ADDRESS);
	address_attach(l, address_of(l, hold->address), hold);
	l->connections++;
	l->half_open++;
	return LIMIT_OK;
}

static enum limit_refusal accept_any(struct limit *l, const struct addr *peer, bool is_proxy,
				     struct limit_hold *hold)
{
	const struct limit_hold held = {.address = addr_key(peer), .half_open = true};
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r = accept_locked(l, &held, is_proxy);
	pthread_mutex_unlock(&l->lock);
	if (r == LIMIT_OK)
		*hold = held;
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
	const uint32_t own_half = own && hold->half_open ? 1 : 0;
	if (known && full(known->connections - own, l->set.connections_per_address))
		return refuse(l, LIMIT_PER_ADDRESS);
	if (known && full(known->half_open - own_half, l->set.half_open_per_address))
		return refuse(l, LIMIT_HALF_OPEN_PER_ADDRESS);
	address_attach(l, address_of(l, key), hold);
	address_detach(l, hold);
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

/* Right after a reload with a smaller bound more may be in use than it allows. */
static bool fits(uint32_t used, size_t n, uint32_t bound)
{
	return used <= bound && n <= bound - used;
}

static enum limit_refusal pre_connect_locked(struct limit *l, struct limit_hold *hold, size_t n)
{
	const uint32_t each = l->set.pre_connect_bytes_per_address;
	struct address *a = address_known(l, hold->address);
	if (each && !fits(a->bytes, n, each))
		return refuse(l, LIMIT_PRE_CONNECT_PER_ADDRESS);
	if (!fits(l->bytes, n, l->set.pre_connect_bytes))
		return refuse(l, LIMIT_PRE_CONNECT);
	l->bytes += (uint32_t)n;
	a->bytes += (uint32_t)n;
	hold->bytes += (uint32_t)n;
	return LIMIT_OK;
}

enum limit_refusal limit_pre_connect(struct limit *l, struct limit_hold *hold, size_t n)
{
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r = pre_connect_locked(l, hold, n);
	pthread_mutex_unlock(&l->lock);
	return r;
}

static void connected_locked(struct limit *l, struct limit_hold *hold)
{
	struct address *a = address_known(l, hold->address);
	l->half_open -= hold->half_open;
	a->half_open -= hold->half_open;
	l->bytes -= hold->bytes;
	a->bytes -= hold->bytes;
	hold->half_open = false;
	hold->bytes = 0;
}

void limit_connected(struct limit *l, struct limit_hold *hold)
{
	pthread_mutex_lock(&l->lock);
	connected_locked(l, hold);
	pthread_mutex_unlock(&l->lock);
}

/* Whether it may be forgotten: both buckets are full. */
static bool is_rested(const struct limit_identity *i, uint64_t now_ns)
{
	return atomic_load(&i->messages) <= now_ns && atomic_load(&i->bytes) <= now_ns;
}

static void identity_attach(struct limit *l, struct limit_identity *i)
{
	if (i->connections++ == 0 && list_linked(&i->idle)) {
		list_remove(&i->idle);
		l->rested_n--;
	}
}

static void identity_detach(struct limit *l, struct limit_identity *i)
{
	if (!i || --i->connections > 0)
		return;
	if (is_rested(i, clock_mono_ms() * NS_PER_MS)) {
		forget_identity(l, i);
		return;
	}
	list_append(&l->rested, &i->idle);
	l->rested_n++;
	trim_idle(l);
}

static struct limit_identity *identity_of(struct limit *l, uint64_t key)
{
	struct limit_identity *i = map_get(&l->identities, MAP_KEY(key));
	if (!i) {
		i = mem_new(struct limit_identity);
		i->key = key;
		map_set(&l->identities, MAP_KEY(key), i);
	}
	return i;
}

static enum limit_refusal identify_locked(struct limit *l, struct limit_hold *hold, uint64_t key,
					  uint32_t most)
{
	const struct limit_identity *known = map_get(&l->identities, MAP_KEY(key));
	if (known && hold->identity == known)
		return LIMIT_OK;
	if (known && full(known->connections, most))
		return refuse(l, LIMIT_PER_IDENTITY);
	struct limit_identity *i = identity_of(l, key);
	identity_attach(l, i);
	identity_detach(l, hold->identity);
	hold->identity = i;
	return LIMIT_OK;
}

enum limit_refusal limit_identify(struct limit *l, struct limit_hold *hold, uint64_t identity)
{
	CHECK(identity != 0 && !(identity & IDENTITY_ADDRESS));
	pthread_mutex_lock(&l->lock);
	const enum limit_refusal r =
		identify_locked(l, hold, identity, l->set.connections_per_identity);
	pthread_mutex_unlock(&l->lock);
	return r;
}

void limit_identify_address(struct limit *l, struct limit_hold *hold)
{
	pthread_mutex_lock(&l->lock);
	identify_locked(l, hold, hold->address | IDENTITY_ADDRESS, 0);
	pthread_mutex_unlock(&l->lock);
}

/* ---- publishes: any thread, without the lock --------------------------------------------------
 */

/* How long until a bucket that is full at that time has room, in nanoseconds. */
static uint64_t wait_ns(uint64_t full_at, uint64_t now_ns)
{
	return full_at > now_ns + NS_PER_S ? full_at - now_ns - NS_PER_S : 0;
}

static bool has_room(uint64_t full_at, uint64_t now_ns)
{
	return full_at < now_ns + NS_PER_S;
}

/* alone: no other connection charges it. One that comes at this moment may lose a charge to the
 * other; that is less than a locked instruction per message is worth. */
static void charge(_Atomic uint64_t *full_at, uint64_t now_ns, uint64_t n, uint64_t per_second,
		   bool alone)
{
	/* A packet has less than 2^28 bytes: no overflow. */
	const uint64_t cost = n * NS_PER_S / per_second;
	uint64_t was = atomic_load_explicit(full_at, memory_order_relaxed);
	if (alone) {
		atomic_store_explicit(full_at, MAX(was, now_ns) + cost, memory_order_relaxed);
		return;
	}
	while (!atomic_compare_exchange_weak_explicit(full_at, &was, MAX(was, now_ns) + cost,
						      memory_order_relaxed, memory_order_relaxed))
		continue;
}

static enum limit_refusal pause_publisher(struct limit *l, struct limit_identity *i,
					  enum limit_refusal r, uint64_t full_at, uint64_t now_ms,
					  struct limit_pause *out)
{
	const uint64_t ms = wait_ns(full_at, now_ms * NS_PER_MS) / NS_PER_MS + 1;
	uint64_t told = atomic_load_explicit(&i->told_ms, memory_order_relaxed);
	const bool due = told == 0 || now_ms - told >= TELL_MS;
	out->ms = (uint32_t)MIN(MAX(ms, (uint64_t)PAUSE_MIN_MS), (uint64_t)UINT32_MAX);
	out->tell = due && atomic_compare_exchange_strong(&i->told_ms, &told, now_ms);
	return refuse(l, r);
}

enum limit_refusal limit_publish(struct limit *l, const struct limit_hold *hold, size_t n,
				 uint64_t now_ms, struct limit_pause *pause)
{
	const uint32_t messages = atomic_load_explicit(&l->publish_messages, memory_order_relaxed);
	const uint64_t bytes = atomic_load_explicit(&l->publish_bytes, memory_order_relaxed);
	const uint64_t now = now_ms * NS_PER_MS;
	struct limit_identity *i = hold->identity;
	if (!i)
		return LIMIT_OK;
	const uint64_t messages_at = atomic_load_explicit(&i->messages, memory_order_relaxed);
	const uint64_t bytes_at = atomic_load_explicit(&i->bytes, memory_order_relaxed);
	if (messages && !has_room(messages_at, now))
		return pause_publisher(l, i, LIMIT_PUBLISH_MESSAGES, messages_at, now_ms, pause);
	if (bytes && !has_room(bytes_at, now))
		return pause_publisher(l, i, LIMIT_PUBLISH_BYTES, bytes_at, now_ms, pause);
	const bool alone = atomic_load_explicit(&i->connections, memory_order_relaxed) == 1;
	if (messages)
		charge(&i->messages, now, 1, messages, alone);
	if (bytes)
		charge(&i->bytes, now, n, bytes, alone);
	return LIMIT_OK;
}

/* ---- end --------------------------------------------------------------------------------------
 */

void limit_release(struct limit *l, struct limit_hold *hold)
{
	if (!hold->address)
		return;
	pthread_mutex_lock(&l->lock);
	connected_locked(l, hold);
	identity_detach(l, hold->identity);
	address_detach(l, hold);
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
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < LIMIT_REFUSALS; i++)
		out->refused[i] = atomic_load_explicit(&l->refused[i], memory_order_relaxed);
}

uint64_t limit_bound(struct limit *l, enum limit_refusal r)
{
	pthread_mutex_lock(&l->lock);
	const struct limit_settings *s = &l->set;
	const uint64_t bound[LIMIT_REFUSALS] = {
		[LIMIT_CONNECTIONS] = s->connections,
		[LIMIT_PER_ADDRESS] = s->connections_per_address,
		[LIMIT_PER_IDENTITY] = s->connections_per_identity,
		[LIMIT_HALF_OPEN] = s->half_open,
		[LIMIT_HALF_OPEN_PER_ADDRESS] = s->half_open_per_address,
		[LIMIT_HANDSHAKES] = s->handshakes_per_second,
		[LIMIT_HANDSHAKES_PER_ADDRESS] = s->handshakes_per_second_per_address,
		[LIMIT_PRE_CONNECT] = s->pre_connect_bytes,
		[LIMIT_PRE_CONNECT_PER_ADDRESS] = s->pre_connect_bytes_per_address,
		[LIMIT_PUBLISH_MESSAGES] = s->publish_messages,
		[LIMIT_PUBLISH_BYTES] = s->publish_bytes,
	};
	pthread_mutex_unlock(&l->lock);
	return bound[r];
}
