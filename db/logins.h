/* SPDX-License-Identifier: Apache-2.0
 *
 * Password work on its own threads, so that a flood of wrong passwords keeps neither the store nor
 * the right ones waiting.
 *
 * Before any hashing each source (an IPv4 address, an IPv6 /64) has a token bucket, of which only
 * wrong passwords take in the end; then a bounded queue that serves the sources in turn: first
 * those that the caller knows, then those that were not wrong lately, then the others. A password
 * that was verified is remembered under a key of this process (HMAC-SHA-256 over verifier and
 * password), so a reconnect costs no hash and no token, and a new verifier forgets by itself.
 * Unknown names cost as much as known ones. Called by the main thread, which also runs the
 * callbacks; the threads only hash. It knows no devices: the caller gives the verifier.
 */
#pragma once

#include "daemon/net/loop.h"
#include "db/password.h"

enum {
	LOGINS_RATE = 20,   /* hashes per second and source */
	LOGINS_BURST_S = 3, /* as many at once as in so many seconds */
	LOGINS_BURST = LOGINS_RATE * LOGINS_BURST_S,
	LOGINS_QUEUE_MAX = 1024, /* of each kind of source */
	LOGINS_SUSPECT_S = 60,   /* how long a wrong password is remembered of its source */
	LOGINS_SUSPECT_TURN = 4, /* every so many hashes one for those who were wrong */
	LOGINS_SOURCES_MAX = 65536,
	LOGINS_CACHE_MAX = 65536,
};

struct logins;

/* scram_iterations: of the SCRAM keys that are made with each verifier. */
struct logins *logins_new(struct loop *loop, unsigned threads, uint32_t scram_iterations);
/* Other than LOGINS_RATE, from now on; per_second >= 1. */
void logins_set_rate(struct logins *l, uint32_t per_second);
uint32_t logins_scram_iterations(const struct logins *l);
void logins_free(struct logins *l); /* waits for the threads; callbacks will not run */

enum login_result { LOGIN_RIGHT, LOGIN_WRONG_PASSWORD, LOGIN_TOO_MANY };

/* Whether this password was verified before. */
bool logins_remembered(const struct logins *l, struct str password, const char *verifier);
/* Judges a password. verifier empty: the name is unknown or has no password. done runs once, maybe
 * before this returns (cache, limits). */
void logins_check(struct logins *l, struct str password, const char *verifier, struct str source,
		  void (*done)(void *arg, enum login_result result), void *arg);
/* The same for a source that the caller knows for this account: needs no token and goes before the
 * others. */
void logins_check_known(struct logins *l, struct str password, const char *verifier,
			struct str source, void (*done)(void *arg, enum login_result result),
			void *arg);
/* Takes a token of the source for a proof that is judged without a hash. False: it has none. */
bool logins_admit(struct logins *l, struct str source);
/* How that proof was judged: a right one gives the token back. */
void logins_judged(struct logins *l, struct str source, bool right);

struct logins_stats {
	uint64_t remembered; /* right, without a hash */
	uint64_t right;
	uint64_t wrong;
	uint64_t refused; /* the source has no token, or the queue is full */
};
const struct logins_stats *logins_stats(const struct logins *l);
/* Makes a verifier and SCRAM keys (a record of scram.h); verifier NULL: it failed. Goes before all
 * checks. Never before this returns. */
void logins_make(struct logins *l, struct str password,
		 void (*done)(void *arg, const char *verifier, struct str scram), void *arg);
/* Whoever asked with this arg is gone: its callback will not run. */
void logins_cancel(struct logins *l, const void *arg);
