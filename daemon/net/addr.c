/* SPDX-License-Identifier: Apache-2.0
 *
 * Socket addresses and networks: see addr.h. Values only; any thread.
 */
#include "daemon/net/addr.h"
#include "daemon/base/err.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

static void set_v4(struct addr *a, const void *ip, uint16_t port)
{
	*a = (struct addr){.len = sizeof(a->v4)};
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = htons(port);
	memcpy(&a->v4.sin_addr, ip, 4);
}

static void set_v6(struct addr *a, const void *ip, uint16_t port, uint32_t scope)
{
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ip)) {
		set_v4(a, (const char *)ip + 12, port);
		return;
	}
	*a = (struct addr){.len = sizeof(a->v6)};
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_port = htons(port);
	a->v6.sin6_scope_id = scope;
	memcpy(&a->v6.sin6_addr, ip, 16);
}

/* The zone of RFC 4007 section 11: a number or an interface name. */
static int parse_scope(struct str zone, uint32_t *out)
{
	char name[IF_NAMESIZE];
	uint64_t n;
	if (str_u64(zone, UINT32_MAX, &n) == 0) {
		*out = (uint32_t)n;
		return 0;
	}
	if (zone.n == 0 || zone.n >= sizeof(name))
		return ERR_MALFORMED;
	memcpy(name, zone.p, zone.n);
	name[zone.n] = '\0';
	*out = if_nametoindex(name);
	return *out ? 0 : ERR_MALFORMED;
}

static int parse_ip(struct str text, uint16_t port, struct addr *out)
{
	char s[INET6_ADDRSTRLEN];
	unsigned char ip[16];
	uint32_t scope = 0;
	const struct str whole = text;
	struct str zone = text;
	text = str_split(&zone, '%');
	if (text.n == 0 || text.n >= sizeof(s) || memchr(text.p, 0, text.n))
		return ERR_MALFORMED;
	if (zone.p && parse_scope(zone, &scope) < 0)
		return ERR_MALFORMED;
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	if (whole.n == text.n && inet_pton(AF_INET, s, ip) == 1)
		set_v4(out, ip, port);
	else if (inet_pton(AF_INET6, s, ip) == 1)
		set_v6(out, ip, port, scope);
	else
		return ERR_MALFORMED;
	return 0;
}

static int parse_unix(struct str path, struct addr *out)
{
	struct addr a = {.len = sizeof(a.un)};
	if (path.n == 0 || path.p[0] != '/' || memchr(path.p, 0, path.n))
		return ERR_MALFORMED;
	if (path.n >= sizeof(a.un.sun_path))
		return ERR_LIMIT;
	a.un.sun_family = AF_UNIX;
	memcpy(a.un.sun_path, path.p, path.n);
	*out = a;
	return 0;
}

/* Splits "host:port" behind the bracket or at the only colon. */
static int split_port(struct str text, struct str *host, struct str *port)
{
	const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
	if (!colon)
		return ERR_MALFORMED;
	*host = str_make(text.p, (size_t)(colon - text.p));
	*port = str_make(colon + 1, text.n - host->n - 1);
	if (host->n == 0)
		return ERR_MALFORMED;
	if (host->p[0] == '[') {
		if (host->n < 3 || host->p[host->n - 1] != ']')
			return ERR_MALFORMED;
		host->p++;
		host->n -= 2;
		return memchr(host->p, ':', host->n) ? 0 : ERR_MALFORMED;
	}
	return memchr(host->p, ':', host->n) ? ERR_MALFORMED : 0;
}

int addr_parse(struct str text, struct addr *out)
{
	struct str host, port_text;
	uint64_t port;
	if (str_prefix(text, STR("unix:")))
		return parse_unix(str_make(text.p + 5, text.n - 5), out);
	if (split_port(text, &host, &port_text) < 0)
		return ERR_MALFORMED;
	const int e = str_u64(port_text, UINT16_MAX, &port);
	if (e < 0)
		return e;
	if (!str_is(host, "*"))
		return parse_ip(host, (uint16_t)port, out);
	set_v6(out, &in6addr_any, (uint16_t)port, 0);
	out->dual_stack = true;
	return 0;
}

int addr_parse_ip(struct str text, struct addr *out)
{
	return parse_ip(text, 0, out);
}

int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *out)
{
	struct addr a = {.len = 0};
	if (len < (socklen_t)sizeof(sa->sa_family) || len > (socklen_t)sizeof(a.un))
		return ERR_INVALID;
	memcpy(&a.un, sa, len);
	if (a.any.sa_family == AF_INET && len >= sizeof(a.v4)) {
		a.len = sizeof(a.v4);
		*out = a;
	} else if (a.any.sa_family == AF_INET6 && len >= sizeof(a.v6)) {
		set_v6(out, &a.v6.sin6_addr, ntohs(a.v6.sin6_port), a.v6.sin6_scope_id);
	} else if (a.any.sa_family == AF_UNIX) {
		a.len = len;
		*out = a;
	} else {
		return ERR_INVALID;
	}
	return 0;
}

static const char *format_unix(const struct addr *a, char out[ADDR_TEXT])
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	const size_t n = a->len > head ? a->len - head : 0;
	snprintf(out, ADDR_TEXT, "unix:%.*s", (int)strnlen(a->un.sun_path, n), a->un.sun_path);
	return out;
}

const char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT])
{
	if (a->len == 0)
		return strcpy(out, "-");
	if (a->dual_stack)
		return strcpy(out, "*");
	if (a->any.sa_family == AF_UNIX)
		return format_unix(a, out);
	if (a->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->v4.sin_addr, out, ADDR_TEXT);
		return out;
	}
	inet_ntop(AF_INET6, &a->v6.sin6_addr, out, ADDR_TEXT);
	if (a->v6.sin6_scope_id) {
		const size_t n = strlen(out);
		snprintf(out + n, ADDR_TEXT - n, "%%%u", a->v6.sin6_scope_id);
	}
	return out;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	char ip[ADDR_TEXT];
	addr_format_ip(a, ip);
	if (a->len == 0 || a->any.sa_family == AF_UNIX)
		return strcpy(out, ip);
	const bool brackets = a->any.sa_family == AF_INET6 && !a->dual_stack;
	/* An IP text has at most 46 + 11 bytes; the precision lets the compiler see it. */
	snprintf(out, ADDR_TEXT, brackets ? "[%.64s]:%u" : "%.64s:%u", ip, addr_port(a));
	return out;
}

uint16_t addr_port(const struct addr *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohs(a->v4.sin_port);
	return a->any.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET)
		a->v4.sin_port = htons(port);
	else if (a->any.sa_family == AF_INET6)
		a->v6.sin6_port = htons(port);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->len != b->len || a->any.sa_family != b->any.sa_family ||
	    addr_port(a) != addr_port(b) || a->dual_stack != b->dual_stack)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	case AF_INET6:
		return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0 &&
		       a->v6.sin6_scope_id == b->v6.sin6_scope_id;
	default:
		return memcmp(&a->un, &b->un, a->len) == 0;
	}
}

bool addr_is_loopback(const struct addr *a)
{
	switch (a->any.sa_family) {
	case AF_INET:
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
	default:
		return a->any.sa_family == AF_UNIX;
	}
}

uint64_t addr_key(const struct addr *a)
{
	/* ff00::/8 is multicast and never a source: its numbers are free for the other families. */
	const uint64_t v4_space = 0xffffffffull << 32;
	const uint64_t other = 0xfffffffeull << 32;
	uint64_t prefix;
	switch (a->any.sa_family) {
	case AF_INET:
		return v4_space | ntohl(a->v4.sin_addr.s_addr);
	case AF_INET6:
		memcpy(&prefix, &a->v6.sin6_addr, 8);
		return prefix ? __builtin_bswap64(prefix) : other | 1;
	default:
		return other;
	}
}

static void mask_bits(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		const unsigned keep = bits > 8 * i ? MIN(bits - 8 * i, 8u) : 0;
		ip[i] &= (uint8_t)(0xff00u >> keep);
	}
}

static void addr_ip(const struct addr *a, uint8_t ip[16])
{
	memset(ip, 0, 16);
	if (a->any.sa_family == AF_INET)
		memcpy(ip, &a->v4.sin_addr, 4);
	else
		memcpy(ip, &a->v6.sin6_addr, 16);
}

int cidr_parse(struct str text, struct cidr *out)
{
	struct addr a;
	uint64_t bits = 128;
	struct str prefix = text;
	const struct str ip = str_split(&prefix, '/');
	if ((ip.n && memchr(ip.p, '%', ip.n)) || addr_parse_ip(ip, &a) < 0)
		return ERR_MALFORMED;
	struct cidr c = {.family = a.any.sa_family};
	const bool written_v6 = memchr(ip.p, ':', ip.n) != NULL;
	if (prefix.p) {
		const int e = str_u64(prefix, written_v6 ? 128 : 32, &bits);
		if (e < 0)
			return e;
	}
	addr_ip(&a, c.ip);
	if (c.family == AF_INET && written_v6 && bits < 96)
		return ERR_INVALID; /* a prefix across the v4-mapped block has no meaning here */
	if (c.family == AF_INET)
		bits = prefix.p ? (written_v6 ? bits - 96 : bits) : 32;
	c.bits = (uint8_t)bits;
	uint8_t masked[16];
	memcpy(masked, c.ip, 16);
	mask_bits(masked, c.bits);
	if (memcmp(masked, c.ip, 16) != 0)
		return ERR_INVALID;
	*out = c;
	return 0;
}

const char *cidr_format(const struct cidr *c, char out[ADDR_TEXT])
{
	if (!inet_ntop(c->family, c->ip, out, ADDR_TEXT))
		return strcpy(out, "-");
	const size_t n = strlen(out);
	if (c->bits != (c->family == AF_INET ? 32 : 128))
		snprintf(out + n, ADDR_TEXT - n, "/%u", c->bits);
	return out;
}

bool cidr_equal(const struct cidr *a, const struct cidr *b)
{
	return a->family == b->family && a->bits == b->bits &&
	       memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : sizeof(a->ip)) == 0;
}

bool cidr_match(const struct cidr *c, const struct addr *a)
{
	uint8_t ip[16];
	if (a->any.sa_family != c->family)
		return false;
	addr_ip(a, ip);
	mask_bits(ip, c->bits);
	return memcmp(ip, c->ip, 16) == 0;
}

bool cidr_match_any(const struct cidr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (cidr_match(&list[i], a))
			return true;
	return false;
}
