/* SPDX-License-Identifier: Apache-2.0
 *
 * What connections may cost: see http_peers.h.
 */
#include "daemon/web/http_peers.h"
#include "daemon/base/clock.h"
#include "daemon/base/share.h"

#include <sys/socket.h>

enum {
	SWEEPS = 8,           /* per request_ms */
	LARGE_SWEEP_MS = 500, /* while large bodies come, at most */
	RETIRED_SWEEP_MS = 100
};

void http_peers_init(struct http_peers *all, const struct http_peers_config *config)
{
	*all = (struct http_peers){.config = *config};
	pthread_mutex_init(&all->lock, NULL);
	list_init(&all->list);
	if (!config->local)
		all->limit = limit_new(&(struct limit_settings){
			.connections_per_address = config->per_address,
		});
}

void http_peers_fini(struct http_peers *all)
{
	pthread_mutex_destroy(&all->lock);
	if (all->limit)
		limit_free(all->limit);
}

/* The library would count single addresses, and of IPv6 one peer has a whole network. */
bool http_peers_add(struct http_peers *all, struct http_peer *p, bool bounded)
{
	pthread_mutex_lock(&all->lock);
	p->since_ms = clock_mono_ms();
	list_append(&all->list, &p->node);
	pthread_mutex_unlock(&all->lock);
	if (!bounded || !all->limit || !p->address.len ||
	    limit_accept(all->limit, &p->address, &p->hold) == LIMIT_OK)
		return true;
	shutdown(p->fd, SHUT_RDWR);
	return false;
}

void http_peers_remove(struct http_peers *all, struct http_peer *p)
{
	if (all->limit)
		limit_release(all->limit, &p->hold);
	pthread_mutex_lock(&all->lock);
	list_remove(&p->node);
	all->large -= p->large;
	pthread_mutex_unlock(&all->lock);
}

void http_peers_begin(struct http_peers *all, struct http_peer *p)
{
	pthread_mutex_lock(&all->lock);
	p->busy = true;
	pthread_mutex_unlock(&all->lock);
}

static void set_turn(struct http_peers *all, struct http_peer *p, bool ours, uint64_t since_ms)
{
	pthread_mutex_lock(&all->lock);
	p->ours = ours;
	p->large_whole |= ours;
	p->since_ms = since_ms;
	pthread_mutex_unlock(&all->lock);
}

void http_peers_turn(struct http_peers *all, struct http_peer *p, bool ours)
{
	set_turn(all, p, ours, clock_mono_ms());
}

void http_peers_answer(struct http_peers *all, struct http_peer *p, uint64_t longer_ms)
{
	set_turn(all, p, false, clock_mono_ms() + longer_ms);
}

void http_peers_endless(struct http_peers *all, struct http_peer *p)
{
	pthread_mutex_lock(&all->lock);
	p->endless = true;
	pthread_mutex_unlock(&all->lock);
}

bool http_peers_end(struct http_peers *all, struct http_peer *p)
{
	pthread_mutex_lock(&all->lock);
	const bool had = p->large;
	all->large -= had;
	p->large = p->busy = p->ours = false;
	p->since_ms = clock_mono_ms();
	pthread_mutex_unlock(&all->lock);
	return had;
}

void http_peers_retire(struct http_peers *all)
{
	pthread_mutex_lock(&all->lock);
	all->retired = true;
	pthread_mutex_unlock(&all->lock);
}

void http_peers_judge(struct http_peers *all,
		      bool (*may)(const void *arg, const struct http_peer *p), const void *arg)
{
	pthread_mutex_lock(&all->lock);
	list_each (it, &all->list) {
		struct http_peer *p = list_entry(it, struct http_peer, node);
		p->barred = !may(arg, p);
	}
	pthread_mutex_unlock(&all->lock);
}

bool http_peers_last(struct http_peers *all, const struct http_peer *p)
{
	pthread_mutex_lock(&all->lock);
	const bool last = all->retired || p->barred;
	pthread_mutex_unlock(&all->lock);
	return last;
}

/* ---- large bodies ---- */

static bool has_room(const struct http_peers *all, uint64_t by)
{
	size_t mine = 0;
	list_each (it, &all->list) {
		const struct http_peer *p = list_entry(it, struct http_peer, node);
		mine += by && p->large && p->large_by == by;
	}
	return share_has_room(mine, all->large, all->config.large_at_once);
}

bool http_peers_large(struct http_peers *all, struct http_peer *p)
{
	const uint64_t by = p->from.len ? addr_key(&p->from) : 0;
	pthread_mutex_lock(&all->lock);
	if (!p->large && has_room(all, by)) {
		p->large = true;
		p->large_by = by;
		p->large_since_ms = clock_mono_ms();
		p->large_n = 0;
		p->large_whole = false;
		all->large++;
	}
	const bool has = p->large;
	pthread_mutex_unlock(&all->lock);
	return has;
}

void http_peers_large_came(struct http_peers *all, struct http_peer *p, size_t n)
{
	pthread_mutex_lock(&all->lock);
	p->large_n += n;
	pthread_mutex_unlock(&all->lock);
}

/* ---- those that take too long ---- */

static bool is_over(const struct http_peers *all, const struct http_peer *p, uint64_t now_ms)
{
	const struct http_peers_config *c = &all->config;
	if ((all->retired || p->barred) && (p->endless || !p->busy))
		return true;
	if (p->ours)
		return false;
	if (now_ms > p->since_ms + c->request_ms)
		return true;
	if (!p->large || p->large_whole || now_ms <= p->large_since_ms + c->large_ms)
		return false;
	return p->large_n < (now_ms - p->large_since_ms) * c->large_per_sec / 1000;
}

uint64_t http_peers_sweep(struct http_peers *all, uint64_t now_ms)
{
	uint64_t next = all->config.request_ms / SWEEPS;
	pthread_mutex_lock(&all->lock);
	list_each (it, &all->list) {
		const struct http_peer *p = list_entry(it, struct http_peer, node);
		if (is_over(all, p, now_ms))
			shutdown(p->fd, SHUT_RDWR);
	}
	if (all->large)
		next = MIN(next, (uint64_t)LARGE_SWEEP_MS);
	if (all->retired)
		next = list_empty(&all->list) ? 0 : RETIRED_SWEEP_MS;
	pthread_mutex_unlock(&all->lock);
	return next;
}
