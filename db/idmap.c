/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers to numbers: see idmap.h. Open addressing with linear probing; what is removed leaves no
 * mark: those behind it move up.
 */
#include "db/idmap.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 64, KEPT_MAX = 4096 };

static size_t home(const struct idmap *m, uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ b * UINT64_C(0xc2b2ae3d27d4eb4f)) * UINT64_C(0x9e3779b97f4a7c15);
	h ^= h >> 32;
	return (size_t)(h * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (m->cap - 1);
}

/* The slot of the key, or the free one where it belongs. */
static struct idmap_slot *look(const struct idmap *m, uint64_t a, uint64_t b)
{
	size_t at = home(m, a, b);
	while (m->slot[at].a && (m->slot[at].a != a || m->slot[at].b != b))
		at = (at + 1) & (m->cap - 1);
	return &m->slot[at];
}

static void grow(struct idmap *m)
{
	const struct idmap old = *m;
	m->cap = old.cap ? old.cap * 2 : FIRST;
	m->slot = mem_array(struct idmap_slot, m->cap);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slot[i].a)
			*look(m, old.slot[i].a, old.slot[i].b) = old.slot[i];
	free(old.slot);
}

uint64_t *idmap_find(const struct idmap *m, uint64_t a, uint64_t b)
{
	if (m->n == 0)
		return NULL;
	struct idmap_slot *s = look(m, a, b);
	return s->a ? &s->value : NULL;
}

uint64_t *idmap_add(struct idmap *m, uint64_t a, uint64_t b)
{
	CHECK(a);
	if ((m->n + 1) * 3 > m->cap * 2)
		grow(m);
	struct idmap_slot *s = look(m, a, b);
	if (!s->a) {
		*s = (struct idmap_slot){a, b, 0};
		m->n++;
	}
	return &s->value;
}

void idmap_remove(struct idmap *m, uint64_t a, uint64_t b)
{
	const size_t mask = m->cap - 1;
	struct idmap_slot *s = m->n ? look(m, a, b) : NULL;
	if (!s || !s->a)
		return;
	size_t hole = (size_t)(s - m->slot);
	for (size_t at = (hole + 1) & mask; m->slot[at].a; at = (at + 1) & mask) {
		/* It may move up when the hole lies between its home and where it is. */
		if (((at - home(m, m->slot[at].a, m->slot[at].b)) & mask) < ((at - hole) & mask))
			continue;
		m->slot[hole] = m->slot[at];
		hole = at;
	}
	m->slot[hole].a = 0;
	m->n--;
}

void idmap_clear(struct idmap *m)
{
	if (m->cap > KEPT_MAX)
		idmap_fini(m);
	else if (m->n)
		memset(m->slot, 0, m->cap * sizeof(*m->slot));
	m->n = 0;
}

void idmap_fini(struct idmap *m)
{
	free(m->slot);
	*m = (struct idmap){0};
}
