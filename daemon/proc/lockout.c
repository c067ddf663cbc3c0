/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes that cut off who makes them: see lockout.h.
 */
#include "daemon/proc/lockout.h"

static bool allows(const struct config *c, const struct addr *a)
{
	const struct config_cidrs *list = &c->admin.allow_from;
	return list->n == 0 || cidr_match_any(list->p, list->n, a);
}

/* An address of before that after does not have; NULL: none. */
static const struct addr *closed(const struct config *before, const struct config *after)
{
	for (size_t i = 0; i < before->admin.bind.n; i++) {
		const struct addr *a = &before->admin.bind.p[i];
		bool stays = false;
		for (size_t k = 0; k < after->admin.bind.n && !stays; k++)
			stays = addr_equal(a, &after->admin.bind.p[k]) &&
				a->dual_stack == after->admin.bind.p[k].dual_stack;
		if (!stays)
			return a;
	}
	return NULL;
}

static bool has_network(const struct config_cidrs *list, const struct cidr *one)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->p[i].family == one->family && list->p[i].bits == one->bits &&
		    memcmp(list->p[i].ip, one->ip, one->family == AF_INET ? 4 : 16) == 0)
			return true;
	return false;
}

/* Who comes through it would come from its own address then. */
static bool loses_proxy(const struct config *before, const struct config *after)
{
	for (size_t i = 0; i < before->admin.proxy_from.n; i++)
		if (!has_network(&after->admin.proxy_from, &before->admin.proxy_from.p[i]))
			return true;
	return false;
}

bool lockout_threatens(const struct config *before, const struct config *after, struct str source,
		       struct buf *why)
{
	struct addr from;
	char text[ADDR_TEXT];
	if (addr_parse_ip(source, &from))
		return false;
	const struct addr *gone = closed(before, after);
	if (allows(before, &from) && !allows(after, &from)) {
		buf_printf(why, "admin.allow-from does not let in %s, where you are",
			   addr_format_ip(&from, text));
		return true;
	}
	if (gone) {
		buf_printf(why, "the interface does not listen on %s any more",
			   addr_format(gone, text));
		return true;
	}
	if (after->admin.allow_from.n && loses_proxy(before, after)) {
		buf_puts(why, "admin.proxy-from has lost a proxy, and admin.allow-from is asked "
			      "about its own address then");
		return true;
	}
	return false;
}
