/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle: the files with which a device connects, as the command line writes them into a
 * directory and the web process into a ZIP file. The texts are here, where they go is the caller's.
 * Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

#include <sys/types.h>

enum kit_maker { KIT_MADE_HERE, KIT_MADE_BY_GATEWAY }; /* who made the key */

struct kit {
	const char *device;
	const char *host; /* of the gateway: kit_is_host */
	const char *port;
	const char *est; /* "https://host:8444" */
	/* Where the files will be, from the root; no character that ends a quotation in a program.
	 */
	const char *dir;
	const char *not_after; /* RFC 3339 */
	struct str chain;      /* PEM: the certificate, then its issuers */
	struct str roots;      /* PEM */
	struct str key;        /* PEM; empty: its file is somewhere already */
	enum kit_maker maker;
};

/* Gives every file to put, "examples/..." behind the others; what put answers that is not 0 ends
 * it and is the answer. */
int kit_each(const struct kit *k,
	     int (*put)(void *arg, const char *name, mode_t mode, struct str bytes), void *arg);
/* A name or an address, and nothing that a shell or a URL would take for something else. */
bool kit_is_host(struct str host);
