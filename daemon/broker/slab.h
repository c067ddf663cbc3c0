/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's table of connections or sessions, and the handles by which everyone else names them:
 * worker (8 bits), place (24 bits), generation (32 bits). A handle outlives what it names and is
 * then found no more; it is never reused while the process lives, and never 0. Owns the table, not
 * the items. One thread; a handle itself may travel anywhere.
 */
#pragma once

#include "daemon/base/defs.h"

enum { SLAB_WORKERS = 256, SLAB_MAX = 1 << 24 };

struct slab_place {
	void *item;          /* NULL = free */
	uint32_t generation; /* of the item, or of the next one */
	uint32_t next_free;
};

struct slab {
	struct slab_place *place;
	uint32_t n; /* places ever used */
	uint32_t cap;
	uint32_t free; /* first free place + 1, 0 = none */
	uint32_t live;
	unsigned worker;
};

static inline unsigned handle_worker(uint64_t handle)
{
	return (unsigned)(handle >> 56);
}

void slab_init(struct slab *s, unsigned worker); /* worker < SLAB_WORKERS */
void slab_fini(struct slab *s);
uint64_t slab_add(struct slab *s, void *item);          /* 0 when SLAB_MAX items are there */
void *slab_find(const struct slab *s, uint64_t handle); /* NULL when it ended */
void slab_remove(struct slab *s, uint64_t handle);      /* nothing when it ended */
/* Walks all items: *at starts at 0; NULL at the end. Adding and removing meanwhile is allowed. */
void *slab_next(const struct slab *s, uint32_t *at);
