/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may: see http_access.h.
 */
#include "daemon/web/http_access.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

static const struct cidr *copy_networks(const struct cidr *list, size_t n)
{
	struct cidr *copy = n ? mem_alloc(n * sizeof(*copy)) : NULL;
	if (n)
		memcpy(copy, list, n * sizeof(*copy));
	return copy;
}

struct http_access http_access_copy(const struct http_access *a)
{
	return (struct http_access){
		.allow = copy_networks(a->allow, a->allow_n),
		.allow_n = a->allow_n,
		.proxy = copy_networks(a->proxy, a->proxy_n),
		.proxy_n = a->proxy_n,
	};
}

void http_access_fini(struct http_access *a)
{
	free((void *)(uintptr_t)a->allow);
	free((void *)(uintptr_t)a->proxy);
}

bool http_access_is_proxy(const struct http_access *a, const struct addr *from)
{
	return cidr_match_any(a->proxy, a->proxy_n, from);
}

bool http_access_allows(const struct http_access *a, const struct addr *from)
{
	return a->allow_n == 0 || cidr_match_any(a->allow, a->allow_n, from);
}
