/* SPDX-License-Identifier: Apache-2.0
 *
 * Patience with wrong passwords of devices, so that nobody guesses one and nobody can lock a device
 * out by guessing at its name.
 *
 * A source (an IPv4 address, an IPv6 /64) may try a few passwords for one account, then one every
 * GUARD_EVERY_S seconds. The first try of a source is always judged; all further ones of all
 * sources together have a bucket of the account, so that many sources guess no faster than one. A
 * source from which the right password once came is known: it has a bucket of its own, which no
 * stranger can empty. Names without a device are treated alike. Main thread of the store; the clock
 * is passed in; what it knows is forgotten when the process ends, but for known sources, which are
 * told again by the events of connections (device_login_recall). It judges no password and hashes
 * nothing.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	GUARD_TRIES = 5,       /* of one source at one account, at once; afterwards: */
	GUARD_EVERY_S = 10,    /* one in so many seconds */
	GUARD_KNOWN_TIMES = 2, /* a known source has so many times that; afterwards one a second */
	GUARD_ACCOUNT_TIMES = 4, /* so have all strangers together at one account */
	GUARD_ENTRIES_MAX = 65536,
};

struct guard;

enum guard_verdict {
	GUARD_KNOWN,    /* judge it, before those of strangers */
	GUARD_STRANGER, /* judge it */
	GUARD_SOURCE,   /* do not: this source has tried too often */
	GUARD_ACCOUNT,  /* do not: strangers have tried this account too often */
};

struct guard *guard_new(void);
/* Other than GUARD_TRIES, from now on; tries >= 1. */
void guard_set_tries(struct guard *g, uint32_t tries);
void guard_free(struct guard *g);
/* A password for this account is to be judged; counts the try. now_us is monotonic. */
enum guard_verdict guard_try(struct guard *g, struct str account, struct str source,
			     uint64_t now_us);
struct guard_stats {
	uint64_t source;  /* refused for the source */
	uint64_t account; /* for the account */
	size_t entries;   /* accounts of sources remembered */
};
struct guard_stats guard_stats(const struct guard *g);
/* It was the right one: the source is known from now on, and the try did not count. */
void guard_right(struct guard *g, struct str account, struct str source);

/* A source whose next password for an account would not be judged. */
struct guard_entry {
	struct str source;
	struct str account;
	uint64_t refused; /* tries that were not judged */
	uint64_t wait_us;
};
/* Those that have to wait, in no order. */
void guard_each(const struct guard *g, uint64_t now_us,
		void (*f)(void *arg, const struct guard_entry *e), void *arg);
/* Its buckets are full again; how many were not. */
size_t guard_lift(struct guard *g, struct str source, uint64_t now_us);
