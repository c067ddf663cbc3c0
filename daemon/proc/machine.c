/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and addresses of this machine: see machine.h.
 */
#include "daemon/proc/machine.h"
#include "daemon/ipc/frame.h"
#include "daemon/net/addr.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <unistd.h>

enum { NAMES_MAX = 8000 };

static void add(struct buf *list, struct str name)
{
	struct str rest = buf_view(list), item;
	if (name.n == 0 || name.n > 253 || list->n + name.n > NAMES_MAX)
		return;
	while (strs_next(&rest, &item))
		if (str_eq(item, name))
			return;
	strs_put(list, name);
}

static bool link_local(const struct addr *a)
{
	return a->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr);
}

static void add_interfaces(struct buf *list)
{
	struct ifaddrs *all;
	char text[ADDR_TEXT];
	struct addr a;
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		const socklen_t len = i->ifa_addr->sa_family == AF_INET
					      ? sizeof(struct sockaddr_in)
					      : sizeof(struct sockaddr_in6);
		if (addr_from_sockaddr(i->ifa_addr, len, &a) == 0 && !link_local(&a))
			add(list, str_of(addr_format_ip(&a, text)));
	}
	freeifaddrs(all);
}

void machine_names(struct buf *list)
{
	char host[256] = "", local[300];
	if (gethostname(host, sizeof(host) - 1) == 0 && host[0]) {
		add(list, str_of(host));
		if (!strchr(host, '.')) {
			snprintf(local, sizeof(local), "%s.local", host);
			add(list, str_of(local));
		}
	}
	add(list, STR("localhost"));
	add(list, STR("127.0.0.1"));
	add(list, STR("::1"));
	add_interfaces(list);
}
