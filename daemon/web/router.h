/* SPDX-License-Identifier: Apache-2.0
 *
 * The routes of the API (routes.def): finds the operation behind a method and a path. Pure; any
 * thread.
 */
#pragma once

#include "daemon/ipc/op.h"

enum { ROUTER_PARAMS = 2 };

struct route {
	const char *method;
	const char *path; /* parameters as {name} */
	enum op op;
	unsigned status; /* when it worked */
};

/* All routes, in the order of routes.def: NULL behind the last. */
const struct route *router_route(size_t i);

struct router_match {
	enum op op;
	unsigned status; /* when it worked */
	size_t params;
	struct str name[ROUTER_PARAMS];
	struct str value[ROUTER_PARAMS]; /* as sent: still percent-encoded */
};

/* 0; ERR_NOT_FOUND: no such resource; ERR_DENIED: not with this method, and `allow` (of at least 64
 * bytes) lists those that it knows. */
/* HEAD is as GET. */
int router_find(const char *method, struct str path, struct router_match *out, char *allow,
		size_t allow_size);
