/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with the head of a request beyond what the library looks at: a field comes twice of
 * which we read one (a proxy in front may read the other one), the name of one is no token, or the
 * body has two lengths or a coding that we do not know. Pure. RFC 9110, 5.3; RFC 9112, 3.2, 5.1
 * and 6.
 */
#pragma once

#include "daemon/base/str.h"

struct http_head {
	uint32_t seen;  /* fields that may come once */
	uint32_t twice; /* those that came again */
	bool coded;     /* a transfer coding other than chunked */
	bool misnamed;  /* a name that is none, such as one with a blank before the colon */
};

/* Takes one field of a zeroed head. */
void http_head_take(struct http_head *h, const char *name, struct str value);
/* After all fields: 0, or 400 or 501 and why. version: as sent, "HTTP/1.1". */
unsigned http_head_judge(const struct http_head *h, const char *version, char why[96]);

/* The path of a request target, still encoded: without query, and of one in absolute form (RFC
 * 9112, 3.2.2) without scheme and authority. */
struct str http_head_path(struct str target);
