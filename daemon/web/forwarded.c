/* SPDX-License-Identifier: Apache-2.0
 *
 * X-Forwarded-For: see forwarded.h.
 */
#include "daemon/web/forwarded.h"

static struct str take_last(struct str *list)
{
	size_t at = list->n;
	while (at && list->p[at - 1] != ',')
		at--;
	const struct str last = {list->p + at, list->n - at};
	list->n = at ? at - 1 : 0;
	return str_trim(last);
}

static bool parse(struct str text, struct addr *out)
{
	struct addr a;
	if (addr_parse_ip(text, &a) && (addr_parse(text, &a) || a.any.sa_family == AF_UNIX))
		return false;
	if (a.dual_stack)
		return false;
	addr_set_port(&a, 0);
	*out = a;
	return true;
}

bool forwarded_for(struct str field, const struct cidr *proxy, size_t proxies, struct addr *out)
{
	struct addr from;
	bool found = false;
	while (field.n) {
		if (!parse(take_last(&field), &from))
			break;
		*out = from;
		found = true;
		if (!cidr_match_any(proxy, proxies, &from))
			break;
	}
	return found;
}
