/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes of the API: see router.h and routes.def.
 */
#include "daemon/web/router.h"
#include "daemon/base/err.h"

#include <stdio.h>

static const struct route routes[] = {
#define ROUTE(method, path, op, status) {method, path, OP_##op, status},
#include "daemon/web/routes.def"
};

static bool is_param(struct str segment)
{
	return segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';
}

static bool match(const struct route *r, struct str path, struct router_match *out)
{
	struct str want = str_of(r->path);
	out->params = 0;
	while (want.p && path.p) {
		const struct str pattern = str_split(&want, '/');
		const struct str segment = str_split(&path, '/');
		if (!is_param(pattern)) {
			if (!str_eq(pattern, segment))
				return false;
			continue;
		}
		if (segment.n == 0 || out->params == ROUTER_PARAMS)
			return false;
		out->name[out->params] = (struct str){pattern.p + 1, pattern.n - 2};
		out->value[out->params++] = segment;
	}
	return !want.p && !path.p;
}

const struct route *router_route(size_t i)
{
	return i < ARRAY_LEN(routes) ? &routes[i] : NULL;
}

/* The answer to HEAD is that to GET without its content (RFC 9110, 9.3.2). */
static bool is_method(const char *asked, const char *method)
{
	return strcmp(strcmp(asked, "HEAD") == 0 ? "GET" : asked, method) == 0;
}

int router_find(const char *method, struct str path, struct router_match *out, char *allow,
		size_t allow_size)
{
	struct router_match found = {0};
	size_t n = 0;
	allow[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!match(&routes[i], path, &found))
			continue;
		if (is_method(method, routes[i].method)) {
			found.op = routes[i].op;
			found.status = routes[i].status;
			*out = found;
			return 0;
		}
		n += (size_t)snprintf(allow + n, allow_size - n, "%s%s%s", n ? ", " : "",
				      routes[i].method,
				      strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
	}
	return n ? ERR_DENIED : ERR_NOT_FOUND;
}
