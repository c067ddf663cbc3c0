/* SPDX-License-Identifier: Apache-2.0
 *
 * Live connections: see presence.h.
 */
#include "db/presence.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

static void count(struct presence *p, uint64_t device_id, int by)
{
	if (device_id == 0)
		return;
	const uintptr_t n = (uintptr_t)map_get(&p->devices, MAP_KEY(device_id)) + (uintptr_t)by;
	if (n)
		map_set(&p->devices, MAP_KEY(device_id), (void *)n);
	else
		map_remove(&p->devices, MAP_KEY(device_id));
	if (n == 0 && p->went)
		p->went(p, device_id);
}

static void tell_all_went(struct presence *p)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (p->went && map_next(&p->devices, &at, &key, &value)) {
		uint64_t device_id;
		CHECK(key.n == sizeof(device_id));
		memcpy(&device_id, key.p, sizeof(device_id));
		p->went(p, device_id);
	}
}

static void forget(struct presence *p, struct presence_client *c)
{
	if (!c)
		return;
	count(p, c->body.device_id, -1);
	free(c);
}

static void remember(struct presence_client *c, const struct presence_client *before)
{
	const uint64_t now_ms = clock_wall_ms();
	c->at_ms = clock_mono_ms();
	if (before) {
		c->before_ms = before->at_ms;
		c->before_in = before->body.messages_in;
		c->before_out = before->body.messages_out;
	} else if (now_ms > c->body.connected_ms) {
		c->before_ms = c->at_ms - MIN(c->at_ms, now_ms - c->body.connected_ms);
	} else {
		c->before_ms = c->at_ms;
	}
}

static uint64_t per_minute(const struct presence_client *c, uint64_t n)
{
	enum { MINUTE_MS = 60000, LEAST_MS = 1000 };
	const uint64_t span_ms = clock_mono_ms() - c->before_ms;
	return n * MINUTE_MS / MAX(span_ms, (uint64_t)LEAST_MS);
}

uint64_t presence_rate_in(const struct presence_client *c)
{
	return per_minute(c, c->body.messages_in - MIN(c->before_in, c->body.messages_in));
}

uint64_t presence_rate_out(const struct presence_client *c)
{
	return per_minute(c, c->body.messages_out - MIN(c->before_out, c->body.messages_out));
}

static struct str keep(char **at, struct str s)
{
	const struct str kept = {*at, s.n};
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return kept;
}

static struct presence_client *copy(const struct body_client *b)
{
	const size_t n = b->client_id.n + b->address.n + b->listener.n + b->protocol.n + b->tls.n +
			 b->fingerprint.n;
	struct presence_client *c = mem_alloc(sizeof(*c) + n);
	char *at = c->text;
	c->body = *b;
	c->body.client_id = keep(&at, b->client_id);
	c->body.address = keep(&at, b->address);
	c->body.listener = keep(&at, b->listener);
	c->body.protocol = keep(&at, b->protocol);
	c->body.tls = keep(&at, b->tls);
	c->body.fingerprint = keep(&at, b->fingerprint);
	return c;
}

void presence_reset(struct presence *p)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&p->clients, &at, &key, &value))
		free(value);
	map_fini(&p->clients);
	tell_all_went(p);
	map_fini(&p->devices);
	buf_fini(&p->counters);
}

int presence_take(struct presence *p, const struct body_presence *body)
{
	struct cur c = cur_of(body->clients);
	struct str entry;
	if (body->reset)
		presence_reset(p);
	while (entries_next(&c, &entry)) {
		struct body_client b;
		if (body_client_get(entry, &b))
			return ERR_MALFORMED;
		struct presence_client *before = map_remove(&p->clients, MAP_KEY(b.handle));
		const bool full = p->clients.n >= PRESENCE_MAX;
		if (!b.gone && !full) {
			struct presence_client *now = copy(&b);
			remember(now, before);
			map_set(&p->clients, MAP_KEY(b.handle), now);
			count(p, b.device_id, 1);
		}
		if (!before && !b.gone && p->appeared)
			p->appeared(p, &b);
		forget(p, before);
		if (!b.gone && full)
			return ERR_MALFORMED;
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

int presence_take_counters(struct presence *p, const struct body_counters *body)
{
	struct cur c = cur_of(body->values);
	struct rec_value v;
	while (rec_next(&c, &v))
		if (v.kind != REC_INT)
			return ERR_MALFORMED;
	if (!cur_ok(&c))
		return ERR_MALFORMED;
	p->counters.n = 0;
	buf_str(&p->counters, body->values);
	return 0;
}

size_t presence_count(const struct presence *p)
{
	return p->clients.n;
}

size_t presence_of_device(const struct presence *p, uint64_t device_id)
{
	return (uintptr_t)map_get(&p->devices, MAP_KEY(device_id));
}

size_t presence_of_listener(const struct presence *p, struct str listener)
{
	size_t at = 0, n = 0;
	void *value;
	while (map_next(&p->clients, &at, NULL, &value))
		n += str_eq(((const struct presence_client *)value)->body.listener, listener);
	return n;
}

const struct presence_client *presence_by_client_id(const struct presence *p, struct str client_id)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&p->clients, &at, &key, &value)) {
		const struct presence_client *c = value;
		if (str_eq(c->body.client_id, client_id))
			return c;
	}
	return NULL;
}

static int by_handle(const void *a, const void *b)
{
	const struct presence_client *const *x = a;
	const struct presence_client *const *y = b;
	return (*x)->body.handle < (*y)->body.handle ? -1 : 1;
}

size_t presence_page(const struct presence *p, uint64_t after, uint64_t device_id, size_t max,
		     const struct presence_client **out)
{
	const struct presence_client **all =
		mem_array(const struct presence_client *, p->clients.n + 1);
	size_t n = 0;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&p->clients, &at, &key, &value)) {
		const struct presence_client *c = value;
		if (c->body.handle > after && (!device_id || c->body.device_id == device_id))
			all[n++] = c;
	}
	qsort(all, n, sizeof(const struct presence_client *), by_handle);
	n = MIN(n, max);
	memcpy(out, all, n * sizeof(const struct presence_client *));
	free(all);
	return n;
}
