/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/1.1 request that opens a WebSocket, and its answer (RFC 6455 section 4.2, RFC 9112).
 * Bytes in, bytes out: no I/O. Only what the upgrade needs is understood; everything else is
 * refused with an answer that says what is wrong. Any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum {
	WS_HEAD_MAX = 8 * KiB,
	WS_HEADERS_MAX = 64,
};

/* bytes: all received so far. path: the one that is served, or NULL for any (a query is ignored).
 * from_here: a browser's page must have come from the same host and port: needed where the browser
 * shows who it is by itself, by a client certificate, to whatever page asks.
 * 0: complete, *used is the length of the head. ERR_AGAIN: not yet complete, nothing is wrong so
 * far, nothing was written. ERR_MALFORMED, ERR_INVALID, ERR_DENIED, ERR_LIMIT: refused; *why is a
 * constant English phrase. Except with ERR_AGAIN the answer to be sent is appended to *answer. */
int ws_upgrade(struct str bytes, const char *path, bool from_here, struct buf *answer, size_t *used,
	       const char **why);
