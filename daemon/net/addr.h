/* SPDX-License-Identifier: Apache-2.0
 *
 * Socket addresses (IPv4, IPv6, unix) and networks in CIDR notation.
 *
 * A struct addr is a value: copy it freely. An IPv4 peer that arrives on a dual-stack socket as
 * ::ffff:a.b.c.d is always turned into IPv4, so that rules and limits see one form. Pure: no name
 * is ever resolved here, no socket touched. Any thread. RFC 4291, RFC 5952, RFC 4632.
 */
#pragma once

#include "daemon/base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addr {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	};
	socklen_t len;   /* of the sockaddr; 0 = no address */
	bool dual_stack; /* written "*": IPv6 and IPv4 on one socket */
};

enum {
	ADDR_TEXT = 128, /* room for every text below, with its terminator */
};

/* "1.2.3.4:8883", "[::1]:8883", "[fe80::1%2]:8883", "*:8883" (all addresses, both families),
 * "unix:/run/x.sock". Port 0..65535. 0, ERR_MALFORMED, or ERR_LIMIT (port or path too long). */
int addr_parse(struct str text, struct addr *out);
/* The address without a port ("10.0.0.1", "::1"); the port is 0. 0 or ERR_MALFORMED. */
int addr_parse_ip(struct str text, struct addr *out);
/* From accept, getpeername, getsockname; v4-mapped IPv6 becomes IPv4. 0 or ERR_INVALID. */
int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *out);

/* The form that addr_parse reads; "unix:" for an unnamed unix peer, "-" for no address. */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT]);
/* Without port and brackets, for events and log lines. */
const char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT]);

uint16_t addr_port(const struct addr *a); /* 0 for unix */
void addr_set_port(struct addr *a, uint16_t port);
bool addr_equal(const struct addr *a, const struct addr *b); /* with port */
bool addr_is_loopback(const struct addr *a);                 /* 127.0.0.0/8, ::1, unix */

/* What per-address limits count by: an IPv4 address, an IPv6 /64 (one subscriber holds a whole one,
 * RFC 6177), or one number for all unix peers. Distinct for distinct families; never 0. */
uint64_t addr_key(const struct addr *a);

struct cidr {
	uint8_t ip[16]; /* 4 or 16 bytes, network order, host bits zero */
	uint8_t bits;   /* 0..32 or 0..128 */
	sa_family_t family;
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. ::ffff:0:0/96 and longer become IPv4.
 * 0, ERR_MALFORMED, ERR_LIMIT (prefix length), or ERR_INVALID (bits set behind the prefix). */
int cidr_parse(struct str text, struct cidr *out);
const char *cidr_format(const struct cidr *c, char out[ADDR_TEXT]);
bool cidr_equal(const struct cidr *a, const struct cidr *b);
/* Families never match each other; a unix peer matches nothing. */
bool cidr_match(const struct cidr *c, const struct addr *a);
bool cidr_match_any(const struct cidr *list, size_t n, const struct addr *a);
