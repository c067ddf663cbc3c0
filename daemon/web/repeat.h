/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that may be sent again (header Idempotency-Key): what was answered to a key is kept, so
 * that the same request by the same caller is answered the same and done once. Kept in memory only:
 * REPEAT_HOURS, REPEAT_MAX of them; what was refused changed nothing and is forgotten, and what got
 * no answer is not done again. When there is no room, the oldest goes of the caller who has most:
 * whoever sends few keeps them, however many another one sends. A caller is its credential as it
 * was sent. Main thread of a web process. draft-ietf-httpapi-idempotency-key-header.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/base/str.h"
#include "daemon/net/tls_digest.h"

enum {
	REPEAT_HOURS = 24,
	REPEAT_MAX = 512,
	REPEAT_KEY_MAX = 128,
	REPEAT_ANSWER_MAX = 64 * KiB, /* of one; a larger one is not told again, nor done again */
	REPEAT_ANSWERS_MAX = 8 * MiB  /* of all */
};

enum repeat_state {
	REPEAT_NEW,     /* begun now */
	REPEAT_RUNNING, /* the first one is not answered yet */
	REPEAT_DONE,    /* its answer is there */
	REPEAT_OTHER,   /* the key was for another request */
	REPEAT_UNKNOWN, /* nobody knows whether it was done: the store gave no answer */
	REPEAT_TOO_LARGE,
	REPEAT_ONCE /* it was done, and its answer was for the first time alone */
};

struct repeats {
	struct list list;    /* struct repeat, the oldest first */
	struct list callers; /* struct repeat_caller: those who have any */
	size_t n;
	size_t bytes;
	uint64_t last_id;
};

struct repeat_caller;

struct repeat {
	struct list node;
	uint64_t id;
	uint64_t until_ms; /* monotonic */
	struct repeat_caller *caller;
	struct buf key;
	unsigned char request[SHA256_SIZE];
	bool running;
	bool too_large;
	bool unknown;
	bool once;
	unsigned status;
	struct buf answer; /* JSON; there may be a secret in it */
};

void repeats_init(struct repeats *r);
void repeats_fini(struct repeats *r);
/* Is it text of 1 to REPEAT_KEY_MAX printable ASCII characters? */
bool repeat_key_valid(struct str key);
/* What is known of this key of this caller; request is all that it asks for. A NEW one is RUNNING
 * from now on. *id names it. */
enum repeat_state repeat_begin(struct repeats *r, struct str caller, struct str key,
			       struct str request, uint64_t now_ms, uint64_t *id);
/* It was answered so. Nothing when it is forgotten. */
void repeat_keep(struct repeats *r, uint64_t id, unsigned status, struct str answer);
/* It was answered with what is given once: a private key. Nothing of that is kept. */
void repeat_once(struct repeats *r, uint64_t id);
/* It was sent to the store, and no answer came: perhaps it was done. */
void repeat_doubt(struct repeats *r, uint64_t id);
void repeat_forget(struct repeats *r, uint64_t id);
const struct repeat *repeat_find(const struct repeats *r, uint64_t id); /* NULL: forgotten */
