/* SPDX-License-Identifier: Apache-2.0
 *
 * A request of the API becomes the checked arguments of its operation: from the path, the query,
 * If-Match and the body. CSRs and certificates are parsed here, in the process that strangers'
 * bytes reach anyhow: the store and the vault see only the public key and DER. Asks nobody, answers
 * nothing. Main thread.
 */
#pragma once

#include "daemon/web/http.h"
#include "daemon/web/json.h"
#include "daemon/web/router.h"

/* The arguments of m->op as a rec, appended to args, which the caller wipes: a password may be in
 * it. Names, types, limits and REQUIRED are those of operations.def. 0, or an error, of which
 * *problem says what is wrong. */
int api_args(struct http_request *r, const struct router_match *m, struct buf *args,
	     struct json_problem *problem);
