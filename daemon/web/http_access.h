/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may reach a server (struct http_access of http.h). Pure.
 */
#pragma once

#include "daemon/web/http.h"

/* Its own copy, to be given to http_access_fini. */
struct http_access http_access_copy(const struct http_access *a);
void http_access_fini(struct http_access *a);
/* Is it one of the reverse proxies? */
bool http_access_is_proxy(const struct http_access *a, const struct addr *from);
/* May a request come from there? */
bool http_access_allows(const struct http_access *a, const struct addr *from);
