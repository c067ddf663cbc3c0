/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of nftables: see firewall.h.
 */
#include "ctl/firewall.h"
#include "daemon/net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Before the tables of others, which may accept for good what a later one would drop. */
#define PRIORITY "filter - 10"

static const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

/* ---- what listens, and for whom ---- */

/* section: "admin", or "listener.NAME". */
static struct str setting(const struct firewall *f, const char *section, const char *name)
{
	char key[128];
	size_t i;
	const json_t *item;
	snprintf(key, sizeof(key), "%s.%s", section, name);
	json_array_foreach(f->settings, i, item) if (strcmp(text_of(item, "key"), key) ==
						     0) return str_of(text_of(item, "value"));
	return STR("");
}

static json_t *networks_of(struct str list)
{
	json_t *networks = json_array();
	while (list.p) {
		const struct str one = str_trim(str_split(&list, ','));
		if (one.n)
			json_array_append_new(networks, json_stringn(one.p, one.n));
	}
	return networks;
}

/* A proxy before the interface may connect as well. */
static json_t *networks_for_web(const struct firewall *f, const char *name)
{
	const bool admin = strcmp(name, "admin") == 0;
	const json_t *given = admin && f->admin_from ? f->admin_from : f->from;
	if (given)
		return json_deep_copy(given);
	json_t *networks = networks_of(setting(f, name, "allow-from"));
	json_t *proxies = networks_of(admin ? setting(f, name, "proxy-from") : STR(""));
	if (json_array_size(networks))
		json_array_extend(networks, proxies);
	json_decref(proxies);
	return networks;
}

/* Behind a proxy every connection comes from the proxy; the listener judges the address that it
 * states. */
static json_t *networks_for(const struct firewall *f, const char *name, const char *protocol)
{
	char section[64];
	if (strcmp(protocol, "https") == 0)
		return networks_for_web(f, name);
	snprintf(section, sizeof(section), "listener.%s", name);
	const struct str proxy = setting(f, section, "proxy-protocol");
	if (proxy.n && !str_is(proxy, "off"))
		return networks_of(setting(f, section, "proxy-from"));
	return f->from ? json_deep_copy(f->from) : networks_of(setting(f, section, "allow-from"));
}

json_t *firewall_doors(const struct firewall *f)
{
	size_t i;
	const json_t *listener;
	json_t *doors = json_array();
	json_array_foreach(json_object_get(f->status, "listeners"), i, listener)
	{
		struct addr a;
		const char *address = text_of(listener, "address");
		const char *name = text_of(listener, "name");
		if (addr_parse(str_of(address), &a) || a.any.sa_family == AF_UNIX ||
		    addr_is_loopback(&a))
			continue;
		json_array_append_new(
			doors,
			json_pack("{s:s, s:s, s:o}", "name", name, "address", address, "from",
				  networks_for(f, name, text_of(listener, "protocol"))));
	}
	return doors;
}

/* ---- the script ---- */

/* One address that listens: what its packets match, and of which families they are. */
struct match {
	char text[INET6_ADDRSTRLEN + 32];
	bool v4;
	bool v6;
};

/* "ip daddr 192.0.2.1 tcp dport 8883"; nothing of another address of this machine is ours. */
static bool match_of(const char *address, struct match *m)
{
	struct addr a;
	char host[INET6_ADDRSTRLEN];
	char before[sizeof(host) + 16] = "";
	if (addr_parse(str_of(address), &a))
		return false;
	m->v4 = a.any.sa_family == AF_INET;
	const void *ip = m->v4 ? (const void *)&a.v4.sin_addr : &a.v6.sin6_addr;
	const bool everywhere = m->v4 ? a.v4.sin_addr.s_addr == INADDR_ANY
				      : IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr);
	if (!everywhere)
		snprintf(before, sizeof(before), "%s daddr %s ", m->v4 ? "ip" : "ip6",
			 inet_ntop(a.any.sa_family, ip, host, sizeof(host)));
	else if (!a.dual_stack)
		snprintf(before, sizeof(before), "meta nfproto %s ", m->v4 ? "ipv4" : "ipv6");
	snprintf(m->text, sizeof(m->text), "%stcp dport %u", before, addr_port(&a));
	m->v6 = !m->v4;
	m->v4 = m->v4 || a.dual_stack;
	return true;
}

static void put_network(const struct match *m, struct str network, struct buf *out)
{
	struct cidr c;
	char text[ADDR_TEXT];
	if (cidr_parse(network, &c) || !(c.family == AF_INET ? m->v4 : m->v6))
		return;
	buf_printf(out, "\t\t%s %s saddr %s accept\n", m->text, c.family == AF_INET ? "ip" : "ip6",
		   cidr_format(&c, text));
}

static void put_door(const json_t *door, struct buf *out)
{
	struct match m;
	size_t i;
	const json_t *network;
	const json_t *from = json_object_get(door, "from");
	if (!match_of(text_of(door, "address"), &m))
		return;
	buf_printf(out, "\t\t# %s\n", text_of(door, "name"));
	if (m.v4)
		buf_printf(out, "\t\t%s ip saddr @ban4 counter drop\n", m.text);
	if (m.v6)
		buf_printf(out, "\t\t%s ip6 saddr & ffff:ffff:ffff:ffff:: @ban6 counter drop\n",
			   m.text);
	json_array_foreach(from, i, network)
		put_network(&m, str_of(json_string_value(network)), out);
	if (json_array_size(from))
		buf_printf(out, "\t\t%s counter drop\n", m.text);
}

void firewall_script(const json_t *doors, struct buf *out)
{
	size_t i;
	const json_t *door;
	/* The table is declared first, so that emptying its chain cannot fail; its sets stay. */
	buf_puts(out, "table " FIREWALL_TABLE " {\n"
		      "\tset ban4 {\n\t\ttype ipv4_addr; flags timeout; size 65536;\n\t}\n"
		      "\tset ban6 {\n\t\ttype ipv6_addr; flags timeout; size 65536;\n\t}\n"
		      "\tchain input {\n\t\ttype filter hook input priority " PRIORITY
		      "; policy accept;\n\t}\n}\n"
		      "flush chain " FIREWALL_TABLE " input\n"
		      "table " FIREWALL_TABLE " {\n\tchain input {\n"
		      "\t\tiif \"lo\" accept\n");
	json_array_foreach(doors, i, door) put_door(door, out);
	buf_puts(out, "\t}\n}\n");
}

const char *firewall_removal(void)
{
	return "table " FIREWALL_TABLE "\ndelete table " FIREWALL_TABLE "\n";
}
