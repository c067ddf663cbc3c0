/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that come in swarms: see fold.h.
 */
#include "daemon/web/fold.h"
#include "daemon/base/map.h"
#include "daemon/net/addr.h"

static uint64_t key_of(struct str address)
{
	struct addr a;
	const bool known = addr_parse(address, &a) == 0 || addr_parse_ip(address, &a) == 0;
	const uint64_t key = known ? addr_key(&a) : hash_str(address);
	return key ? key : 1;
}

static size_t place_of(struct str address)
{
	const uint64_t key = key_of(address);
	return hash_bytes(&key, sizeof(key)) % FOLD_ADDRESSES;
}

bool fold_passes(struct fold *f, struct str address, uint64_t now_ms, uint32_t *more)
{
	const uint64_t key = key_of(address);
	const size_t at = place_of(address);
	const bool same = f->address[at].key == key;
	*more = 0;
	if (same && now_ms < f->address[at].told_ms + FOLD_MS) {
		f->address[at].more++;
		return false;
	}
	if (same)
		*more = f->address[at].more;
	f->address[at].key = key;
	f->address[at].told_ms = now_ms;
	f->address[at].more = 0;
	return true;
}

bool fold_reaches(struct fold *f, struct str address, uint64_t now_ms, uint32_t many)
{
	uint32_t before;
	if (fold_passes(f, address, now_ms, &before))
		return false;
	return f->address[place_of(address)].more == many - 1;
}
