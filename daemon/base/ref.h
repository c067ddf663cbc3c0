/* SPDX-License-Identifier: Apache-2.0
 *
 * Atomic reference count, embedded in what it counts. Starts at 1.
 */
#pragma once

#include "daemon/base/check.h"

#include <stdatomic.h>

struct ref {
	atomic_uint n;
};

static inline void ref_init(struct ref *r)
{
	atomic_init(&r->n, 1);
}

static inline void ref_get(struct ref *r)
{
	CHECK(atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed) > 0);
}

/* True when the last reference is gone: the caller frees. */
static inline bool ref_put(struct ref *r)
{
	const unsigned before = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);
	CHECK(before > 0);
	return before == 1;
}

/* True when the caller holds the only reference: nobody else can see the thing, and nobody can get
 * at it except through the caller. Persistent structures then change it in place. */
static inline bool ref_alone(const struct ref *r)
{
	return atomic_load_explicit(&r->n, memory_order_acquire) == 1;
}
