/* SPDX-License-Identifier: Apache-2.0
 *
 * Handles and the table behind them: see slab.h.
 */
#include "daemon/broker/slab.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

static uint32_t place_of(uint64_t handle)
{
	return (uint32_t)(handle >> 32) & (SLAB_MAX - 1);
}

void slab_init(struct slab *s, unsigned worker)
{
	CHECK(worker < SLAB_WORKERS);
	*s = (struct slab){.worker = worker};
}

void slab_fini(struct slab *s)
{
	free(s->place);
	*s = (struct slab){0};
}

static bool take_place(struct slab *s, uint32_t *at)
{
	if (s->free) {
		*at = s->free - 1;
		s->free = s->place[*at].next_free;
		return true;
	}
	if (s->n == SLAB_MAX)
		return false;
	if (s->n == s->cap) {
		s->cap = s->cap ? MIN(s->cap * 2, (uint32_t)SLAB_MAX) : 64;
		s->place = mem_grow(s->place, s->cap * sizeof(*s->place));
	}
	*at = s->n++;
	s->place[*at] = (struct slab_place){.generation = 1};
	return true;
}

uint64_t slab_add(struct slab *s, void *item)
{
	uint32_t at;
	if (!take_place(s, &at))
		return 0;
	s->place[at].item = item;
	s->live++;
	return (uint64_t)s->worker << 56 | (uint64_t)at << 32 | s->place[at].generation;
}

void *slab_find(const struct slab *s, uint64_t handle)
{
	const uint32_t at = place_of(handle);
	if (at >= s->n || handle_worker(handle) != s->worker ||
	    s->place[at].generation != (uint32_t)handle)
		return NULL;
	return s->place[at].item;
}

void slab_remove(struct slab *s, uint64_t handle)
{
	if (!slab_find(s, handle))
		return;
	const uint32_t at = place_of(handle);
	struct slab_place *p = &s->place[at];
	p->item = NULL;
	s->live--;
	/* A place whose generations are used up is never used again. */
	if (++p->generation == 0)
		return;
	p->next_free = s->free;
	s->free = at + 1;
}

void *slab_next(const struct slab *s, uint32_t *at)
{
	while (*at < s->n) {
		void *item = s->place[(*at)++].item;
		if (item)
			return item;
	}
	return NULL;
}
