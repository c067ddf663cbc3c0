/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library's thread tells the main loop beside requests: bodies that were too large, and
 * connections that were refused. Each note carries copies and frees itself. For http.c, which
 * posts none any more once it has been told http_refuse: it holds its lock for that. config must
 * outlive the note.
 */
#pragma once

#include "daemon/net/addr.h"
#include "daemon/web/http.h"

/* config->too_large, which is not NULL, with the source in the loop. */
void http_note_too_large(const struct http_config *config, const char source[ADDR_TEXT]);
/* config->refused, which is not NULL, with the address and port as text in the loop. why: a text
 * that stays. */
void http_note_refused(const struct http_config *config, const struct addr *from, enum event event,
		       const char *why);
