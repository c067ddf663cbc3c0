/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections of one HTTP server (http.h) and what each of them may cost: how many an address
 * may have, how long its peer may take for a request, who has one of the few places for a large
 * body and sends it fast enough. One that takes too much is shut down; the library then sees the
 * end of its stream. Knows no HTTP. Any thread.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/net/limit.h"

#include <pthread.h>

struct http_peers_config {
	bool local;             /* one machine's own users: no bound per address */
	uint32_t per_address;   /* connections */
	uint32_t request_ms;    /* for a request, and for taking its answer */
	size_t large_at_once;   /* places for large bodies, shared by address (share.h) */
	uint32_t large_ms;      /* after which a large body is to come at */
	uint32_t large_per_sec; /* bytes per second on average */
};

struct http_peers {
	struct http_peers_config config;
	pthread_mutex_t lock; /* of what is below, and of the peers */
	struct limit *limit;  /* NULL: local */
	struct list list;     /* struct http_peer */
	size_t large;
	bool retired; /* those that are not busy, or with an answer without an end, are ended */
};

struct http_peer {
	struct list node;
	int fd;
	struct addr address; /* len 0: a local one */
	struct addr from;    /* of its last request: another one behind a proxy. The server's */
	struct limit_hold hold;
	bool busy;         /* a request has begun and its answer not ended */
	bool ours;         /* the request waits for an answer: the peer is not to blame */
	bool endless;      /* the answer has no end */
	bool barred;       /* it may not be any more, and ends as if all were retired */
	uint64_t since_ms; /* when the peer's turn began */
	bool large;        /* it has a place */
	uint64_t large_since_ms;
	uint64_t large_by; /* whose place it is: the key of an address, 0: a local one */
	uint64_t large_n;  /* bytes of the body so far */
	bool large_whole;  /* all of it is there */
};

void http_peers_init(struct http_peers *all, const struct http_peers_config *config);
void http_peers_fini(struct http_peers *all);

/* p is zero but for fd and address; bounded: a proxy's is not. False: its address has too many; it
 * was shut down, and still is to be removed. */
bool http_peers_add(struct http_peers *all, struct http_peer *p, bool bounded);
void http_peers_remove(struct http_peers *all, struct http_peer *p);
/* A request begins. */
void http_peers_begin(struct http_peers *all, struct http_peer *p);
/* Whose turn it is from now on. Ours begins when the request is there. */
void http_peers_turn(struct http_peers *all, struct http_peer *p, bool ours);
/* An answer of which the peer may take so much longer is there. */
void http_peers_answer(struct http_peers *all, struct http_peer *p, uint64_t longer_ms);
/* The answer will have no end. */
void http_peers_endless(struct http_peers *all, struct http_peer *p);
/* The answer has been taken. True: its body was a large one. */
bool http_peers_end(struct http_peers *all, struct http_peer *p);
/* From now on connections end as soon as their answers do. */
void http_peers_retire(struct http_peers *all);
/* Those that may not be are barred, the others are not. */
void http_peers_judge(struct http_peers *all,
		      bool (*may)(const void *arg, const struct http_peer *p), const void *arg);
/* Is its answer the last one? */
bool http_peers_last(struct http_peers *all, const struct http_peer *p);

/* A large body begins. False: there is no place for it. */
bool http_peers_large(struct http_peers *all, struct http_peer *p);
/* n more bytes of it came. */
void http_peers_large_came(struct http_peers *all, struct http_peer *p, size_t n);

/* Shuts down those that take too long. 0: none is left of those that are retired; else how many
 * milliseconds later it is to be done again. */
uint64_t http_peers_sweep(struct http_peers *all, uint64_t now_ms);
