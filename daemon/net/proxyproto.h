/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol, versions 1 and 2: the first bytes of a connection, in which a proxy states
 * whose connection it forwards. Only a proxy that is trusted may state it; who that is, the caller
 * judges before it looks at a byte.
 *
 * Pure: bytes in, an address out; no I/O, no memory kept. Any thread. "The PROXY protocol",
 * sections 2.1 (text), 2.2 (binary) and 2.2.3 (checksum).
 */
#pragma once

#include "daemon/net/addr.h"

enum {
	PROXY_V1 = 1,
	PROXY_V2 = 2,
	PROXY_V1_MAX = 107,          /* with its CRLF */
	PROXY_V2_HEAD = 16,          /* signature, version, family, length */
	PROXY_V2_REST_MAX = 4 * KiB, /* addresses and additional fields */
	PROXY_MAX = PROXY_V2_HEAD + PROXY_V2_REST_MAX,
};

struct proxy_header {
	unsigned version;   /* PROXY_V1 or PROXY_V2 */
	size_t size;        /* bytes that the header takes */
	bool has_source;    /* false: LOCAL or UNKNOWN, the connection stands for itself */
	struct addr source; /* IPv4 or IPv6 with port; v4-mapped IPv6 is IPv4 */
};

/* bytes: all received so far, from the first one. versions: PROXY_V1, PROXY_V2 or both, or-ed.
 * 0: complete; what is behind out->size belongs to the connection itself. ERR_AGAIN: all bytes are
 * of a header that goes on; nothing is wrong so far. ERR_MALFORMED, ERR_LIMIT (longer than is
 * accepted), ERR_INVALID (another protocol than TCP, or a version that is not accepted), ERR_CRYPTO
 * (checksum): *why is a constant English phrase. */
int proxy_parse(struct str bytes, unsigned versions, struct proxy_header *out, const char **why);
