/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of listeners as devices know them: see address.h.
 */
#include "ctl/address.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

/* "192.0.2.1:8883", "[::]:8883", "*:8883" in two parts. */
static void split(const char *address, struct address *out)
{
	const char *colon = strrchr(address, ':');
	const size_t n = colon ? (size_t)(colon - address) : strlen(address);
	const bool brackets = n > 1 && address[0] == '[';
	snprintf(out->host, sizeof(out->host), "%.*s", (int)(brackets ? n - 2 : n),
		 address + brackets);
	if (colon)
		snprintf(out->port, sizeof(out->port), "%s", colon + 1);
}

static bool any_address(const char *host)
{
	return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool fits(const json_t *listener, const char *name, const char *protocol)
{
	if (name)
		return strcmp(text_of(listener, "name"), name) == 0;
	return strncmp(text_of(listener, "protocol"), protocol, strlen(protocol)) == 0;
}

bool address_choose(const json_t *status, const char *name, const char *protocol, const char *host,
		    const char *port, struct address *out)
{
	size_t i;
	const json_t *l;
	bool found = false;
	snprintf(out->host, sizeof(out->host), "%s", text_of(status, "name"));
	snprintf(out->port, sizeof(out->port), "%s", port);
	json_array_foreach(json_object_get(status, "listeners"), i, l)
	{
		if (!fits(l, name, protocol))
			continue;
		found = true;
		split(text_of(l, "address"), out);
		if (any_address(out->host))
			snprintf(out->host, sizeof(out->host), "%s", text_of(status, "name"));
		break;
	}
	if (host)
		snprintf(out->host, sizeof(out->host), "%s", host);
	return found;
}

void address_url(const struct address *a, char out[ADDRESS_HOST + ADDRESS_PORT + 4])
{
	const bool brackets = strchr(a->host, ':') != NULL;
	snprintf(out, ADDRESS_HOST + ADDRESS_PORT + 4, "%s%s%s:%s", brackets ? "[" : "", a->host,
		 brackets ? "]" : "", a->port);
}
