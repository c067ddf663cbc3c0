/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer may cost: one place for all bounds before and around CONNECT, and for those that
 * count over all connections of one identity. Connections in all, per address (IPv6: per /64) and
 * per identity; half-open ones (accepted, no CONNECT yet) and the pool that packets share before
 * their sender is known, both in all and per address; handshakes per second in all and per address;
 * messages and bytes that an identity publishes per second.
 *
 * One struct limit for the whole process, any thread: a mutex is held for one or two table
 * look-ups; a publish takes none. Memory is bounded by the settings: an address is remembered while
 * it is connected and after that until its place is needed, the longest idle one first; so is an
 * identity that has published more than its rate, since reconnecting must not make up for it.
 */
#pragma once

#include "daemon/net/addr.h"

struct limit;

enum { LIMIT_PRE_CONNECT_POOL = 8 * MiB };

/* 0 means no bound of that kind, except pre_connect_bytes and idle: 0 = the default. */
struct limit_settings {
	uint32_t connections;
	uint32_t connections_per_address;
	uint32_t connections_per_identity;
	uint32_t half_open;
	uint32_t half_open_per_address;
	uint32_t handshakes_per_second; /* token bucket that holds one second's worth */
	uint32_t handshakes_per_second_per_address;
	uint32_t pre_connect_bytes; /* LIMIT_PRE_CONNECT_POOL */
	uint32_t pre_connect_bytes_per_address;
	uint32_t idle;             /* addresses, and identities, without a connection; 4096 */
	uint32_t publish_messages; /* per second and identity */
	uint64_t publish_bytes;    /* per second and identity */
};

enum limit_refusal {
	LIMIT_OK,
	LIMIT_CONNECTIONS,
	LIMIT_PER_ADDRESS,
	LIMIT_PER_IDENTITY,
	LIMIT_HALF_OPEN,
	LIMIT_HALF_OPEN_PER_ADDRESS,
	LIMIT_HANDSHAKES,
	LIMIT_HANDSHAKES_PER_ADDRESS,
	LIMIT_PRE_CONNECT,
	LIMIT_PRE_CONNECT_PER_ADDRESS,
	LIMIT_PUBLISH_MESSAGES,
	LIMIT_PUBLISH_BYTES,
	LIMIT_REFUSALS,
};
/* "max-connections", "handshake-rate-per-address", ...: the setting's name, for events and figures.
 */
const char *limit_refusal_name(enum limit_refusal r);

/* What one connection holds. Zero at first; embedded in the connection, touched by these functions
 * only, by one thread at a time. */
struct limit_identity;
struct limit_hold {
	uint64_t address; /* addr_key; 0 = not counted */
	struct limit_identity *identity;
	uint32_t bytes;
	bool half_open;
};

struct limit *limit_new(const struct limit_settings *set);
void limit_free(struct limit *l);
DEFINE_AUTO(limit, limit_free)
/* New bounds hold for what comes; nothing that is held is taken away. Who owes for what it
 * published owes no more than a second of a rate that is higher now. */
void limit_configure(struct limit *l, const struct limit_settings *set);

/* A peer was accepted: counts it in all, per address and half-open. On refusal nothing is held. */
enum limit_refusal limit_accept(struct limit *l, const struct addr *peer, struct limit_hold *hold);
/* A trusted proxy was accepted: as limit_accept, but its own address bounds nothing, since whom it
 * speaks for is not known yet. */
enum limit_refusal limit_accept_proxy(struct limit *l, const struct addr *proxy,
				      struct limit_hold *hold);
/* The proxy stated its peer (or that it speaks for itself): what is held moves to that address. On
 * refusal it stays where it was. */
enum limit_refusal limit_stated(struct limit *l, const struct addr *peer, struct limit_hold *hold);
/* Before a handshake is submitted; now_ms is monotonic. Spends one token of each bucket. */
enum limit_refusal limit_handshake(struct limit *l, const struct limit_hold *hold, uint64_t now_ms);
/* Before n more bytes of a packet are kept for a peer that has not been let in by CONNECT. */
enum limit_refusal limit_pre_connect(struct limit *l, struct limit_hold *hold, size_t n);
/* CONNECT came: no longer half-open, its bytes go back to the pool. */
void limit_connected(struct limit *l, struct limit_hold *hold);
/* The identity is known; identity is its number or hash, not 0. Moves the count when it already had
 * another one. On refusal the old one stays. */
enum limit_refusal limit_identify(struct limit *l, struct limit_hold *hold, uint64_t identity);
/* It has none: for what it publishes its address counts. Their connections have a bound already. */
void limit_identify_address(struct limit *l, struct limit_hold *hold);

struct limit_pause {
	uint32_t ms; /* until there is room again */
	bool tell;   /* no pause of this identity was told within the last minute */
};
/* A message of n bytes in all is to be taken from the identity behind the hold. LIMIT_OK: it was
 * counted. Otherwise the bound that is reached; nothing was counted, and the publisher is to be
 * read again after *pause. A bucket holds one second's worth, and the last message in it may be of
 * any size: what it takes too much is waited for afterwards. Without an identity there is no bound.
 */
enum limit_refusal limit_publish(struct limit *l, const struct limit_hold *hold, size_t n,
				 uint64_t now_ms, struct limit_pause *pause);

/* The connection ended: gives all back; *hold is zero afterwards. Nothing when it holds nothing. */
void limit_release(struct limit *l, struct limit_hold *hold);

struct limit_stats {
	uint32_t connections;
	uint32_t half_open;
	uint32_t addresses;  /* remembered */
	uint32_t identities; /* remembered */
	uint32_t pre_connect_bytes;
	uint64_t refused[LIMIT_REFUSALS];
};
void limit_stats(struct limit *l, struct limit_stats *out);
/* The bound behind a refusal as it is configured now; 0 for LIMIT_OK. */
uint64_t limit_bound(struct limit *l, enum limit_refusal r);
