/* SPDX-License-Identifier: Apache-2.0
 *
 * The same from one address again and again is told once: a browser that does not trust the
 * certificate breaks off every handshake that it begins, some per page. The first of an address is
 * told; those that follow within FOLD_MS of it are counted, and the count is told with the next one
 * after that. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum { FOLD_ADDRESSES = 64, FOLD_MS = 10 * 60 * 1000 };

struct fold {
	struct {
		uint64_t key; /* of the address without its port; 0: free */
		uint64_t told_ms;
		uint32_t more;
	} address[FOLD_ADDRESSES];
};

/* address may have a port. True: tell it, and that there were *more before. Two addresses may share
 * a place: then the later one is told. */
bool fold_passes(struct fold *f, struct str address, uint64_t now_ms, uint32_t *more);
/* The other way round: the first ones are usual. True once for each FOLD_MS of an address, at the
 * one that is the `many`-th (2 and more). */
bool fold_reaches(struct fold *f, struct str address, uint64_t now_ms, uint32_t many);
