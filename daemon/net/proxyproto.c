/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol: see proxyproto.h. Both readers are strict where the text is: one space
 * between words, decimal ports without leading zeros, every field within its bounds.
 */
#include "daemon/net/proxyproto.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"

enum {
	COMMAND_LOCAL = 0,
	COMMAND_PROXY = 1,
	FAMILY_UNSPEC = 0x00,
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	FIELD_CRC32C = 3,
	CRC32C_POLYNOMIAL = 0x82f63b78, /* Castagnoli, reflected */
};

static const unsigned char signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
					    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const char v1_begin[] = "PROXY ";

static int refuse(const char **why, int err, const char *phrase)
{
	*why = phrase;
	return err;
}

/* Is what there is of bytes the beginning of the text? */
static bool begins(struct str bytes, const void *text, size_t n)
{
	return memcmp(bytes.p, text, MIN(bytes.n, n)) == 0;
}

/* ---- version 1 --------------------------------------------------------------------------------
 */

static int v1_port(struct str text, uint16_t *out)
{
	uint64_t n;
	if (text.n > 1 && text.p[0] == '0')
		return ERR_MALFORMED;
	if (str_u64(text, UINT16_MAX, &n))
		return ERR_MALFORMED;
	*out = (uint16_t)n;
	return 0;
}

/* An address of the family that was announced, without a zone. */
static int v1_address(struct str text, bool v6, struct addr *out)
{
	const bool written_v6 = text.n && memchr(text.p, ':', text.n);
	if (text.n == 0 || written_v6 != v6 || memchr(text.p, '%', text.n))
		return ERR_MALFORMED;
	return addr_parse_ip(text, out);
}

static int v1_words(struct str line, struct proxy_header *h, const char **why)
{
	uint16_t from, to;
	struct addr destination;
	const struct str protocol = str_split(&line, ' ');
	if (str_is(protocol, "UNKNOWN"))
		return 0;
	const bool v6 = str_is(protocol, "TCP6");
	if (!v6 && !str_is(protocol, "TCP4"))
		return refuse(why, ERR_INVALID,
			      "the PROXY header is for another protocol than TCP");
	if (v1_address(str_split(&line, ' '), v6, &h->source) ||
	    v1_address(str_split(&line, ' '), v6, &destination))
		return refuse(why, ERR_MALFORMED, "the PROXY header has a malformed address");
	if (v1_port(str_split(&line, ' '), &from) || v1_port(line, &to))
		return refuse(why, ERR_MALFORMED, "the PROXY header has a malformed port");
	addr_set_port(&h->source, from);
	h->has_source = true;
	return 0;
}

static int v1_parse(struct str bytes, struct proxy_header *out, const char **why)
{
	struct proxy_header h = {.version = PROXY_V1};
	const size_t looked_at = MIN(bytes.n, (size_t)PROXY_V1_MAX);
	const char *lf = memchr(bytes.p, '\n', looked_at);
	if (!lf && bytes.n >= PROXY_V1_MAX)
		return refuse(why, ERR_LIMIT, "the PROXY header is longer than 107 bytes");
	if (!lf)
		return ERR_AGAIN;
	h.size = (size_t)(lf - bytes.p) + 1;
	if (lf[-1] != '\r')
		return refuse(why, ERR_MALFORMED, "the PROXY header does not end with CR LF");
	/* What begins with a word and a blank has the CR behind them. */
	const size_t head = sizeof(v1_begin) - 1;
	const int err = v1_words(str_make(bytes.p + head, h.size - 2 - head), &h, why);
	if (err == 0)
		*out = h;
	return err;
}

/* ---- version 2 --------------------------------------------------------------------------------
 */

static uint32_t crc32c(uint32_t crc, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? (uint32_t)CRC32C_POLYNOMIAL : 0);
	}
	return crc;
}

/* The checksum is over the whole header with its own four bytes zero. */
static bool checksum_good(struct str header, struct str field)
{
	static const unsigned char zero[4];
	struct cur c = cur_of(field);
	const uint32_t stated = cur_u32(&c);
	const unsigned char *begin = (const unsigned char *)header.p;
	const unsigned char *at = (const unsigned char *)field.p;
	const unsigned char *behind = at + sizeof(zero);
	uint32_t crc = crc32c(UINT32_MAX, begin, (size_t)(at - begin));
	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, behind, header.n - (size_t)(behind - begin));
	return cur_done(&c) && (crc ^ UINT32_MAX) == stated;
}

static int v2_fields(struct str header, struct cur *c, const char **why)
{
	while (cur_left(c)) {
		const uint8_t type = cur_u8(c);
		const struct str value = cur_str16(c);
		if (!cur_ok(c) || (type == FIELD_CRC32C && value.n != 4))
			return refuse(why, ERR_MALFORMED,
				      "the PROXY header has a malformed additional field");
		if (type == FIELD_CRC32C && !checksum_good(header, value))
			return refuse(why, ERR_CRYPTO, "the PROXY header's checksum is wrong");
	}
	return 0;
}

static void v2_ipv4(struct cur *c, struct addr *out)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	const struct str source = cur_bytes(c, 4);
	cur_bytes(c, 4);
	a.sin_port = htons(cur_u16(c));
	cur_u16(c);
	if (source.p)
		memcpy(&a.sin_addr, source.p, 4);
	addr_from_sockaddr((const struct sockaddr *)&a, sizeof(a), out);
}

static void v2_ipv6(struct cur *c, struct addr *out)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	const struct str source = cur_bytes(c, 16);
	cur_bytes(c, 16);
	a.sin6_port = htons(cur_u16(c));
	cur_u16(c);
	if (source.p)
		memcpy(&a.sin6_addr, source.p, 16);
	addr_from_sockaddr((const struct sockaddr *)&a, sizeof(a), out);
}

/* The rest of a header whose command is PROXY. */
static int v2_addresses(uint8_t family, struct str header, struct cur *c, struct proxy_header *h,
			const char **why)
{
	switch (family) {
	case FAMILY_UNSPEC: /* whatever follows is to be ignored */
		return 0;
	case FAMILY_TCP4:
		v2_ipv4(c, &h->source);
		break;
	case FAMILY_TCP6:
		v2_ipv6(c, &h->source);
		break;
	default:
		return refuse(why, ERR_INVALID,
			      "the PROXY header is for another protocol than TCP");
	}
	if (!cur_ok(c))
		return refuse(why, ERR_MALFORMED, "the PROXY header has no room for its addresses");
	h->has_source = true;
	return v2_fields(header, c, why);
}

static int v2_parse(struct str bytes, struct proxy_header *out, const char **why)
{
	struct proxy_header h = {.version = PROXY_V2};
	struct cur c = cur_of(bytes);
	cur_bytes(&c, sizeof(signature));
	const uint8_t version_command = cur_u8(&c);
	const uint8_t family = cur_u8(&c);
	const uint16_t rest = cur_u16(&c);
	if (!cur_ok(&c))
		return ERR_AGAIN;
	const uint8_t command = version_command & 0x0f;
	if (version_command >> 4 != 2 || command > COMMAND_PROXY)
		return refuse(why, ERR_MALFORMED, "the PROXY header has an unknown command");
	if (rest > PROXY_V2_REST_MAX)
		return refuse(why, ERR_LIMIT, "the PROXY header is longer than 4 KiB");
	if (cur_left(&c) < rest)
		return ERR_AGAIN;
	h.size = PROXY_V2_HEAD + (size_t)rest;
	struct cur body = cur_sub(&c, rest);
	const struct str header = str_make(bytes.p, h.size);
	const int err = command == COMMAND_PROXY ? v2_addresses(family, header, &body, &h, why) : 0;
	if (err == 0)
		*out = h;
	return err;
}

int proxy_parse(struct str bytes, unsigned versions, struct proxy_header *out, const char **why)
{
	if (bytes.n == 0)
		return ERR_AGAIN;
	const bool v1 = begins(bytes, v1_begin, sizeof(v1_begin) - 1);
	const bool v2 = begins(bytes, signature, sizeof(signature));
	if (!v1 && !v2)
		return refuse(why, ERR_MALFORMED, "there is no PROXY header");
	if (v1 && !(versions & PROXY_V1))
		return refuse(why, ERR_INVALID, "version 1 of the PROXY protocol is not accepted");
	if (v2 && !(versions & PROXY_V2))
		return refuse(why, ERR_INVALID, "version 2 of the PROXY protocol is not accepted");
	return v1 ? v1_parse(bytes, out, why) : v2_parse(bytes, out, why);
}
