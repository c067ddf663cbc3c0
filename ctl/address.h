/* SPDX-License-Identifier: Apache-2.0
 *
 * Under which name and port a device reaches a listener of the gateway, for the commands that
 * people paste.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

enum { ADDRESS_HOST = 256, ADDRESS_PORT = 8 };

struct address {
	char host[ADDRESS_HOST];
	char port[ADDRESS_PORT];
};

/* The first listener in the answer of status that is named so, or whose protocol begins so; by the
 * gateway's name if it listens everywhere; by `host` where that is not NULL. Without such a
 * listener the port is `port`. False then. */
bool address_choose(const json_t *status, const char *name, const char *protocol, const char *host,
		    const char *port, struct address *out);
/* As it stands in a URL: an IPv6 address in brackets. */
void address_url(const struct address *a, char out[ADDRESS_HOST + ADDRESS_PORT + 4]);
