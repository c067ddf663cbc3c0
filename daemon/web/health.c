/* SPDX-License-Identifier: Apache-2.0
 *
 * /healthz: this process answers. /readyz: it can also do its work, which needs the store (and the
 * vault behind TLS). For supervisors and load balancers: no secret, no level needed.
 */
#include "daemon/web/web.h"

static void answer(struct http_request *r, bool good, const char *text)
{
	http_reply(r, good ? 200 : 503, "text/plain; charset=utf-8", str_of(text), NULL);
}

static void ready(const struct web *w, struct http_request *r)
{
	if (!w->store)
		answer(r, false, "not ready: the store is away\n");
	else if (!w->vault && child_self(w->child) != PROCESS_CTL)
		answer(r, false, "not ready: the vault is away\n");
	else
		answer(r, true, "ready\n");
}

bool health_handle(struct web *w, struct http_request *r)
{
	const bool health = str_is(http_path(r), "/healthz");
	if (!health && !str_is(http_path(r), "/readyz"))
		return false;
	if (strcmp(http_method(r), "GET") != 0 && strcmp(http_method(r), "HEAD") != 0)
		api_problem(r, 405, NULL, "this resource is only read", "GET, HEAD");
	else if (health)
		answer(r, true, "ok\n");
	else
		ready(w, r);
	return true;
}
